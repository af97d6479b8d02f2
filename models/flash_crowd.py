"""Finds a rise that no history announced, and lifts a forecast over it at once.

A forecaster calls `learn_bursts` when it is fitted, `find_crowds` on the newest hours at each
forecast, and `lifted` on its quantiles. A crowd may triple within minutes, and no method that
averages follows in time. It must never lift on noise (a rise counts only beyond what count noise,
the series' own relative errors and its own one in a hundred allow), nor for ever: what is lifted
is bounded and fades.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.calibration import conformal_quantiles
from models.series import FloatArray
from models.step_windows import IntArray, window_peaks

BEFORE_S = 3600
"""A rise is measured against the level of the hour before it."""
BEFORE_STEPS_MIN = 5
SCORE_MIN = 5.0
"""Robust deviations above the level: one in three million if errors were normal."""
RISE_MIN = 1.3
"""A smaller rise lies within the headroom that pods have anyhow."""
CROWD_S_MAX = 3 * 3600
"""After three hours a crowd is a level, which the forecast has learnt by then."""
CALM_S = 1800
"""Two rises less than half an hour apart are one burst."""
GROWTH_MAX = 4.0
"""No forecast promises more than four times what is there: beyond it, nobody has pods anyhow."""
GROWTH_KEPT = 0.6
"""How much of a step's growth goes on in the next one: a damped trend (Gardner and McKenzie,
"Forecasting trends in time series", Management Science 31, 1985)."""
BURSTS_KNOWN = 10
"""Of a series with so many bursts behind it the forecast has learnt what they come to. Lifting it
over each of them cost 2 % of the loss on such a trace, and covered nothing more."""
LASTS_STEPS = 1
"""A record that is gone a step later is a spike, for which nobody can have pods."""
FULL_S = 300
FADES_S = 1200
"""A crowd that has gone on for five minutes and twenty more is in the forecast's own memory."""
ENDED_FADES_S = 300
PRIOR_RATIOS = (0.5, 0.8, 1.0, 1.0, 1.2, 1.5, 2.0)
"""How bursts go on of which nothing is known: half are at their height, one in seven doubles. They
count as seven bursts beside the series' own."""


