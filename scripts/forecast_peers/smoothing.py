"""Peers of statsmodels: damped Holt, and Holt-Winters with an additive daily season.

`peers_process.py` runs them. The constants are fitted once, on what lies before the first origin;
the states then run on with the load, and quantiles come from each one's own past errors. Gardner
and McKenzie, Forecasting trends in time series, Management Science 31 (1985). Nothing here may be
fitted on a step at or after the first origin.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from statsmodels.tsa.holtwinters import ExponentialSmoothing

from scripts.forecast_peers.past import (
    CpuClock,
    Forecasts,
    Past,
    PeerForecasts,
    every_origin,
    with_past_errors,
)
from scripts.forecast_peers.request import FloatArray

HOLT_STEPS_MAX = 1_500
SEASON_DAYS = 6
SEASON_STEPS_MAX = 300
"""A longer season, as of minutes, takes statsmodels minutes and gains nothing."""
ITERATIONS_MAX = 60


class _Constants(NamedTuple):
    level: float
    trend: float
    season: float
    damping: float


class _States(NamedTuple):
    level: FloatArray
    trend: FloatArray
    season: FloatArray
    damping: float

    def ahead(self, steps: int) -> FloatArray:
        """The point forecast so many steps ahead of each step."""
        damped = self.damping * (1 - self.damping**steps) / (1 - self.damping + 1e-12)
        places = np.minimum(np.arange(len(self.level)) + steps, len(self.season) - 1)
        return np.asarray(self.level + self.trend * damped + self.season[places])


def forecasts(past: Past) -> Forecasts:
    """Both by name; Holt-Winters only where a day is short enough and there are six of them."""
    found = {"damped-holt": _forecast(past, is_seasonal=False)}
    if past.day <= SEASON_STEPS_MAX and past.first_origin > SEASON_DAYS * past.day:
        found["holt-winters"] = _forecast(past, is_seasonal=True)
    return found


def _forecast(past: Past, *, is_seasonal: bool) -> PeerForecasts:
    clock, quantiles = CpuClock(), []
    with clock.charge("all"):
        season = past.day if is_seasonal else 0
        states = _run_on(past.load, _fit(past, is_seasonal=is_seasonal), season, past.day)
        for window in past.windows:
            point = np.max([states.ahead(step) for step in window.steps], axis=0)
            quantiles.append(with_past_errors(past, window, point))
    return every_origin(past, quantiles, clock.spent_s["all"])


def _fit(past: Past, *, is_seasonal: bool) -> _Constants:
    steps = SEASON_DAYS * past.day if is_seasonal else min(HOLT_STEPS_MAX, 2 * past.day)
    model = ExponentialSmoothing(
        past.load[max(0, past.first_origin - steps) : past.first_origin],
        trend="add",
        damped_trend=True,
        seasonal="add" if is_seasonal else None,
        seasonal_periods=past.day if is_seasonal else None,
        initialization_method="heuristic",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it stopped at its last iteration
        fitted = model.fit(minimize_kwargs={"options": {"maxiter": ITERATIONS_MAX}}).params
    season = float(fitted["smoothing_seasonal"]) if is_seasonal else 0.0
    level, trend = float(fitted["smoothing_level"]), float(fitted["smoothing_trend"])
    return _Constants(level, trend, season, float(fitted["damping_trend"]))


def _run_on(load: FloatArray, by: _Constants, season: int, day: int) -> _States:
    """Level, trend and season after each step; `season` is its length in steps, 0 for none."""
    steps = len(load)
    levels, trends, seasons = np.empty(steps), np.empty(steps), np.zeros(steps + season)
    level, trend = float(load[0]), 0.0
    if season:
        level = float(load[:day].mean())
        seasons[:season] = load[:season] - level
    for place, value in enumerate(load.tolist()):
        expected, moved = (seasons[place] if season else 0.0), level + by.damping * trend
        now = by.level * (value - expected) + (1 - by.level) * moved
        trend = by.trend * (now - level) + (1 - by.trend) * by.damping * trend
        if season:
            seasons[place + season] = by.season * (value - now) + (1 - by.season) * expected
        level = now
        levels[place], trends[place] = level, trend
    return _States(levels, trends, seasons, by.damping)
