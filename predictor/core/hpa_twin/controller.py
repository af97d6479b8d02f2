"""One sync of the HPA controller, as a pure function.

The cluster model calls `sync` every `ControllerFlags.sync_s`; `predictor/hpa_conformance.py` holds
it against the real controller's own record. The steps stand in the controller's order: bounds, then
metrics, then stabilisation, then limits. It must never know what the workload needs: it sees what
the controller sees.

Source: `reconcileAutoscaler`, `normalizeDesiredReplicas` and
`normalizeDesiredReplicasWithBehaviors` in `horizontal.go`.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from predictor.core.hpa_twin.metric_replicas import Asked, asked_by_metrics
from predictor.core.hpa_twin.observation import Observation
from predictor.core.hpa_twin.rate_limits import (
    scale_down_limit,
    scale_up_limit,
    scale_up_limit_without_behavior,
)
from predictor.core.hpa_twin.scaling_rules import ScalingRules
from predictor.core.hpa_twin.spec import DEFAULT_FLAGS, ControllerFlags, HpaSpec
from predictor.core.hpa_twin.stabilisation import (
    Stabilised,
    stabilised_by_flag,
    stabilised_with_rules,
)
from predictor.core.hpa_twin.state import HpaState, begun, new_hpa_state, with_event

__all__ = ["HpaState", "Limit", "Sync", "new_hpa_state", "sync"]


class Limit(enum.StrEnum):
    """What kept the replicas from being what the metrics asked for."""

    NONE = "none"
    ABOVE_MAX = "above max"
    """More replicas than maxReplicas: down to it, no metric was read."""
    BELOW_MIN = "below min"
    """Fewer replicas than minReplicas: up to it, no metric was read."""
    SCALED_TO_ZERO = "scaled to zero"
    """Zero replicas that the HPA did not set itself: it is switched off."""
    METRICS_FAILED = "metrics failed"
    """No metric can be computed, or some failed and the others would scale down."""
    SCALE_UP_STABILISED = "scale-up stabilised"
    SCALE_DOWN_STABILISED = "scale-down stabilised"
    SCALE_UP_RATE = "scale-up rate"
    SCALE_DOWN_RATE = "scale-down rate"
    MAX_REPLICAS = "maxReplicas"
    MIN_REPLICAS = "minReplicas"


class Sync(NamedTuple):
    """What one sync did.

    `replicas` is `spec.replicas` after it; `recommended` what the metrics asked for, None where
    none was computed; `error` what failed, also where it scaled all the same.
    """

    replicas: int
    recommended: int | None
    state: HpaState
    error: str | None
    limited_by: Limit


def sync(
    spec: HpaSpec,
    observation: Observation,
    state: HpaState,
    now_s: float,
    flags: ControllerFlags = DEFAULT_FLAGS,
) -> Sync:
    """Bring the target one step towards its metrics; `now_s` must not go back between syncs.

    Bounds come first: outside of them no metric is read and no recommendation remembered, but the
    jump is a scale event like any other.
    """
    replicas = observation.replicas
    state = begun(state, replicas, now_s)
    if replicas == 0:
        if not _may_leave_zero(spec, observation, state, flags):
            return Sync(0, None, state, None, Limit.SCALED_TO_ZERO)
    elif replicas > observation.replicas_max:
        limited = Sync(observation.replicas_max, None, state, None, Limit.ABOVE_MAX)
        return _recorded(limited, spec, observation, now_s, flags)
    elif replicas < observation.replicas_min:
        limited = Sync(observation.replicas_min, None, state, None, Limit.BELOW_MIN)
        return _recorded(limited, spec, observation, now_s, flags)
    asked = asked_by_metrics(spec, observation, now_s, flags)
    if asked.replicas is None:
        return Sync(replicas, None, state, asked.error, Limit.METRICS_FAILED)
    done = _normalised(spec, observation, state, asked, now_s=now_s, flags=flags)
    return done if done.replicas == replicas else _recorded(done, spec, observation, now_s, flags)


def _may_leave_zero(
    spec: HpaSpec, observation: Observation, state: HpaState, flags: ControllerFlags
) -> bool:
    """Only from a zero that the HPA itself made (`shouldComputeMetricsForZeroReplicas`)."""
    if not (flags.scale_to_zero and state.scaled_to_zero):
        return False
    return observation.replicas_min != 0 or spec.can_scale_from_zero


def _normalised(
    spec: HpaSpec,
    observation: Observation,
    state: HpaState,
    asked: Asked,
    *,
    now_s: float,
    flags: ControllerFlags,
) -> Sync:
    replicas, wanted = observation.replicas, max(asked.replicas or 0, 0)
    up, down = spec.scale_up, spec.scale_down
    if up is None or down is None:
        held = stabilised_by_flag(wanted, state, now_s, flags)
        allowed, limit = _within_old_rules(held.replicas, observation)
    else:
        held = stabilised_with_rules(replicas, wanted, state, (up, down), now_s=now_s, flags=flags)
        allowed, limit = _within_rates(held.replicas, observation, state, (up, down), now_s)
    if replicas == 0 and allowed < observation.replicas_min:
        allowed, limit = observation.replicas_min, Limit.MIN_REPLICAS
    if limit is Limit.NONE and held.replicas != wanted:
        is_up = wanted >= replicas
        limit = Limit.SCALE_UP_STABILISED if is_up else Limit.SCALE_DOWN_STABILISED
    return Sync(allowed, wanted, _remembering(state, held), asked.error, limit)


def _within_old_rules(wanted: int, observation: Observation) -> tuple[int, Limit]:
    most = observation.replicas_max
    limit = Limit.MAX_REPLICAS
    rate = scale_up_limit_without_behavior(observation.replicas)
    if most > rate:
        most, limit = rate, Limit.SCALE_UP_RATE
    if wanted < observation.replicas_min:
        return observation.replicas_min, Limit.MIN_REPLICAS
    if wanted > most:
        return most, limit
    return wanted, Limit.NONE


def _within_rates(
    wanted: int,
    observation: Observation,
    state: HpaState,
    rules: tuple[ScalingRules, ScalingRules],
    now_s: float,
) -> tuple[int, Limit]:
    replicas = observation.replicas
    up, down = rules
    if wanted > replicas:
        most = scale_up_limit(replicas, state.raises, state.falls, up, now_s)
        if wanted > min(most, observation.replicas_max):
            if most < observation.replicas_max:
                return most, Limit.SCALE_UP_RATE
            return observation.replicas_max, Limit.MAX_REPLICAS
    elif wanted < replicas:
        fewest = scale_down_limit(replicas, state.raises, state.falls, down, now_s)
        if wanted < max(fewest, observation.replicas_min):
            if fewest > observation.replicas_min:
                return fewest, Limit.SCALE_DOWN_RATE
            return observation.replicas_min, Limit.MIN_REPLICAS
    return wanted, Limit.NONE


def _remembering(state: HpaState, held: Stabilised) -> HpaState:
    return HpaState(
        True, held.highest, held.lowest, state.raises, state.falls, state.scaled_to_zero
    )


def _recorded(
    done: Sync, spec: HpaSpec, observation: Observation, now_s: float, flags: ControllerFlags
) -> Sync:
    """The change becomes a scale event, and whether it led to zero is noted on the HPA."""
    state = done.state
    raises, falls = state.raises, state.falls
    change = done.replicas - observation.replicas
    if spec.scale_up is not None and change > 0:
        raises = with_event(raises, change, now_s, spec.scale_up.longest_period_s)
    elif spec.scale_down is not None and change < 0:
        falls = with_event(falls, -change, now_s, spec.scale_down.longest_period_s)
    scaled_to_zero = (
        flags.scale_to_zero
        and done.replicas == 0
        and observation.replicas_min == 0
        and spec.can_scale_from_zero
    )
    state = HpaState(True, state.highest, state.lowest, raises, falls, scaled_to_zero)
    return Sync(done.replicas, done.recommended, state, done.error, done.limited_by)
