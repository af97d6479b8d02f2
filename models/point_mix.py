"""Learns online how much each candidate point is worth, and how far the mix of them errs.

`models/ensemble.py` and `models/rolling_origins.py` run it over past origins in their order and go
on with the same state at the newest one. A point is judged by outcomes that were complete before an
origin. It must never use an outcome at an origin whose window was not over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.row_state import RowState
from models.series import FloatArray
from models.upstream_columns import CANDIDATES

SHARPNESS = 12.0
"""A point a quarter worse than the best weighs a twentieth of it (exponential weights of relative
loss: Vovk, "Aggregating strategies", 1990)."""
DAY_S = 86_400
BIAS_HALF_LIFE_S = 2 * DAY_S
LOSS_HALF_LIFE_S = 1 * DAY_S
ERROR_HALF_LIFE_S = 3 * DAY_S
RECENT_ERROR_HALF_LIFE_S = 5400
BIAS_MIN, BIAS_MAX = 0.5, 3.0
"""A window's peak is above its level, a falling one below; beyond these it is another thing."""
SHARE_OF_RELATIVE_MIN = 0.1
"""An hour without errors does not make the next one certain: at least a tenth of the usual."""
LEAST_SCALE_SHARE = 0.002
USUAL_HALF_LIFE_S = 3 * DAY_S
MULTIPLES_SHARE_MIN = 0.9
"""So much of the time demand must have been a whole number of events for a row to count them."""
MULTIPLE_WITHIN = 0.01
LAST = CANDIDATES.index("last")


@dataclass(frozen=True, slots=True)
class PointState(RowState):
    """What was learnt of each row: sums with exponential forgetting, each next to its weight.

    `outcome_sum`, `point_sum`, `loss` (n, points) and `loss_weight` (n,); `errors` (n, 3) are the
    mean absolute error relative to the level, of the last hours, and in units, with `error_weights`
    (n, 3). `seen` (n,) counts outcomes. `usual` (n,) sums the newest values, `multiples` how many
    of them were whole multiples of `unit`, the least positive one so far, both over
    `usual_weight`.
    """

    outcome_sum: FloatArray
    point_sum: FloatArray
    loss: FloatArray
    loss_weight: FloatArray
    errors: FloatArray
    error_weights: FloatArray
    seen: FloatArray
    usual: FloatArray
    multiples: FloatArray
    usual_weight: FloatArray
    unit: FloatArray

    @property
    def usual_demand(self) -> FloatArray:
        """The mean of days, shape (n,); NaN where none is known."""
        return np.asarray(self.usual / np.where(self.usual_weight > 0, self.usual_weight, np.nan))


class PlaceSeen(NamedTuple):
    """One origin of a sight: `level` (n,) and the candidate `points` (n, points), NaN for one that
    says nothing there."""

    level: FloatArray
    points: FloatArray


class Located(NamedTuple):
    """The mix at each origin: `point` and `scale` (n, o), the candidates with their bias taken out
    (n, o, points), and the three mean errors (n, o, 3) in units; NaN where nothing was learnt.
    `usual` (n, o) is the mean of days, `unit` (n, o) the rate of one event, zero for a row that is
    no whole number of events."""

    point: FloatArray
    scale: FloatArray
    unbiased: FloatArray
    errors: FloatArray
    usual: FloatArray
    unit: FloatArray


def stacked(places: Sequence[Located]) -> Located:
    """Where the mix stood at single origins, in their order, along an axis of origins."""
    return Located(*(np.stack(kind, axis=1) for kind in zip(*places, strict=True)))


def new_point_state(rows: int) -> PointState:
    """Nothing learnt yet."""
    points = len(CANDIDATES)
    return PointState(
        outcome_sum=np.zeros((rows, points)),
        point_sum=np.zeros((rows, points)),
        loss=np.zeros((rows, points)),
        loss_weight=np.zeros(rows),
        errors=np.zeros((rows, 3)),
        error_weights=np.zeros((rows, 3)),
        seen=np.zeros(rows),
        usual=np.zeros(rows),
        multiples=np.zeros(rows),
        usual_weight=np.zeros(rows),
        unit=np.zeros(rows),
    )


