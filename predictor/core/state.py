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
from predictor.core.line_fit import LINE_WIDTH

LEAD_SAMPLES_MAX = 16
USAGE_SLOTS = 24
"""Loads at which usage is remembered, of each target; `predictor/core/capacity` fills them."""


class TargetState(msgspec.Struct, frozen=True):
    """Columns of shape (n,), one row per target of `keys`; NaN is "never" or "not known".

    `floor_seen` is the floor last observed, `raised_at_s` and `released_at_s` when it last moved;
    `intent_floor` and `intent_at_s` what was last asked for. `shadow_floor` is where the floor
    would stand if every decision since the start had been carried out: in shadow it runs ahead of
    the cluster, in active operation the two agree. `pending_floor` and `pending_since_s` are a
    raise whose pods are not Ready yet; `lead_samples_s`, shape (n, LEAD_SAMPLES_MAX), the newest
    measured lead times, newest first. `pending_scale_up` (replicas), `scale_up_since_s` and
    `scale_up_samples_s` are the same of scale-ups that the HPA made by itself. `lead_former_s` is
    the lead time before the pod template last changed, `template_seen` a number for the template.

    `ready_seen` and `spec_seen` are the pods last observed, at `looked_at_s`; they stand since
    `pods_since_s`. Since `unready_since_s` too few of those asked for are Ready, and never more
    than `ready_most` were; since `none_ready_since_s` none is. `ready_low` are the fewest Ready
    pods since `ready_low_since_s`, and `ready_low_before` those of the stretch before
    (`load_by_metrics.py`). `demand_smoothed_per_s` is demand as a CPU reading averages it.

    `usage_rates_per_s`, shape (n, USAGE_SLOTS), are loads of a pod in requests per second,
    `usage_readings` its CPU there (percent of its request, or cores: `usage_metric_seen` is a
    number for which) and `response_readings_s` the response times. `usage_line` and
    `response_line`, shape (n, LINE_WIDTH), are what was fitted to them (`line_fit.py`).
    `is_former_line` is 1 where the usage line is of pods before the template changed, and
    `cost_ratio` what requests cost since, over that. `rate_learned_per_s` is the smoothed rate per
    pod in proportion to usage, `rate_readings` how many readings it rests on, and
    `rate_former_per_s` the same of the pods before.
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
    rate_former_per_s: FloatArray
    lead_samples_s: FloatArray
    lead_former_s: FloatArray
    pending_scale_up: FloatArray
    scale_up_since_s: FloatArray
    scale_up_samples_s: FloatArray
    template_seen: FloatArray
    looked_at_s: FloatArray
    ready_seen: FloatArray
    spec_seen: FloatArray
    pods_since_s: FloatArray
    unready_since_s: FloatArray
    ready_most: FloatArray
    none_ready_since_s: FloatArray
    ready_low: FloatArray
    ready_low_before: FloatArray
    ready_low_since_s: FloatArray
    demand_smoothed_per_s: FloatArray
    usage_metric_seen: FloatArray
    usage_rates_per_s: FloatArray
    usage_readings: FloatArray
    response_readings_s: FloatArray
    usage_line: FloatArray
    response_line: FloatArray
    is_former_line: FloatArray
    cost_ratio: FloatArray


_WIDTHS = {
    "lead_samples_s": LEAD_SAMPLES_MAX,
    "scale_up_samples_s": LEAD_SAMPLES_MAX,
    "usage_rates_per_s": USAGE_SLOTS,
    "usage_readings": USAGE_SLOTS,
    "response_readings_s": USAGE_SLOTS,
    "usage_line": LINE_WIDTH,
    "response_line": LINE_WIDTH,
}
_WAITED_FROM = (
    "raised_at_s",
    "released_at_s",
    "shadow_raised_at_s",
    "shadow_released_at_s",
    "pods_since_s",
    "unready_since_s",
    "none_ready_since_s",
    "ready_low_since_s",
)
_MEASURED_FROM = {
    "intent_floor": "intent_at_s",
    "pending_floor": "pending_since_s",
    "pending_scale_up": "scale_up_since_s",
    "looked_at_s": "looked_at_s",
}
"""What is forgotten with the moment from which it counts."""


class RouteState(msgspec.Struct, frozen=True):
    """One routed module: regions in order, the weights it returns to, and when they last moved.

    `weights_by_hand` are those that somebody set in place of the configured home; empty: nobody.
    """

    module: str
    regions: tuple[str, ...]
    weights_home: tuple[int, ...]
    weights_seen: tuple[int, ...]
    moved_at_s: float | None = None
    weights_by_hand: tuple[int, ...] = ()


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
    if not keys:
        return _unknown(0)  # read back from a record, columns without a row have lost their width
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


def not_after(state: State, now_s: float) -> State:
    """The state without a moment after now: after a clock was set back none of them came to pass.

    Waits begin anew, and what was to be measured from such a moment is not measured.
    """
    targets = state.targets
    changes = {
        name: np.where(column > now_s, now_s, column)
        for name in _WAITED_FROM
        if ((column := getattr(targets, name)) > now_s).any()
    }
    for name, since in _MEASURED_FROM.items():
        is_ahead = getattr(targets, since) > now_s
        if is_ahead.any():
            changes[name] = np.where(is_ahead, np.nan, getattr(targets, name))
    started_at_s = None if state.started_at_s is None else min(state.started_at_s, now_s)
    routes = tuple(
        msgspec.structs.replace(route, moved_at_s=now_s)
        if route.moved_at_s is not None and route.moved_at_s > now_s
        else route
        for route in state.routes
    )
    if changes:
        targets = msgspec.structs.replace(targets, **changes)
    return msgspec.structs.replace(state, targets=targets, started_at_s=started_at_s, routes=routes)


def _unknown(rows: int) -> TargetState:
    columns = {name: np.full(rows, np.nan) for name in TargetState.__struct_fields__}
    for name, width in _WIDTHS.items():
        columns[name] = np.full((rows, width), np.nan)
    columns["rate_readings"], columns["is_former_line"] = np.zeros(rows), np.zeros(rows)
    return TargetState(**columns)
