"""Which targets do not get what was decided for them, and by which code: what a person is told.

`predictor/tick_loop.py` asks once a tick and `predictor/telemetry.py` shows it. Pure. It must never
tell of what is as it should be (shadow mode, a step limit, a floor at its baseline).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from models.series import ALL_REGIONS
from predictor.core.cluster import (
    FloorIntent,
    HpaView,
    NotApplied,
    Outcome,
    TargetKey,
    WeightIntent,
)
from predictor.core.decision import Decision
from predictor.core.opt_in import FIELD_MANAGER
from predictor.core.reasons import Code

HELD_BACK = frozenset(
    {
        Code.TARGET_MISSING,
        Code.SCALED_TO_ZERO,
        Code.AMBIGUOUS_SELECTOR,
        Code.NOT_OPTED_IN,
        Code.PAUSED,
        Code.ANNOTATION_UNREADABLE,
        Code.SCALED_OBJECT,
        Code.OTHER_CONTROLLER,
        Code.VERTICAL_AUTOSCALER,
        Code.REPLACED,
        Code.STALE_READ,
        Code.SWITCHED_OFF,
        Code.NOT_GUARDED,
        Code.NOT_FENCED,
        Code.CLOCK_SKEW,
        Code.CONFLICT,
        Code.REFUSED,
        Code.FORBIDDEN,
        Code.UNREACHABLE,
        Code.CAPACITY_BLOCKED,
        Code.METRICS_FAILING,
        Code.NO_RATE_PER_POD,
        Code.BASELINE_UNKNOWN,
        Code.ROUTE_NOT_FOUND,
        Code.ROUTE_UNUSABLE,
        Code.FLEET_BUDGET,
        Code.SHARED_RESOURCE,
    }
)
"""Codes that somebody may have to do something about."""

Outcomes = Sequence[tuple[TargetKey, Outcome]]


def held_back(decision: Decision, outcomes: Outcomes) -> frozenset[tuple[TargetKey, Code]]:
    """Each target with each such code, of the decision or of a write that was not made.

    A route stands under the region of all, as its writes do.
    """
    found = {(row.key, reason.code) for row in decision.floors for reason in row.reasons}
    found |= {
        (TargetKey(row.module, ALL_REGIONS), reason.code)
        for row in decision.weights
        for reason in row.reasons
    }
    found |= {
        (key, outcome.reason.code) for key, outcome in outcomes if isinstance(outcome, NotApplied)
    }
    return frozenset(pair for pair in found if pair[1] in HELD_BACK)


def writes(
    decision: Decision, outcomes: Outcomes, hpas: Iterable[HpaView]
) -> Counter[tuple[str, str]]:
    """How many writes of each kind were taken, and how many were not; outcomes follow intents.

    `hpas` are what was decided on: a raise of a field that was not ours yet is an adoption.
    """
    ours = {hpa.key for hpa in hpas if hpa.floor_manager == FIELD_MANAGER}
    intents: Iterable[FloorIntent | WeightIntent] = (
        *decision.floor_intents,
        *decision.weight_intents,
    )
    return Counter(
        (_kind(intent, ours), "not_applied" if isinstance(outcome, NotApplied) else "applied")
        for intent, (_, outcome) in zip(intents, outcomes, strict=True)
    )


def _kind(intent: FloorIntent | WeightIntent, ours: AbstractSet[TargetKey]) -> str:
    if isinstance(intent, WeightIntent):
        return "weights"
    if intent.floor == intent.floor_now:
        return "renewal"
    if intent.floor < intent.floor_now:
        return "release"
    return "raise" if intent.key in ours else "adoption"
