"""The rules that stand between a wish and a floor: one function per rule, on arrays.

`predictor/core/decide.py` applies them in the order of `GUARDRAILS`. Every rule runs, every reason
is kept, and each rule is safe on its own: it relies on no other having run. The last ones are the
strongest: whatever came before, a floor leaves here between baseline and maxReplicas. A rule must
never look at anything but the wish and the facts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray
from predictor.core.policy_rows import PolicyRows
from predictor.core.reasons import Code, Reason

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

BASELINE_UNKNOWN = 0
"""Stands in `Facts.baseline` where nobody knows what the owner declared; no real baseline is 0."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules may look at; arrays of shape (n,), replicas or epoch seconds (NaN: never).

    `replicas` is the Deployment's `spec.replicas`, `asked_by_metrics` what the HPA's own metrics
    ask for as far as its status says. `incomplete` says what telemetry is missing (empty: nothing);
    `demand_known` is False where no whole step of a row's demand is known. `lag_s` is the age of
    the newest demand that is whole, never less than `telemetry_age_s`, and `slowest` the input that
    it waits for. Before the first report `telemetry_seen` is False and both ages count from the
    start.
    """

    now_s: float
    floor_now: IntArray
    baseline: IntArray
    replicas_max: IntArray
    replicas: IntArray
    asked_by_metrics: IntArray
    raised_at_s: FloatArray
    released_at_s: FloatArray
    demand_known: BoolArray
    incomplete: str
    telemetry_age_s: float
    telemetry_seen: bool
    lag_s: float
    slowest: str
    lag_max_s: float
    telemetry_stale_after_s: float
    telemetry_handback_after_s: float
    started_at_s: float | None
    warm_up_s: float
    policy: PolicyRows


class Guardrail(NamedTuple):
    """A rule: its code, what it allows, and the sentence for a row that it changed."""

    code: Code
    allow: Callable[[IntArray, Facts], IntArray]
    sentence: Callable[[int, int, int, Facts], str]
    """Called with (row, wish, allowed, facts)."""


class Rulings(NamedTuple):
    """What the rules left of a wish, shape (n,), and the reasons of the rows they changed."""

    allowed: IntArray
    reasons: dict[int, tuple[Reason, ...]]


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
    if facts.incomplete and _is_handed_back(facts):
        limit_s = facts.telemetry_handback_after_s
        sentence = (
            f"{facts.incomplete}; whole demand is {facts.lag_s:.0f} s old, limit {limit_s:.0f} s: "
            "released to what is still seen"
        )
        for row in np.flatnonzero(allowed < facts.floor_now).tolist():
            told = reasons.get(row, ())
            reasons[row] = (*told, Reason(Code.INCOMPLETE_TELEMETRY, sentence))
    return Rulings(allowed, reasons)


def allow(wish: IntArray, facts: Facts) -> IntArray:
    """What all rules leave of a wish, without a word about why."""
    for rule in GUARDRAILS:
        wish = rule.allow(wish, facts)
    return wish


def hold_on_stale_telemetry(wish: IntArray, facts: Facts) -> IntArray:
    """Silence is not zero demand: hold, and after a longer silence go back to the baseline."""
    if facts.telemetry_age_s <= facts.telemetry_stale_after_s:
        return wish
    if facts.telemetry_age_s <= facts.telemetry_handback_after_s:
        return facts.floor_now
    known = facts.baseline != BASELINE_UNKNOWN
    return np.where(known, np.minimum(facts.baseline, facts.floor_now), facts.floor_now)


def incomplete_telemetry_never_lowers(wish: IntArray, facts: Facts) -> IntArray:
    """A part of the demand is not a drop in demand.

    Not for ever: a partition that is lost for good is handed back like all telemetry would be, and
    then the HPA sees the load that nobody counts.
    """
    is_whole = facts.demand_known & (not facts.incomplete)
    if _is_handed_back(facts):
        return wish
    return np.where(is_whole, wish, np.maximum(wish, facts.floor_now))


def lagging_telemetry_never_lowers(wish: IntArray, facts: Facts) -> IntArray:
    """What was asked for some time ago says nothing of a drop since; while catching up, hold."""
    if facts.lag_s <= facts.lag_max_s or _is_handed_back(facts):
        return wish
    return np.maximum(wish, facts.floor_now)


def baseline_unknown_never_lowers(wish: IntArray, facts: Facts) -> IntArray:
    """Nobody may lower a floor without knowing how far its owner would let it fall."""
    known = facts.baseline != BASELINE_UNKNOWN
    return np.where(known, wish, np.maximum(wish, facts.floor_now))


def warming_up_never_lowers(wish: IntArray, facts: Facts) -> IntArray:
    """A service that has just started has not seen enough to take anything away."""
    if _is_warm(facts):
        return wish
    return np.maximum(wish, facts.floor_now)


def hold_after_raise(wish: IntArray, facts: Facts) -> IntArray:
    """What was just raised stays for a while, so that a floor does not flap."""
    held = facts.now_s - facts.raised_at_s < facts.policy.hold_after_raise_s
    return np.where(held, np.maximum(wish, facts.floor_now), wish)


def limit_step_up(wish: IntArray, facts: Facts) -> IntArray:
    """A floor bypasses the HPA's scale-up policies, so the service keeps a pace of its own."""
    is_early = facts.now_s - facts.raised_at_s < facts.policy.step_up_interval_s
    highest = np.where(is_early, facts.floor_now, facts.floor_now + _step_up(facts))
    return np.minimum(wish, np.maximum(highest, facts.floor_now))


