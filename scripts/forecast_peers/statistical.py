"""Peers of statsforecast: AutoETS, the Thetas and MSTL, refitted at each origin they are asked at.

`peers_process.py` runs them, on a part of the origins because each costs a fit. They give their own
intervals; for a window of several steps a quantile is the largest of that quantile over the steps.
A fit that fails leaves its origin out. Nothing here may see more than the days before an origin.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from statsforecast.models import (  # type: ignore[import-not-found]
    MSTL,
    AutoETS,
    AutoTheta,
    DynamicOptimizedTheta,
)

from scripts.forecast_peers.past import CpuClock, Forecasts, Past, PeerForecasts
from scripts.forecast_peers.request import FloatArray, IntArray

INTERVALS = (80, 90, 98)
"""Their bounds are the quantiles .1 and .9, .95, .99; the mean stands for the median."""
ETS_STEPS, THETA_STEPS, SEASON_DAYS = 576, 288, 8
SEASON_STEPS_MAX = 300


class _Method(NamedTuple):
    model: Any
    history: int
    every: int
    """Of the asked origins only each so many-th: the slow ones get fewer."""


def forecasts(past: Past, origins: int) -> Forecasts:
    """Every peer of this group at about `origins` origins, AutoTheta and MSTL at fewer.

    At steps of a minute the latter two are left out: a fit takes longer than a step.
    """
    asked = np.unique(np.linspace(0, len(past.origins) - 1, origins).astype(np.int64))
    found = {
        name: _forecast(past, method, asked[:: method.every])
        for name, method in _methods(past).items()
    }
    return {name: one for name, one in found.items() if len(one.rows)}


def _methods(past: Past) -> Mapping[str, _Method]:
    methods = {
        "auto-ets": _Method(AutoETS(season_length=1, model="ZZN"), ETS_STEPS, 1),
        "dynamic-optimized-theta": _Method(DynamicOptimizedTheta(season_length=1), THETA_STEPS, 1),
    }
    if past.day <= SEASON_STEPS_MAX:
        season = MSTL(season_length=[past.day], trend_forecaster=AutoETS(model="ZZN"))
        methods["auto-theta"] = _Method(AutoTheta(season_length=1), THETA_STEPS, 3)
        methods["mstl"] = _Method(season, SEASON_DAYS * past.day, 4)
    return methods


def _forecast(past: Past, method: _Method, asked: IntArray) -> PeerForecasts:
    clock, rows, made = CpuClock(), [], []
    with clock.charge("all"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row in asked.tolist():
            quantiles = _at_origin(past, method, int(past.origins[row]))
            if quantiles is not None:
                rows.append(row)
                made.append(quantiles)
    stacked = np.stack(made, axis=1) if made else np.empty((len(past.windows), 0, 5))
    return PeerForecasts(np.array(rows, dtype=np.int64), stacked, clock.spent_s["all"])


def _at_origin(past: Past, method: _Method, origin: int) -> FloatArray | None:
    """Shape (windows, levels), None where the method cannot be fitted to what came before."""
    seen = past.load[max(0, origin + 1 - method.history) : origin + 1]
    reach = max(window.reach for window in past.windows)
    try:
        found = method.model.forecast(y=seen, h=reach, level=list(INTERVALS))
    except Exception:  # noqa: BLE001 - each method has its own; the row is missing and is counted
        return None
    low, *high = [f"lo-{INTERVALS[0]}", "mean", *(f"hi-{level}" for level in INTERVALS)]
    quantiles = np.column_stack([found[column] for column in (low, *high)])
    peaks = [quantiles[np.array(window.steps) - 1].max(axis=0) for window in past.windows]
    return np.asarray(np.maximum(np.nan_to_num(np.stack(peaks)), 0.0))
