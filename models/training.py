"""Fits the model that is written to disk, and keeps what it said of moments held out from it.

The command `train` calls it with history read elsewhere and hands the result to `models/store.py`.
It must never read a file or a clock, nor be imported by the service.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from models.cascade import Cascade
from models.ensemble import Ensemble
from models.ensemble_fit import PARTS as FIT_PARTS
from models.ensemble_fit import HeldOut, fit_and_judge
from models.forecast import QUANTILE_LEVELS, ForecastCode, Horizon
from models.level_fit import better_of, fit_level_model, rate_floor
from models.level_model import LevelModel
from models.past_errors import ORIGINS_SPAN_S
from models.past_surprises import learnt_before, raised_at
from models.profile import LearntProfile, Profile
from models.reference_forecasts import last_value_quantiles, seasonal_naive_quantiles
from models.rolling_origins import RollingResult, Target
from models.series import SeriesBatch, part_of, until
from models.stl_profile import stl_profile
from models.upstream_pairs import NO_CALLERS, Callers

PARTS = FIT_PARTS + 1
"""Of a training: those of a fit, and the profiles by STL."""
SEED = 0
"""Of the rows that trees are grown from; the manifest holds it."""


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What training saw. `held_out` holds, for each row that the mix speaks for, its forecasts of
    the newest origins, made by trees that had not seen them, next to what came; empty rows and a
    history too short for the mix have none."""

    series: int
    usable: int
    seasonal: int
    by_stl: int
    start_s: int
    end_s: int
    held_out: tuple[RollingResult, ...]


def train(
    history: SeriesBatch,
    horizon: Horizon,
    callers: Callers = NO_CALLERS,
    done: Callable[[], None] = lambda: None,
) -> tuple[Ensemble, TrainingReport]:
    """Fit every method to each series and keep the better; raises `ValueError` on a bad horizon.

    `callers` says which modules call a module, see `fit_ensemble`; `done` is called after each of
    the `PARTS` of the work. A series whose STL profile, made
    without the newest three days, did better in those days than the running median gets that
    profile.
    """
    fitted, held_out = fit_and_judge(history, horizon, callers=callers, seed=SEED, done=done)
    running = fitted.cascade.model
    assert running is not None
    speaks = {key for key, usable in zip(fitted.keys, fitted.usable, strict=True) if usable}
    by_stl = _fit_with_stl(history, horizon)
    done()
    model = better_of((running, by_stl))
    seasonal = sum(reason.code is ForecastCode.SEASONAL_LEVEL for reason in model.reasons)
    report = TrainingReport(
        series=len(history.keys),
        usable=int(model.usable.sum()),
        seasonal=seasonal,
        by_stl=int((by_stl.loss < running.loss).sum()),
        start_s=history.start_s,
        end_s=history.end_s,
        held_out=tuple(
            result
            for part in held_out
            for result in _results(history, horizon, part)
            if result.key in speaks
        ),
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


def _results(history: SeriesBatch, horizon: Horizon, held: HeldOut) -> Iterator[RollingResult]:
    """Each row's held-out forecasts, raised as served ones are by what was known before them."""
    run, start = held.run, held.start
    some, origins = part_of(history, held.places), run.origins[start:]
    learnt = learnt_before(some, int(origins[0]), run.window)
    quantiles = raised_at(held.quantiles, some, origins, run.window, learnt)
    for place, row in enumerate(held.places):
        own = run.row(place)
        yield RollingResult(
            key=history.keys[row],
            target=Target(float(horizon.lead_s[row]), float(horizon.hold_s[row])),
            step_s=history.step_s,
            levels=QUANTILE_LEVELS,
            origin_s=history.start_s + origins * history.step_s,
            outcome=own.outcome[0, start:],
            quantiles=quantiles[place],
            seasonal_naive=seasonal_naive_quantiles(own, some.values[place][None], start)[0],
            last_value=last_value_quantiles(own, start)[0],
            fit_s=0.0,
            forecast_s=0.0,
            reasons=(),
        )
