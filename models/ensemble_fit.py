"""Learns an ensemble from history: weights, scales, trees, calibration.

`predictor/current_model.py` fits anew at intervals, beside the event loop; the command `train` fits
what is stored. Trees answer for origins that they were not trained on while the mix is learnt, so
that their weight is earned. It must never learn from demand after the end of the history.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from models.cascade import Cascade, fit_cascade
from models.ensemble import Ensemble
from models.ensemble_reasons import reasons_of
from models.error_trees import MEMBERS, ErrorTrees, fit_error_trees, tree_quantiles
from models.forecast import QUANTILE_LEVELS, Horizon
from models.level_fit import rate_floor
from models.level_record import new_level_record
from models.one_thread import one_thread
from models.origin_run import Run, conformal_at, run_mix, run_points
from models.point_mix import PointState, new_point_state
from models.quantile_mix import MixState, new_mix_state
from models.same_windows import same_windows
from models.sampling_noise import recent_noise
from models.series import FloatArray, SeriesBatch, in_double, part_of, rows_of
from models.sight import DAY_S
from models.standing import new_standing, walked
from models.step_windows import IntArray, StepWindows, step_windows
from models.surprises import learnt_habits, without_outages
from models.upstream import PAIRS_MIN, find_links, spread_origins
from models.upstream_columns import Leads, leads_of, told_by, upstream_columns
from models.upstream_pairs import NO_CALLERS, Callers, likely_pairs

SEEN_MAX = 60_000
"""Origins looked at in all rows together; five thousand cost about a second."""
ORIGINS_MIN, ORIGINS_MAX = 90, 4_000
SPAN_S = 28 * DAY_S
WARM_SHARE = 0.3
"""The newest part of the origins, on which the mix is learnt from trees that did not see it."""
TREES_AGE_S = DAY_S
"""Trees younger than this are kept: training them again about daily is what pays."""
PARTS = 3
"""What a fit consists of: past moments walked over, trees, the mix learnt from trees held out."""
YOUNG_SHARE = 0.5
"""A short history grows quickly: trees are grown again when it is half as long again."""


class HeldOut(NamedTuple):
    """What the mix said of the newest origins, from trees that had not seen them.

    The rows of `run` are the rows `places` of the history; `quantiles` (n, o, levels) belong to its
    origins from place `start` on.
    """

    run: Run
    places: IntArray
    start: int
    quantiles: FloatArray


class Judged(NamedTuple):
    """A fit, and what can be said of it; `held_out` is empty where nothing was learnt anew."""

    ensemble: Ensemble
    held_out: tuple[HeldOut, ...] = ()


def fit_ensemble(
    history: SeriesBatch,
    horizon: Horizon,
    prior: Ensemble | None = None,
    former: Ensemble | None = None,
    *,
    callers: Callers = NO_CALLERS,
    trees_age_s: float = TREES_AGE_S,
    seed: int = 0,
) -> Ensemble:
    """Fit to each series; raises `ValueError` on a bad horizon or a prior's other step.

    `prior` is a trained model: its cascade stands in for series whose history is short, and its
    trees answer while they are young. `former` is what was fitted before to the same series: what
    it learnt online is kept, and its trees too while they are young. `callers` says which modules
    call a module; those of others are looked for. Same input and seed, same result.
    """
    return fit_and_judge(
        history, horizon, prior, former, callers=callers, trees_age_s=trees_age_s, seed=seed
    ).ensemble


@one_thread()
def fit_and_judge(
    history: SeriesBatch,
    horizon: Horizon,
    prior: Ensemble | None = None,
    former: Ensemble | None = None,
    *,
    callers: Callers = NO_CALLERS,
    trees_age_s: float = TREES_AGE_S,
    seed: int = 0,
    done: Callable[[], None] = lambda: None,
) -> Judged:
    """Fit as `fit_ensemble` does, and keep what the mix said of origins held out from its trees.

    `done` is called after each of the `PARTS` of the work that took place.
    """
    history = in_double(history)
    cascade = fit_cascade(history, horizon, prior.cascade if prior else None)
    known = former if _goes_on(history, former) else None
    if known is not None and _are_young(known, history, trees_age_s):
        return Judged(dataclasses.replace(known, cascade=cascade))
    history, cascade = _without_outages(history, horizon, prior, cascade)
    windows = step_windows(horizon, len(history.keys), history.step_s)
    floor = rate_floor(history)
    leads = _leads(history, prior, callers)
    runs, places = _past_runs(history, windows, floor, leads)
    if not runs:
        return Judged(Ensemble(cascade))
    done()
    assert cascade.model is not None
    groups = [(run.window, some) for run, some in zip(runs, places, strict=True)]
    fitted = Ensemble(
        cascade,
        history.keys,
        history.step_s,
        floor,
        learnt_to_s=history.end_s,
        habits=learnt_habits(history, cascade.model.profile, groups),
        noise=_sampling_share(history, runs, places),
        leads=leads,
    )
    trees = _trees(runs, history, prior, seed)
    fitted = dataclasses.replace(fitted, trees=trees[0], trees_to_s=trees[1])
    done()
    if known is not None:
        learnt = known.learn(history, horizon)
        again = _finished(fitted, runs, places, learnt.points, learnt.mix)
        again = dataclasses.replace(again, standing=learnt.standing, record=learnt.record)
        return Judged(again.looking(history).telling())
    mix, were_tried, held_out = _mixed(runs, places, history, prior, seed)
    done()
    if not were_tried:
        # They would weigh as much as what has proved itself.
        fitted = dataclasses.replace(fitted, trees=None)
    fitted = _finished(fitted, runs, places, None, mix)
    fitted = _with_standing(fitted, held_out, history)
    if former is not None and former.keys == fitted.keys and former.step_s == fitted.step_s:
        # Whatever else is begun anew: who forecasts does not change because of a fit.
        standing = former.learn(history, horizon).standing or fitted.standing
        fitted = dataclasses.replace(fitted, standing=standing).telling()
    return Judged(fitted, held_out)


def _past_runs(
    history: SeriesBatch, windows: StepWindows, floor: FloatArray, leads: Leads
) -> tuple[list[Run], list[IntArray]]:
    """The points' walk over past origins for rows of one window each, and which rows these are."""
    runs, places = [], []
    for window, some in same_windows(windows, np.ones(len(history.keys), bool)):
        origins = past_origins(history, window.stop)
        if not len(origins):
            continue
        part, state = part_of(history, some), new_point_state(len(some))
        told = upstream_columns(history.values, leads, some, origins, window)
        runs.append(run_points(part, origins, window, floor[some], state, told=told))
        places.append(some)
    return runs, places