def locate(seen: PlaceSeen, state: PointState) -> Located:
    """The mix at one origin, with a state that knows what was complete by then; arrays have no
    axis of origins."""
    level, points = seen
    known = state.point_sum > 0
    bias = np.where(known, state.outcome_sum / np.where(known, state.point_sum, 1.0), 1.0)
    unbiased = points * np.clip(bias, BIAS_MIN, BIAS_MAX)
    speaks = np.isfinite(points)
    best = np.where(speaks, state.loss, np.inf).min(axis=1, keepdims=True)
    weights = np.exp(-SHARPNESS * np.minimum(state.loss / np.maximum(best, 1e-12) - 1.0, 50.0))
    weights = np.where(speaks, weights, 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    point = (weights * np.where(speaks, unbiased, 0.0)).sum(axis=1)
    weight = state.error_weights
    errors = np.where(weight > 0, state.errors / np.where(weight > 0, weight, 1.0), np.nan)
    errors[:, 0] *= level
    relative = errors[:, 0]
    newest = np.maximum(errors[:, 1], SHARE_OF_RELATIVE_MIN * relative)
    scale = np.sqrt(relative * newest) + LEAST_SCALE_SHARE * level
    whole = state.multiples >= MULTIPLES_SHARE_MIN * state.usual_weight
    unit = np.where(whole, state.unit, 0.0)
    return Located(point, scale, unbiased, errors, state.usual_demand, unit)


def learn_outcome(
    state: PointState, seen: PlaceSeen, located: Located, outcome: FloatArray, elapsed_s: float
) -> PointState:
    """Take in what became of one origin; an unknown outcome only lets time pass."""
    level, points = seen
    known = np.isfinite(outcome)
    actual = np.where(known, outcome, 0.0)
    weight = known.astype(np.float64)
    column = weight[:, None]
    bias_decay, loss_decay = (
        0.5 ** (elapsed_s / half_life_s) for half_life_s in (BIAS_HALF_LIFE_S, LOSS_HALF_LIFE_S)
    )
    error = np.abs(actual - located.point) * weight
    # A candidate that says nothing is taken to err like the mix, so that silence is no merit.
    spoke = np.isfinite(points)
    erred = np.where(spoke, np.abs(actual[:, None] - located.unbiased), error[:, None])
    errors = np.stack([error / level, error, error], axis=1)
    error_decay = 0.5 ** (
        elapsed_s / np.array([ERROR_HALF_LIFE_S, RECENT_ERROR_HALF_LIFE_S, ERROR_HALF_LIFE_S])
    )
    newest = np.where(known, points[:, LAST], np.nan)
    usual = _with_newest(state, newest, 0.5 ** (elapsed_s / USUAL_HALF_LIFE_S))
    return dataclasses.replace(
        usual,
        outcome_sum=bias_decay * state.outcome_sum + np.where(spoke, column * actual[:, None], 0.0),
        point_sum=bias_decay * state.point_sum + np.where(spoke, column * points, 0.0),
        loss=loss_decay * state.loss + column * erred,
        loss_weight=loss_decay * state.loss_weight + weight,
        errors=error_decay * state.errors + errors,
        error_weights=error_decay * state.error_weights + column,
        seen=state.seen + weight,
    )


def _with_newest(state: PointState, newest: FloatArray, decay: float) -> PointState:
    """Take in the value that was the newest at an origin."""
    known = np.isfinite(newest)
    value = np.where(known, newest, 0.0)
    least = np.where(state.unit > 0, np.minimum(state.unit, value), value)
    unit = np.where(value > 0, least, state.unit)
    times = value / np.where(unit > 0, unit, 1.0)
    whole = known & (np.abs(times - np.round(times)) <= MULTIPLE_WITHIN)
    return dataclasses.replace(
        state,
        usual=decay * state.usual + value,
        multiples=decay * state.multiples + whole,
        usual_weight=decay * state.usual_weight + known,
        unit=unit,
    )
