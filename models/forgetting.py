"""Makes what was learnt before a shift of level count for little, so that it holds nothing back.

`models/ensemble.py` calls it once for each shift. A bias, a loss and an error of the former level
weigh for days by themselves; after a shift what came since is the better witness. It must never
forget so much that nothing is known.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from models.level_record import LevelRecord
from models.point_mix import PointState
from models.quantile_mix import MixState
from models.series import FloatArray
from models.step_windows import IntArray

KEPT = 0.03
"""In the three hours after shifts to 0.4, 2 and 3 times the level were found, a synthetic load lost
8, 10 and 12 % less than with all of it kept."""
FACTOR_MIN = 0.05
"""Losses and errors of a higher level are brought down with it, or they would stand in the way for
days. Those of a lower one are small already: scaled up, they cost the same load 1 and 3 % after the
rises, and longer after a burst that looked like one."""
FRESH_S = 12 * 3600
"""Of an older shift more was learnt since than before."""
AGAIN_S = 7 * 86_400
"""What was learnt within a week of a shift is too little to hold anything back, and what shifts
every few days has shifts among its habits. Forgetting each time cost the mix 0.9 % on five real
loads of bursts; this costs 0.1 %."""


def newly_shifted(record: LevelRecord, now_s: float) -> IntArray:
    """The rows whose newest shift is fresh, and long after the one that was forgotten for."""
    is_new = record.shift_s > record.forgotten_s + AGAIN_S
    return np.flatnonzero(is_new & (now_s - record.shift_s <= FRESH_S))


def forgot(record: LevelRecord, rows: IntArray) -> LevelRecord:
    """With the newest shift of these rows forgotten for."""
    forgotten_s = record.forgotten_s.copy()
    forgotten_s[rows] = record.shift_s[rows]
    return dataclasses.replace(record, forgotten_s=forgotten_s)


def less_of_points(points: PointState, factor: FloatArray) -> PointState:
    """What the points' state (n,) keeps; absolute numbers are brought down to a lower level by
    `factor` (n,)."""
    moved = KEPT * _bounded(factor)[:, None]
    # The first error is relative to the level, the others are in its units.
    in_units = np.concatenate([np.full_like(moved, KEPT), moved, moved], axis=1)
    return dataclasses.replace(
        points,
        outcome_sum=moved * points.outcome_sum,
        point_sum=moved * points.point_sum,
        loss=moved * points.loss,
        loss_weight=KEPT * points.loss_weight,
        errors=in_units * points.errors,
        error_weights=KEPT * points.error_weights,
        usual=moved[:, 0] * points.usual,
        multiples=KEPT * points.multiples,
        usual_weight=KEPT * points.usual_weight,
    )


def less_of_mix(mix: MixState, factor: FloatArray) -> MixState:
    """What the quantiles' state (n,) keeps; shifts are in units of a scale, and stay."""
    return dataclasses.replace(mix, loss=KEPT * _bounded(factor)[:, None, None] * mix.loss)


def _bounded(factor: FloatArray) -> FloatArray:
    return np.clip(factor, FACTOR_MIN, 1.0)
