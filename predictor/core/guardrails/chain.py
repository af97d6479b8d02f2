"""All rules in order, and what they leave of a wish."""

from __future__ import annotations

import numpy as np

from predictor.core.guardrails import (
    evidence_rules,
    owner_rules,
    pace_rules,
    telemetry_rules,
)
from predictor.core.guardrails.facts import Facts, Guardrail, IntArray, Rulings
from predictor.core.reasons import Code, Reason

# Order of strength, weakest first: a later rule has the last word.
GUARDRAILS: tuple[Guardrail, ...] = (
    Guardrail(
        Code.STALE_TELEMETRY,
        telemetry_rules.hold_on_stale_telemetry,
        telemetry_rules.say_stale,
    ),
    Guardrail(
        Code.INCOMPLETE_TELEMETRY,
        telemetry_rules.incomplete_telemetry_never_lowers,
        telemetry_rules.say_incomplete,
    ),
    Guardrail(
        Code.LAGGING_TELEMETRY,
        telemetry_rules.lagging_telemetry_never_lowers,
        telemetry_rules.say_lagging,
    ),
    Guardrail(
        Code.DEMAND_STILL_THERE,
        evidence_rules.demand_that_is_there_is_never_released,
        evidence_rules.say_still_there,
    ),
    Guardrail(
        Code.BASELINE_UNKNOWN,
        owner_rules.baseline_unknown_never_lowers,
        owner_rules.say_baseline_unknown,
    ),
    Guardrail(
        Code.WARMING_UP,
        telemetry_rules.warming_up_never_lowers,
        telemetry_rules.say_warming_up,
    ),
    Guardrail(Code.HELD_AFTER_RAISE, pace_rules.hold_after_raise, pace_rules.say_held),
    Guardrail(Code.PAUSED, owner_rules.paused_goes_home, owner_rules.say_paused),
    Guardrail(
        Code.NOT_CORROBORATED,
        evidence_rules.uncorroborated_demand_buys_little,
        evidence_rules.say_uncorroborated,
    ),
    Guardrail(
        Code.CAPACITY_BLOCKED,
        evidence_rules.blocked_pods_are_not_multiplied,
        evidence_rules.say_blocked,
    ),
    Guardrail(Code.STEP_UP_LIMITED, pace_rules.limit_step_up, pace_rules.say_step_up),
    Guardrail(
        Code.METRICS_ASK_MORE,
        pace_rules.metrics_that_ask_more_go_first,
        pace_rules.say_metrics_first,
    ),
    Guardrail(Code.RELEASE_IN_STEPS, pace_rules.release_in_steps, pace_rules.say_release),
    Guardrail(
        Code.METRICS_FAILING,
        evidence_rules.failing_metrics_never_lower,
        evidence_rules.say_metrics_failing,
    ),
    Guardrail(
        Code.BELOW_BASELINE, owner_rules.never_below_baseline, owner_rules.say_below_baseline
    ),
    Guardrail(Code.ABOVE_CEILING, owner_rules.stay_within_ceiling, owner_rules.say_above_ceiling),
    Guardrail(Code.ABOVE_MAX_REPLICAS, owner_rules.stay_within_max, owner_rules.say_above_max),
    Guardrail(
        Code.WARMING_UP,
        telemetry_rules.first_decision_changes_nothing,
        telemetry_rules.say_first,
    ),
)


def guard(wish: IntArray, facts: Facts) -> Rulings:
    """Apply all rules in order.

    A rule speaks where it would change the wish itself, also if an earlier rule already took more:
    a forecast over maxReplicas is worth knowing even while a step limit is what binds.
    """
    allowed = wish
    reasons: dict[int, tuple[Reason, ...]] = {}
    for rule in GUARDRAILS:
        alone = rule.allow(wish, facts)
        before, allowed = allowed, rule.allow(allowed, facts)
        for row in np.flatnonzero((alone != wish) | (allowed != before)).tolist():
            speaks_alone = alone[row] != wish[row]
            wanted = int(wish[row] if speaks_alone else before[row])
            given = int(alone[row] if speaks_alone else allowed[row])
            sentence = rule.sentence(row, wanted, given, facts)
            reasons[row] = (*reasons.get(row, ()), Reason(rule.code, sentence))
    if facts.incomplete and facts.is_handed_back:
        _say_what_is_handed_back(allowed, facts, reasons)
    for row in np.flatnonzero(
        evidence_rules.released_blindly(facts) & (allowed < facts.floor_now)
    ).tolist():
        sentence = evidence_rules.say_released_blindly(row, facts)
        reasons[row] = (*reasons.get(row, ()), Reason(Code.METRICS_FAILING, sentence))
    return Rulings(allowed, reasons)


def allow(wish: IntArray, facts: Facts) -> IntArray:
    """What all rules leave of a wish, without a word about why."""
    for rule in GUARDRAILS:
        wish = rule.allow(wish, facts)
    return wish


def _say_what_is_handed_back(
    allowed: IntArray, facts: Facts, reasons: dict[int, tuple[Reason, ...]]
) -> None:
    limit_s = facts.telemetry_handback_after_s
    sentence = (
        f"{facts.incomplete}; whole demand is {facts.lag_s:.0f} s old, limit {limit_s:.0f} s: "
        "released to what is still seen"
    )
    reason = Reason(Code.INCOMPLETE_TELEMETRY, sentence)
    for row in np.flatnonzero(allowed < facts.floor_now).tolist():
        reasons[row] = (*reasons.get(row, ()), reason)
