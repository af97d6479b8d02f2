"""Peers with trees: quantile regression of scikit-learn and LightGBM, raw and relative.

`peers_process.py` runs them. One model a level and window, refitted twice within the scored part.
The relative ones see and forecast the load over its recent level, because trees cannot extrapolate;
the recalibrated one shifts each quantile by its own past misses (Romano et al., Conformalized
Quantile Regression, 2019). Training rows end where their window was complete at the first origin
that a model forecasts.
"""

from __future__ import annotations

from collections.abc import Callable

import lightgbm  # type: ignore[import-not-found]
import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from scripts.forecast_peers.features import features, recalibrated
from scripts.forecast_peers.past import (
    CpuClock,
    Forecasts,
    Past,
    Window,
    every_origin,
    recent_level,
)
from scripts.forecast_peers.request import LEVELS, FloatArray, IntArray

REFITS = 3
ROWS_MAX = 8_000
ROWS_BACK = 24_000
Fit = Callable[[FloatArray, FloatArray, float], Callable[[FloatArray], FloatArray]]
"""Rows, targets and a level in, a predictor out."""


def forecasts(past: Past) -> Forecasts:
    """Every peer of this group by its name."""
    level = recent_level(past)
    made = {
        "hgb": _forecast(past, _fit_hgb, None),
        "lightgbm": _forecast(past, _fit_lightgbm, None),
        "lightgbm-relative": _forecast(past, _fit_lightgbm, level),
    }
    relative, cpu_s = made["lightgbm-relative"]
    clock = CpuClock()
    with clock.charge("shift"):
        shifted = [
            recalibrated(past, window, quantiles, level)
            for window, quantiles in zip(past.windows, relative, strict=True)
        ]
    made["lightgbm-relative-recalibrated"] = shifted, cpu_s + clock.spent_s["shift"]
    return {name: every_origin(past, *parts) for name, parts in made.items()}


def _forecast(past: Past, fit: Fit, level: FloatArray | None) -> tuple[list[FloatArray], float]:
    clock = CpuClock()
    with clock.charge("all"):
        quantiles = [_of_window(past, window, fit, level) for window in past.windows]
    return quantiles, clock.spent_s["all"]


def _of_window(past: Past, window: Window, fit: Fit, level: FloatArray | None) -> FloatArray:
    seen = features(past, window, level)
    target = window.peak if level is None else window.peak / level
    out = np.empty((len(past.origins), len(LEVELS)))
    for part in np.array_split(np.arange(len(past.origins)), REFITS):
        if len(part):
            rows = _training_rows(past, window, int(past.origins[part[0]]))
            for place, quantile in enumerate(LEVELS):
                predict = fit(seen[rows], target[rows], quantile)
                out[part, place] = predict(seen[past.origins[part]])
    if level is not None:
        out *= level[past.origins][:, None]
    return np.maximum(np.sort(out, axis=1), 0.0)


def _training_rows(past: Past, window: Window, origin: int) -> IntArray:
    rows = np.arange(min(past.day, origin // 3), origin - window.reach + 1)
    rows = rows[(window.known & past.measured)[rows]][-ROWS_BACK:]
    return np.asarray(rows[:: max(1, len(rows) // ROWS_MAX)])


def _fit_hgb(
    rows: FloatArray, targets: FloatArray, quantile: float
) -> Callable[[FloatArray], FloatArray]:
    model = HistGradientBoostingRegressor(
        loss="quantile", quantile=quantile, max_iter=80, max_leaf_nodes=15, learning_rate=0.08,
        min_samples_leaf=30, random_state=0,
    ).fit(rows, targets)  # fmt: skip
    return lambda seen: np.asarray(model.predict(seen))


def _fit_lightgbm(
    rows: FloatArray, targets: FloatArray, quantile: float
) -> Callable[[FloatArray], FloatArray]:
    settings = {
        "objective": "quantile", "alpha": quantile, "num_leaves": 15, "learning_rate": 0.08,
        "min_data_in_leaf": 30, "feature_fraction": 0.8, "num_threads": 1, "seed": 1, "verbose": -1,
    }  # fmt: skip
    model = lightgbm.train(settings, lightgbm.Dataset(rows, targets), 100)
    return lambda seen: np.asarray(model.predict(seen))
