"""Learns the shape of a day (and of a week) of each series, relative to its level.

`models/seasonal_level.py` calls it. The shape that stands for a past moment is made from days that
were complete before that moment, so that errors measured on it are honest. It must never learn from
a gap, and a single odd day must not bend it: each slot is the median of its recent days. Weeks that
a batch carries in coarser steps count as days like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.coarse_history import CoarseHistory
from models.series import FloatArray, SeriesBatch
from models.step_windows import IntArray

DAY_S = 86_400
HOUR_S = 3600
SLOT_S_MIN = 300
"""Minutes are too few events for a shape of their own; five resolve a ramp of an hour well."""
DAYS_IN_MEDIAN = 10
"""Enough for a stable median, few enough to follow a shape that moves with the seasons."""
WEEKS_IN_MEDIAN = 4
WEEKDAYS = 7
DAILY_KERNEL = (1.0, 2.0, 3.0, 2.0, 1.0)
"""Weights over neighbouring slots: about 25 minutes at five-minute slots."""
WEEKLY_KERNEL = (1.0,) * 13
"""A weekday is seen once a week, so its deviation is smoothed over about an hour."""
ROWS_AT_ONCE = 2048
"""Bounds how much of the older weeks is held in full precision at once."""
DAY_MEASURED_MIN = 0.5
FIRST_DAY_MEASURED_MIN = 0.9
"""The first day has no shape yet to fill its gaps from."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Load relative to its level by weekday and time of day, shape (n, weekdays, slots).

    `weekdays` is 1 where no series has two weeks. Slot 0 of weekday 0 starts at `anchor_s` and
    every seven days from it. `days` (n,) is the number of days behind each row; 0 where there is
    none, and the row is all ones. Shapes are held at single precision, more than a median of ten
    days deserves: of thirty thousand series they are most of what a model needs.
    """

    anchor_s: int
    relative: NDArray[np.floating[Any]]
    days: NDArray[np.int64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "relative", self.relative.astype(np.float32, copy=False))

    def at(self, rows: NDArray[np.int64], start_s: int, step_s: int, steps: int) -> FloatArray:
        """The relative load of `steps` steps from `start_s` on, shape (len(rows), steps)."""
        weekdays, slots = self.relative.shape[1:]
        offset = start_s - self.anchor_s + step_s * (np.arange(steps) + 0.5)
        day = np.floor_divide(offset, DAY_S)
        slot = ((offset - day * DAY_S) * slots / DAY_S).astype(np.int64)
        weekday = day.astype(np.int64) % weekdays
        found = self.relative[rows[:, None], weekday, np.minimum(slot, slots - 1)]
        return np.asarray(found, dtype=np.float64)


class LearntProfile(NamedTuple):
    """The profile as of the end of the history, and what was known of it at each past step."""

    profile: Profile
    known_then: FloatArray
    """Shape (n, steps): the relative load each past step was expected to have."""


def no_profile(rows: int, anchor_s: int) -> Profile:
    """A profile that says nothing: every time of day is like every other."""
    return Profile(anchor_s, np.ones((rows, 1, 1)), np.zeros(rows, dtype=np.int64))


def learn_profile(
    history: SeriesBatch, floor: FloatArray, reach_steps: NDArray[np.int64]
) -> LearntProfile:
    """Learn every row's profile; `floor` (n,) is a rate below which shape is noise.

    A row's forecast reaches `reach_steps` (n,) ahead, so what is known at a step is what was known
    that long before it.
    """
    place = _places(history)
    means = _slot_means(history, place)
    rows, days, slots = means.shape
    weekdays = WEEKDAYS if days >= 2 * WEEKDAYS else 1
    relative = np.full(means.shape, np.nan)
    known = np.ones((rows, slots))
    counted = np.zeros(rows, dtype=np.int64)
    known_then = np.ones(history.values.shape)
    steps = len(place.day)
    groups = _reach_groups(reach_steps, history.step_s)
    for today in range(days):
        for reach, of in groups:
            day_known = place.day[np.maximum(np.arange(steps) - reach, 0)] if steps else place.day
            for day in (today, today + 1):
                at = np.flatnonzero((day_known == today) & (place.day == day))
                shape = _with_weekday(known[of], relative[of, :today], day, weekdays)
                known_then[of[:, None], at] = shape[:, place.slot[at]]
        relative[:, today] = _relative_day(means[:, today], known, counted, floor)
        counted += np.isfinite(relative[:, today]).any(axis=1)
        known = _daily_shape(relative[:, : today + 1])
    week = [_with_weekday(known, relative, day, weekdays) for day in range(days, days + weekdays)]
    return LearntProfile(Profile(history.end_s, np.stack(week, axis=1), counted), known_then)


def _reach_groups(
    reach_steps: NDArray[np.int64], step_s: int
) -> list[tuple[int, NDArray[np.int64]]]:
    """Rows that reach about as far, in whole hours upward: few groups, each row's own a function
    of nothing but its reach."""
    hours = -(-reach_steps * step_s // HOUR_S)
    return [
        (-(-int(hour) * HOUR_S // step_s), np.flatnonzero(hours == hour))
        for hour in np.unique(hours)
    ]


class _Places(NamedTuple):
    """Where each step falls: its day, counted from the oldest, and its slot; shape (steps,)."""

    day: NDArray[np.int64]
    slot: NDArray[np.int64]
    days: int
    slots: int
    begin_s: int
    """Where the oldest day begins."""


def _places(history: SeriesBatch) -> _Places:
    """Days end where the history ends, so that the newest day is always a whole one."""
    slots = max(DAY_S // max(SLOT_S_MIN, history.step_s), 1)
    start_s = history.start_s if history.coarser is None else history.coarser.start_s
    days = max(-(-(history.end_s - start_s) // DAY_S), 1)
    begin_s = history.end_s - days * DAY_S
    cell = _cells(history, begin_s, days, slots)
    return _Places(cell // slots, cell % slots, days, slots, begin_s)


def _cells(steps: SeriesBatch | CoarseHistory, begin_s: int, days: int, slots: int) -> IntArray:
    """The slot, counted from `begin_s`, in which the middle of each step lies."""
    count = (steps.end_s - steps.start_s) // steps.step_s
    offset = steps.start_s - begin_s + steps.step_s * (np.arange(count) + 0.5)
    return np.asarray(np.minimum((offset * slots / DAY_S).astype(np.int64), days * slots - 1))


def _slot_means(history: SeriesBatch, place: _Places) -> FloatArray:
    """Mean rate by day and slot, shape (n, days, slots), NaN where nothing was measured."""
    means = np.full((len(history.keys), place.days * place.slots), np.nan)
    if history.coarser is not None:
        older = history.coarser
        cell = _cells(older, place.begin_s, place.days, place.slots)
        for begin in range(0, len(means), ROWS_AT_ONCE):
            some = slice(begin, begin + ROWS_AT_ONCE)
            _put_means(means[some], older.rates(some), cell)
    # Last, because what is known in full is known better.
    _put_means(means, history.values, place.day * place.slots + place.slot)
    return means.reshape(len(history.keys), place.days, place.slots)


def _put_means(means: FloatArray, values: FloatArray, cell: IntArray) -> None:
    """Put the mean of what is known of each cell, of steps in ascending cells."""
    if not len(cell):
        return
    starts = np.flatnonzero(np.diff(cell, prepend=-1))
    measured = np.isfinite(values)
    total = np.add.reduceat(np.where(measured, values, 0.0), starts, axis=1)
    count = np.add.reduceat(measured.astype(np.float64), starts, axis=1)
    known = means[:, cell[starts]]
    means[:, cell[starts]] = np.where(count > 0, total / np.maximum(count, 1.0), known)


def _relative_day(
    means: FloatArray, known: FloatArray, counted: NDArray[np.int64], floor: FloatArray
) -> FloatArray:
    """One day over its own level; gaps are taken as shaped like the days before."""
    measured = np.isfinite(means)
    expected = np.where(measured, known, 0.0).sum(axis=1)
    level = np.where(measured, means, 0.0).sum(axis=1) / np.maximum(expected, 1e-9)
    relative = (means + floor[:, None]) / (level + floor)[:, None]
    enough = np.where(counted > 0, DAY_MEASURED_MIN, FIRST_DAY_MEASURED_MIN)
    # A day without any demand has no shape.
    learns = (measured.mean(axis=1) >= enough) & (level > floor)
    return np.where(learns[:, None], relative, np.nan)


def _daily_shape(relative: FloatArray) -> FloatArray:
    """The median day of the recent ones, smoothed around the clock, mean one."""
    shape = smooth_around_the_clock(_median(relative[:, -DAYS_IN_MEDIAN:]), DAILY_KERNEL)
    return np.asarray(shape / shape.mean(axis=1, keepdims=True))


def _with_weekday(known: FloatArray, relative: FloatArray, day: int, weekdays: int) -> FloatArray:
    """The daily shape bent toward what this weekday did before, the more the more weeks say so."""
    past = [past for past in range(day - WEEKDAYS, -1, -WEEKDAYS) if past < relative.shape[1]]
    if weekdays == 1 or not past:
        return known
    seen = relative[:, past[:WEEKS_IN_MEDIAN]]
    weeks = np.isfinite(seen).any(axis=2).sum(axis=1)
    deviation = smooth_around_the_clock(_median(np.log(seen / known[:, None, :])), WEEKLY_KERNEL)
    # One week is as likely chance as habit: half of it is believed, of two weeks two thirds.
    belief = weeks / (weeks + 1.0)
    return np.asarray(known * np.exp(np.clip(deviation, -2.0, 2.0) * belief[:, None]))


def _median(values: FloatArray) -> FloatArray:
    """The median over axis 1, of what is known; one where nothing is known of a row."""
    ordered = np.sort(values, axis=1)
    count = np.isfinite(ordered).sum(axis=1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0), axis=1)
    high = np.take_along_axis(ordered, np.minimum(count // 2, ordered.shape[1] - 1), axis=1)
    median: FloatArray = ((low + high) / 2.0)[:, 0]
    for row in np.flatnonzero(np.isnan(median).any(axis=1)):
        median[row] = _filled_around_the_clock(median[row])
    return median


def _filled_around_the_clock(shape: FloatArray) -> FloatArray:
    """A day with its unknown slots drawn straight between their neighbours."""
    known = np.flatnonzero(np.isfinite(shape))
    if len(known) == 0:
        return np.ones_like(shape)
    return np.interp(np.arange(len(shape)), known, shape[known], period=len(shape))


def smooth_around_the_clock(shape: FloatArray, kernel: tuple[float, ...]) -> FloatArray:
    """A weighted moving mean around the clock; a shape shorter than the kernel stays as it is."""
    if shape.shape[1] < len(kernel):
        return shape
    half = len(kernel) // 2
    moved = (weight * np.roll(shape, place - half, axis=1) for place, weight in enumerate(kernel))
    return np.asarray(sum(moved) / sum(kernel))
