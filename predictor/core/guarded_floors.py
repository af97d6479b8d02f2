"""Takes what demand asks of each floor through every rule: guardrails, budgets, expiry.

`predictor/core/decide.py` calls it once demand is sized. The floor that stands in the cluster and
the one that would stand there if every decision had been carried out go the same way, side by side.
Nothing here may size anything.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.series import FloatArray
from predictor.core.blocked_pods import blocked_rows
from predictor.core.fleet_floors import FleetFloors, ShadowWalk, fleet_floors
from predictor.core.floors import Sized
from predictor.core.guardrails import Facts, IntArray, allow, guard
from predictor.core.inputs import Inputs
from predictor.core.load_by_metrics import load_by_metrics
from predictor.core.policy import Policy
from predictor.core.state import TargetState
from predictor.core.targets import Targets


def guarded_floors(
    inputs: Inputs,
    policy: Policy,
    targets: Targets,
    sized: Sized,
    *,
    memory: TargetState,
    blocked: dict[int, str],
    started_at_s: float | None,
    now_s: float,
) -> FleetFloors:
    """What is left of the wishes, with every reason; `started_at_s` is None in the first decision.

    `blocked` says of rows what keeps their pods from becoming Ready.
    """
    facts = _facts(
        inputs,
        policy,
        targets,
        sized,
        memory=memory,
        blocked=blocked,
        started_at_s=started_at_s,
        now_s=now_s,
    )
    return fleet_floors(
        guard(_wish(sized, targets, facts.floor_now), facts),
        _shadow(sized, targets, facts, memory),
        targets,
        memory,
        policy,
        is_sized=np.isfinite(sized.rate_per_s),
        now_s=now_s,
        is_first=started_at_s is None,
    )


def blocked_targets(targets: Targets, memory: TargetState, now_s: float) -> dict[int, str]:
    """Rows whose pods do not become Ready, with the sentence that says so."""
    asked = np.minimum(targets.floor_now, targets.replicas)
    return blocked_rows(
        targets.blocked,
        memory,
        targets.policy,
        asked=asked,
        ready=targets.ready_replicas,
        now_s=now_s,
    )


def _wish(sized: Sized, targets: Targets, floor: IntArray) -> IntArray:
    """What demand asks of a floor that stands here; where nothing is known, that it stays."""
    needed = np.fmax(sized.for_peak, sized.for_observed)
    kept = np.minimum(np.fmax(needed, sized.for_path), floor)
    wanted = np.fmax(needed, kept)
    wanted = np.where(np.isfinite(wanted), np.fmax(wanted, targets.baseline), floor)
    wanted[list(targets.left_alone)] = floor[list(targets.left_alone)]
    return wanted.astype(np.int64)


def _facts(
    inputs: Inputs,
    policy: Policy,
    targets: Targets,
    sized: Sized,
    *,
    memory: TargetState,
    blocked: dict[int, str],
    started_at_s: float | None,
    now_s: float,
) -> Facts:
    since_start_s = 0.0 if started_at_s is None else now_s - started_at_s
    # Silence from the start counts from the start, and is never fresh.
    silent_s = max(since_start_s, policy.telemetry_stale_after_s + policy.tick_s)
    age_s, lag_s = inputs.telemetry_age_s, inputs.lag_s
    return Facts(
        now_s=now_s,
        floor_now=targets.floor_now,
        baseline=targets.baseline,
        ceiling=targets.ceiling,
        replicas_max=targets.max_replicas,
        replicas=targets.replicas,
        asked_by_metrics=targets.asked_by_metrics,
        needed_now=sized.for_observed,
        corroborated=_corroborated(sized, targets, memory, policy),
        paused=targets.paused,
        blocked=blocked,
        metrics_failing=targets.metrics_failing,
        metrics_failing_s=now_s - targets.metrics_failing_since_s,
        metrics_failing_hold_s=policy.metrics_failing_hold_s,
        raised_at_s=memory.raised_at_s,
        released_at_s=memory.released_at_s,
        demand_known=np.isfinite(targets.complete.own + targets.complete.unpinned),
        incomplete=inputs.incomplete,
        telemetry_age_s=silent_s if age_s is None else age_s,
        telemetry_seen=age_s is not None,
        lag_s=silent_s if lag_s is None else lag_s,
        slowest=inputs.slowest,
        lag_max_s=policy.lag_max_s,
        telemetry_stale_after_s=policy.telemetry_stale_after_s,
        telemetry_handback_after_s=policy.telemetry_handback_after_s,
        started_at_s=started_at_s,
        warm_up_s=policy.warm_up_s,
        policy=targets.policy,
    )


def _corroborated(
    sized: Sized, targets: Targets, memory: TargetState, policy: Policy
) -> FloatArray:
    """Replicas that something beside the forecast accounts for: load of now, or the usual peak.

    Load is what the HPA's own metrics show, where they can be read: events can be forged.
    """
    shown = load_by_metrics(targets.load_ratios, memory)
    is_shown = np.isfinite(shown) & policy.corroborate_by_metrics
    load = np.where(is_shown, shown, sized.for_observed)
    corroborated: FloatArray = np.fmax(load, sized.for_usual)
    return corroborated


def _shadow(sized: Sized, targets: Targets, facts: Facts, memory: TargetState) -> ShadowWalk:
    """The same rules on the floor that stands where all earlier decisions would have put it."""
    before = np.where(np.isfinite(memory.shadow_floor), memory.shadow_floor, targets.floor_now)
    floor = before.astype(np.int64)
    ahead = replace(
        facts,
        floor_now=floor,
        raised_at_s=memory.shadow_raised_at_s,
        released_at_s=memory.shadow_released_at_s,
    )
    after = allow(_wish(sized, targets, floor), ahead)
    after[list(targets.left_alone)] = floor[list(targets.left_alone)]
    return ShadowWalk(floor, after)
