"""Where each series' forecast stands against what it must beat, and who forecasts it therefore.

`models/ensemble.py` holds one, lets it learn from the outcomes that it learns from itself, and asks
it at each forecast; `models/ensemble_fit.py` begins it from past origins, so that a mix that never
had skill on a series says so at once. It must never judge methods on other outcomes than the next,
nor know an outcome before its window was over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.forecast import QUANTILE_LEVELS
from models.origin_run import Run, elapsed_s
from models.origin_windows import outcomes
from models.point_mix import LAST
from models.references import (
    REFERENCES,
    ReferenceState,
    learn_references,
    new_reference_state,
    reference_quantiles,
)
from models.row_state import RowState
from models.series import FloatArray
from models.sight import DAY_S, Window
from models.skill import Rung, Skill, judge, new_skill, pinball_losses
from models.step_windows import IntArray
from models.trust import next_available

SEASONS_DAYS = (1, 7)
"""Seasonal naive is as a day ago or as a week ago."""
LOSS_SHARE_MIN = 0.003
"""A loss of less than this share of the usual demand is as good as none: in a long idle time the
last value is right to the last bit, and would be in force when demand comes back."""
REFERENCES_WARM = 600
"""Origins from which the references learn their errors before they are compared."""


@dataclass(frozen=True, slots=True)
class Standing(RowState):
    """What was learnt of each row: its `skill`, the errors of its `references`, and `season_days`
    (n,), how far seasonal naive looks back."""

    skill: Skill
    references: ReferenceState
    season_days: FloatArray


def new_standing(rows: int) -> Standing:
    """Nothing known yet: the mix forecasts every row."""
    return Standing(new_skill(rows), new_reference_state(rows), np.ones(rows))


def seasonal_points(
    values: FloatArray, origins: IntArray, window: Window, step_s: int
) -> FloatArray:
    """The peak of the same window a day and a week ago, shape (n, o, 2); NaN where unknown."""
    found = np.full((len(values), len(origins), len(SEASONS_DAYS)), np.nan)
    for place, days in enumerate(SEASONS_DAYS):
        back = days * DAY_S // step_s
        if window.stop <= back:
            found[:, :, place] = outcomes(values, origins - back, window.first, window.stop)
    return found


def reference_points(last: FloatArray, seasons: FloatArray, days: FloatArray) -> FloatArray:
    """What the references say before their errors, shape (n, o, references); `last` (n, o)."""
    weekly = (days == SEASONS_DAYS[1])[:, None]
    seasonal = np.where(weekly, seasons[:, :, 1], seasons[:, :, 0])
    return np.stack([last, seasonal], axis=2)


def learn_standing(
    state: Standing,
    quantiles: FloatArray,
    points: FloatArray,
    outcome: FloatArray,
    *,
    usual: FloatArray,
    elapsed_s: float,
    hold_s: float,
) -> Standing:
    """Take in what became of one origin: the mix's `quantiles` (n, levels) there, the references'
    `points` (n, references) and the outcome (n,), NaN where it is unknown. `usual` (n,) is the mean
    demand of days, NaN where it is not known."""
    made = _of_every_method(state, quantiles, points)
    repeated = np.repeat(outcome[:, None], 1 + REFERENCES, axis=1)
    losses = pinball_losses(repeated, made, QUANTILE_LEVELS)
    losses = np.maximum(losses, LOSS_SHARE_MIN * np.nan_to_num(usual)[:, None])
    return Standing(
        judge(state.skill, losses, elapsed_s, hold_s),
        learn_references(state.references, points, outcome, elapsed_s),
        state.season_days,
    )


def in_force(
    state: Standing, quantiles: FloatArray, points: FloatArray
) -> tuple[FloatArray, IntArray]:
    """The quantiles (n, levels) of the method in force, and the rung it came from, (n,).

    A method without a forecast gives way to the next one down; where that is none, NaN.
    """
    made = _of_every_method(state, quantiles, points)
    known = np.asarray(np.isfinite(made).all(axis=2))
    rung = next_available(state.skill.rung, known)
    nothing = np.full((len(made), 1, made.shape[2]), np.nan)
    every = np.concatenate([made, nothing], axis=1)
    return every[np.arange(len(made)), rung], rung


def _of_every_method(state: Standing, quantiles: FloatArray, points: FloatArray) -> FloatArray:
    """The mix's quantiles and those of the references behind them, shape (n, methods, levels)."""
    asked = reference_quantiles(points, state.references)
    return np.concatenate([quantiles[:, None, :], asked], axis=1)