def metrics_that_ask_more_go_first(wish: IntArray, facts: Facts) -> IntArray:
    """A raise above the running replicas takes one sync from the HPA's metrics.

    The controller jumps to minReplicas before it looks at any metric (v1.37, `horizontal.go`,
    `reconcileAutoscaler`), so a jump to less than they ask for would leave fewer pods for a sync
    than no floor would. Then the floor goes no further than the pods there are.
    """
    asked = np.minimum(facts.asked_by_metrics, facts.replicas_max)
    falls_short = (wish > facts.replicas) & (wish < asked)
    least = np.minimum(np.maximum(facts.floor_now, facts.replicas), wish)
    return np.where(falls_short, least, wish)


def release_in_steps(wish: IntArray, facts: Facts) -> IntArray:
    """An HPA follows a lowered floor in one step, so the floor is lowered in small ones."""
    is_early = facts.now_s - facts.released_at_s < facts.policy.release_interval_s
    lowest = np.where(is_early, facts.floor_now, facts.floor_now - _step_down(facts))
    return np.maximum(wish, np.minimum(lowest, facts.floor_now))


def never_below_baseline(wish: IntArray, facts: Facts) -> IntArray:
    """The owner's minReplicas is the least there is."""
    return np.maximum(wish, facts.baseline)


def stay_within_max(wish: IntArray, facts: Facts) -> IntArray:
    """The owner's maxReplicas is the most there is; the API server refuses a floor above it."""
    return np.minimum(wish, facts.replicas_max)


def first_decision_changes_nothing(wish: IntArray, facts: Facts) -> IntArray:
    """After a start the first look at the world is a look only."""
    return facts.floor_now if facts.started_at_s is None else wish


def _say_stale(row: int, wish: int, allowed: int, facts: Facts) -> str:
    age = (
        f"the newest telemetry is {facts.telemetry_age_s:.0f} s old"
        if facts.telemetry_seen
        else f"no telemetry has arrived for {facts.telemetry_age_s:.0f} s"
    )
    if facts.telemetry_age_s > facts.telemetry_handback_after_s:
        limit_s = facts.telemetry_handback_after_s
        return f"{age}, limit {limit_s:.0f} s; baseline {int(facts.baseline[row])}"
    return f"{age}, limit {facts.telemetry_stale_after_s:.0f} s; wanted {wish}, held {allowed}"


def _say_incomplete(row: int, wish: int, allowed: int, facts: Facts) -> str:
    missing = facts.incomplete or "no whole step of this target's demand is known"
    return f"{missing}; wanted {wish}, held {allowed}"


def _say_lagging(row: int, wish: int, allowed: int, facts: Facts) -> str:
    slowest = f", {facts.slowest}" if facts.slowest else ""
    return (
        f"the newest whole demand is {facts.lag_s:.0f} s old, limit {facts.lag_max_s:.0f} s"
        f"{slowest}; wanted {wish}, held {allowed}"
    )


def _say_baseline_unknown(row: int, wish: int, allowed: int, facts: Facts) -> str:
    return f"nobody knows the owner's minReplicas; wanted {wish}, held {allowed}"


def _say_warming_up(row: int, wish: int, allowed: int, facts: Facts) -> str:
    since_s = 0.0 if facts.started_at_s is None else facts.now_s - facts.started_at_s
    return f"started {since_s:.0f} s ago of {facts.warm_up_s:.0f} s; wanted {wish}, held {allowed}"


