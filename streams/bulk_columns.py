"""Makes columns of events that were decoded in bulk, and says which of them are not that simple.

`streams/record_block.py` and `streams/batch_block.py` call it. An event that it does not call good
is for `streams.events.decode`, which decides what every record means; what it calls good must be
what that one would say. Pure: no clock, network or log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.catalog import Catalog
from streams.event_columns import Cells, EventColumns, Integers, Spelling
from streams.event_time import EARLIEST_S, LATEST_S
from streams.id_hash import hashes_of

_count, _id = attrgetter("count"), attrgetter("id")


class Stamps(NamedTuple):
    """Whole seconds of the events and of their records, and the records' offsets; arrays (events,).

    `times_s` lies before 1990 where a time could not be read, `written_s` below 0 where a record
    has none.
    """

    times_s: Integers
    written_s: Integers
    offsets: Integers

    @property
    def counted_s(self) -> Integers:
        """The times as they count: no event is newer than its record."""
        times_s, written_s = self.times_s, self.written_s
        return np.where(written_s >= 0, np.minimum(times_s, written_s), times_s)

    def good(self, catalog: Catalog) -> NDArray[np.bool_]:
        """Which times are certainly good."""
        times_s, written_s = self.times_s, self.written_s
        # A second of room: these are rounded; who is near the limit is judged by the exact time.
        good = (written_s < 0) | (times_s - written_s <= catalog.future_skew_max_s - 1)
        if times_s.min() < EARLIEST_S or times_s.max() >= LATEST_S:
            good &= (times_s >= EARLIEST_S) & (times_s < LATEST_S)
        return np.asarray(good)


def bulk_columns(
    events: Sequence[Any],
    stamps: Stamps,
    spelling: Callable[[Any], Spelling],
    cells: Cells,
    *,
    have_ids: bool = True,
) -> tuple[NDArray[np.bool_], EventColumns]:
    """Which events (events,) are good, and the columns of all; `spelling` gives one its names."""
    cells.spellings.begin()
    spelled = map(cells.spellings.__getitem__, map(spelling, events))
    row = np.fromiter(spelled, np.int64, len(events))
    cell_of, sample_rate_of = cells.spellings.table
    cell, counts = cell_of[row], np.fromiter(map(_count, events), np.float64, len(events))
    variance = None
    if (sample_rate_of != 1).any():
        one_in = 1 / sample_rate_of[row]
        variance = counts * one_in * (one_in - 1)
        counts = counts / sample_rate_of[row]
    columns = EventColumns(
        stamps.counted_s,
        cell,
        counts,
        variance,
        hashes_of(list(map(_id, events))) if have_ids else np.zeros(len(events), np.uint64),
        stamps.offsets,
    )
    return stamps.good(cells.catalog) & (cell >= 0), columns
