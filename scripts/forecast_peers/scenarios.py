"""A load whose truth is known, and what ours makes of a flash crowd and of an outage in it.

`speed.py` calls it. The load is a daily wave times a slow drift, drawn as Poisson counts of
minutes; everything comes from fixed seeds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.forecast import Forecaster
from models.series import FloatArray, SeriesBatch, SeriesKey
from models.step_windows import step_windows, uniform_horizon

STEP_S = 60
DAY = 1_440
START_S = 1_750_032_000
"""A midnight, UTC."""
DAYS = 14
LEAD_S, HOLD_S = 120.0, 300.0
CROWD_STEPS_MAX = 120
REFIT_STEPS = 60
OUTAGE_STEPS = 30

Fit = Callable[[SeriesBatch], Forecaster]


def daily_load(steps: int, seed: int, mean: float = 40.0) -> FloatArray:
    """The rate that is behind the counts, shape (steps,), per second."""
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    minute = np.arange(steps)
    drift = 1 + 0.1 * np.sin(2 * np.pi * minute / (9 * DAY))
    wave = 1 + 0.6 * np.sin(2 * np.pi * minute / DAY + phase)
    return np.asarray(mean * wave * drift)


def counted(rate: FloatArray, seed: int) -> FloatArray:
    """What is measured of a rate: the mean of each minute's Poisson count, per second."""
    draws = np.random.default_rng(seed).poisson(np.maximum(rate, 0) * STEP_S)
    return np.asarray(draws / STEP_S)


def batch_of(values: FloatArray) -> SeriesBatch:
    """One series, or one for each row, of minutes."""
    rows = np.atleast_2d(values)
    keys = tuple(SeriesKey(f"module-{row}", "-") for row in range(len(rows)))
    return SeriesBatch(keys, START_S, STEP_S, rows)


def flash_crowd(fit: Fit, times: float) -> dict[str, float | None]:
    """Minutes from the step until the .95 quantile of the peak covers it; None: not in two hours.

    The load is multiplied from one minute to the next and for good. Fitted right before, and again
    each hour as the service does by default.
    """
    steps = DAYS * DAY
    rate = daily_load(steps + 2 * CROWD_STEPS_MAX, seed=1)
    rate[steps:] *= times
    values = counted(rate, seed=2)
    first, stop = _window()
    for waited in range(CROWD_STEPS_MAX):
        now = steps + waited
        if waited % REFIT_STEPS == 0:
            forecaster = fit(batch_of(values[:now]))
        quantile = _peak(forecaster, values[:now], 0.95)
        if quantile >= values[now + first : now + stop].max():
            return {"minutes": float(waited)}
    return {"minutes": None}


def outage(fit: Fit, missing: float) -> dict[str, float | None]:
    """The median peak right after half an hour without load, over the true peak of the rate.

    `missing` is what was recorded meanwhile: NaN for telemetry that was away, 0 for users that
    were. The truth is the profile times the level before; 1 is a forecast that has kept both, None
    is one that was refused.
    """
    steps = DAYS * DAY
    rate = daily_load(steps + DAY, seed=3)
    values = counted(rate, seed=4)
    values[steps - OUTAGE_STEPS : steps] = missing
    forecaster = fit(batch_of(values[: steps - OUTAGE_STEPS]))
    first, stop = _window()
    truth = float(rate[steps + first : steps + stop].max())
    medians = {
        "last minute of it": _peak(forecaster, values[:steps], 0.5),
        "one minute after": _peak(forecaster, values[: steps + 1], 0.5),
    }
    return {when: of / truth if np.isfinite(of) else None for when, of in medians.items()}


def _window() -> tuple[int, int]:
    windows = step_windows(uniform_horizon(1, LEAD_S, HOLD_S), 1, STEP_S)
    return int(windows.first[0]), int(windows.stop[0])


def _peak(forecaster: Forecaster, values: FloatArray, level: float) -> float:
    made = forecaster.forecast(batch_of(values), uniform_horizon(1, LEAD_S, HOLD_S))
    return float(made.peak[0, made.levels.index(level)])
