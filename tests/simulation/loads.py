"""Small loads for simulations: some days in five-minute steps, made from a formula."""

from __future__ import annotations

import numpy as np

from models.series import ALL_REGIONS, FloatArray, SeriesBatch, SeriesKey
from predictor.core.policy import Policy
from predictor.simulation.load import DAY_S, Load, load_of
from predictor.simulation.setup import Setup, World, set_up

START_S = 20_000 * DAY_S
STEP_S = 300
HERE = "here"


def two_peaks(days: float, base: float = 200.0, jump: float = 600.0) -> FloatArray:
    """A quiet day with an hour of high demand that begins at once, at nine and at eighteen."""
    hours = np.arange(int(days * 288)) % 288 / 12
    is_high = ((hours >= 9) & (hours < 10)) | ((hours >= 18) & (hours < 19))
    return np.where(is_high, base + jump, base)


def a_batch(values: FloatArray, region: str = ALL_REGIONS, module: str = "core") -> SeriesBatch:
    """One series from `START_S` on."""
    return SeriesBatch((SeriesKey(module, region),), START_S, STEP_S, np.atleast_2d(values))


def a_load(days: float = 3.0, learn_days: float = 2.0, values: FloatArray | None = None) -> Load:
    """One target in `HERE`, its last day judged."""
    batch = a_batch(two_peaks(days) if values is None else values)
    return load_of(batch, region=HERE, routes={}, learn_s=int(learn_days * DAY_S))


def a_setup(load: Load | None = None, policy: Policy | None = None) -> Setup:
    """The load against a plain HPA: 2 to 40 pods, twenty of them carry the peak at the target."""
    return set_up(load or a_load(), {}, policy or Policy(tick_s=60.0), World())