@dataclass(frozen=True, slots=True)
class BurstHabits:
    """What each row's past says of bursts; shapes (n,) and `ratios` (n, levels).

    `deviation` is the robust relative error of a step against the hour before; `rise` the relative
    rise that one step in a hundred exceeds; `ratios` the quantiles of the peak of the window over
    the first step of a burst; `bursts` how many there were.
    """

    deviation: FloatArray
    rise: FloatArray
    levels: tuple[float, ...]
    ratios: FloatArray
    bursts: IntArray

    def rows(self, rows: IntArray) -> BurstHabits:
        """Some of the rows, in this order."""
        return BurstHabits(
            self.deviation[rows], self.rise[rows], self.levels, self.ratios[rows],
            self.bursts[rows],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Crowds:
    """The burst each row is in or has just left; arrays of shape (n,).

    `present` is False where there is none, and all numbers NaN: `level_before` and `newest` demand
    per second, `age_s` since its first step ended, `ended_ago_s` (0 while it lasts), and `growth`,
    the log growth of a step since it began.
    """

    present: NDArray[np.bool_]
    level_before: FloatArray
    newest: FloatArray
    age_s: FloatArray
    ended_ago_s: FloatArray
    growth: FloatArray
    step_s: int

    def rows(self, rows: IntArray) -> Crowds:
        """Some of the rows."""
        return Crowds(
            self.present[rows], self.level_before[rows], self.newest[rows], self.age_s[rows],
            self.ended_ago_s[rows], self.growth[rows], self.step_s,
        )  # fmt: skip


def learn_bursts(
    demand: FloatArray,
    expected: FloatArray,
    step_s: int,
    window: tuple[int, int],
    levels: tuple[float, ...],
) -> BurstHabits:
    """Learn from demand and its profile, shape (n, steps), outages masked.

    `window` is the steps [first, stop) ahead whose peak counts. Raises `ValueError` for a profile
    of another shape.
    """
    before = _level_before(demand, expected, step_s)
    relative = demand / np.where(before > 0, before, np.nan) - 1.0
    deviation = 1.4826 * _row_quantile(np.abs(relative), 0.5)
    rise = _row_quantile(relative, 0.99)
    starts = _starts(_is_rise(demand, before, deviation, rise, step_s), step_s)
    first, stop = window
    peaks = np.full(demand.shape, np.nan)
    ahead = window_peaks(demand, stop - first)[:, first + 1 :]
    peaks[:, : ahead.shape[1]] = ahead
    found = np.where(starts, peaks / np.where(demand > 0, demand, np.nan), np.nan)
    prior = np.broadcast_to(np.asarray(PRIOR_RATIOS), (len(demand), len(PRIOR_RATIOS)))
    ratios = np.concatenate([np.minimum(found, GROWTH_MAX), prior], axis=1)
    count = np.isfinite(ratios).sum(axis=1).astype(np.float64)
    quantiles = np.clip(conformal_quantiles(ratios, levels, count), 0.0, GROWTH_MAX)
    return BurstHabits(deviation, rise, levels, quantiles, starts.sum(axis=1))


def find_crowds(
    demand: FloatArray,
    expected: FloatArray,
    step_s: int,
    habits: BurstHabits,
    upper: FloatArray | None = None,
) -> Crowds:
    """Look for a burst that began within `CROWD_S_MAX`; shapes (n, steps), a few hours are enough.

    `upper` (n, steps), where given, is the .99 that had been forecast for each step, NaN where
    nothing was: a rise within it was announced and is no crowd.
    """
    steps = demand.shape[1]
    before, rises = _rises(demand, expected, step_s, habits)
    if upper is not None:
        rises &= ~(demand <= upper)
    starts = _starts(rises, step_s)
    starts[:, : max(steps - int(CROWD_S_MAX // step_s), 0)] = False
    crowds = _none(len(demand), step_s)
    for row in np.flatnonzero(starts.any(axis=1)).tolist():
        began = int(np.flatnonzero(starts[row])[-1])
        _note(crowds, row, demand[row, began:], float(before[row, began]))
    return crowds


def burst_starts(
    demand: FloatArray, expected: FloatArray, step_s: int, habits: BurstHabits
) -> NDArray[np.bool_]:
    """The steps at which a burst begins, shape (n, steps), each told by what was before it."""
    return _starts(_rises(demand, expected, step_s, habits)[1], step_s)


def unannounced(crowds: Crowds, habits: BurstHabits, highest: FloatArray) -> NDArray[np.bool_]:
    """Which crowds no history announced, shape (n,): all of a row that knows few bursts; of another
    those that last and are beyond `highest` (n,), the most before they began."""
    lasts = (crowds.age_s >= LASTS_STEPS * crowds.step_s) & (crowds.ended_ago_s == 0)
    is_record = lasts & ~(crowds.newest <= highest)
    return np.asarray(crowds.present & ((habits.bursts < BURSTS_KNOWN) | is_record))


def lifted(quantiles: FloatArray, crowds: Crowds, habits: BurstHabits, stop: int) -> FloatArray:
    """The quantiles, (n, levels) or (n, levels, h), no lower than how such bursts go on.

    A level's lift is the newest demand times the larger of two factors, at most `GROWTH_MAX`: what
    the series' own bursts came to, and its growth since the burst began, damped, over `stop` steps,
    all of it at the level .95. Levels below the median are lifted to the newest demand at most.
    Order among levels is kept; rows without a crowd are unchanged.
    """
    goes_on = GROWTH_KEPT * (1.0 - GROWTH_KEPT**stop) / (1.0 - GROWTH_KEPT)
    share = np.clip((np.asarray(habits.levels) - 0.5) / 0.45, 0.0, 1.0)
    growth = np.exp(np.minimum(crowds.growth[:, None] * goes_on * share, np.log(GROWTH_MAX)))
    growth = np.where(share > 0, growth, 0.0)
    factor = np.maximum(habits.ratios, growth)
    factor = np.where(np.asarray(habits.levels) < 0.5, np.minimum(factor, 1.0), factor)
    lasts = np.exp(-np.maximum(crowds.age_s - FULL_S, 0.0) / FADES_S)
    fades = lasts * np.exp(-crowds.ended_ago_s / ENDED_FADES_S)
    lift = crowds.newest[:, None] * factor * fades[:, None]
    lift = np.where(crowds.present[:, None], lift, -np.inf)
    return np.maximum(quantiles, lift.reshape(lift.shape + (1,) * (quantiles.ndim - 2)))


def _level_before(demand: FloatArray, expected: FloatArray, step_s: int) -> FloatArray:
    """What each step would be at the level of the hour before it, (n, steps); NaN where unknown."""
    if demand.shape != expected.shape:
        raise ValueError(f"a profile of shape {expected.shape} for {demand.shape} steps")
    width = max(round(BEFORE_S / step_s), BEFORE_STEPS_MIN)
    known = np.isfinite(demand)
    found, wanted, count = (
        _sums_before(values, width)
        for values in (np.where(known, demand, 0.0), np.where(known, expected, 0.0), known)
    )
    told = (count >= BEFORE_STEPS_MIN) & (wanted > 0)
    return np.where(told, found / np.where(told, wanted, 1.0) * expected, np.nan)


def _sums_before(values: NDArray[np.generic], width: int) -> FloatArray:
    """The sum of the `width` steps before each step, shape (n, steps)."""
    total, earlier = np.zeros(values.shape), np.zeros(values.shape)
    np.cumsum(values[:, :-1], axis=1, dtype=np.float64, out=total[:, 1:])
    earlier[:, width:] = total[:, : max(values.shape[1] - width, 0)]
    # Rounding of a long sum must not make a level of nothing.
    return np.where(total - earlier > 1e-12 * total, total - earlier, 0.0)


def _is_rise(
    demand: FloatArray, before: FloatArray, deviation: FloatArray, rise: FloatArray, step_s: int
) -> NDArray[np.bool_]:
    """Steps beyond all three bounds; count noise is that of a Poisson count of the step."""
    relative = np.nan_to_num(deviation)[:, None] * before
    # One count more than the mean's own: a first request in an idle hour is no crowd.
    spread = np.sqrt((before + 1.0 / step_s) / step_s + relative**2)
    usual = np.maximum(RISE_MIN, 1.0 + np.nan_to_num(rise))[:, None]
    return np.asarray((demand - before >= SCORE_MIN * spread) & (demand >= usual * before))


def _rises(
    demand: FloatArray, expected: FloatArray, step_s: int, habits: BurstHabits
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The level before each step, and whether the step is beyond what this row's habits allow."""
    before = _level_before(demand, expected, step_s)
    return before, _is_rise(demand, before, habits.deviation, habits.rise, step_s)


def _starts(rises: NDArray[np.bool_], step_s: int) -> NDArray[np.bool_]:
    """The rises with none in the half hour before them."""
    width = max(round(CALM_S / step_s), 1)
    return np.asarray(rises & (_sums_before(rises, width) == 0))


def _row_quantile(values: FloatArray, share: float) -> FloatArray:
    """Each row's quantile of what is known, 0 where nothing is, shape (n,)."""
    ordered = np.sort(values, axis=1)
    if ordered.shape[1] == 0:
        return np.zeros(len(values))
    count = np.isfinite(ordered).sum(axis=1)
    place = np.maximum(np.ceil(share * count).astype(np.int64) - 1, 0)
    found = np.take_along_axis(ordered, place[:, None], axis=1)[:, 0]
    return np.where(count > 0, found, 0.0)


def _none(rows: int, step_s: int) -> Crowds:
    before, newest, age_s, ended_ago_s, growth = (np.full(rows, np.nan) for _ in range(5))
    present = np.zeros(rows, dtype=np.bool_)
    return Crowds(present, before, newest, age_s, ended_ago_s, growth, step_s)


class _Height(NamedTuple):
    """Where a burst stood highest, and the last step at which it still stood."""

    peak: float
    last: int


def _height(burst: FloatArray, level: float) -> _Height:
    """It stands while demand is more than half way up from the level to its peak so far."""
    peaks = np.fmax.accumulate(burst)
    stands = np.flatnonzero(burst >= level + 0.5 * (peaks - level))
    return _Height(float(peaks[-1]), int(stands[-1]))


def _note(crowds: Crowds, row: int, burst: FloatArray, level: float) -> None:
    """Write down a burst, shape (steps since it began,), whose first step is measured."""
    measured = np.flatnonzero(np.isfinite(burst))
    newest = int(measured[-1])
    height = _height(burst, level)
    crowds.present[row] = True
    crowds.level_before[row] = level
    crowds.newest[row] = burst[newest]
    crowds.age_s[row] = (len(burst) - 1) * crowds.step_s
    # A gap after the last measured step does not end it.
    crowds.ended_ago_s[row] = (newest - height.last) * crowds.step_s
    grown = np.log(max(float(burst[newest]), 1e-12) / float(burst[0]))
    crowds.growth[row] = max(grown / newest, 0.0) if newest > 0 else 0.0
