"""Finds when demand, relative to its profile, moved to another level and stayed there.

A forecaster calls it before it learns from past errors: errors and levels from before a deploy or
a new customer say little of what follows, so it looks at what came since. It must never take a
burst for a shift: what is gone again within `ShiftRules.stays_s` was none.

Two one-sided cumulative sums (Page, "Continuous inspection schemes", Biometrika 41, 1954) of the
log level in blocks of half an hour, against a forgetting mean of the blocks before, so that growth
of some percent a day is no shift. Blocks that depend on the one before would give false alarms, so
the sums are scaled by the long-run deviation of an autoregression of order one (Johnson and
Bagshaw, "The effect of serial correlation on the performance of CUSUM tests", Technometrics 16,
1974); it is taken from differences, in which a shift is a single one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from models.series import FloatArray
from models.step_windows import IntArray

DAY_S = 86_400
BLOCK_S = 1800
"""Half an hour averages noise and still dates a shift well."""
MEMORY_S = 2 * DAY_S
"""What a level is compared with: the last two days, so that a day's own rhythm averages out."""
BLOCKS_BEFORE_MIN = 12
"""Six hours say what the level was."""
BLOCKS_AFTER_MIN = 3
HABITS_S = 3 * DAY_S
"""What a series did in the last three days it may do again."""
UP_AND_DOWN = np.array([[1.0], [-1.0]])
CLEAR_SHARE = 0.75
"""What has not moved by three quarters of the smallest shift is not looked at closer."""
ABSORBED_MAX = 0.7
"""A block counts as at most twice or half the level in the mean that follows it."""
SLACK = 0.5
"""Half a long-run deviation is no movement: Page's reference value for shifts of one."""
ALARM = 5.0
"""The usual decision interval beside `SLACK`: some 930 blocks, three weeks, between false alarms of
one side on independent noise; `FACTOR_MIN` leaves a part of those."""
CLIP = 4.0
"""One mad block alone must not sound the alarm."""
FAR_BLOCKS = 16
"""Eight hours apart, what the weather of the minutes did is forgotten."""
DEVIATION_MIN = 0.02
FACTOR_MIN = 1.25
"""A smaller shift is within the errors that a forecast allows for anyhow."""
FLOOR_SHARE = 0.02
"""Below this share of the usual level a logarithm would say more than the demand does."""
DRIFT_DAYS_MAX = 7
DRIFT_PAIRS_MIN = 24


@dataclass(frozen=True, slots=True)
class ShiftRules:
    """`stays_s`: how long another level must last to be one; crowds are gone after two hours."""

    stays_s: float = 7200.0


@dataclass(frozen=True, slots=True)
class LevelShifts:
    """The newest shift of each row and its drift; arrays of shape (n,).

    `since` is the first step at the new level, 0 where there was no shift: use what lies from it
    on. `age_s` is the time since then, NaN for none. `factor` is the new level over the old one, 1
    for none. `drift_per_day` is the growth in a day, 0.05 for five percent; 0 where little is
    known.
    """

    since: IntArray
    age_s: FloatArray
    factor: FloatArray
    drift_per_day: FloatArray