def _leads(history: SeriesBatch, prior: Ensemble | None, callers: Callers) -> Leads:
    """Who leads whom in this history; in one too short to tell, what the trained model knows."""
    can_tell = len(spread_origins(history.values.shape[1], PAIRS_MIN)) >= PAIRS_MIN
    trained = None if prior is None or prior.step_s != history.step_s else prior.leads
    if not can_tell and prior is not None and trained is not None:
        return trained.rows(rows_of(prior.keys, history.keys))
    links = find_links(history, likely_pairs(history, callers))
    return leads_of(links, len(history.keys))


def _without_outages(
    history: SeriesBatch, horizon: Horizon, prior: Ensemble | None, cascade: Cascade
) -> tuple[SeriesBatch, Cascade]:
    """The history without its collapses, and a cascade that did not see them either."""
    assert cascade.model is not None
    calm = without_outages(history, cascade.model.profile)
    if calm is history:
        return history, cascade
    return calm, fit_cascade(calm, horizon, prior.cascade if prior else None)


def _sampling_share(history: SeriesBatch, runs: list[Run], places: list[IntArray]) -> FloatArray:
    """What sampling added to the variance of the errors, as a mean share of the squared scale."""
    share = np.zeros(len(history.keys))
    if history.sampling_variance is None:
        return share
    for run, some in zip(runs, places, strict=True):
        scale = run.located.scale
        known = np.isfinite(scale) & (scale > 0)
        added = recent_noise(part_of(history, some), run.origins)
        of_scale = np.where(known, added / np.where(known, scale, 1.0) ** 2, 0.0)
        share[some] = of_scale.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return share


