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

from dataclasses import dataclass, replace

import msgspec
import numpy as np

from models.series import FloatArray
from predictor.core.capacity import RatesPerPod, learn_rates, rates_per_pod, replicas_for
from predictor.core.decision import Decision
from predictor.core.floors import Sized, floor_decisions
from predictor.core.guardrails import Facts, IntArray, Rulings, allow, guard
from predictor.core.inputs import Inputs
from predictor.core.lead_time import lead_times, observe_raises
from predictor.core.policy import Policy
from predictor.core.reasons import Code, Reason
from predictor.core.routes import Routed, shares_now, spread_routes
from predictor.core.state import State, TargetState, aligned
from predictor.core.targets import Targets, lay_out


def decide(inputs: Inputs, policy: Policy, state: State, now_s: float) -> tuple[Decision, State]:
    """Decide every floor and every weight at `now_s` (epoch seconds), and what to remember.

    Whether anything is carried out is not decided here: in shadow the intents are only recorded.
    """
    now_s = float(now_s)  # a whole number is written otherwise, and the record read back as this
    number = state.number + 1
    targets = lay_out(inputs, policy)
    share_now = shares_now(targets, inputs.cluster.routes, policy)
    memory = _look(targets, aligned(state, targets.keys), share_now, now_s)
    rates = rates_per_pod(targets.hpas, targets.policy, memory, policy.request_rate_metrics)
    routed = spread_routes(
        targets,
        rates,
        inputs.cluster.routes,
        policy,
        state.routes,
        share_now=share_now,
        held=_weights_held(inputs, policy, state, now_s),
        number=number,
        now_s=now_s,
    )
    sized = _size(targets, rates, routed)
    facts = _facts(inputs, policy, state, targets=targets, memory=memory, now_s=now_s)
    rulings = guard(_wish(sized, targets, facts.floor_now), facts)
    shadow = _shadow(sized, targets, facts, memory)
    floors = floor_decisions(
        inputs,
        targets,
        sized,
        rulings,
        leads=lead_times(memory, targets.policy),
        rates=rates,
        number=number,
        shadow=shadow.floor,
    )
    decision = Decision(number, now_s, floors, routed.decisions)
    remembered = _remember(targets, memory, rulings, shadow, now_s)
    started_at_s = now_s if state.started_at_s is None else state.started_at_s
    return decision, State(number, started_at_s, targets.keys, remembered, routed.states)


@dataclass(frozen=True, slots=True)
class _Shadow:
    """Where floors would stand if all were carried out: before and after this decision."""

    before: IntArray
    floor: IntArray


def _look(
    targets: Targets, memory: TargetState, share_now: FloatArray, now_s: float
) -> TargetState:
    """Take in what the cluster shows: moved floors, Ready pods, what pods carry."""
    is_seen = targets.is_seen
    floor_now = np.where(is_seen, targets.floor_now, np.nan)
    is_foreign = (floor_now != memory.floor_seen) & is_seen & (floor_now != memory.shadow_floor)
    memory = observe_raises(
        memory, targets.policy, floor_now, np.where(is_seen, targets.ready_replicas, np.nan), now_s
    )
    memory = msgspec.structs.replace(
        memory,
        shadow_floor=np.where(is_foreign, floor_now, memory.shadow_floor),
        shadow_raised_at_s=np.where(is_foreign, memory.raised_at_s, memory.shadow_raised_at_s),
        shadow_released_at_s=np.where(
            is_foreign, memory.released_at_s, memory.shadow_released_at_s
        ),
    )
    return learn_rates(memory, targets.hpas, targets.complete.at(share_now))


def _size(targets: Targets, rates: RatesPerPod, routed: Routed) -> Sized:
    """Replicas for the forecast and for what is seen, before any guardrail."""
    share, rate = routed.share_sized, rates.planned(targets.policy)
    peak = targets.peak.at(share)
    path = np.fmax(targets.path.at(share), peak)
    observed = np.fmax(targets.complete.at(share), targets.provisional.at(share))
    return Sized(
        demand_per_s=np.fmax(
            targets.complete.at(routed.share_now), targets.provisional.at(routed.share_now)
        ),
        observed_per_s=observed,
        peak_per_s=peak,
        path_per_s=path,
        for_peak=replicas_for(peak, rate),
        for_path=replicas_for(path, rate),
        for_observed=replicas_for(observed, rate),
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
    state: State,
    *,
    targets: Targets,
    memory: TargetState,
    now_s: float,
) -> Facts:
    since_start_s = 0.0 if state.started_at_s is None else now_s - state.started_at_s
    # Silence from the start counts from the start, and is never fresh.
    silent_s = max(since_start_s, policy.telemetry_stale_after_s + policy.tick_s)
    age_s, lag_s = inputs.telemetry_age_s, inputs.lag_s
    return Facts(
        now_s=now_s,
        floor_now=targets.floor_now,
        baseline=targets.baseline,
        replicas_max=targets.max_replicas,
        replicas=targets.replicas,
        asked_by_metrics=targets.asked_by_metrics,
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
        started_at_s=state.started_at_s,
        warm_up_s=policy.warm_up_s,
        policy=targets.policy,
    )


def _shadow(sized: Sized, targets: Targets, facts: Facts, memory: TargetState) -> _Shadow:
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
    return _Shadow(floor, after)


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
    targets: Targets, memory: TargetState, rulings: Rulings, shadow: _Shadow, now_s: float
) -> TargetState:
    changes = rulings.allowed != targets.floor_now
    changes[list(targets.left_alone)] = False
    raised, released = shadow.floor > shadow.before, shadow.floor < shadow.before
    return msgspec.structs.replace(
        memory,
        intent_floor=np.where(changes, rulings.allowed, np.nan),
        intent_at_s=np.where(changes, now_s, np.nan),
        shadow_floor=np.where(targets.is_seen, shadow.floor, memory.shadow_floor),
        shadow_raised_at_s=np.where(raised, now_s, memory.shadow_raised_at_s),
        shadow_released_at_s=np.where(released, now_s, memory.shadow_released_at_s),
    )
