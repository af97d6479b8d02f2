"""Peers that need nothing but the past: last value, seasonal naive, SES, seasonal difference.

`measured.py` runs them in our own environment; the better seasonal naive is what every loss is
divided by. Point forecasts with quantiles of their own past errors (Hyndman and Athanasopoulos,
Forecasting: Principles and Practice, 5.2 and 8.1). Nothing here may need another package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from scripts.forecast_peers.past import (
    CpuClock,
    Forecasts,
    Past,
    Window,
    every_origin,
    lagged,
    recent_level,
    smoothed,
    with_past_errors,
)
from scripts.forecast_peers.request import FloatArray

SMOOTHING_CONSTANTS = (0.1, 0.2, 0.35, 0.6)

Point = Callable[[Window], tuple[FloatArray, FloatArray | None]]
"""A point forecast at every step, and what its errors are relative to."""


def forecasts(past: Past) -> Forecasts:
    """Every peer of this group by its name; `seasonal-naive-week` only with eight days of past."""
    clock, found = CpuClock(), {}
    for name, point in _points(past).items():
        quantiles = []
        with clock.charge(name):
            for window in past.windows:
                at, scale = point(window)
                quantiles.append(with_past_errors(past, window, at, scale))
        found[name] = every_origin(past, quantiles, clock.spent_s[name])
    return found


def _points(past: Past) -> Mapping[str, Point]:
    level = recent_level(past)
    smooth = smoothed(past.load, best_constant(past))
    points: dict[str, Point] = {
        "last-value": lambda _: (past.load, None),
        "seasonal-naive-day": lambda window: (lagged(window.peak, past.day), None),
        "ses-relative": lambda _: (smooth, level),
        "seasonal-difference": lambda window: (_difference(past, window, smooth), None),
        "seasonal-difference-relative": lambda window: (_difference(past, window, smooth), level),
    }
    if past.first_origin > 8 * past.day:
        points["seasonal-naive-week"] = lambda window: (lagged(window.peak, 7 * past.day), None)
    return points


def best_constant(past: Past) -> float:
    """The smoothing constant with the least one-step error before the first origin."""
    load = past.load[: past.first_origin]

    def error(constant: float) -> float:
        return float(np.abs(load[1:] - smoothed(load, constant)[:-1]).mean())

    return min(SMOOTHING_CONSTANTS, key=error)


def _difference(past: Past, window: Window, smooth: FloatArray) -> FloatArray:
    """The level now, moved as it moved a day before between then and the window."""
    mean = past.load[: past.first_origin].mean()
    then = np.nan_to_num(lagged(smooth, past.day), nan=mean)
    peak = np.nan_to_num(lagged(window.peak, past.day), nan=mean)
    return np.maximum(smooth + peak - then, 0.0)
