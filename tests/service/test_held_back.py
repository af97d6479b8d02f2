"""What a person is told of targets that do not get what was decided, and of writes by kind."""

from __future__ import annotations

from predictor.core.cluster import Applied, FloorIntent, NotApplied, TargetKey
from predictor.core.decision import Decision, FloorDecision
from predictor.core.opt_in import FIELD_MANAGER
from predictor.core.reasons import Code, Reason
from predictor.held_back import held_back, writes
from tests.core.core_values import an_hpa

CORE, PLAN = TargetKey("core", "eu"), TargetKey("plan", "eu")


def row(key: TargetKey, floor_now: int, floor: int, *reasons: Reason) -> FloorDecision:
    intent = FloorIntent(
        key=key, namespace="eu", name=key.module, uid="1", resource_version="1",
        floor_now=floor_now, floor=floor, decision_number=1, until_s=None, reason="", epoch=0,
    )  # fmt: skip
    return FloorDecision(
        key=key, floor_now=floor_now, floor_wanted=floor, floor=floor, floor_shadow=floor,
        demand_per_s=None, forecast_peak_per_s=None, quantile=0.9, lead_time_s=60.0,
        lead_time_source="prior", hold_s=600.0, rate_per_pod_per_s=None, rate_source="unknown",
        ready_replicas=None, baseline_replicas=None, max_replicas=None, reasons=reasons,
        intent=intent,
    )  # fmt: skip


def test_a_floor_that_somebody_took_is_told_with_its_target() -> None:
    decision = Decision(1, 0.0, (row(CORE, 3, 5), row(PLAN, 3, 5)), ())
    taken = NotApplied(Reason(Code.CONFLICT, "kubectl-edit set minReplicas"))

    told = held_back(decision, ((CORE, taken), (PLAN, Applied("2"))))

    assert told == {(CORE, Code.CONFLICT)}


def test_what_is_as_it_should_be_is_not_told() -> None:
    limited = Reason(Code.STEP_UP_LIMITED, "one step")
    blocked = Reason(Code.CAPACITY_BLOCKED, "quota")
    decision = Decision(1, 0.0, (row(CORE, 3, 5, limited, blocked),), ())
    shadow = NotApplied(Reason(Code.SHADOW, "nothing is written"))

    assert held_back(decision, ((CORE, shadow),)) == {(CORE, Code.CAPACITY_BLOCKED)}


def test_renewals_are_counted_apart_from_raises_and_releases() -> None:
    rows = (row(CORE, 3, 5), row(PLAN, 5, 5), row(CORE, 5, 4))
    outcomes = (
        (CORE, Applied("2")),
        (PLAN, Applied("3")),
        (CORE, NotApplied(Reason(Code.CONFLICT, ""))),
    )

    ours = (an_hpa(key, floor_manager=FIELD_MANAGER) for key in (CORE, PLAN))
    counted = writes(Decision(1, 0.0, rows, ()), outcomes, ours)

    assert counted == {
        ("raise", "applied"): 1,
        ("renewal", "applied"): 1,
        ("release", "not_applied"): 1,
    }


def test_a_raise_of_a_field_that_was_the_owners_is_an_adoption() -> None:
    owners = an_hpa(CORE, floor_manager="kubectl-client-side-apply")

    counted = writes(Decision(1, 0.0, (row(CORE, 3, 5),), ()), ((CORE, Applied("2")),), (owners,))

    assert counted == {("adoption", "applied"): 1}
