"""Holt-Winters with additive trend and season and given parameters, many series or sets at once.

The two arms of Predictive HPA call it. It starts and goes on exactly as statsmodels does under
`initialization_method="estimated"` with `optimized=False`, which is what that product asks for;
it must never estimate a parameter itself.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from models.series import FloatArray

# statsmodels fits the first level and trend to ten seasonally adjusted values.
LEVEL_VALUES = 10
SEASONS_FOR_START = 5


class Smoothing(NamedTuple):
    """The three parameters, each a number in [0, 1] or an array (k,) for k columns at once."""

    level: float | FloatArray
    trend: float | FloatArray
    season: float | FloatArray


class HoltWinters:
    """Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., section 8.3.

    `values` of shape (n, k) are k series (or one under k sets of parameters) of n past values,
    oldest first, n at least `values_min(season)`. Then `add` one row at a time, `ahead` any time.
    """

    def __init__(self, values: FloatArray, season: int, smoothing: Smoothing) -> None:
        self._season = season
        self._smoothing = smoothing
        self._level, self._trend, self._seasonal = _start(values, season)
        self._many = 0
        self.one_step_errors = np.stack([self.add(row) for row in values])

    def add(self, row: FloatArray) -> FloatArray:
        """Take the next value of each column; returns how far the forecast of it was off."""
        place = self._many % self._season
        season, forecast = self._seasonal[place], self._level + self._trend
        share = self._smoothing
        level = share.level * (row - season) + (1.0 - share.level) * forecast
        self._trend = share.trend * (level - self._level) + (1.0 - share.trend) * self._trend
        self._seasonal[place] = share.season * (row - forecast) + (1.0 - share.season) * season
        self._level = level
        self._many += 1
        return np.asarray(row - forecast - season)

    def ahead(self, steps: int) -> FloatArray:
        """The forecast of the value `steps` (1 = the next one) from here, shape (k,)."""
        place = (self._many + steps - 1) % self._season
        return np.asarray(self._level + steps * self._trend + self._seasonal[place])


def values_min(season: int) -> int:
    """How many values statsmodels needs before it starts at all."""
    return max(2 * season, LEVEL_VALUES + 2 * (season // 2))


@lru_cache(maxsize=256)
def forecast_weights(values: int, season: int, smoothing: Smoothing, steps: int) -> FloatArray:
    """What each of so many past values counts for in the forecast `steps` ahead, shape (values,).

    Start and recursion are linear in the values, so a forecast under fixed parameters is their
    product with these weights. Every parameter is a number here.
    """
    return HoltWinters(np.eye(values), season, smoothing).ahead(steps)


def _start(values: FloatArray, season: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Level (k,), trend (k,) and seasonal terms (season, k) before the first value.

    Seasonal terms are means of what differs from a centred moving average over a season, in up to
    five seasons; level and trend a line through the first ten averages. Source:
    `statsmodels.tsa.exponential_smoothing.initialization`, the heuristic one.
    """
    needed = -(-(LEVEL_VALUES + 2 * (season // 2)) // season)
    seasons = max(min(SEASONS_FOR_START, len(values) // season), needed)
    used = values[: seasons * season]
    average = _centred_average(used, season)
    differs = np.full((seasons * season, values.shape[1]), np.nan)
    first = season // 2
    differs[first : first + len(average)] = used[first : first + len(average)] - average
    by_season = differs.reshape(seasons, season, -1)
    known = np.isfinite(by_season)
    seasonal = np.where(known, by_season, 0.0).sum(axis=0) / known.sum(axis=0)
    seasonal -= seasonal.mean(axis=0)
    line = np.column_stack([np.ones(LEVEL_VALUES), np.arange(1.0, LEVEL_VALUES + 1)])
    level, trend = np.linalg.pinv(line) @ average[:LEVEL_VALUES]
    return level, trend, seasonal


def _centred_average(values: FloatArray, season: int) -> FloatArray:
    """Means over a season around each value that has one; an even season halves its two ends."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    means = (sums[season:] - sums[:-season]) / season
    return np.asarray(means if season % 2 else (means[:-1] + means[1:]) / 2.0)
