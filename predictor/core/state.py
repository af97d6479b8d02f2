"""What one decision remembers for the next: bounded, serialisable, one row per target.

`predictor/core/decide.py` takes a state in and gives a new one out; nothing else may keep memory
between decisions. It is lost on a restart on purpose: the first decisions after a start change
nothing, and lower nothing until the warm-up is over.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from models.series import FloatArray
from predictor.core.cluster import TargetKey

LEAD_SAMPLES_MAX = 16


class TargetState(msgspec.Struct, frozen=True):
    """Columns of shape (n,), one row per target of `keys`; NaN is "never" or "not known".

    `floor_seen` is the floor last observed, `raised_at_s` and `released_at_s` when it last moved;
    `intent_floor` and `intent_at_s` what was last asked for. `shadow_floor` is where the floor
    would stand if every decision since the start had been carried out: in shadow it runs ahead of
    the cluster, in active operation the two agree. `pending_floor` and `pending_since_s` are a
    raise whose pods are not Ready yet; `lead_samples_s`, shape (n, LEAD_SAMPLES_MAX), the newest
    measured lead times, newest first. `rate_learned_per_s` is the smoothed rate per pod and
    `rate_readings` how many readings it rests on.
    """

    floor_seen: FloatArray
    raised_at_s: FloatArray
    released_at_s: FloatArray
    intent_floor: FloatArray
    intent_at_s: FloatArray
    shadow_floor: FloatArray
    shadow_raised_at_s: FloatArray
    shadow_released_at_s: FloatArray
    pending_floor: FloatArray
    pending_since_s: FloatArray
    rate_learned_per_s: FloatArray
    rate_readings: FloatArray
    lead_samples_s: FloatArray


class RouteState(msgspec.Struct, frozen=True):
    """One routed module: regions in order, the weights it returns to, and when they last moved."""

    module: str
    regions: tuple[str, ...]
    weights_home: tuple[int, ...]
    weights_seen: tuple[int, ...]
    moved_at_s: float | None = None


class State(msgspec.Struct, frozen=True):
    """Everything remembered. `number` counts decisions, `started_at_s` is the time of the first."""

    number: int
    started_at_s: float | None
    keys: tuple[TargetKey, ...]
    targets: TargetState
    routes: tuple[RouteState, ...] = ()


def new_state() -> State:
    """The state of a service that has decided nothing yet."""
    return State(number=0, started_at_s=None, keys=(), targets=_unknown(0))


def aligned(state: State, keys: Sequence[TargetKey]) -> TargetState:
    """The columns for these targets, in this order; a target not seen before is NaN everywhere."""
    if state.keys == tuple(keys):
        return state.targets
    place = {key: row for row, key in enumerate(state.keys)}
    known = [(row, place[key]) for row, key in enumerate(keys) if key in place]
    fresh = _unknown(len(keys))
    if known:
        own, before = np.array(known).T
        for name in TargetState.__struct_fields__:
            getattr(fresh, name)[own] = getattr(state.targets, name)[before]
    return fresh


def _unknown(rows: int) -> TargetState:
    columns = {name: np.full(rows, np.nan) for name in TargetState.__struct_fields__}
    columns["lead_samples_s"] = np.full((rows, LEAD_SAMPLES_MAX), np.nan)
    columns["rate_readings"] = np.zeros(rows)
    return TargetState(**columns)
