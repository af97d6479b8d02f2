"""Last value: the recent level, with the spread of its own past errors.

The service falls back on it where a series has no known shape, and `models/cascade.py` where it is
simply better. It must never forecast from fewer samples than `models/missing_history.py` names.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from models.forecast import ForecastBatch, ForecastCode, Horizon
from models.level_fit import fit_level_model
from models.level_model import LevelModel
from models.profile import LearntProfile, no_profile
from models.series import SeriesBatch

COLD_STEPS = 240
"""How much history a forecast without a fit looks at: four hours of minutes, about 1 ms a row."""


@dataclass(frozen=True, slots=True)
class LastValue:
    """Exponentially weighted recent level (Brown, 1959), several memories mixed by past losses.

    Wrong when demand follows the clock and the lead is long: it learns of a ramp by seeing it.
    Without a fitted `model` each forecast measures errors on the newest `COLD_STEPS` itself.
    """

    model: LevelModel | None = None

    @property
    def name(self) -> str:
        """See `Forecaster`."""
        return "last-value"

    def forecast(self, batch: SeriesBatch, horizon: Horizon) -> ForecastBatch:
        """See `Forecaster`."""
        if self.model is not None:
            return self.model.forecast(batch, horizon)
        newest = newest_steps(batch, COLD_STEPS)
        return fit_last_value(newest, horizon).forecast(newest, horizon)

    def describe(self) -> str:
        """See `Forecaster`."""
        return (
            "The demand of the last minutes goes on, within the spread of its own past errors; "
            "late wherever demand follows the clock."
        )


def fit_last_value(history: SeriesBatch, horizon: Horizon) -> LastValue:
    """Measure past errors at the horizon's leads; raises `ValueError` on a bad horizon."""
    flat = LearntProfile(no_profile(len(history.keys), history.end_s), np.ones_like(history.values))
    return LastValue(fit_level_model(history, horizon, flat, ForecastCode.LAST_VALUE))


def newest_steps(batch: SeriesBatch, steps: int) -> SeriesBatch:
    """The batch's newest steps, without a copy."""
    skipped = max(batch.values.shape[1] - steps, 0)
    if skipped == 0:
        return batch
    variance = batch.sampling_variance
    return dataclasses.replace(
        batch,
        start_s=batch.start_s + skipped * batch.step_s,
        values=batch.values[:, skipped:],
        sampling_variance=None if variance is None else variance[:, skipped:],
    )


def some_rows(batch: SeriesBatch, rows: np.ndarray) -> SeriesBatch:
    """The batch with these rows only, and nothing older than it."""
    keys = tuple(batch.keys[row] for row in rows)
    variance = batch.sampling_variance
    return dataclasses.replace(
        batch,
        keys=keys,
        values=batch.values[rows],
        sampling_variance=None if variance is None else variance[rows],
        coarser=None,
    )