def walked(run: Run, values: FloatArray, quantiles: FloatArray, start: int) -> Standing:
    """The standing of a run's rows after its origins from `start` on, where the mix gave these
    `quantiles` (n, origins from `start` on, levels)."""
    seasons = seasonal_points(values, run.origins, run.window, run.step_s)
    days = _better_season(seasons, run.outcome)
    points = reference_points(run.sight.points[:, :, LAST], seasons, days)
    state = new_standing(len(values))
    state = Standing(state.skill, state.references, days)
    first = max(start - REFERENCES_WARM, 0)
    unknown = np.full(quantiles[:, 0].shape, np.nan)
    for place in range(first, len(run.origins)):
        said = quantiles[:, place - start] if place >= start else unknown
        state = _learn_at(state, run, place, said, points[:, place])
    return state


def _learn_at(
    state: Standing, run: Run, place: int, quantiles: FloatArray, points: FloatArray
) -> Standing:
    return learn_standing(
        state,
        quantiles,
        points,
        run.outcome[:, place],
        usual=run.located.usual[:, place],
        elapsed_s=elapsed_s(run.origins, place, run.step_s),
        hold_s=float((run.window.stop - run.window.first) * run.step_s),
    )


def begun(run: Run, values: FloatArray, start: int) -> Standing:
    """The standing of a run's rows at the place `start`: references know the errors that were
    complete by then, and nobody has been judged."""
    stop = run.complete_at(int(run.origins[start]))
    seasons = seasonal_points(values, run.origins[:stop], run.window, run.step_s)
    days = _better_season(seasons, run.outcome[:, :stop])
    points = reference_points(run.sight.points[:, :stop, LAST], seasons, days)
    references = new_reference_state(len(values))
    for place in range(max(stop - REFERENCES_WARM, 0), stop):
        elapsed = elapsed_s(run.origins, place, run.step_s)
        references = learn_references(references, points[:, place], run.outcome[:, place], elapsed)
    return Standing(new_skill(len(values)), references, days)


def served(
    run: Run, values: FloatArray, quantiles: FloatArray, start: int, state: Standing
) -> tuple[FloatArray, Standing]:
    """What would have been served at the origins from place `start` on where the mix gave these
    `quantiles` (n, origins, levels), and the state that has learnt what was complete at the last of
    them. An origin is judged by outcomes that were over at it."""
    count = quantiles.shape[1]
    origins = run.origins[start : start + count]
    seasons = seasonal_points(values, origins, run.window, run.step_s)
    last = run.sight.points[:, start : start + count, LAST]
    points = reference_points(last, seasons, state.season_days)
    made, learnt = quantiles.copy(), 0
    for place, origin in enumerate(origins):
        while learnt < place and run.complete_at(int(origin)) > start + learnt:
            said, there = quantiles[:, learnt], points[:, learnt]
            state = _learn_at(state, run, start + learnt, said, there)
            learnt += 1
        if is_demoted(state).any():
            instead = in_force(state, quantiles[:, place], points[:, place])[0]
            # A row without any forecast is judged by what its mix said.
            made[:, place] = np.where(np.isfinite(instead), instead, quantiles[:, place])
    return made, state


def _better_season(seasons: FloatArray, outcome: FloatArray) -> FloatArray:
    """A day, or a week where that erred less on the outcomes that both know of."""
    error = np.abs(seasons - outcome[:, :, None])
    both = np.asarray(np.isfinite(error).all(axis=2))
    daily, weekly = np.where(both[:, :, None], error, 0.0).sum(axis=1).T
    return np.where(weekly < daily, float(SEASONS_DAYS[1]), float(SEASONS_DAYS[0]))


def is_demoted(state: Standing) -> NDArray[np.bool_]:
    """Which rows another method than the mix forecasts, shape (n,)."""
    return np.asarray(state.skill.rung > int(Rung.ENSEMBLE))
