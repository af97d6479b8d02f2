"""Scores the ensemble on past moments as it would have forecast at each of them.

The commands `backtest` and `train` and the benchmark call it. At an origin everything that was
learnt, trees included, comes from windows that were over by then. It must never let a value or a
gap at or after an origin change a forecast made there. Seasonal naive alone, which is what ours has
to beat, is the better of a day and a week back in hindsight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.error_trees import MEMBERS, fit_error_trees, tree_quantiles
from models.forecast import QUANTILE_LEVELS, Horizon
from models.level_fit import rate_floor
from models.one_thread import one_thread
from models.origin_run import Run, run_mix, run_points
from models.past_surprises import learnt_before, raised_at
from models.point_mix import new_point_state
from models.quantile_mix import new_mix_state
from models.reference_forecasts import last_value_quantiles, seasonal_naive_quantiles
from models.series import FloatArray, SeriesBatch, SeriesKey, until
from models.sight import Window
from models.standing import begun, served
from models.step_windows import IntArray, step_windows
from models.upstream import find_links
from models.upstream_columns import leads_of, upstream_columns
from models.upstream_pairs import likely_pairs

ORIGINS_MAX = 2000
SCORED_SHARE = 0.4
"""The newest part of the history, in which origins lie."""
WARM_SHARE = 0.35
"""The newest part of what lies before them, on which the mix is learnt from trees that did not see
it."""
REFITS = 4
"""Trees are trained again so many times over the scored part; about daily is worth 1 to 17 %."""
LEARNT_ORIGINS_MAX = 9_000
SERIES_TOGETHER = 12


@dataclass(frozen=True, slots=True)
class Target:
    """The peak in (now + lead_s, now + lead_s + hold_s]; `hold_s` of 0 is the one step at the
    lead."""

    lead_s: float
    hold_s: float


@dataclass(frozen=True, slots=True)
class RollingResult:
    """One series and target: what was forecast at each origin and what came.

    `origin_s` (o,) are the instants of the forecasts, `outcome` (o,), and `quantiles`,
    `seasonal_naive` and `last_value` (o, levels); the latter two carry quantiles of their own past
    errors, seasonal naive is the better of a day and a week back. `fit_s` and `forecast_s` are CPU
    seconds, `reasons` notes in words.
    """

    key: SeriesKey
    target: Target
    step_s: int
    levels: tuple[float, ...]
    origin_s: IntArray
    outcome: FloatArray
    quantiles: FloatArray
    seasonal_naive: FloatArray
    last_value: FloatArray
    fit_s: float
    forecast_s: float
    reasons: tuple[str, ...]


@one_thread()
def rolling_origins(
    history: SeriesBatch,
    targets: tuple[Target, ...],
    *,
    origins_max: int = ORIGINS_MAX,
    share: float = SCORED_SHARE,
    cpu_s: Callable[[], float] = lambda: 0.0,
) -> tuple[RollingResult, ...]:
    """Score every series on every target; series are trained together, a dozen at a time.

    Raises `ValueError` for a target beyond a day. A series too short for a single origin has a
    result without origins, and says what it lacks.
    """
    results: list[RollingResult] = []
    for begin in range(0, len(history.keys), SERIES_TOGETHER):
        chosen = slice(begin, begin + SERIES_TOGETHER)
        values = np.asarray(history.values[chosen], dtype=np.float64)
        some = SeriesBatch(history.keys[chosen], history.start_s, history.step_s, values)
        results += _scored(some, targets, origins_max, share, cpu_s)
    return tuple(results)


def _scored(
    history: SeriesBatch,
    targets: tuple[Target, ...],
    origins_max: int,
    share: float,
    cpu_s: Callable[[], float],
) -> list[RollingResult]:
    windows = [_window(target, history.step_s) for target in targets]
    reach = max(window.stop for window in windows)
    plan = plan_origins(history, reach, origins_max, share)
    if plan is None:
        why = _why_nothing(history, reach, share)
        return [_nothing(key, target, history, why) for key in history.keys for target in targets]
    began = cpu_s()
    before = until(history, plan.first_step)
    floor = rate_floor(before)
    leads = leads_of(find_links(before, likely_pairs(before)), len(history.keys))
    rows = np.arange(len(history.keys))
    runs = [
        run_points(
            history,
            plan.origins,
            window,
            floor,
            new_point_state(len(rows)),
            told=upstream_columns(history.values, leads, rows, plan.origins, window),
        )
        for window in windows
    ]
    quantiles, raised, fit_s = _forecast(history, runs, plan, cpu_s)
    asked_s = cpu_s() - began - fit_s
    count = len(history.keys) * len(targets)
    known = np.stack([np.isfinite(run.outcome) for run in runs]).all(axis=0).astype(bool)
    scored = [np.asarray(plan.scored & row) for row in known]
    return [
        _result(
            run,
            target,
            history=history,
            row=row,
            quantiles=made,
            raised=int(lifted[row]),
            scored=scored[row],
            cost_s=(fit_s / count, asked_s / count),
        )
        for row in range(len(history.keys))
        for run, target, made, lifted in zip(runs, targets, quantiles, raised, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class OriginPlan:
    """All origins, of which `scored` (o,) are scored; `warm` and `start` are places in them."""

    origins: IntArray
    scored: NDArray[np.bool_]
    warm: int
    start: int
    first_step: int


def plan_origins(
    history: SeriesBatch, reach: int, origins_max: int, share: float
) -> OriginPlan | None:
    """Origins by step numbers alone, so that no later gap changes what is learnt: evenly over the
    newest `share`, at most `origins_max`, and others between and before them. Where something was
    measured decides which are scored; None where there is no room for any."""
    steps = history.values.shape[1]
    # The first of the newest steps is known at the first scored origin, as in the peers' scoring.
    first = int(steps * (1.0 - share)) + 1
    last = steps - reach
    if last < first or first < 2:
        return None
    even = np.arange(first, last + 1, _spacing(last + 1 - first, origins_max))
    dense = _spacing(last, LEARNT_ORIGINS_MAX)
    origins = np.union1d(even, np.arange(dense, last + 1, dense))
    measured = np.asarray(np.isfinite(history.values[:, first - 1 : last]).any(axis=0))
    scored = _scored_among(origins, first + np.flatnonzero(measured), origins_max)
    if not scored.any():
        return None
    start = int(np.searchsorted(origins, first))
    return OriginPlan(origins, scored, int(start * (1.0 - WARM_SHARE)), start, first)


def _scored_among(origins: IntArray, measured: IntArray, origins_max: int) -> NDArray[np.bool_]:
    """Which of the origins (o,) are scored: every so many-th step after a measured one, moved on to
    the next of these steps that is an origin."""
    able = np.intersect1d(origins, measured)
    place = np.searchsorted(able, measured[:: _spacing(len(measured), origins_max)])
    return np.asarray(np.isin(origins, able[place[place < len(able)]]))


def _spacing(steps: int, count_max: int) -> int:
    """Every so many-th of the steps are at most `count_max`."""
    return max(-(-steps // count_max), 1)


def _forecast(
    history: SeriesBatch, runs: list[Run], plan: OriginPlan, cpu_s: Callable[[], float]
) -> tuple[list[FloatArray], list[IntArray], float]:
    """Of each run the quantiles from place `start` on, and how many of each row's scored ones were
    raised; and what training cost."""
    blocks = np.linspace(plan.start, len(plan.origins), REFITS + 1).astype(int)
    edges = [plan.warm, *(int(edge) for edge in blocks)]
    states = [new_mix_state(len(run.outcome), MEMBERS, len(QUANTILE_LEVELS)) for run in runs]
    standings = [begun(run, history.values, plan.warm) for run in runs]
    made: list[list[FloatArray]] = [[] for _ in runs]
    raised = [np.zeros(len(run.outcome), np.int64) for run in runs]
    fit_s = 0.0
    for begin, end in pairwise(edges):
        if end <= begin:
            continue
        began = cpu_s()
        trees = fit_error_trees(runs, int(plan.origins[begin]), seed=0)
        fit_s += cpu_s() - began
        for place, run in enumerate(runs):
            asked = tree_quantiles(trees, run, begin, end)
            mixed, states[place] = run_mix(run, states[place], begin, end, asked)
            found, standings[place] = served(run, history.values, mixed, begin, standings[place])
            if begin >= plan.start:
                scored = begin + np.flatnonzero(plan.scored[begin:end])
                over = _raised(history, run, found, begin, scored)
                raised[place] += (over > found[:, scored - begin]).any(axis=2).sum(axis=1)
                found[:, scored - begin] = over
                made[place].append(found)
    return [np.concatenate(parts, axis=1) for parts in made], raised, fit_s


def _raised(
    history: SeriesBatch, run: Run, found: FloatArray, begin: int, scored: IntArray
) -> FloatArray:
    """The block's scored forecasts, over crowds and through outages by what was known before it."""
    learnt = learnt_before(history, int(run.origins[begin]), run.window)
    return raised_at(found[:, scored - begin], history, run.origins[scored], run.window, learnt)


