"""The least demand that is usual at each moment: what a collapse is measured against.

`models/outage.py` calls it. It is a low estimate on purpose: the lowest slot within an hour of this
time of day, on one of the lower days before, and no more than on this day of the week. A series
that is often quiet has therefore zero here, and nothing can fall below it. It must never look at
the day that it speaks of, except on a series' first day.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from models.series import FloatArray, SeriesBatch

DAY_S = 86_400
SLOT_S_MIN = 300
"""Five minutes: enough counts for a mean, short enough for the edge of a working day."""
AROUND_S = 3600
"""A quiet time that begins an hour earlier or later than the day before is still usual."""
DAYS_BACK = 7
WEEKS_BACK = 3
FIRST_KNOWN_S = 3600
"""On its first day a series must have been measured for so long before its lowest says anything."""
COLLAPSE_SHARE = 0.2
"""A fifth of the least that is usual: no habit of the series, whatever the time of day."""
ROWS_AT_ONCE = 64
"""Bounds memory: the days before of so many rows stand side by side in one array."""


class _Slots(NamedTuple):
    """Slot means (n, slots), aligned to the end of the history, and their measures."""

    means: FloatArray
    steps_each: int
    day: int
    """Slots in a day."""
    around: int
    """Slots in `AROUND_S`."""


def usual_low(batch: SeriesBatch, *, first_day: bool = True) -> FloatArray:
    """The least usual demand at each step, shape (n, steps), rate per second, finite.

    Zero where little demand is usual, and where nothing is known of what is. Without `first_day`
    nothing is usual where no earlier day tells it.
    """
    rows, steps = batch.values.shape
    low = np.zeros((rows, steps))
    if steps == 0:
        return low
    for start in range(0, rows, ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        slots = _slots(batch.values[some], batch.step_s)
        found = _low_of_days_before(slots)
        beneath = _low_so_far(slots, found, batch.step_s) if first_day else 0.0
        found = np.where(np.isnan(found), beneath, found)
        low[some] = np.repeat(found, slots.steps_each, axis=1)[:, -steps:]
    return low


def newest_low(batch: SeriesBatch, count: int) -> FloatArray:
    """The same for the newest `count` steps alone, shape (n, count), at a small part of the cost;
    NaN where no earlier day tells it."""
    if not len(batch.keys):
        return np.zeros((0, count))
    each, day, around = _measures(batch.step_s)
    newest = -(-count // each)
    found = _of_days_and_weeks(lambda back: _lowest_then(batch, newest, back * day, around))
    return np.asarray(np.repeat(found, each, axis=1)[:, newest * each - count :])


def _lowest_then(batch: SeriesBatch, slots: int, earlier: int, around: int) -> FloatArray:
    """The lowest slot around each of the newest slots moved `earlier` slots back, (n, slots)."""
    each = _measures(batch.step_s)[0]
    steps = batch.values.shape[1]
    first = steps - (slots + earlier + around) * each
    stop = max(steps - (earlier - around) * each, 0)
    known = batch.values[:, max(first, 0) : stop]
    part = np.full((len(known), (slots + 2 * around) * each), np.nan)
    part[:, part.shape[1] - known.shape[1] :] = known
    found = _lowest_around(_slots(part, batch.step_s).means, around)[:, around : around + slots]
    before_the_first = -(-steps // each) - slots - earlier + np.arange(slots) < 0
    return np.where(before_the_first, np.nan, found)


def _measures(step_s: int) -> tuple[int, int, int]:
    """Steps in a slot, slots in a day, slots in `AROUND_S`."""
    each = max(round(SLOT_S_MIN / step_s), 1)
    day = max(round(DAY_S / (each * step_s)), 1)
    return each, day, min(round(AROUND_S / (each * step_s)), day - 1)


def _slots(values: FloatArray, step_s: int) -> _Slots:
    each, day, around = _measures(step_s)
    missing = -values.shape[1] % each
    padded = np.full((len(values), missing + values.shape[1]), np.nan)
    padded[:, missing:] = values
    cells = padded.reshape(len(values), -1, each)
    known = np.isfinite(cells)
    count = known.sum(axis=2)
    total = np.where(known, cells, 0.0).sum(axis=2)
    means = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return _Slots(means, each, day, around)


def _low_of_days_before(slots: _Slots) -> FloatArray:
    """What the days and weeks before say, shape (n, slots); NaN where they were not measured."""
    lowest = _lowest_around(slots.means, slots.around)
    return _of_days_and_weeks(lambda back: _later(lowest, back * slots.day))


def _of_days_and_weeks(lowest: Callable[[int], FloatArray]) -> FloatArray:
    """The lower one of what the days before say and of what the weeks do, `lowest` being what a day
    so many days back says."""
    days, weeks = range(1, DAYS_BACK + 1), range(7, 7 * WEEKS_BACK + 1, 7)
    # A week ago may be one of the days, and is asked once.
    found = {back: lowest(back) for back in sorted({*days, *weeks})}
    return np.asarray(
        np.fmin(_low([found[back] for back in days]), _low([found[back] for back in weeks]))
    )


def _low_so_far(slots: _Slots, days: FloatArray, step_s: int) -> FloatArray:
    """The lowest slot so far where `days` knows nothing, collapses left out, shape (n, slots)."""
    rows, length = days.shape
    needed = max(FIRST_KNOWN_S // (slots.steps_each * step_s), 1)
    low = np.zeros((rows, length))
    lowest, count = np.full(rows, np.inf), np.zeros(rows)
    unknown = np.flatnonzero(np.isnan(days).any(axis=0))
    for place in range(int(unknown.max(initial=-1)) + 1):
        found, told = slots.means[:, place], count >= needed
        low[told, place] = lowest[told]
        takes = np.isfinite(found) & ~(told & (found <= COLLAPSE_SHARE * lowest))
        lowest[takes] = np.minimum(lowest[takes], found[takes])
        count += takes
    return low


def _lowest_around(means: FloatArray, around: int) -> FloatArray:
    """The lowest slot within `around` slots before and after, NaN where none is known."""
    width = 2 * around + 1
    slots = means.shape[1]
    padded = np.full((len(means), slots + 2 * around), np.inf)
    padded[:, around : around + slots] = np.where(np.isnan(means), np.inf, means)
    reach = 1
    while reach < width:
        shift = min(reach, width - reach)
        padded = np.minimum(padded[:, :-shift], padded[:, shift:])
        reach += shift
    return np.where(np.isinf(padded), np.nan, padded)


def _later(values: FloatArray, slots: int) -> FloatArray:
    """The same values `slots` slots later, NaN before the first."""
    moved = np.full(values.shape, np.nan)
    moved[:, slots:] = values[:, : max(values.shape[1] - slots, 0)]
    return moved


def _low(many: list[FloatArray]) -> FloatArray:
    """The lower quartile of what is known of several arrays, NaN where nothing is.

    Of four and more the second: one outage is no habit, twice the same may be one.
    """
    ordered = np.sort(np.stack(many), axis=0)
    count = np.isfinite(ordered).sum(axis=0, keepdims=True)
    return np.asarray(np.take_along_axis(ordered, count // 4, axis=0)[0])
