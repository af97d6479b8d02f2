"""What is known at an origin of a coming window: candidate points and features, all without units.

`models/ensemble.py` and `models/rolling_origins.py` call it, for the newest moment and for many
past ones, so that what is learnt of the past holds now. It must never read a step at or after an
origin, except for the outcome that is handed over separately.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from models.day_statistics import day_statistics
from models.origin_windows import HALF_LIVES_STEPS, Recent, outcomes, recent
from models.series import FloatArray, SeriesBatch
from models.step_windows import IntArray

DAY_S = 86_400
HOUR_S = 3600
DAYS_BACK = 7
DAYS_AS_FEATURES = (1, 2, 7)
LAGS = (0, 1, 2, 3, 4, 5, 7, 9, 11)
WINDOWS = (3, 6, 12, 36)
MIN_WINDOWS = (6, 36)
HARMONICS = (1, 2, 3)
HOLT = ((0.5, 0.1, 0.9), (0.8, 0.2, 0.9))
"""Level, trend and damping of two Holt smoothers (Gardner and McKenzie, "Forecasting Trends in Time
Series", 1985): one steady, one that follows a crowd within a few steps."""
HOLT_STEPS = 40
CALM_SHARE = 0.05
"""A share of the level under both sides of a day-over-day ratio, so that a quiet yesterday does not
make a thousandfold today."""
POINTS = (
    "last",
    *(f"smoothed-{half_life:g}" for half_life in HALF_LIVES_STEPS),
    "holt-steady",
    "holt-quick",
    "yesterday-plus",
    "yesterday-times",
    "profile-of-level",
    "last-week-times",
    "profile-of-newest",
)
"""The candidate points, in the order of `Sight.points`."""
CELLS_AT_ONCE = 1_000_000
"""Bounds memory: so many windowed steps are held at once, 8 MB of them."""


@dataclass(frozen=True, slots=True)
class Window:
    """The steps `first` to `stop - 1` after an origin; every row of one call has the same."""

    first: int
    stop: int


class Sight(NamedTuple):
    """What was known at each origin: `level` (n, o) > 0, `points` (n, o, len(POINTS)) >= 0,
    `features` (n, o, f) with NaN for unknown, and `fresh` (n, o): measured shortly before."""

    level: FloatArray
    points: FloatArray
    features: FloatArray


class _Day(NamedTuple):
    """The same hour some days before: levels then, and the peak that followed."""

    newest: FloatArray
    quick: FloatArray
    slower: FloatArray
    level: FloatArray
    peak: FloatArray


def see(batch: SeriesBatch, origins: IntArray, window: Window, floor: FloatArray) -> Sight:
    """Look at every origin (o,) of every row of the batch; `floor` (n,) > 0 is a rate
    below which everything relative is noise."""
    rows = batch.values.shape[0]
    at_once = max(CELLS_AT_ONCE // (DAYS_BACK * 240 * max(len(origins), 1)), 1)
    origins_at_once = max(CELLS_AT_ONCE // (DAYS_BACK * 240), 1)
    blocks = []
    for begin in range(0, max(rows, 1), at_once):
        chosen = slice(begin, begin + at_once)
        some = SeriesBatch(batch.keys[chosen], batch.start_s, batch.step_s, batch.values[chosen])
        parts = [
            _see(some, origins[first : first + origins_at_once], window, floor[chosen])
            for first in range(0, max(len(origins), 1), origins_at_once)
        ]
        blocks.append(Sight(*(np.concatenate(kind, axis=1) for kind in zip(*parts, strict=True))))
    return Sight(*(np.concatenate(kind, axis=0) for kind in zip(*blocks, strict=True)))


def _see(batch: SeriesBatch, origins: IntArray, window: Window, floor: FloatArray) -> Sight:
    values, step_s = batch.values, batch.step_s
    now = recent(values, origins, step_s)
    level = np.where(np.isfinite(now.level), now.level, 0.0) + floor[:, None]
    days = _days(batch, origins, window, floor)
    points = _points(now, level, days, window)
    columns = [
        *_clock(batch, origins, window),
        *_shape_of_recent(now, level),
        *_shape_of_day(values, origins, step_s, level),
        *_shape_of_past_days(days, level, now, step_s),
    ]
    return Sight(level, points, np.stack(columns, axis=2).astype(np.float32))


def _days(batch: SeriesBatch, origins: IntArray, window: Window, floor: FloatArray) -> list[_Day]:
    """The same hour of each of the last days, newest first; NaN where it was not known."""
    day = DAY_S // batch.step_s
    backs = [back for back in range(1, DAYS_BACK + 1) if window.stop <= back * day]
    backs = [back for back in backs if int(origins.max(initial=0)) > back * day]
    nothing = np.full((len(batch.keys), len(origins)), np.nan)
    found = [_Day(nothing, nothing, nothing, nothing, nothing)] * DAYS_BACK
    if not backs:
        return found
    places = np.concatenate([origins - back * day for back in backs])
    then = recent(batch.values, places, batch.step_s)
    peak = outcomes(batch.values, places, window.first, window.stop)
    level = then.level + floor[:, None]
    for number, back in enumerate(backs):
        part = slice(number * len(origins), (number + 1) * len(origins))
        found[back - 1] = _Day(
            then.newest[:, part],
            then.means[:, part, 0],
            then.means[:, part, 1],
            level[:, part],
            peak[:, part],
        )
    return found


def _points(now: Recent, level: FloatArray, days: list[_Day], window: Window) -> FloatArray:
    quick, slower = now.means[:, :, 0], now.means[:, :, 1]
    calm = CALM_SHARE * level
    yesterday, last_week = days[0], days[-1]
    ahead = 0.5 * (window.first + 1 + window.stop)
    found = [
        np.where(np.isfinite(now.newest), now.newest, quick),
        *np.moveaxis(now.means, 2, 0),
        *_holt(now.steps, ahead),
        quick + yesterday.peak - yesterday.quick,
        quick * (yesterday.peak + calm) / (yesterday.quick + calm),
        level * _over_days([day.peak / day.level for day in days])[1],
        quick * (last_week.peak + calm) / (last_week.quick + calm),
        slower * _over_days([day.peak / (day.slower + 0.02 * day.level) for day in days])[0],
    ]
    fallback = np.where(np.isfinite(slower), slower, level)
    points = np.stack([np.where(np.isfinite(one), one, fallback) for one in found], axis=2)
    return np.asarray(np.maximum(points, 0.0))


def _over_days(days: list[FloatArray]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, median and highest of what is known, NaN where no day is known."""
    ordered = np.sort(np.stack(days), axis=0)
    known = np.isfinite(ordered)
    count = known.sum(axis=0)
    some = np.where(count > 0, count, np.nan)
    mean = np.where(known, ordered, 0.0).sum(axis=0) / some
    low, high = np.maximum(count - 1, 0) // 2, np.maximum(count, 1) // 2
    middle = 0.5 * (_place(ordered, low) + _place(ordered, np.minimum(high, count - (count > 0))))
    return mean, middle, _place(ordered, np.maximum(count - 1, 0))


def _place(ordered: FloatArray, place: IntArray) -> FloatArray:
    return np.asarray(np.take_along_axis(ordered, place[None], axis=0)[0])


def _holt(steps: FloatArray, ahead: float) -> list[FloatArray]:
    """Damped Holt over the newest steps, for each of `HOLT`; level and trend run on over a step
    without a measurement."""
    newest = steps[:, :, -HOLT_STEPS:]
    # Without a gap it is a weighted sum of the steps.
    found = np.where(np.isfinite(newest), newest, 0.0) @ _holt_weights(ahead)
    gaps = np.isnan(newest).any(axis=2)
    if gaps.any():
        found[gaps] = _holt_recursion(newest[gaps], ahead)
    return list(np.moveaxis(found, 2, 0))


@lru_cache(maxsize=64)
def _holt_weights(ahead: float) -> FloatArray:
    """What each step adds to the forecast of each of `HOLT`, shape (HOLT_STEPS, len(HOLT))."""
    return _holt_recursion(np.eye(HOLT_STEPS), ahead)


def _holt_recursion(newest: FloatArray, ahead: float) -> FloatArray:
    """Forecasts (m, len(HOLT)) from steps (m, HOLT_STEPS)."""
    of_level, of_trend, damping = np.asarray(HOLT).T
    level = np.repeat(newest[:, :1], len(HOLT), axis=1)
    trend = np.zeros_like(level)
    for place in range(1, newest.shape[1]):
        seen = newest[:, place, None]
        known = np.isfinite(seen)
        carried = damping * trend
        before = np.where(np.isfinite(level), level, seen)
        expected = before + carried
        level = np.where(known, expected + of_level * (seen - expected), expected)
        trend = np.where(known, carried + of_trend * (level - before - carried), carried)
        trend = np.where(np.isfinite(trend), trend, 0.0)
    reach = damping * (1 - damping**ahead) / (1 - damping)
    return np.asarray(level + trend * reach)


def _clock(batch: SeriesBatch, origins: IntArray, window: Window) -> list[FloatArray]:
    rows, start_s, step_s = len(batch.keys), batch.start_s, batch.step_s
    end_s = start_s + (origins + window.stop - 1) * step_s
    angle = 2 * np.pi * end_s / DAY_S
    first_s = start_s + (origins + window.first) * step_s
    columns = [
        *(wave(order * angle) for order in HARMONICS for wave in (np.sin, np.cos)),
        (end_s // DAY_S + 4) % 7,
        first_s % HOUR_S / HOUR_S,
        np.full(len(origins), float(window.first)),
        np.full(len(origins), float(window.stop - window.first)),
    ]
    return [np.broadcast_to(column, (rows, len(origins))) for column in columns]


def _shape_of_recent(now: Recent, level: FloatArray) -> list[FloatArray]:
    steps = now.steps / level[:, :, None]
    known = np.isfinite(steps)
    filled = np.where(known, steps, 0.0)
    columns = [steps[:, :, -1 - lag] for lag in LAGS]
    for length in WINDOWS:
        count = known[:, :, -length:].sum(axis=2)
        some = np.where(count > 0, count, np.nan)
        mean = filled[:, :, -length:].sum(axis=2) / some
        squares = (filled[:, :, -length:] ** 2).sum(axis=2) / some
        highest = np.where(known, steps, -np.inf)[:, :, -length:].max(axis=2)
        columns += [mean, np.sqrt(np.maximum(squares - mean**2, 0.0))]
        columns.append(np.where(count > 0, highest, np.nan))
    for length in MIN_WINDOWS:
        lowest = np.where(known, steps, np.inf)[:, :, -length:].min(axis=2)
        columns.append(np.where(np.isfinite(lowest), lowest, np.nan))
        moves = np.abs(np.diff(steps[:, :, -length - 1 :], axis=2))
        moved = np.isfinite(moves)
        total = np.where(moved, moves, 0.0).sum(axis=2)
        columns.append(
            np.where(moved.any(axis=2), total / np.maximum(moved.sum(axis=2), 1), np.nan)
        )
    return columns


def _shape_of_day(
    values: FloatArray, origins: IntArray, step_s: int, level: FloatArray
) -> list[FloatArray]:
    found = day_statistics(values, origins, DAY_S // step_s) / level[:, :, None]
    return list(np.moveaxis(found, 2, 0))


def _shape_of_past_days(
    days: list[_Day], level: FloatArray, now: Recent, step_s: int
) -> list[FloatArray]:
    columns = []
    for back in DAYS_AS_FEATURES:
        day = days[back - 1]
        columns += [day.peak / level, day.peak / day.level]
    for back in (1, 7):
        day = days[back - 1]
        columns += [day.newest / level, day.newest / day.level]
    shares = [day.peak / day.level for day in days]
    mean, _, highest = _over_days(shares)
    columns += [mean, highest]
    # At short steps an hour is further back than is looked at.
    hour_ago = now.steps[:, :, -min(max(HOUR_S // step_s, 1) + 1, now.steps.shape[2])]
    columns += [np.log(level)]
    columns += [np.log(level / days[back - 1].level) for back in (1, 7)]
    columns.append(np.log((now.means[:, :, 1] + 0.02 * level) / (hour_ago + 0.02 * level)))
    return columns
