"""All of the decision is here; nothing here knows where its inputs came from or what becomes of it.

The service calls `decide` once per tick, a replay and every simulation call it the same way. It
reads no clock and no environment: the same inputs, policy, state and time give the same decision,
to the byte. It never assumes that an earlier decision was carried out; the cluster's own view says
so.

The theory. A floor must carry the demand of the window [now + lead time, now + lead time + hold],
because what is patched now serves then. So a target is sized for a high quantile of the window's
*peak*, divided by what one pod carries at the HPA's own target. Demand that is seen already, whole
or provisional, is never sized below, so a forecast alone takes nothing away; and a floor is not
released while a forecast step between now and the window still needs it, or the spike that it was
raised for would find it gone. Unpinned demand is one series for all regions, so weights come first
and floors are sized for the larger of the weight that is and the weight that is wanted. Guardrails
have the last word.
"""

from __future__ import annotations

import msgspec
import numpy as np

from models.series import FloatArray
from predictor.core.blocked_pods import gone_rows, observe_ready
from predictor.core.capacity import (
    Evidence,
    RatesPerPod,
    learn_rates,
    rates_per_pod,
    replicas_for,
)
from predictor.core.decision import Decision
from predictor.core.fleet_floors import FleetFloors
from predictor.core.floors import Sized, floor_decisions
from predictor.core.guarded_floors import blocked_targets, guarded_floors
from predictor.core.inputs import Inputs
from predictor.core.lead_time import PodsNow, known_lead_times_s, lead_times, observe_raises
from predictor.core.load_by_metrics import observe_pods
from predictor.core.metric_columns import MetricColumns, metric_columns
from predictor.core.pods_seen import look_at_pods, of_same_pods
from predictor.core.policy import Policy
from predictor.core.reasons import Code, Reason
from predictor.core.routes import Routed, shares_now, spread_routes
from predictor.core.state import State, TargetState, aligned, not_after
from predictor.core.targets import Targets, lay_out


def decide(inputs: Inputs, policy: Policy, state: State, now_s: float) -> tuple[Decision, State]:
    """Decide every floor and every weight at `now_s` (epoch seconds), and what to remember.

    Whether anything is carried out is not decided here: in shadow the intents are only recorded.
    """
    now_s = float(now_s)  # a whole number is written otherwise, and the record read back as this
    number = state.number + 1
    state = not_after(state, now_s)
    targets = lay_out(inputs, policy)
    share_now = shares_now(targets, inputs.cluster.routes, policy)
    metrics = metric_columns(targets.hpas, policy)
    memory = aligned(state, targets.keys)
    memory = _look(targets, metrics, memory, share_now, now_s=now_s, number=number)
    rates = rates_per_pod(metrics, targets.policy, memory, targets.most_at(share_now))
    blocked = blocked_targets(targets, memory, now_s)
    lead_s = lead_times(memory, targets.policy).lead_time_s
    routed = spread_routes(
        targets,
        rates,
        inputs.cluster.routes,
        policy,
        state.routes,
        blocked=blocked,
        gone=gone_rows(memory, lead_s, asked=targets.replicas, now_s=now_s),
        share_now=share_now,
        held=_weights_held(inputs, policy, state, now_s),
        number=number,
        now_s=now_s,
    )
    sized = _size(targets, rates, routed)
    fleet = guarded_floors(
        inputs,
        policy,
        targets,
        sized,
        memory=memory,
        blocked=blocked,
        started_at_s=state.started_at_s,
        now_s=now_s,
    )
    floors = floor_decisions(
        inputs,
        targets,
        sized,
        fleet,
        leads=lead_times(memory, targets.policy),
        rates=rates,
        evidence=Evidence.of(rates, memory, policy),
        number=number,
        expiry_s=policy.expiry_s,
        now_s=now_s,
    )
    decision = Decision(number, now_s, floors, routed.decisions)
    remembered = _remember(targets, memory, fleet, now_s)
    started_at_s = now_s if state.started_at_s is None else state.started_at_s
    return decision, State(number, started_at_s, targets.keys, remembered, routed.states)


