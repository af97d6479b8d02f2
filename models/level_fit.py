"""Builds a `LevelModel` from history and a profile, and takes the better of several row by row.

`models/last_value.py`, `models/seasonal_level.py` and `models/cascade.py` call it. It must never
give numbers to a row with too little history: such a row is NaN and says what is missing.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.forecast import QUANTILE_LEVELS, ForecastCode, ForecastReason, Horizon
from models.level_model import BY_ROW, LevelModel, widened
from models.missing_history import missing_reason, samples_needed
from models.past_errors import calibrate
from models.profile import LearntProfile, Profile
from models.series import FloatArray, SeriesBatch, in_double
from models.step_windows import StepWindows, step_windows

FLOOR_SHARE = 0.01
"""A hundredth of the mean demand is noise in every series."""
SENTENCE_LEVEL = 0.95


def rate_floor(history: SeriesBatch) -> FloatArray:
    """A rate below which shape is noise, shape (n,): an event a step, or a hundredth of the
    mean."""
    measured = np.isfinite(history.values)
    total = np.where(measured, history.values, 0.0).sum(axis=1)
    mean = total / np.maximum(measured.sum(axis=1), 1)
    return np.asarray(np.maximum(1.0 / history.step_s, FLOOR_SHARE * mean))


def fit_level_model(
    history: SeriesBatch, horizon: Horizon, learnt: LearntProfile, code: ForecastCode
) -> LevelModel:
    """Measure past errors under a learnt profile; rows with too few samples become NaN."""
    history = in_double(history)
    windows = step_windows(horizon, len(history.keys), history.step_s)
    floor = rate_floor(history)
    found = calibrate(history, learnt.known_then, floor, windows)
    measured = np.isfinite(history.values)
    needed = np.maximum(samples_needed(0), windows.stop + samples_needed(0) // 2)
    model = LevelModel(
        keys=history.keys,
        step_s=history.step_s,
        levels=QUANTILE_LEVELS,
        profile=learnt.profile,
        floor=floor,
        usual=found.usual,
        highest=np.where(measured, history.values, 0.0).max(axis=1, initial=0.0),
        leads=found.leads,
        hold=windows.hold,
        weights=found.weights,
        power=found.power,
        noise=found.noise,
        peak_spread=filled_from_shorter(found.leads, found.peak_spread),
        step_spread=filled_from_shorter(found.leads, found.step_spread),
        errors=found.errors,
        loss=found.loss,
        reasons=(),
    )
    short = (measured.sum(axis=1) < needed) | ~model.usable | ~np.isfinite(found.loss)
    missing = {
        int(row): missing_reason(history.values[row], history.step_s, int(needed[row]))
        for row in np.flatnonzero(short)
    }
    return without_rows(_with_sentences(model, windows, code), missing)


def without_rows(model: LevelModel, missing: dict[int, ForecastReason]) -> LevelModel:
    """The model with some rows made unusable, each with its reason."""
    rows = list(missing)
    peak_spread, step_spread, loss = (
        array.copy() for array in (model.peak_spread, model.step_spread, model.loss)
    )
    peak_spread[rows], step_spread[rows], loss[rows] = np.nan, np.nan, np.inf
    reasons = tuple(missing.get(row, reason) for row, reason in enumerate(model.reasons))
    return dataclasses.replace(
        model, peak_spread=peak_spread, step_spread=step_spread, loss=loss, reasons=reasons
    )


def better_of(models: tuple[LevelModel, ...]) -> LevelModel:
    """Each row from the model with the smallest past loss; all fitted to one history."""
    return rows_from(models, np.stack([model.loss for model in models]).argmin(axis=0))


def rows_from(models: tuple[LevelModel, ...], best: NDArray[np.int64]) -> LevelModel:
    """Each row from the model that `best` (n,) names; all have the same keys, leads and anchor."""

    def chosen(name: str) -> NDArray[np.generic]:
        stacked = np.stack([getattr(model, name) for model in models])
        return np.asarray(stacked[best, np.arange(len(best))])

    reasons = tuple(models[model].reasons[row] for row, model in enumerate(best))
    arrays: dict[str, Any] = {name: chosen(name) for name in BY_ROW}
    profile = _chosen_profile(tuple(model.profile for model in models), best)
    return dataclasses.replace(models[0], profile=profile, reasons=reasons, **arrays)


def _chosen_profile(profiles: tuple[Profile, ...], best: NDArray[np.int64]) -> Profile:
    rows = np.arange(len(best))
    shape = tuple(np.max([profile.relative.shape for profile in profiles], axis=0))
    relative = np.stack([np.broadcast_to(profile.relative, shape) for profile in profiles])
    days = np.stack([profile.days for profile in profiles])
    return Profile(profiles[0].anchor_s, relative[best, rows], days[best, rows])


def filled_from_shorter(leads: NDArray[np.int64], spread: FloatArray) -> FloatArray:
    """Leads that history was too short to measure, from the next shorter one, wider."""
    filled = spread.copy()
    for place in range(1, len(leads)):
        factor = np.sqrt((leads[place] + 1.0) / (leads[place - 1] + 1.0))
        guess = widened(filled[:, place - 1], factor)
        filled[:, place] = np.where(np.isfinite(filled[:, place]), filled[:, place], guess)
    return filled


def _with_sentences(model: LevelModel, windows: StepWindows, code: ForecastCode) -> LevelModel:
    """Written once at fit, so that a forecast formats nothing."""
    at = np.minimum(np.searchsorted(model.leads, windows.first), len(model.leads) - 1)
    level = model.levels.index(SENTENCE_LEVEL)
    percent = 100.0 * model.peak_spread[np.arange(len(at)), at, level]
    shape = "" if code is ForecastCode.LAST_VALUE else "profile of {days} days x "
    reasons = tuple(
        ForecastReason(
            code,
            f"{shape.format(days=days)}recent level, {SENTENCE_LEVEL:.0%} of {errors} past peaks "
            f"at or below {share:+.0f} % of it",
        )
        for days, errors, share in zip(model.profile.days, model.errors, percent, strict=True)
    )
    return dataclasses.replace(model, reasons=reasons)
