"""Fits the model that is written to disk, and scores it.

The command `train` calls it with history read elsewhere and hands the result to `models/store.py`.
It must never read a file or a clock, nor be imported by the service.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.cascade import Cascade
from models.ensemble import Ensemble
from models.ensemble_fit import fit_ensemble
from models.forecast import ForecastCode, Horizon
from models.level_fit import better_of, fit_level_model, rate_floor
from models.level_model import LevelModel
from models.past_errors import ORIGINS_SPAN_S
from models.profile import LearntProfile, Profile
from models.registry import QUICK_FITS
from models.scoring import Score, score
from models.series import SeriesBatch, until
from models.stl_profile import stl_profile


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What training saw and how well its methods did; `scores` is empty on too short a history."""

    series: int
    usable: int
    seasonal: int
    by_stl: int
    start_s: int
    end_s: int
    scores: Mapping[str, Score]


def train(history: SeriesBatch, horizon: Horizon) -> tuple[Ensemble, TrainingReport]:
    """Fit every method to each series and keep the better; raises `ValueError` on a bad horizon.

    A series whose STL profile, made without the newest three days, did better in those days than
    the running median gets that profile.
    """
    fitted = fit_ensemble(history, horizon)
    running = fitted.cascade.model
    assert running is not None
    by_stl = _fit_with_stl(history, horizon)
    model = better_of((running, by_stl))
    seasonal = sum(reason.code is ForecastCode.SEASONAL_LEVEL for reason in model.reasons)
    report = TrainingReport(
        series=len(history.keys),
        usable=int(model.usable.sum()),
        seasonal=seasonal,
        by_stl=int((by_stl.loss < running.loss).sum()),
        start_s=history.start_s,
        end_s=history.end_s,
        scores=score(history, horizon, QUICK_FITS),
    )
    return dataclasses.replace(fitted, cascade=Cascade(model)), report


def _fit_with_stl(history: SeriesBatch, horizon: Horizon) -> LevelModel:
    unseen = ORIGINS_SPAN_S // history.step_s
    before = until(history, max(history.values.shape[1] - unseen, 0))
    found = stl_profile(before, rate_floor(history))
    rows, steps = np.arange(len(history.keys)), history.values.shape[1]
    known_then = found.at(rows, history.start_s, history.step_s, steps)
    # Three whole days were left out, so the anchor moves by whole days and slots keep their place.
    profile = Profile(history.end_s, found.relative, found.days)
    learnt = LearntProfile(profile, known_then)
    model = fit_level_model(history, horizon, learnt, ForecastCode.SEASONAL_LEVEL)
    return dataclasses.replace(model, loss=np.where(found.days > 0, model.loss, np.inf))
