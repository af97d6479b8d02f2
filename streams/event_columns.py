"""Events as columns: what the windows need of many events at once, as arrays and not as objects.

`streams/record_block.py` makes them from Kafka's records, `streams/windows.py` adds them up. A cell
is a (module, region, pinned) that the configuration knows; cells are numbered, and so are two kinds
of events that count for none: those of others, and heartbeats. Nothing here may grow with what
senders send.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.bulk_decoder import BulkDecoder
from streams.catalog import Catalog
from streams.event_types import OTHER, Heartbeat, RefusalError, RequestEvent, WorkflowRequest
from streams.id_hash import hash_of
from streams.packed_decoder import PackedDecoder
from streams.packed_names import PackedNames

Integers = NDArray[np.int64]

SPELLINGS_MIN = 4096
"""So many ways to write (module, region, routing, sampling) are kept; a flood begins anew."""


class EventColumns(NamedTuple):
    """Arrays (events,) in the order of their offsets.

    `time_s` is the whole second of the event; `cell` its number in `Cells`; `id_hash` 0 where the
    sender gave no id; `needed_offset` the first record that a restart must read to count the event
    again: its own but for differences of counters.
    `stages` holds, for an event that starts workflows, the tuple of the cells that they will ask
    (`Cells.stages`), None for every other event; it is None itself where no event starts one.
    """

    time_s: Integers
    cell: Integers
    requests: NDArray[np.float64]
    variance: NDArray[np.float64] | None
    id_hash: NDArray[np.uint64]
    offset: Integers
    needed_offset: Integers | None = None
    stages: NDArray[np.object_] | None = None

    def rows(self, chosen: NDArray[np.bool_] | slice) -> EventColumns:
        """Only these events."""
        return EventColumns(
            self.time_s[chosen],
            self.cell[chosen],
            self.requests[chosen],
            None if self.variance is None else self.variance[chosen],
            self.id_hash[chosen],
            self.offset[chosen],
            None if self.needed_offset is None else self.needed_offset[chosen],
            None if self.stages is None else self.stages[chosen],
        )


class Cells:
    """The numbers of all cells, and what is known of how senders spell them."""

    def __init__(self, catalog: Catalog) -> None:
        self.names = tuple(
            (module, region, pinned)
            for module in sorted(catalog.modules)
            for region in sorted(catalog.regions)
            for pinned in (False, True)
        )
        self.other = len(self.names)
        self.heartbeat = self.other + 1
        self.catalog = catalog
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self.spellings = Spellings(self)
        self.decoder = BulkDecoder()
        self.packed_decoder = PackedDecoder()
        self.packed_names = PackedNames(self.placed, len(self.names))

    def __len__(self) -> int:
        return len(self.names)

    def placed(self, module: str, region: str | None, pinned: bool) -> int:
        """The cell of names as a sender wrote them; -1 where they cannot be placed at all."""
        try:
            return self.number(*self.catalog.place(module, region), pinned)
        except RefusalError:
            return -1

    def number(self, module: str, region: str, pinned: bool) -> int:
        """The cell of a request event, or that of others."""
        if module == OTHER:
            return self.other
        return self._numbers[module, region, pinned]

    def stages(self, event: WorkflowRequest) -> tuple[int, ...] | None:
        """The movable cell of each stage in the event's region, `other` for one not ours.

        None for an event of others: it counts for nothing.
        """
        if event.module == OTHER:
            return None
        return tuple(self.number(stage, event.region, False) for stage in event.stages)


Spelling = tuple[str, str | None, str | bool, float]
"""Module, region, whether pinned (also as the word of our contract), sample rate: as sent."""


class Spellings(dict[Spelling, int]):
    """A spelling → its row in `table`.

    A spelling that cannot be placed at all has cell -1. Bounded: see `SPELLINGS_MIN`.
    """

    def __init__(self, cells: Cells) -> None:
        super().__init__()
        self._cells = cells
        self._kept = max(SPELLINGS_MIN, 4 * len(cells.names))
        self._rows: list[tuple[int, float]] = []
        self._table: tuple[Integers, NDArray[np.float64]] | None = None

    def __missing__(self, spelling: Spelling) -> int:
        module, region, pinned, sample_rate = spelling
        cell = self._cells.placed(module, region, pinned in ("pinned", True))
        row = len(self._rows)
        self._rows.append((cell, sample_rate))
        self._table = None
        self[spelling] = row
        return row

    def begin(self) -> None:
        """Make room before a block of events; row numbers are good until the next call."""
        if len(self._rows) > self._kept:
            self.clear()
            self._rows.clear()
            self._table = None

    @property
    def table(self) -> tuple[Integers, NDArray[np.float64]]:
        """Cell and sample rate of each row, as arrays (rows,)."""
        if self._table is None:
            cells, sample_rates = zip(*self._rows, strict=True) if self._rows else ((), ())
            self._table = np.array(cells, np.int64), np.array(sample_rates, np.float64)
        return self._table


def columns_of(
    events: Sequence[RequestEvent | Heartbeat],
    offsets: Sequence[int],
    cells: Cells,
    needed_offsets: Sequence[int] | None = None,
) -> EventColumns:
    """Columns of events that were decoded one by one."""
    rows = [_row(event, cells) for event in events]
    times_s, cell, requests, variance, ids = zip(*rows, strict=True) if rows else ((),) * 5
    return EventColumns(
        np.array(times_s, np.int64),
        np.array(cell, np.int64),
        np.array(requests, np.float64),
        np.array(variance, np.float64) if any(variance) else None,
        np.array(ids, np.int64).view(np.uint64),
        np.array(offsets, np.int64),
        None if needed_offsets is None else np.array(needed_offsets, np.int64),
        _stages(events, cells),
    )


def merged_columns(
    first: EventColumns, first_rows: Integers, second: EventColumns, second_rows: Integers
) -> EventColumns:
    """Both in the order of their rows, each an ascending array (events,).

    Those of `first` need their own records only.
    """
    order = np.argsort(np.concatenate([first_rows, second_rows]), kind="stable")
    variance = None
    if first.variance is not None or second.variance is not None:
        variance = np.concatenate(
            [
                np.zeros(len(one.time_s)) if one.variance is None else one.variance
                for one in (first, second)
            ]
        )[order]
    return EventColumns(
        np.concatenate([first.time_s, second.time_s])[order],
        np.concatenate([first.cell, second.cell])[order],
        np.concatenate([first.requests, second.requests])[order],
        variance,
        np.concatenate([first.id_hash, second.id_hash])[order],
        np.concatenate([first.offset, second.offset])[order],
        None
        if second.needed_offset is None
        else np.concatenate([first.offset, second.needed_offset])[order],
        _merged_stages(first, second, order),
    )


def unknown_stages(columns: EventColumns, cells: Cells) -> int:
    """How many of the events announce a stage that is no module of ours."""
    if columns.stages is None:
        return 0
    return sum(cells.other in (asked or ()) for asked in columns.stages.tolist())


def _merged_stages(
    first: EventColumns, second: EventColumns, order: NDArray[np.intp]
) -> NDArray[np.object_] | None:
    if first.stages is None and second.stages is None:
        return None
    none = (np.full(len(one.time_s), None, object) for one in (first, second))
    both = [
        empty if one.stages is None else one.stages
        for one, empty in zip((first, second), none, strict=True)
    ]
    return np.asarray(np.concatenate(both)[order])


def _stages(events: Sequence[RequestEvent | Heartbeat], cells: Cells) -> NDArray[np.object_] | None:
    if not any(isinstance(event, WorkflowRequest) for event in events):
        return None
    found = np.full(len(events), None, object)
    for row, event in enumerate(events):
        if isinstance(event, WorkflowRequest):
            found[row] = cells.stages(event)
    return found


def _row(event: RequestEvent | Heartbeat, cells: Cells) -> tuple[int, int, float, float, int]:
    time_s = int(event.time_s // 1)
    if isinstance(event, Heartbeat):
        return time_s, cells.heartbeat, 0.0, 0.0, 0
    cell = cells.number(event.module, event.region, event.pinned)
    return time_s, cell, event.requests, event.variance, hash_of(event.event_id)


NO_COLUMNS = EventColumns(
    np.zeros(0, np.int64),
    np.zeros(0, np.int64),
    np.zeros(0),
    None,
    np.zeros(0, np.uint64),
    np.zeros(0, np.int64),
)
