"""Everything one decision reads, as one value: cluster, forecast, demand and telemetry.

The service builds it with `make_inputs`; `predictor/core/decide.py` reads nothing else, and the
audit record holds it whole. What cannot be written to JSON and read back the same (infinity, a
metric target that is no number) is made unknown here, so that a replay sees what the decision saw.
"""

from __future__ import annotations

import msgspec
import numpy as np

from models.forecast import ForecastBatch
from models.series import FloatArray, SeriesKey
from predictor.core.cluster import ClusterView, HpaView
from predictor.core.observed import Observed


class Inputs(msgspec.Struct, frozen=True):
    """One row per series of `keys`; arrays are rates per second, NaN where nothing is known.

    `peak` and `path` have shape (n, len(levels)): the quantiles of the window's peak, and the
    highest of the quantiles of all steps from `forecast_at_s` to the window's end.
    `forecast_reasons` holds each row's code and sentence. `lag_s` is the age of the newest whole
    demand, None before there is any, and `slowest` the input that it waits for.
    `sampling_variance` is that of `complete_per_s`, None where nothing was sampled; the forecast
    has taken it in already. It and `served_per_s` are for display only. `usual_peak_per_s` is the
    highest demand that a series has as a rule.
    """

    cluster: ClusterView
    keys: tuple[SeriesKey, ...]
    levels: tuple[float, ...]
    forecast_at_s: int
    peak: FloatArray
    path: FloatArray
    forecast_reasons: tuple[tuple[str, str], ...]
    complete_per_s: FloatArray
    provisional_per_s: FloatArray
    served_per_s: FloatArray
    telemetry_age_s: float | None
    incomplete: str
    series_digest: str
    model_name: str
    model_digest: str
    lag_s: float | None = None
    slowest: str = ""
    sampling_variance: FloatArray | None = None
    usual_peak_per_s: FloatArray | None = None


def make_inputs(
    cluster: ClusterView,
    forecast: ForecastBatch,
    observed: Observed,
    *,
    series_digest: str = "",
    model_name: str = "",
    model_digest: str = "",
) -> Inputs:
    """Put the gathered values together; raises `ValueError` when their rows do not match."""
    if forecast.keys != observed.keys:
        raise ValueError("the forecast's rows are not the observed rows")
    steps = forecast.steps
    path = steps.max(axis=2) if steps.shape[2] else forecast.peak
    age_s, variance = observed.telemetry_age_s, observed.sampling_variance
    usual = observed.usual_peak_per_s
    return Inputs(
        cluster=_readable(cluster),
        keys=forecast.keys,
        levels=forecast.levels,
        forecast_at_s=forecast.made_at_s,
        peak=_known(forecast.peak),
        path=_known(path),
        forecast_reasons=tuple((str(r.code), r.sentence) for r in forecast.reasons),
        complete_per_s=_known(observed.complete_per_s),
        provisional_per_s=_known(observed.provisional_per_s),
        served_per_s=_known(observed.served_per_s),
        telemetry_age_s=float(age_s) if np.isfinite(age_s) else None,
        incomplete=observed.incomplete,
        series_digest=series_digest,
        model_name=model_name,
        model_digest=model_digest,
        lag_s=float(observed.lag_s) if np.isfinite(observed.lag_s) else None,
        slowest=observed.slowest,
        sampling_variance=None if variance is None else _known(variance),
        usual_peak_per_s=None if usual is None else _known(usual),
    )


def _known(values: FloatArray) -> FloatArray:
    """Demand is finite and never negative; anything else is not known."""
    usable = np.isfinite(values) & (values >= 0)
    return np.where(usable, values, np.nan)


def _readable(cluster: ClusterView) -> ClusterView:
    if all(_is_readable(hpa) for hpa in cluster.hpas):
        return cluster
    return msgspec.structs.replace(cluster, hpas=tuple(_with_numbers(hpa) for hpa in cluster.hpas))


def _is_readable(hpa: HpaView) -> bool:
    return all(
        np.isfinite(metric.target) and (metric.current is None or np.isfinite(metric.current))
        for metric in hpa.metrics
    )


def _with_numbers(hpa: HpaView) -> HpaView:
    metrics = tuple(
        metric
        if metric.current is None or np.isfinite(metric.current)
        else msgspec.structs.replace(metric, current=None)
        for metric in hpa.metrics
        if np.isfinite(metric.target)
    )
    return msgspec.structs.replace(hpa, metrics=metrics)