def _finished(
    fitted: Ensemble,
    runs: list[Run],
    places: list[IntArray],
    points: PointState | None,
    mix: MixState | None,
) -> Ensemble:
    """With the base of each row, the points' state unless it is given, and the sentences."""
    rows = len(fitted.keys)
    base = np.full((rows, len(QUANTILE_LEVELS)), np.nan)
    walked = new_point_state(rows)
    for run, some in zip(runs, places, strict=True):
        walked = walked.with_rows(some, run.state)
        base[some] = conformal_at(run, len(run.origins))
    state = walked if points is None else points
    return dataclasses.replace(
        fitted,
        points=state,
        mix=mix,
        base=base,
        said=reasons_of(
            state,
            fitted.trees is not None,
            told_by(fitted.leads, fitted.keys, fitted.step_s),
        ),
    )


def _with_standing(
    fitted: Ensemble, held_out: tuple[HeldOut, ...], history: SeriesBatch
) -> Ensemble:
    """With how the mix did against what it must beat, and what levels did; history is calm."""
    standing = new_standing(len(history.keys))
    for part in held_out:
        values = part_of(history, part.places).values
        own = walked(part.run, values, part.quantiles, part.start)
        standing = standing.with_rows(part.places, own)
    record = new_level_record(len(history.keys))
    fitted = dataclasses.replace(fitted, standing=standing, record=record)
    return fitted.looking(history).telling()


def _goes_on(history: SeriesBatch, former: Ensemble | None) -> bool:
    """Whether what was learnt before is of these very series."""
    if former is None or former.trees is None or former.points is None:
        return False
    return former.keys == history.keys and former.step_s == history.step_s


def _are_young(model: Ensemble, history: SeriesBatch, trees_age_s: float) -> bool:
    """Whether its trees need not be grown again yet; sooner while history is short."""
    if model.trees is None or model.step_s != history.step_s:
        return False
    age_s = history.end_s - model.trees_to_s
    seen_s = model.trees_to_s - history.start_s
    return 0 <= age_s < min(trees_age_s, max(YOUNG_SHARE * seen_s, 0))


def past_origins(history: SeriesBatch, reach: int) -> IntArray:
    """Moments at which a forecast could have been made and judged, evenly over the newest weeks."""
    rows, steps = history.values.shape
    most = int(np.clip(SEEN_MAX // max(rows, 1), ORIGINS_MIN, ORIGINS_MAX))
    last = steps - reach
    first = max(1, last - SPAN_S // history.step_s)
    if last < first:
        return np.zeros(0, dtype=np.int64)
    stride = max(-(-(last - first + 1) // most), 1)
    # Counted back from the newest, so that the newest outcomes are among them.
    return np.arange(last, first - 1, -stride, dtype=np.int64)[::-1]


def _trees(
    runs: list[Run], history: SeriesBatch, prior: Ensemble | None, seed: int
) -> tuple[ErrorTrees | None, int]:
    """The trees that answer from now on, and the instant to which they saw history."""
    if prior is not None and _are_young_of_others(prior, history):
        return prior.trees, prior.trees_to_s
    grown = fit_error_trees(runs, history.values.shape[1], seed)
    if grown is None and prior is not None and prior.step_s == history.step_s:
        return prior.trees, prior.trees_to_s
    return grown, history.end_s


def _are_young_of_others(prior: Ensemble, history: SeriesBatch) -> bool:
    """Trees of a trained model saw another, longer history: only their age counts."""
    if prior.trees is None or prior.step_s != history.step_s:
        return False
    return 0 <= history.end_s - prior.trees_to_s < TREES_AGE_S


def _mixed(
    runs: list[Run],
    places: list[IntArray],
    history: SeriesBatch,
    prior: Ensemble | None,
    seed: int,
) -> tuple[MixState, bool, tuple[HeldOut, ...]]:
    """The mix, learnt on the newest origins from trees that did not see them, whether there were
    enough origins before them for such trees, and what it said on the way."""
    state = new_mix_state(len(history.keys), MEMBERS, len(QUANTILE_LEVELS))
    starts = [int(len(run.origins) * (1.0 - WARM_SHARE)) for run in runs]
    unseen = min(int(run.origins[start]) for run, start in zip(runs, starts, strict=True))
    warm = fit_error_trees(runs, unseen, seed)
    if warm is None and prior is not None and prior.step_s == history.step_s:
        warm = prior.trees
    said = []
    for run, some, start in zip(runs, places, starts, strict=True):
        asked = tree_quantiles(warm, run, start, len(run.origins))
        quantiles, learnt = run_mix(run, state.rows(some), start, len(run.origins), asked)
        said.append(HeldOut(run, some, start, quantiles))
        state = state.with_rows(some, learnt)
    return state, warm is not None, tuple(said)