def find_level_shifts(
    demand: FloatArray, expected: FloatArray, step_s: int, rules: ShiftRules | None = None
) -> LevelShifts:
    """Find the newest shift; `demand` and the profile `expected` have shape (n, steps).

    Demand is NaN where it is unknown or must not be learnt (`Outages.without`). `expected` may be
    past forecasts instead of a profile: then the shift is one of their errors. Raises `ValueError`
    where the two differ in shape.
    """
    if demand.shape != expected.shape:
        raise ValueError(f"a profile of shape {expected.shape} for {demand.shape} steps")
    rules = rules or ShiftRules()
    each = max(round(BLOCK_S / step_s), 1)
    level = _log_levels(demand, expected, each)
    # The block in which it happened counts for little.
    stays = max(-(-int(rules.stays_s) // (each * step_s)) + 1, BLOCKS_AFTER_MIN)
    found = _newest_shift(level, _long_run_deviation(level), stays)
    steps, blocks = demand.shape[1], level.shape[1]
    # Blocks end where the history ends.
    since = np.maximum(steps - (blocks - found.block) * each, 0)
    since = np.where(found.block > 0, since, 0)
    return LevelShifts(
        since,
        np.where(found.block > 0, (steps - since) * float(step_s), np.nan),
        np.exp(found.moved),
        _drift(level, found.block, max(round(DAY_S / (each * step_s)), 1)),
    )


def _log_levels(demand: FloatArray, expected: FloatArray, each: int) -> FloatArray:
    """Log of demand over expected in each block, shape (n, blocks), NaN where unknown."""
    missing = -demand.shape[1] % each
    known = np.isfinite(demand) & np.isfinite(expected)
    sums = [
        np.pad(np.where(known, values, 0.0), ((0, 0), (missing, 0)))
        .reshape(len(demand), -1, each)
        .sum(axis=2)
        for values in (demand, expected)
    ]
    level = np.where(sums[1] > 0, sums[0] / np.where(sums[1] > 0, sums[1], 1.0), np.nan)
    count = np.maximum((level > 0).sum(axis=1, keepdims=True), 1)
    usual = np.where(level > 0, level, 0.0).sum(axis=1, keepdims=True) / count
    return np.asarray(np.log(level + np.where(usual > 0, FLOOR_SHARE * usual, 1.0)))


def _long_run_deviation(level: FloatArray) -> FloatArray:
    """The deviation (n,) that means of many blocks have, times the root of how many they are.

    With an autoregression's coefficient a, differences of neighbours have the variance 2 v (1 - a)
    and those of blocks far apart 2 v; v the variance of a block.
    """
    near, far = (_spread(level[:, lag:] - level[:, :-lag]) for lag in (1, FAR_BLOCKS))
    far = np.maximum(far, near)
    depends = 1.0 - (near / np.maximum(far, 1e-12)) ** 2
    depends = np.where(near > 0, np.clip(depends, 0.0, 0.98), 0.0)
    long_run = far * np.sqrt(0.5 * (1.0 + depends) / (1.0 - depends))
    return np.asarray(np.maximum(long_run, DEVIATION_MIN))


def _spread(values: FloatArray) -> FloatArray:
    """A robust standard deviation around zero, shape (n,): from the 0.9 quantile of size.

    Farther out than the median, because few counts take few values; a shift is fewer than a tenth
    of all differences.
    """
    ordered = np.sort(np.abs(values), axis=1)
    if ordered.shape[1] == 0:
        return np.zeros(len(values))
    count = np.isfinite(ordered).sum(axis=1)
    place = np.maximum(np.ceil(0.9 * count).astype(np.int64) - 1, 0)
    far = np.take_along_axis(ordered, place[:, None], axis=1)[:, 0]
    return np.where(count > 0, far / 1.645, 0.0)


class _Shift(NamedTuple):
    """The first block of each row's newest shift, 0 for none, and how far the log level moved."""

    block: IntArray
    moved: FloatArray


def _newest_shift(level: FloatArray, deviation: FloatArray, stays: int) -> _Shift:
    """Go through the blocks in time; both sums begin anew where a shift is found.

    Blocks before a shift are then moved by it, so that the series' habits still hold after it.
    """
    rows, blocks = level.shape
    level, lasting = level.copy(), _lasting(level, stays)
    found = _Shift(np.zeros(rows, dtype=np.int64), np.zeros(rows))
    usual, weight = np.zeros(rows), np.zeros(rows)
    sums, began = np.zeros((2, rows)), np.zeros((2, rows), dtype=np.int64)
    for at in range(blocks):
        known = np.isfinite(level[:, at])
        away = np.where(known, level[:, at] - usual, 0.0)
        judged = known & (weight >= BLOCKS_BEFORE_MIN)
        score = np.clip(away / deviation, -CLIP, CLIP) * UP_AND_DOWN - SLACK
        sums = np.where(judged, np.maximum(sums + score, 0.0), sums)
        began = np.where(sums > 0, began, at + 1)
        clear = lasting[:, :, at] - usual * UP_AND_DOWN >= CLEAR_SHARE * np.log(FACTOR_MIN)
        alarm = (sums > ALARM) & judged & clear & (at + 1 - began >= stays)
        for side, row in np.argwhere(alarm).tolist():
            shift = _moved(level[row, : at + 1], int(began[side, row]), stays, side == 0)
            if shift is None:
                continue
            found.block[row], found.moved[row] = shift
            level[row, : shift[0]] += shift[1]
            usual[row] += shift[1]
            sums[:, row], began[:, row], known[row] = 0.0, at + 1, False
        weight = np.minimum(weight + known, MEMORY_S / BLOCK_S)
        step = np.where(weight <= 1, away, np.clip(away, -ABSORBED_MAX, ABSORBED_MAX))
        usual = np.where(known, usual + step / np.maximum(weight, 1.0), usual)
    return found


def _lasting(level: FloatArray, stays: int) -> FloatArray:
    """What three quarters of the newest blocks exceed, upward and downward, (2, n, blocks)."""
    padded = np.pad(level, ((0, 0), (stays, 0)), constant_values=np.nan)
    newest = np.sort(sliding_window_view(padded, stays, axis=1)[:, 1:], axis=2)
    return np.stack([newest[:, :, stays // 4], -newest[:, :, -1 - stays // 4]])


def _moved(level: FloatArray, began: int, stays: int, is_up: bool) -> tuple[int, float] | None:
    """The first block of a shift that an alarm points to and how far it went; None if it did not.

    Three quarters of the newest blocks must lie beyond nineteen of twenty before: what a series
    does every day, or has just done in a burst, is no other level.
    """
    sign = 1.0 if is_up else -1.0
    past = sign * level[max(began - HABITS_S // BLOCK_S, 0) : began]
    newest = sign * level[-stays:]
    past, newest = past[np.isfinite(past)], newest[np.isfinite(newest)]
    if len(past) < BLOCKS_BEFORE_MIN or len(newest) < stays:
        return None
    if np.quantile(newest, 0.25) <= np.quantile(past, 0.95):
        return None
    near = sign * level[max(began - BLOCKS_BEFORE_MIN, 0) :]
    first = len(level) - len(near) + _split(near)
    moved = float(np.nanmedian(sign * level[first:]) - np.median(past))
    return None if moved < np.log(FACTOR_MIN) else (first, sign * moved)


def _split(values: FloatArray) -> int:
    """Where one mean before and a higher one after fit best.

    The likeliest date under normal noise (Hinkley, "Inference about the change-point in a sequence
    of random variables", Biometrika 57, 1970).
    """
    known = np.isfinite(values)
    count = np.cumsum(known)[:-1].astype(np.float64)
    total = np.cumsum(np.where(known, values, 0.0))[:-1]
    after, all_after = known.sum() - count, np.where(known, values, 0.0).sum() - total
    both = (count > 0) & (after > 0)
    rise = all_after / np.maximum(after, 1.0) - total / np.maximum(count, 1.0)
    weight = np.sqrt(count * after / np.maximum(count + after, 1.0))
    return int(np.argmax(np.where(both, rise * weight, -np.inf))) + 1


def _drift(level: FloatArray, since: IntArray, day: int) -> FloatArray:
    """The growth in a day since the shift: the median of slopes between the same times of day.

    Seasonal Kendall slope (Hirsch, Slack and Smith, "Techniques of trend analysis for monthly water
    quality data", Water Resources Research 18, 1982).
    """
    newest = level[:, -DRIFT_DAYS_MAX * day :]
    first = since - (level.shape[1] - newest.shape[1])
    known = np.where(np.arange(newest.shape[1]) >= first[:, None], newest, np.nan)
    slopes = np.concatenate(
        [
            (known[:, days * day :] - known[:, : -days * day]) / days
            for days in range(1, DRIFT_DAYS_MAX)
        ],
        axis=1,
    )
    count = np.isfinite(slopes).sum(axis=1)
    if slopes.shape[1] == 0:
        return np.zeros(len(level))
    low, high = np.maximum((count - 1) // 2, 0), np.minimum(count // 2, slopes.shape[1] - 1)
    ordered = np.sort(slopes, axis=1)
    middle = [np.take_along_axis(ordered, place[:, None], axis=1)[:, 0] for place in (low, high)]
    return np.where(count >= DRIFT_PAIRS_MIN, np.expm1((middle[0] + middle[1]) / 2.0), 0.0)
