"""What a forecast must beat, kept online: the last value and seasonal naive, with their own errors.

`models/standing.py` carries the state from origin to origin. Each reference is a point plus
quantiles of its own past errors in units of its own error scale, so that they widen within hours
when demand becomes another. It must never use an error whose window was not over.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from models.forecast import QUANTILE_LEVELS
from models.quantile_tracker import Tracker, new_tracker
from models.row_state import RowState
from models.series import FloatArray

REFERENCES = 2
"""The last value, and seasonal naive."""
SCALE_HALF_LIFE_S = 3 * 3600
RATE = 0.03
LEVELS = np.asarray(QUANTILE_LEVELS)
MEDIAN = QUANTILE_LEVELS.index(0.5)
SHIFT_MAX = 50.0
"""In units of the scale: nothing that was ever learnt may be a thousand times it."""


@dataclass(frozen=True, slots=True)
class ReferenceState(RowState):
    """What was learnt of each row: `error` and `weight` (n, references), the forgetting sums of
    absolute errors, and where the quantiles of the errors lie in units of their mean."""

    error: FloatArray
    weight: FloatArray
    tracker: Tracker


def new_reference_state(rows: int) -> ReferenceState:
    """No error known yet."""
    shape = (rows, REFERENCES)
    tracker = dataclasses.replace(
        new_tracker(shape, len(LEVELS)), shift=np.tile(_laplace(), (*shape, 1))
    )
    return ReferenceState(np.zeros(shape), np.zeros(shape), tracker)


def reference_quantiles(points: FloatArray, state: ReferenceState) -> FloatArray:
    """Quantiles (n, references, levels) around points (n, references); NaN where the point or its
    errors are unknown."""
    scale = _scale(state)
    made = points[:, :, None] + scale[:, :, None] * state.tracker.shift
    return np.asarray(np.maximum(np.sort(made, axis=2), 0.0))


def learn_references(
    state: ReferenceState, points: FloatArray, outcome: FloatArray, elapsed_s: float
) -> ReferenceState:
    """Take in what became of one origin's points (n, references); unknown ones change nothing."""
    error = outcome[:, None] - points
    scale = _scale(state)
    judged = np.isfinite(error) & (scale > 0)
    units = np.where(judged, error / np.where(judged, scale, 1.0), np.nan)
    missed = np.clip(np.repeat(units[:, :, None], len(LEVELS), axis=2), -SHIFT_MAX, SHIFT_MAX)
    known = np.isfinite(error)
    decay = np.where(known, 0.5 ** (elapsed_s / SCALE_HALF_LIFE_S), 1.0)
    return ReferenceState(
        decay * state.error + np.where(known, np.abs(error), 0.0),
        decay * state.weight + known,
        state.tracker.learn(missed, LEVELS, RATE, MEDIAN),
    )


def _scale(state: ReferenceState) -> FloatArray:
    known = state.weight > 0
    return np.where(known, state.error / np.where(known, state.weight, 1.0), np.nan)


def _laplace() -> FloatArray:
    """Quantiles of errors whose mean size is one, if they were Laplace's: where tracking begins."""
    tail = np.minimum(LEVELS, 1.0 - LEVELS)
    return np.asarray(-np.sign(LEVELS - 0.5) * np.log(2.0 * tail))