def _say_held(row: int, wish: int, allowed: int, facts: Facts) -> str:
    since_s = facts.now_s - facts.raised_at_s[row]
    limit_s = facts.policy.hold_after_raise_s[row]
    return f"raised {since_s:.0f} s ago, held for {limit_s:.0f} s; wanted {wish}, held {allowed}"


def _say_step_up(row: int, wish: int, allowed: int, facts: Facts) -> str:
    floor = int(facts.floor_now[row])
    if allowed > floor:
        return f"wanted {wish} replicas, at most {allowed} in one step from {floor}"
    since_s = facts.now_s - facts.raised_at_s[row]
    interval_s = facts.policy.step_up_interval_s[row]
    return (
        f"wanted {wish} replicas, raised to {floor} {since_s:.0f} s ago, raises are "
        f"{interval_s:.0f} s apart"
    )


def _say_metrics_first(row: int, wish: int, allowed: int, facts: Facts) -> str:
    asked, replicas = int(facts.asked_by_metrics[row]), int(facts.replicas[row])
    return (
        f"the HPA's metrics ask for {asked} replicas of {replicas}; a floor of {wish} would take "
        f"one sync from them; held {allowed}"
    )


def _say_release(row: int, wish: int, allowed: int, facts: Facts) -> str:
    floor = int(facts.floor_now[row])
    if allowed < floor:
        return f"wanted {wish} replicas, at least {allowed} in one step from {floor}"
    since_s = facts.now_s - facts.released_at_s[row]
    interval_s = facts.policy.release_interval_s[row]
    return (
        f"wanted {wish} replicas, released to {floor} {since_s:.0f} s ago, releases are "
        f"{interval_s:.0f} s apart"
    )


def _say_below_baseline(row: int, wish: int, allowed: int, facts: Facts) -> str:
    return f"wanted {wish} replicas, the baseline is {int(facts.baseline[row])}"


def _say_above_max(row: int, wish: int, allowed: int, facts: Facts) -> str:
    return f"wanted {wish} replicas, maxReplicas is {int(facts.replicas_max[row])}"


def _say_first(row: int, wish: int, allowed: int, facts: Facts) -> str:
    return f"the first decision after a start; wanted {wish}, left at {allowed}"


def _is_handed_back(facts: Facts) -> bool:
    return facts.lag_s > facts.telemetry_handback_after_s


def _is_warm(facts: Facts) -> bool:
    return facts.started_at_s is not None and facts.now_s - facts.started_at_s >= facts.warm_up_s


def _step_up(facts: Facts) -> IntArray:
    ratio = np.floor(facts.floor_now * facts.policy.step_up_ratio_max)
    return np.maximum(ratio, facts.policy.step_up_replicas_max).astype(np.int64)


def _step_down(facts: Facts) -> IntArray:
    ratio = np.ceil(facts.floor_now * facts.policy.release_step_ratio)
    return np.maximum(ratio, 1).astype(np.int64)


# Order of strength, weakest first: a later rule has the last word.
GUARDRAILS: tuple[Guardrail, ...] = (
    Guardrail(Code.STALE_TELEMETRY, hold_on_stale_telemetry, _say_stale),
    Guardrail(Code.INCOMPLETE_TELEMETRY, incomplete_telemetry_never_lowers, _say_incomplete),
    Guardrail(Code.LAGGING_TELEMETRY, lagging_telemetry_never_lowers, _say_lagging),
    Guardrail(Code.BASELINE_UNKNOWN, baseline_unknown_never_lowers, _say_baseline_unknown),
    Guardrail(Code.WARMING_UP, warming_up_never_lowers, _say_warming_up),
    Guardrail(Code.HELD_AFTER_RAISE, hold_after_raise, _say_held),
    Guardrail(Code.STEP_UP_LIMITED, limit_step_up, _say_step_up),
    Guardrail(Code.METRICS_ASK_MORE, metrics_that_ask_more_go_first, _say_metrics_first),
    Guardrail(Code.RELEASE_IN_STEPS, release_in_steps, _say_release),
    Guardrail(Code.BELOW_BASELINE, never_below_baseline, _say_below_baseline),
    Guardrail(Code.ABOVE_MAX_REPLICAS, stay_within_max, _say_above_max),
    Guardrail(Code.WARMING_UP, first_decision_changes_nothing, _say_first),
)
