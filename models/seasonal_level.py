"""Seasonal level: the shape of the day and week, times the recent level.

`models/cascade.py` and `models/training.py` fit it. It must never use a shape that fewer than a day
and a half of measurements stand behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.forecast import ForecastBatch, ForecastCode, ForecastReason, Horizon
from models.level_fit import fit_level_model, rate_floor, without_rows
from models.level_model import LevelModel
from models.profile import DAY_S, learn_profile
from models.series import FloatArray, SeriesBatch, in_double
from models.step_windows import step_windows

DAYS_MIN = 1.5
"""A whole day for the shape and half a day of errors that the shape did not know of."""


@dataclass(frozen=True, slots=True)
class SeasonalLevel:
    """Multiplicative decomposition with a median profile (cf. Cleveland et al., "STL", 1990).

    Wrong on a day unlike the days before (a holiday, a launch): then only the level follows.
    Without a fitted `model` each forecast fits the whole batch itself, which is right and slow.
    """

    model: LevelModel | None = None

    @property
    def name(self) -> str:
        """See `Forecaster`."""
        return "seasonal-level"

    def forecast(self, batch: SeriesBatch, horizon: Horizon) -> ForecastBatch:
        """See `Forecaster`."""
        fitted = self if self.model is not None else fit_seasonal_level(batch, horizon)
        assert fitted.model is not None
        return fitted.model.forecast(batch, horizon)

    def describe(self) -> str:
        """See `Forecaster`."""
        return (
            "The usual shape of this weekday and time of day, scaled to the demand of the last "
            "minutes; wrong on a day unlike the days before."
        )


def fit_seasonal_level(history: SeriesBatch, horizon: Horizon) -> SeasonalLevel:
    """Learn profiles and measure their past errors; raises `ValueError` on a bad horizon."""
    history = in_double(history)
    windows = step_windows(horizon, len(history.keys), history.step_s)
    learnt = learn_profile(history, rate_floor(history), windows.stop)
    days_measured = measured_days(history)
    short = (days_measured < DAYS_MIN) | (learnt.profile.days == 0)
    model = fit_level_model(history, horizon, learnt, ForecastCode.SEASONAL_LEVEL)
    missing = {
        int(row): ForecastReason(
            ForecastCode.SHORT_HISTORY,
            f"{days_measured[row]:.1f} of {DAYS_MIN} days measured, "
            f"{learnt.profile.days[row]} whole days with demand",
        )
        for row in np.flatnonzero(short)
    }
    return SeasonalLevel(without_rows(model, missing))


def measured_days(history: SeriesBatch) -> FloatArray:
    """How many days of measured steps each row has, shape (n,)."""
    return np.asarray(np.isfinite(history.values).sum(axis=1) * history.step_s / DAY_S)
