"""Whole valid batches for the tests of forecasters, shaped like the demand of a module."""

from __future__ import annotations

import numpy as np

from models.forecast import Horizon
from models.series import ALL_REGIONS, FloatArray, SeriesBatch, SeriesKey

MONDAY_S = 1_600_041_600
"""2020-09-14 00:00 UTC, a Monday."""
DAY_STEPS = 1440


def a_batch(values: FloatArray, step_s: int = 60, start_s: int = MONDAY_S) -> SeriesBatch:
    rows = np.atleast_2d(values)
    keys = tuple(SeriesKey(f"module-{row}", ALL_REGIONS) for row in range(len(rows)))
    return SeriesBatch(keys, start_s, step_s, rows)


def a_daily_load(
    days: float = 4.0, rate: float = 100.0, noise: float = 0.05, seed: int = 1, swing: float = 0.6
) -> FloatArray:
    """A day's wave with multiplicative noise, one row."""
    minutes = np.arange(int(days * DAY_STEPS))
    wave = 1.0 + swing * np.sin(2 * np.pi * minutes / DAY_STEPS)
    drawn = np.random.default_rng(seed).standard_normal(len(minutes))
    return np.asarray(rate * wave * np.exp(noise * drawn))


def a_horizon(rows: int, lead_s: float = 120.0, hold_s: float = 600.0) -> Horizon:
    return Horizon(np.full(rows, lead_s), np.full(rows, hold_s))
