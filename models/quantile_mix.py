"""Mixes the quantiles of several members, each level by its own recent pinball loss, and keeps the
mix calibrated.

`models/ensemble.py` and `models/rolling_origins.py` run it over origins in their order. Each member
takes part three times: as it is, and shifted by two trackers of its own, a slow and a quick one. It
must never give quantiles that cross, are negative or are not finite.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from models.coverage_control import CoverageControl, new_coverage_control
from models.forecast import QUANTILE_LEVELS
from models.quantile_tracker import Tracker, new_tracker
from models.row_blocks import row_blocks
from models.row_state import RowState
from models.series import FloatArray

SHARPNESS = 20.0
"""A member a tenth worse than the best weighs an eighth of it: softer ones lose where most members
are bad, as continuous ones are on sparse counts."""
LOSS_HALF_LIFE_S = 21 * 86_400
"""Bursts are rare and hold most of the loss: three weeks beat one by a thousandth."""
MEMBER_RATES = np.array([0.01, 0.05])
"""How fast a shift follows misses. Which pays differs by series, so losses decide."""
UNDER_WAY = 3.0
"""Windows of so many outcomes overlap where the rates were chosen. Where more do, one miss is told
many times over, and each outcome counts for less."""
LOSS_MIN = 1e-12
MEDIAN = QUANTILE_LEVELS.index(0.5)
BEYOND_MAX = 1.0
"""Trees may not say more than the highest conformal quantile: a leaf learnt on a nearly idle level,
applied to a burst, would."""


@dataclass(frozen=True, slots=True)
class MixState(RowState):
    """What was learnt of each row: `loss` (n, members, levels) with exponential forgetting, and the
    trackers (n, rates, members) of the members, and the control of their mix."""

    loss: FloatArray
    members: Tracker
    control: CoverageControl


@dataclass(frozen=True, slots=True)
class Mixed:
    """The result at one origin: `quantiles` (n, levels), and what learning needs of the way there:
    the `members` (n, members, levels) as they were handed in, and the `mix` before its shift."""

    quantiles: FloatArray
    members: FloatArray
    mix: FloatArray
    scale: FloatArray


def new_mix_state(rows: int, members: int, levels: int) -> MixState:
    """Nothing learnt yet: all members weigh the same."""
    return MixState(
        np.zeros((rows, (1 + len(MEMBER_RATES)) * members, levels)),
        new_tracker((rows, len(MEMBER_RATES), members), levels),
        new_coverage_control(rows, levels),
    )


def members_of(own: FloatArray, trees: FloatArray, counts: FloatArray) -> FloatArray:
    """The mix's own conformal quantiles (..., levels), those of trees (..., kinds, levels) and of
    counts (..., count kinds, levels), together (..., members, levels); the trees' bounded by the
    highest of the former."""
    most = BEYOND_MAX * np.maximum(own[..., -1], 0.0)
    bounded = np.minimum(trees, most[..., None, None])
    return np.concatenate([own[..., None, :], bounded, counts], axis=-2)


def mix(members: FloatArray, scale: FloatArray, state: MixState) -> Mixed:
    """Mix quantiles (n, members, levels); a member of NaN in a row is left out there. `scale` (n,)
    is the unit of the trackers' shifts."""
    blocks = row_blocks(len(scale))
    parts = [_mixed(members[some], scale[some], state.rows(some)) for some in blocks]
    quantiles, mixed = (np.concatenate(kind) for kind in zip(*parts, strict=True))
    return Mixed(quantiles, members, mixed, scale)


def _mixed(
    members: FloatArray, scale: FloatArray, state: MixState
) -> tuple[FloatArray, FloatArray]:
    """The quantiles (n, levels) of some rows, and those before they were moved."""
    both = _with_shifted(members, scale, state)
    best = np.maximum(np.nanmin(np.where(np.isfinite(both), state.loss, np.inf), axis=1), LOSS_MIN)
    relative = np.minimum(state.loss / best[:, None, :] - 1.0, 50.0)
    weights = np.where(np.isfinite(both), np.exp(-SHARPNESS * relative), 0.0)
    total = weights.sum(axis=1)
    mean = (weights * np.where(np.isfinite(both), both, 0.0)).sum(axis=1)
    mixed = np.sort(np.where(total > 0, mean / np.where(total > 0, total, 1.0), np.nan), axis=1)
    shifted = mixed + state.control.shift(mixed, scale)
    return np.maximum(_in_order(shifted), 0.0), mixed


def learn_mix(
    state: MixState,
    made: Mixed,
    outcome: FloatArray,
    levels: FloatArray,
    *,
    elapsed_s: float,
    reach_s: float,
) -> MixState:
    """Take in what became of one origin; a row whose outcome is NaN only lets time pass.

    `reach_s` is how long after an origin its window is over, `elapsed_s` how long after the origin
    before this one is."""
    pace = min(UNDER_WAY * elapsed_s / reach_s, 1.0)
    both = _with_shifted(made.members, made.scale, state)
    over = outcome[:, None, None] - both
    pinball = np.maximum(levels * over, (levels - 1.0) * over)
    # A member that was silent did neither well nor badly: it is charged what the others lost.
    known = np.isfinite(pinball)
    count = known.sum(axis=1, keepdims=True)
    mean = np.where(known, pinball, 0.0).sum(axis=1, keepdims=True) / np.maximum(count, 1)
    loss = np.where(known, pinball, mean)
    missed = (outcome[:, None, None] - made.members) / made.scale[:, None, None]
    return dataclasses.replace(
        state,
        loss=0.5 ** (elapsed_s / LOSS_HALF_LIFE_S) * state.loss + loss,
        members=state.members.learn(
            missed[:, None], levels, pace * MEMBER_RATES[:, None, None], MEDIAN
        ),
        control=state.control.learn(
            outcome, made.quantiles, mixed=made.mix, scale=made.scale, pace=pace
        ),
    )


def _in_order(quantiles: FloatArray) -> FloatArray:
    """Quantiles (n, levels) that do not cross: one moved beyond its neighbour towards the median
    stops there. Sorted, it would take the neighbour's place, and push that one beyond it."""
    upper = np.maximum.accumulate(quantiles[:, MEDIAN:], axis=1)
    lower = np.minimum.accumulate(quantiles[:, MEDIAN::-1], axis=1)
    return np.concatenate([lower[:, :0:-1], upper], axis=1)


def _with_shifted(members: FloatArray, scale: FloatArray, state: MixState) -> FloatArray:
    shifted = np.sort(members[:, None] + scale[:, None, None, None] * state.members.shift, axis=3)
    rows, members_each, levels = members.shape
    moved = shifted.reshape(rows, len(MEMBER_RATES) * members_each, levels)
    return np.asarray(np.maximum(np.concatenate([members, moved], axis=1), 0.0))