def _look(
    targets: Targets,
    metrics: MetricColumns,
    memory: TargetState,
    share_now: FloatArray,
    *,
    now_s: float,
    number: int,
) -> TargetState:
    """Take in what the cluster shows: moved floors, Ready pods, what pods carry."""
    is_seen = targets.is_seen
    floor_now = np.where(is_seen, targets.floor_now, np.nan)
    is_foreign = (floor_now != memory.floor_seen) & is_seen & (floor_now != memory.shadow_floor)
    memory = of_same_pods(memory, metrics, known_lead_times_s(memory))
    pods = PodsNow(
        floor=floor_now,
        asked=np.where(is_seen, targets.replicas, np.nan),
        ready=np.where(is_seen, targets.ready_replicas, np.nan),
        blocked=np.array([bool(hpa and hpa.blocked) for hpa in targets.hpas], dtype=np.bool_),
    )
    memory = observe_raises(memory, targets.policy, pods, now_s)
    memory = observe_pods(memory, is_seen, targets.ready_replicas, now_s)
    memory = observe_ready(
        memory,
        is_seen,
        asked=np.minimum(targets.floor_now, targets.replicas),
        ready=targets.ready_replicas,
        now_s=now_s,
    )
    memory = msgspec.structs.replace(
        memory,
        shadow_floor=np.where(is_foreign, floor_now, memory.shadow_floor),
        shadow_raised_at_s=np.where(is_foreign, memory.raised_at_s, memory.shadow_raised_at_s),
        shadow_released_at_s=np.where(
            is_foreign, memory.released_at_s, memory.shadow_released_at_s
        ),
    )
    memory = look_at_pods(memory, metrics, targets.complete.at(share_now), now_s)
    return learn_rates(memory, metrics, now_s=now_s, number=number)


def _size(targets: Targets, rates: RatesPerPod, routed: Routed) -> Sized:
    """Replicas for the forecast and for what is seen, before any guardrail."""
    share, rate = routed.share_sized, rates.planned(targets.policy)
    peak = targets.peak.at(share)
    path = np.fmax(targets.path.at(share), peak)
    observed = np.fmax(targets.complete.at(share), targets.provisional.at(share))
    return Sized(
        rate_per_s=rate,
        demand_per_s=np.fmax(
            targets.complete.at(routed.share_now), targets.provisional.at(routed.share_now)
        ),
        observed_per_s=observed,
        peak_per_s=peak,
        path_per_s=path,
        for_peak=replicas_for(peak, rate),
        for_path=replicas_for(path, rate),
        for_observed=replicas_for(observed, rate),
        for_usual=replicas_for(targets.usual.at(share), rate),
    )


def _weights_held(inputs: Inputs, policy: Policy, state: State, now_s: float) -> Reason | None:
    """Why no weight may move now; None when they may."""
    age_s, limit_s = inputs.telemetry_age_s, policy.telemetry_stale_after_s
    if age_s is None:
        return Reason(Code.STALE_TELEMETRY, "no telemetry has arrived yet; weights are held")
    if age_s > limit_s:
        return Reason(
            Code.STALE_TELEMETRY,
            f"the newest telemetry is {age_s:.0f} s old, limit {limit_s:.0f} s; weights are held",
        )
    if inputs.incomplete:
        return Reason(Code.INCOMPLETE_TELEMETRY, f"{inputs.incomplete}; weights are held")
    if inputs.lag_s is None or inputs.lag_s > policy.lag_max_s:
        lag = "unknown" if inputs.lag_s is None else f"{inputs.lag_s:.0f} s old"
        return Reason(
            Code.LAGGING_TELEMETRY,
            f"the newest whole demand is {lag}, limit {policy.lag_max_s:.0f} s; weights are held",
        )
    since_s = 0.0 if state.started_at_s is None else now_s - state.started_at_s
    if state.started_at_s is None or since_s < policy.warm_up_s:
        return Reason(
            Code.WARMING_UP,
            f"started {since_s:.0f} s ago of {policy.warm_up_s:.0f} s; weights are held",
        )
    return None


def _remember(
    targets: Targets, memory: TargetState, fleet: FleetFloors, now_s: float
) -> TargetState:
    allowed, shadow = fleet.rulings.allowed, fleet.shadow
    changes = allowed != targets.floor_now
    raised, released = shadow.floor > shadow.before, shadow.floor < shadow.before
    return msgspec.structs.replace(
        memory,
        intent_floor=np.where(changes, allowed, np.nan),
        intent_at_s=np.where(changes, now_s, np.nan),
        shadow_floor=np.where(targets.is_seen, shadow.floor, memory.shadow_floor),
        shadow_raised_at_s=np.where(raised, now_s, memory.shadow_raised_at_s),
        shadow_released_at_s=np.where(released, now_s, memory.shadow_released_at_s),
    )
