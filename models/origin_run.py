"""Walks over past origins in their order: what was seen, forecast and learnt at each of them.

`models/ensemble_fit.py` walks over the past to learn, `models/rolling_origins.py` to score. Rows of
one run share a window. An origin's outcome is learnt from at the first origin at which its window
is over. It must never let an origin know more than that.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache

import numpy as np

from models.calibration import conformal_quantiles
from models.forecast import QUANTILE_LEVELS
from models.origin_windows import outcomes
from models.point_mix import (
    LAST,
    LEAST_SCALE_SHARE,
    Located,
    PlaceSeen,
    PointState,
    learn_outcome,
    locate,
    new_point_state,
    stacked,
)
from models.quantile_mix import Mixed, MixState, learn_mix, members_of, mix
from models.series import FloatArray, SeriesBatch, SeriesKey
from models.sight import DAY_S, POINTS, Sight, Window, see
from models.sparse_counts import count_quantiles
from models.step_windows import IntArray
from models.upstream_columns import with_upstream

CONFORMAL_SPAN_S = 7 * 86_400
"""A week of errors: every weekday once, and not what was usual a month ago."""
CONFORMAL_REFRESHES = 64
LEVELS = np.asarray(QUANTILE_LEVELS)
RECENT_MEAN = POINTS.index("smoothed-12")


@dataclass(frozen=True, slots=True)
class Run:
    """Rows with one window at all origins (o,), after the point mix has walked over them.

    `errors` (n, o) are (outcome - point) / scale, `features` (n, o, f) what trees are asked with.
    """

    origins: IntArray
    step_s: int
    window: Window
    sight: Sight
    located: Located
    outcome: FloatArray
    features: FloatArray
    state: PointState

    @property
    def errors(self) -> FloatArray:
        """In units of the scale, NaN where the outcome or the scale is not known."""
        return np.asarray((self.outcome - self.located.point) / self.located.scale)

    def between(self, start: int, stop: int) -> tuple[FloatArray, Located, Sight]:
        """Features, mix and sight of the origins at places `start` to `stop - 1`."""
        part = slice(start, stop)
        return (
            self.features[:, part],
            Located(*(one[:, part] for one in self.located)),
            Sight(*(one[:, part] for one in self.sight)),
        )

    def row(self, row: int) -> Run:
        """One row alone."""
        one = slice(row, row + 1)
        return dataclasses.replace(
            self,
            sight=Sight(*(array[one] for array in self.sight)),
            located=Located(*(array[one] for array in self.located)),
            outcome=self.outcome[one],
            features=self.features[one],
            state=self.state.rows(np.array([row])),
        )

    def complete_at(self, step: int) -> int:
        """How many of the origins, from the oldest on, have their outcome known at a step."""
        return int(np.searchsorted(self.origins + self.window.stop, step, side="right"))


def run_points(
    batch: SeriesBatch,
    origins: IntArray,
    window: Window,
    floor: FloatArray,
    state: PointState,
    *,
    told: FloatArray | None = None,
) -> Run:
    """See every origin and walk the point mix over them; shapes as in `see`. `told` is what callers
    foretell of these rows, see `upstream_columns`."""
    step_s, steps = batch.step_s, batch.values.shape[1]
    sight = with_upstream(see(batch, origins, window, floor), told)
    outcome = outcomes(batch.values, origins, window.first, window.stop)
    located: list[Located] = []
    learnt = 0
    for place, origin in enumerate((*origins, steps)):
        while learnt < place and origins[learnt] + window.stop <= origin:
            state = learn_outcome(
                state,
                PlaceSeen(sight.level[:, learnt], sight.points[:, learnt]),
                located[learnt],
                outcome[:, learnt],
                elapsed_s(origins, learnt, step_s),
            )
            learnt += 1
        if place < len(origins):
            located.append(locate(PlaceSeen(sight.level[:, place], sight.points[:, place]), state))
    whole = stacked(located)
    return Run(origins, step_s, window, sight, whole, outcome, features_of(sight, whole), state)


def features_of(sight: Sight, located: Located) -> FloatArray:
    """What trees are asked with at each origin, shape (n, o, f): the sight's features, and where
    the mix and its candidates stand, relative to the level, to one another and to the last days."""
    level = sight.level[:, :, None]
    point, scale = located.point[:, :, None], located.scale[:, :, None]
    least = LEAST_SCALE_SHARE * level
    # Against days, too: a quiet level makes everything relative to it large.
    usual = np.maximum(located.usual[:, :, None], least)
    usual_error = np.maximum(located.errors[:, :, 2:], least)
    columns = (
        located.unbiased / level,
        point / level,
        scale / level,
        located.errors / level,
        (located.unbiased - point) / scale,
        level / usual,
        sight.points[:, :, LAST, None] / usual,
        point / usual,
        scale / usual,
        usual_error / usual,
        scale / usual_error,
        located.errors[:, :, :2] / usual_error,
    )
    return np.concatenate([sight.features, *(one.astype(np.float32) for one in columns)], axis=2)


@cache
def feature_count() -> int:
    """How many features trees are asked with, whatever the window: `f` of `features_of`."""
    nothing = SeriesBatch((SeriesKey("", ""),), 0, DAY_S, np.zeros((1, 1)))
    run = run_points(nothing, np.array([1]), Window(0, 1), np.ones(1), new_point_state(1))
    return int(run.features.shape[2])


def conformal_at(run: Run, until: int) -> FloatArray:
    """Quantiles (n, levels) of the errors of the week before the origin at place `until`."""
    origin = int(run.origins[until]) if until < len(run.origins) else int(run.origins[-1])
    stop = run.complete_at(origin)
    oldest = origin - CONFORMAL_SPAN_S // run.step_s
    start = int(np.searchsorted(run.origins, oldest))
    errors = run.errors[:, start:stop]
    count = np.isfinite(errors).sum(axis=1).astype(np.float64)
    return conformal_quantiles(errors, QUANTILE_LEVELS, count)


def run_mix(
    run: Run, state: MixState, start: int, stop: int, trees: FloatArray
) -> tuple[FloatArray, MixState]:
    """Walk the quantile mix over the origins at places `start` to `stop - 1`.

    `trees` (n, stop - start, members, levels) are the trees' quantiles there. Gives quantiles (n,
    stop - start, levels) and the state that has learnt what was complete at the last of them.
    """
    every = max(len(run.origins) // CONFORMAL_REFRESHES, 1)
    made: list[Mixed] = []
    pending = 0
    base = conformal_at(run, start)
    _, located, sight = run.between(start, stop)
    counts = counts_at(sight, located, run.window)
    for place in range(start, stop):
        if place % every == 0:
            base = conformal_at(run, place)
        while (
            pending < place - start and run.complete_at(int(run.origins[place])) > start + pending
        ):
            state = _learn(run, state, start + pending, made[pending])
            pending += 1
        point, scale = run.located.point[:, place], run.located.scale[:, place]
        own = point[:, None] + scale[:, None] * base
        members = members_of(own, trees[:, place - start], counts[:, place - start])
        made.append(mix(members, scale, state))
    return np.stack([one.quantiles for one in made], axis=1), state


def counts_at(sight: Sight, located: Located, window: Window) -> FloatArray:
    """What counts of events say at each origin, shape (n, o, kinds, levels); NaN for busy rows."""
    recent = sight.points[:, :, RECENT_MEAN]
    return count_quantiles(recent, located.usual, located.unit, window.stop - window.first, LEVELS)


def _learn(run: Run, state: MixState, place: int, made: Mixed) -> MixState:
    return learn_mix(
        state,
        made,
        run.outcome[:, place],
        LEVELS,
        elapsed_s=elapsed_s(run.origins, place, run.step_s),
        reach_s=float(run.window.stop * run.step_s),
    )


def elapsed_s(origins: IntArray, place: int, step_s: int) -> float:
    """How much time passed since the origin before."""
    return float(step_s * (origins[place] - origins[place - 1])) if place else float(step_s)