def _result(
    run: Run,
    target: Target,
    *,
    history: SeriesBatch,
    row: int,
    quantiles: FloatArray,
    raised: int,
    scored: NDArray[np.bool_],
    cost_s: tuple[float, float],
) -> RollingResult:
    start = len(run.origins) - quantiles.shape[1]
    own = run.row(row)
    kept = scored[start:]
    values = history.values[row : row + 1]
    told = f"{raised} forecasts were raised over a flash crowd or through an outage"
    return RollingResult(
        key=history.keys[row],
        target=target,
        step_s=history.step_s,
        levels=QUANTILE_LEVELS,
        origin_s=history.start_s + run.origins[start:][kept] * history.step_s,
        outcome=run.outcome[row, start:][kept],
        quantiles=quantiles[row][kept],
        seasonal_naive=seasonal_naive_quantiles(own, values, start)[0][kept],
        last_value=last_value_quantiles(own, start)[0][kept],
        fit_s=cost_s[0],
        forecast_s=cost_s[1],
        reasons=(told,) if raised else (),
    )


def _why_nothing(history: SeriesBatch, reach: int, share: float) -> str:
    steps = history.values.shape[1]
    first, last = int(steps * (1.0 - share)) + 1, steps - reach
    if last < first or first < 2:
        return f"{steps:,} steps leave no room for a forecast and its outcome"
    return (
        f"nothing to forecast from was measured in the newest {share:.0%} of {steps:,} steps, "
        "where forecasts are judged; is a time stamp far off?"
    )


def _nothing(key: SeriesKey, target: Target, history: SeriesBatch, why: str) -> RollingResult:
    levels = len(QUANTILE_LEVELS)
    none = np.zeros((0, levels))
    return RollingResult(
        key,
        target,
        history.step_s,
        QUANTILE_LEVELS,
        np.zeros(0, np.int64),
        np.zeros(0),
        none,
        none,
        none,
        0.0,
        0.0,
        (why,),
    )


def _window(target: Target, step_s: int) -> Window:
    """The steps of a target; an instant ahead is the step that ends at it or holds it."""
    if target.hold_s > 0:
        windows = step_windows(
            Horizon(np.array([target.lead_s]), np.array([target.hold_s])), 1, step_s
        )
        return Window(int(windows.first[0]), int(windows.stop[0]))
    first = max(round(target.lead_s / step_s), 1) - 1
    return Window(first, first + 1)
