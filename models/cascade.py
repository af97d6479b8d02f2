"""The forecaster the service uses: for each series the method that did better of late.

`predictor/service.py` holds one, refits it at intervals and loads one from `models/store.py`. It
must never let a series without a model keep others from theirs: it falls back row by row, from the
seasonal level to the last value to none, and says why.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from models.earlier_model import model_for
from models.forecast import ForecastBatch, Horizon
from models.last_value import (
    COLD_STEPS,
    LastValue,
    fit_last_value,
    newest_steps,
    some_rows,
)
from models.level_fit import rows_from
from models.level_model import LevelModel
from models.missing_history import SAMPLES_MIN, is_fresh, missing_reason
from models.seasonal_level import DAYS_MIN, fit_seasonal_level, measured_days
from models.series import SeriesBatch
from models.step_windows import IntArray


@dataclass(frozen=True, slots=True)
class Cascade:
    """Per series the better of seasonal level and last value by past pinball loss.

    Without a fitted `model`, and for series it does not know, the last value is measured on the
    spot. Fit again at least daily: what is usual is as old as the fit.
    """

    model: LevelModel | None = None

    @property
    def name(self) -> str:
        """See `Forecaster`."""
        return "cascade"

    def forecast(self, batch: SeriesBatch, horizon: Horizon) -> ForecastBatch:
        """See `Forecaster`."""
        if self.model is None or not self.model.keys:
            return LastValue().forecast(batch, horizon)
        made = self.model.forecast(batch, horizon)
        rows = self.model.rows_of(batch.keys)
        unknown = (rows < 0) | ~self.model.usable[np.maximum(rows, 0)]
        return _with_cold_rows(made, batch, horizon, np.flatnonzero(unknown))

    def describe(self) -> str:
        """See `Forecaster`."""
        return (
            "For each series the seasonal level or the last value, whichever erred less in the "
            "last days; wrong where the next hour is unlike both."
        )


def fit_cascade(history: SeriesBatch, horizon: Horizon, prior: Cascade | None = None) -> Cascade:
    """Fit both methods to each series; raises `ValueError` on a bad horizon or a prior's other
    step.

    `prior` is an older fit, such as a trained model file. It stands in, errors included, for series
    whose history is too short for a shape of its own: four quiet hours say nothing of the morning.
    """
    last = fit_last_value(history, horizon).model
    seasonal = fit_seasonal_level(history, horizon).model
    assert last is not None
    assert seasonal is not None
    # Last value first: on equal loss, and where neither is usable, the simpler one speaks.
    models: tuple[LevelModel, ...] = (last, seasonal)
    best = np.stack([model.loss for model in models]).argmin(axis=0)
    if prior is not None and prior.model is not None and prior.model.keys:
        older = model_for(prior.model, history, last.leads)
        best[(measured_days(history) < DAYS_MIN) & older.usable] = len(models)
        models = (*models, older)
    return Cascade(rows_from(models, best))


def _with_cold_rows(
    made: ForecastBatch, batch: SeriesBatch, horizon: Horizon, unknown: IntArray
) -> ForecastBatch:
    """The forecast with unknown rows made on the spot, where they can be."""
    if len(unknown) == 0:
        return made
    newest = newest_steps(batch, COLD_STEPS)
    measured = np.isfinite(newest.values[unknown]).sum(axis=1)
    ready = (measured >= SAMPLES_MIN) & is_fresh(newest.values[unknown], batch.step_s)
    reasons = list(made.reasons)
    for place in unknown[~ready]:
        reasons[place] = missing_reason(newest.values[place], batch.step_s)
    peak, steps, cold = made.peak.copy(), made.steps.copy(), unknown[ready]
    if len(cold):
        own = Horizon(horizon.lead_s[cold], horizon.hold_s[cold])
        alone = LastValue().forecast(some_rows(newest, cold), own)
        peak[cold] = alone.peak
        # Other rows' windows may reach further; a step that was not forecast repeats the last one.
        reach = np.minimum(np.arange(steps.shape[2]), alone.steps.shape[2] - 1)
        steps[cold] = alone.steps[:, :, reach]
        for place, reason in zip(cold, alone.reasons, strict=True):
            reasons[place] = reason
    return dataclasses.replace(made, peak=peak, steps=steps, reasons=tuple(reasons))
