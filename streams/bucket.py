"""One bucket of event time in one input partition: a sum for each cell, and what it still owes.

Beside demand it holds how many workflows started in it that will ask a module later: announced,
not asked yet, and so in no count of events or requests.

`streams/windows.py` keeps them and decides when one goes out. Sums are dense arrays over all
configured cells, so that adding a thousand events is one operation. Must never know a watermark.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from streams.demand import DemandCell, DemandPart
from streams.duplicates import IdCount
from streams.event_columns import Cells, EventColumns, Integers

_DENSE_FACTOR = 8
"""Counting over all cells beats sorting the events up to about so many cells for each event."""


class Bucket:
    """Sums of one bucket; arrays (cells,)."""

    __slots__ = (
        "_amended",
        "_revisions",
        "announced",
        "events",
        "first",
        "is_out",
        "needed_offset",
        "requests",
        "variance",
    )

    def __init__(self, cells: int, needed_offset: int, first: IdCount) -> None:
        """`first` is what lies before the record that began the bucket."""
        self.needed_offset = needed_offset
        self.first = first
        self.is_out = False
        self.requests = np.zeros(cells, np.float64)
        self.events = np.zeros(cells, np.int64)
        self.variance: NDArray[np.float64] | None = None
        self.announced: NDArray[np.float64] | None = None
        self._amended: set[int] = set()
        self._revisions: dict[int, int] = {}

    def amend(self, cell: int, offset: int) -> None:
        """Note that an event was added after the bucket went out."""
        self._amended.add(cell)
        self._revisions[cell] = offset + 1

    def all(self) -> Integers:
        """Every cell that holds something."""
        if self.announced is None:
            return np.flatnonzero(self.events)
        return np.flatnonzero((self.events > 0) | (self.announced > 0))

    def take_out(self) -> Integers:
        """Cells that have to go out: all the first time, then only what was amended since."""
        if not self.is_out:
            self.is_out = True
            self._amended.clear()
            return self.all()
        amended, self._amended = self._amended, set()
        return np.array(sorted(amended), np.int64)

    def parts(
        self, changed: Integers, cells: Cells, *, start_s: int, bucket_s: int, partition: int
    ) -> list[DemandPart]:
        """One part for each module of the changed cells, with all that the module has here.

        Its revision is 0, or the offset after the last event that came late.
        """
        revisions = {cells.names[number][0]: 0 for number in changed.tolist()}
        for number, revision in self._revisions.items():
            module = cells.names[number][0]
            if module in revisions:
                revisions[module] = max(revisions[module], revision)
        of_module: dict[str, list[DemandCell]] = {module: [] for module in sorted(revisions)}
        for number in np.flatnonzero(self.events).tolist():
            module, region, pinned = cells.names[number]
            if module in of_module:
                of_module[module].append(self._cell(number, region, pinned))
        announced = self._announced_of(cells)
        return [
            DemandPart(
                module,
                start_s,
                bucket_s,
                partition,
                tuple(made),
                revision=revisions[module],
                announced=announced.get(module, ()),
            )
            for module, made in of_module.items()
        ]

    def _announced_of(self, cells: Cells) -> dict[str, tuple[tuple[str, float], ...]]:
        """Regions and workflows that were announced, by module."""
        found: dict[str, tuple[tuple[str, float], ...]] = {}
        if self.announced is not None:
            for number in np.flatnonzero(self.announced).tolist():
                module, region, _ = cells.names[number]
                here = (region, float(self.announced[number]))
                found[module] = (*found.get(module, ()), here)
        return found

    def _cell(self, number: int, region: str, pinned: bool) -> DemandCell:
        variance = 0.0 if self.variance is None else float(self.variance[number])
        return DemandCell(
            region, pinned, float(self.requests[number]), int(self.events[number]), variance
        )

    def _add(
        self,
        chosen: Integers,
        requests: NDArray[np.float64],
        events: Integers,
        variance: NDArray[np.float64] | None,
    ) -> None:
        self.requests[chosen] += requests
        self.events[chosen] += events
        if variance is not None:
            if self.variance is None:
                self.variance = np.zeros(len(self.requests), np.float64)
            self.variance[chosen] += variance

    def _announce(self, stages: NDArray[np.object_], workflows: NDArray[np.float64]) -> None:
        """Add workflows (events,) to the cells that each event's will ask."""
        if self.announced is None:
            self.announced = np.zeros(len(self.requests), np.float64)
        for asked, number in zip(stages.tolist(), workflows.tolist(), strict=True):
            for cell in asked or ():
                if cell < len(self.announced):
                    self.announced[cell] += number


def add_rows(
    kept: dict[int, Bucket],
    columns: EventColumns,
    buckets: Integers,
    cells: Cells,
    count_before: Callable[[int], IdCount],
) -> None:
    """Add events to their buckets, making those that are not there yet."""
    first_s, last_s = int(buckets.min()), int(buckets.max())
    if first_s == last_s:
        _add_to(_bucket(kept, first_s, columns, cells, count_before), columns, len(cells))
        return
    for start_s in np.unique(buckets).tolist():
        rows = columns.rows(buckets == start_s)
        _add_to(_bucket(kept, start_s, rows, cells, count_before), rows, len(cells))


def amend_rows(kept: dict[int, Bucket], columns: EventColumns, buckets: Integers) -> None:
    """Note that these events were added after their buckets went out, and what they announce."""
    places = buckets.tolist(), columns.offset.tolist()
    for start_s, offset, cell in zip(*places, columns.cell.tolist(), strict=True):
        kept[start_s].amend(cell, offset)
    if columns.stages is None:
        return
    for start_s, offset, asked in zip(*places, columns.stages.tolist(), strict=True):
        for cell in asked or ():
            if cell < len(kept[start_s].requests):
                kept[start_s].amend(cell, offset)


def _bucket(
    kept: dict[int, Bucket],
    start_s: int,
    rows: EventColumns,
    cells: Cells,
    count_before: Callable[[int], IdCount],
) -> Bucket:
    needed = rows.offset[0] if rows.needed_offset is None else rows.needed_offset.min()
    bucket = kept.get(start_s)
    if bucket is None:
        first = count_before(int(rows.offset[0]))
        bucket = kept[start_s] = Bucket(len(cells), int(needed), first)
    elif needed < bucket.needed_offset:
        bucket.needed_offset = int(needed)
    return bucket


def _add_to(bucket: Bucket, rows: EventColumns, cells: int) -> None:
    variance = rows.variance
    place, chosen = rows.cell, np.arange(cells)
    if cells > _DENSE_FACTOR * len(rows.cell):
        chosen, place = np.unique(rows.cell, return_inverse=True)
    count = len(chosen)
    bucket._add(
        chosen,
        np.bincount(place, rows.requests, count).astype(np.float64),
        np.bincount(place, minlength=count).astype(np.int64),
        None if variance is None else np.bincount(place, variance, count).astype(np.float64),
    )
    if rows.stages is not None:
        bucket._announce(rows.stages, rows.requests)
