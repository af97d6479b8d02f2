"""Histories and judged forecasts for the tests of `backtest`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from models.rolling_origins import RollingResult, Target
from models.series import FloatArray, SeriesBatch, SeriesKey
from predictor.backtest import Judged
from predictor.backtest_scores import quarters, score, usable

T0 = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp())
"""A Monday."""
STEP_S, DAY_STEPS, HOUR_S = 300, 288, 3600
LEVELS = (0.1, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99)
TARGET = Target(300.0, 900.0)


def daily_load(days: int, seed: int = 1, mean: float = 100.0) -> FloatArray:
    """A day's wave with a little noise, in steps of five minutes."""
    place = np.arange(days * DAY_STEPS)
    wave = 1 + 0.5 * np.sin(2 * np.pi * place / DAY_STEPS)
    noise = np.random.default_rng(seed).normal(1, 0.02, len(place))
    return np.asarray(mean * wave * noise)


def hourly_load(days: int, seed: int = 1) -> FloatArray:
    """The same in steps of an hour: few enough that a real forecast is quick."""
    return daily_load(days, seed)[:: HOUR_S // STEP_S]


def a_series(values: FloatArray, name: str = "core") -> SeriesBatch:
    return SeriesBatch((SeriesKey(name, "eu-west-1"),), T0, STEP_S, values[None, :])


def a_csv(path: Path, values: FloatArray, step_s: int = STEP_S) -> Path:
    start = datetime.fromtimestamp(T0, UTC)
    rows = [
        f"{(start + timedelta(seconds=step_s * place)).isoformat()},{value:.4f}"
        for place, value in enumerate(values.tolist())
    ]
    path.write_text("\n".join(["timestamp,value", *rows]) + "\n")
    return path


def a_result(series: SeriesBatch, origins: int = 2000, *, width: float = 0.1) -> RollingResult:
    """What a forecaster that expects the last value, give or take, would have said."""
    steps = series.values.shape[1]
    first = max(steps - origins, 1)
    place = np.arange(first, steps - 4)
    values = np.nan_to_num(series.values[0])
    spread = 1 + width * (np.array(LEVELS) - 0.5)
    ours = values[place - 1][:, None] * spread
    return RollingResult(
        key=series.keys[0], target=TARGET, step_s=STEP_S, levels=LEVELS,
        origin_s=series.start_s + place * STEP_S,
        outcome=np.stack([values[place + ahead] for ahead in (1, 2, 3)]).max(axis=0),
        quantiles=ours, seasonal_naive=ours * 1.5, last_value=ours * 0.8,
        fit_s=0.5, forecast_s=0.25, reasons=(),
    )  # fmt: skip


def judged(
    series: SeriesBatch, change: Callable[[RollingResult], RollingResult] = lambda result: result
) -> Judged:
    result = usable(change(a_result(series)))
    return Judged("load.csv", series, result, score(result), quarters(result))


def scaled(result: RollingResult, factor: float) -> RollingResult:
    return replace(
        result,
        outcome=result.outcome * factor,
        quantiles=result.quantiles * factor,
        seasonal_naive=result.seasonal_naive * factor,
        last_value=result.last_value * factor,
    )
