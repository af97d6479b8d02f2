"""A module and the module that it calls some steps later, for tests of leads."""

from __future__ import annotations

import numpy as np

from models.series import ALL_REGIONS, FloatArray, SeriesBatch, SeriesKey

CORE, PLAN = SeriesKey("core", ALL_REGIONS), SeriesKey("plan", ALL_REGIONS)
STEPS = 3 * 1440


def restless(seed: int, steps: int = STEPS) -> FloatArray:
    """A day's wave with bursts of some twenty steps."""
    drawn = np.random.default_rng(seed).standard_normal(steps + 19)
    bursts = np.convolve(drawn, np.full(20, 0.04), "valid")
    return np.asarray(200.0 * np.exp(bursts + 0.5 * np.sin(2 * np.pi * np.arange(steps) / 1440)))


def counted(rate: FloatArray, seed: int) -> FloatArray:
    return np.random.default_rng(seed).poisson(rate * 60.0) / 60.0


def a_pair(lag: int, seed: int = 1, share: float = 0.4, steps: int = STEPS) -> SeriesBatch:
    """Core, and Plan which is asked `lag` steps later; both counted for themselves."""
    core = restless(seed, steps + lag)
    values = np.stack([counted(core[lag:], seed + 1), counted(share * core[:steps], seed + 2)])
    return SeriesBatch((CORE, PLAN), 0, 60, values)


def a_pair_with_bursts(lag: int, days: float, seed: int = 1) -> SeriesBatch:
    """Core with bursts that nothing announces, and Plan with twice as much `lag` steps later."""
    random = np.random.default_rng(seed)
    steps = int(days * 1440) + lag
    core = 100.0 * (1.0 + 0.5 * np.sin(2 * np.pi * np.arange(steps) / 1440))
    for begin in np.flatnonzero(random.random(steps) < 1 / 120):
        core[begin : begin + random.integers(5, 30)] *= random.uniform(1.5, 4.0)
    plan = 2.0 * core[:-lag] * np.exp(0.05 * random.standard_normal(steps - lag))
    return SeriesBatch((CORE, PLAN), 0, 60, np.stack([core[lag:], plan]))
