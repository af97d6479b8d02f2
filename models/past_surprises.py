"""Raises past forecasts over flash crowds and through outages, as they would have been at the time.

`models/rolling_origins.py` and `models/training.py` score with it what `models/surprises.py` makes
of the newest forecast: the same rules, on a window of steps that ends at each origin. It must never
let an origin see a step at or after it, nor lower a forecast.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from models.cascade import fit_cascade
from models.flash_crowd import (
    CROWD_S_MAX,
    BurstHabits,
    burst_starts,
    find_crowds,
    lifted,
    unannounced,
)
from models.forecast import QUANTILE_LEVELS, Horizon
from models.outage import BoolArray, OutageRules, find_outages, held_level, lifts
from models.profile import DAY_S, Profile
from models.running_sums import sums_between
from models.series import FloatArray, SeriesBatch, until
from models.sight import Window
from models.step_windows import IntArray, uniform_horizon
from models.surprises import (
    CROWD_LOOK_S,
    NEWEST_S,
    OUTAGE_LOOK_S,
    learnt_habits,
    without_outages,
)
from models.usual_low import COLLAPSE_SHARE, usual_low

CELLS_AT_ONCE = 1_000_000
"""Bounds memory: windows of so many steps in all stand side by side, 8 MB of them."""
FALLEN_SHARE = 2 * COLLAPSE_SHARE
"""What may have been a collapse, looked at from any origin; the rules themselves are stricter."""


class Learnt(NamedTuple):
    """What was known of surprises at a step: the shape of a day, and how bursts went on."""

    profile: Profile
    habits: BurstHabits


def learnt_before(history: SeriesBatch, step: int, window: Window) -> Learnt:
    """Learn from the first `step` steps, outages left out, as a fit at that moment does."""
    before, rows = until(history, step), len(history.keys)
    step_s = history.step_s
    horizon = uniform_horizon(rows, window.first * step_s, (window.stop - window.first) * step_s)
    profile = _profile(before, horizon)
    calm = without_outages(before, profile)
    if calm is not before:
        profile = _profile(calm, horizon)
    return Learnt(profile, learnt_habits(calm, profile, [(window, np.arange(rows))]))


def raised_at(
    quantiles: FloatArray, history: SeriesBatch, origins: IntArray, window: Window, learnt: Learnt
) -> FloatArray:
    """The quantiles (n, o, levels) of the window after each origin (o,), no lower than a crowd or
    an outage that was seen by then asks for; row by row as in the history."""
    rows, steps = history.values.shape
    expected = learnt.profile.at(
        np.arange(rows), history.start_s, history.step_s, steps + window.stop
    )
    past = _Past(history, expected)
    made = quantiles.copy()
    _over_crowds(made, past, origins, window, learnt.habits)
    _through_outages(made, past, origins, window)
    return made


class _Past(NamedTuple):
    """The history, and what its profile expects of each step and of those after it."""

    history: SeriesBatch
    expected: FloatArray

    def windows(self, row: IntArray, origin: IntArray, steps: int) -> tuple[FloatArray, FloatArray]:
        """Demand and profile of the steps before each origin, shape (pairs, steps); demand is NaN
        before the history began."""
        place = origin[:, None] + np.arange(-steps, 0)
        inside = np.maximum(place, 0)
        demand = np.where(place >= 0, self.history.values[row[:, None], inside], np.nan)
        return demand, self.expected[row[:, None], inside]


def _profile(history: SeriesBatch, horizon: Horizon) -> Profile:
    model = fit_cascade(history, horizon).model
    assert model is not None
    return model.profile


def _over_crowds(
    made: FloatArray, past: _Past, origins: IntArray, window: Window, habits: BurstHabits
) -> None:
    """Lift in place what lies in a burst or right after one."""
    history = past.history
    step_s, steps = history.step_s, history.values.shape[1]
    begun = burst_starts(history.values, past.expected[:, :steps], step_s, habits)
    look = CROWD_LOOK_S // step_s
    highest = _highest_before(history.values)
    for row, place in _pairs(_within(begun, origins, CROWD_S_MAX // step_s), look):
        of_rows = habits.rows(row)
        demand, expected = past.windows(row, origins[place], look)
        crowds = find_crowds(demand, expected, step_s, of_rows)
        began = origins[place] - 1 - np.nan_to_num(crowds.age_s).astype(np.int64) // step_s
        chosen = unannounced(crowds, of_rows, highest[row, began])
        crowds.present[~chosen] = False
        over = np.sort(lifted(made[row, place], crowds, of_rows, window.stop), axis=1)
        whole = np.isfinite(over).all(axis=1)
        made[row[whole], place[whole]] = over[whole]


def _highest_before(values: FloatArray) -> FloatArray:
    """The most before each step, zero before the first, shape (n, steps + 1)."""
    found = np.zeros((values.shape[0], values.shape[1] + 1))
    np.fmax.accumulate(values, axis=1, out=found[:, 1:])
    return np.nan_to_num(found)


def _through_outages(made: FloatArray, past: _Past, origins: IntArray, window: Window) -> None:
    """Hold in place what lies in an outage or right after one."""
    history = past.history
    step_s = history.step_s
    look = OUTAGE_LOOK_S // step_s
    ahead = np.arange(window.first, window.stop)
    for row, place in _pairs(_may_be_held(history, origins), look):
        demand, expected = past.windows(row, origins[place], look)
        keys = tuple(history.keys[one] for one in row)
        outages = find_outages(SeriesBatch(keys, 0, step_s, demand), expected)
        coming = past.expected[row[:, None], origins[place][:, None] + ahead]
        highest = held_level(outages, coming).max(axis=1)[:, None]
        over = np.where(lifts(outages, QUANTILE_LEVELS), highest, 0.0)
        made[row, place] = np.maximum(made[row, place], over)


def _may_be_held(history: SeriesBatch, origins: IntArray) -> BoolArray:
    """Rows and origins (n, o) worth a closer look: the newest steps lie far below the day's mean,
    and within the longest collapse a step lay far below what is usual."""
    values, step_s = history.values, history.step_s
    known = np.isfinite(values)
    day = DAY_S // step_s
    total = _before(np.where(known, values, 0.0), origins, day)
    mean = total / np.maximum(_before(known, origins, day), 1)
    newest = max(NEWEST_S // step_s, 1)
    ahead = np.pad(np.where(known, values, np.inf), ((0, 0), (newest, 0)), constant_values=np.inf)
    least = sliding_window_view(ahead, newest, axis=1)[:, origins].min(axis=2)
    fallen = known & (values <= FALLEN_SHARE * usual_low(history))
    rules = OutageRules()
    reach = int(rules.accept_after_s + rules.held_after_s) // step_s + 1
    return np.asarray((least < COLLAPSE_SHARE * mean) & _within(fallen, origins, reach))


def _pairs(chosen: BoolArray, steps: int) -> Iterator[tuple[IntArray, IntArray]]:
    """The chosen rows and places, so many at once that their windows stay bounded."""
    row, place = np.nonzero(chosen)
    at_once = max(CELLS_AT_ONCE // max(steps, 1), 1)
    for begin in range(0, len(row), at_once):
        yield row[begin : begin + at_once], place[begin : begin + at_once]


def _within(marks: BoolArray, origins: IntArray, steps: int) -> BoolArray:
    """Whether one of the steps before each origin is marked, shape (n, o)."""
    return np.asarray(_before(marks, origins, steps) > 0)


def _before(values: NDArray[np.generic], origins: IntArray, steps: int) -> FloatArray:
    """The sum of the steps before each origin, shape (n, o)."""
    return sums_between(values, np.maximum(origins - steps, 0), origins)
