from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.core.cluster import TargetKey
from predictor.core.guardrails import GUARDRAILS, NO_CEILING, Facts, allow, guard
from predictor.core.guardrails.pace_rules import REACH_RATIO, REACH_REPLICAS
from predictor.core.policy import ModulePolicy, Policy
from predictor.core.policy_rows import policy_rows
from predictor.core.reasons import Code
from tests.core.core_values import CORE, NOW_S
from tests.core.guardrail_facts import any_facts, facts

AGO_5 = np.array([NOW_S - 5])
AGO_30 = np.array([NOW_S - 30])


@pytest.mark.parametrize(
    ("wish", "given_facts", "allowed", "code", "sentence"),
    [
        pytest.param(
            30,
            facts(),
            16,
            Code.ABOVE_MAX_REPLICAS,
            "wanted 30 replicas, maxReplicas is 20",
            id="more than maxReplicas is said, and cut",
        ),
        pytest.param(
            14,
            facts(4),
            8,
            Code.STEP_UP_LIMITED,
            "wanted 14 replicas, at most 8 in one step from 4",
            id="a raise goes in steps",
        ),
        pytest.param(
            14,
            facts(raised_at_s=AGO_5),
            8,
            Code.STEP_UP_LIMITED,
            "wanted 14 replicas, raised to 8 5 s ago, raises are 30 s apart",
            id="two raises keep their distance",
        ),
        pytest.param(
            12,
            facts(asked_by_metrics=np.array([16])),
            8,
            Code.METRICS_ASK_MORE,
            "the HPA's metrics ask for 16 replicas of 8; a floor of 12 would take one sync from "
            "them; held 8",
            id="metrics that ask for more than a raise go first",
        ),
        pytest.param(
            14,
            facts(ceiling=np.array([12])),
            12,
            Code.ABOVE_CEILING,
            "wanted 14 replicas, the owner's ceiling is 12",
            id="the owner's ceiling is the most",
        ),
        pytest.param(
            8,
            facts(ceiling=np.array([5])),
            5,
            Code.ABOVE_CEILING,
            "wanted 8 replicas, the owner's ceiling is 5",
            id="a ceiling lowered under the floor is obeyed at once",
        ),
        pytest.param(
            14,
            facts(corroborated=np.array([5.0])),
            10,
            Code.NOT_CORROBORATED,
            "load of now and the usual peak account for 5 replicas, a floor is raised to at most 2 "
            "times as many; wanted 14, allowed 10",
            id="a forecast without a witness buys little",
        ),
        pytest.param(
            14,
            facts(corroborated=np.array([np.nan])),
            8,
            Code.NOT_CORROBORATED,
            "neither load of now nor a usual peak is known; wanted 14, allowed 8",
            id="nothing known buys nothing",
        ),
        pytest.param(
            12,
            facts(blocked={0: "a quota lets no more pods in"}),
            8,
            Code.CAPACITY_BLOCKED,
            "a quota lets no more pods in; wanted 12, held 8",
            id="pods that cannot start are not multiplied",
        ),
        pytest.param(
            7,
            facts(metrics_failing={0: "cpu cannot be read"}),
            8,
            Code.METRICS_FAILING,
            "cpu cannot be read; wanted 7, held 8",
            id="an HPA that cannot scale up by itself keeps its floor",
        ),
        pytest.param(
            4,
            facts(needed_now=np.array([7.0])),
            7,
            Code.DEMAND_STILL_THERE,
            "what is asked for now needs 7 replicas; wanted 4, held 7",
            id="a forecast alone releases nothing",
        ),
        pytest.param(
            12,
            facts(paused=np.array([True])),
            6,
            Code.PAUSED,
            "the owner paused this HPA; wanted 12, on the way to 3",
            id="a paused floor goes home in steps",
        ),
        pytest.param(
            3,
            facts(),
            6,
            Code.RELEASE_IN_STEPS,
            "wanted 3 replicas, at least 6 in one step from 8",
            id="a release goes in steps",
        ),
        pytest.param(
            3,
            facts(released_at_s=AGO_30),
            8,
            Code.RELEASE_IN_STEPS,
            "wanted 3 replicas, released to 8 30 s ago, releases are 60 s apart",
            id="two releases keep their distance",
        ),
        pytest.param(
            7,
            facts(raised_at_s=AGO_30),
            8,
            Code.HELD_AFTER_RAISE,
            "raised 30 s ago, held for 315 s; wanted 7, held 8",
            id="a raise is held for a while",
        ),
        pytest.param(
            1,
            facts(3),
            3,
            Code.BELOW_BASELINE,
            "wanted 1 replicas, the baseline is 3",
            id="the baseline is the least",
        ),
        pytest.param(
            12,
            facts(telemetry_age_s=90.0),
            8,
            Code.STALE_TELEMETRY,
            "the newest telemetry is 90 s old, limit 60 s; wanted 12, held 8",
            id="stale telemetry raises nothing",
        ),
        pytest.param(
            7,
            facts(telemetry_age_s=90.0),
            8,
            Code.STALE_TELEMETRY,
            "the newest telemetry is 90 s old, limit 60 s; wanted 7, held 8",
            id="stale telemetry lowers nothing",
        ),
        pytest.param(
            12,
            facts(telemetry_age_s=700.0),
            6,
            Code.STALE_TELEMETRY,
            "the newest telemetry is 700 s old, limit 600 s; baseline 3",
            id="a long silence goes back to the baseline in steps",
        ),
        pytest.param(
            7,
            facts(incomplete="partition 3 of 8 has not reported"),
            8,
            Code.INCOMPLETE_TELEMETRY,
            "partition 3 of 8 has not reported; wanted 7, held 8",
            id="a part lowers nothing",
        ),
        pytest.param(
            7,
            facts(lag_s=250.0, slowest="partition 3 of 8 is 190 s behind the others"),
            8,
            Code.LAGGING_TELEMETRY,
            "the newest whole demand is 250 s old, limit 180 s, partition 3 of 8 is 190 s behind "
            "the others; wanted 7, held 8",
            id="what is whole only of the past lowers nothing",
        ),
        pytest.param(
            4,
            facts(lag_s=700.0, incomplete="partition 3 of 8 is 690 s behind the others"),
            6,
            Code.INCOMPLETE_TELEMETRY,
            "partition 3 of 8 is 690 s behind the others; whole demand is 700 s old, limit 600 s: "
            "released to what is still seen",
            id="a partition that is lost for good freezes no floor",
        ),
        pytest.param(
            7,
            facts(demand_known=np.array([False])),
            8,
            Code.INCOMPLETE_TELEMETRY,
            "no whole step of this target's demand is known; wanted 7, held 8",
            id="unknown demand lowers nothing",
        ),
        pytest.param(
            7,
            facts(baseline=np.array([0])),
            8,
            Code.BASELINE_UNKNOWN,
            "nobody knows the owner's minReplicas; wanted 7, held 8",
            id="without a baseline nothing is lowered",
        ),
        pytest.param(
            7,
            facts(started_at_s=NOW_S - 100),
            8,
            Code.WARMING_UP,
            "started 100 s ago of 300 s; wanted 7, held 8",
            id="a warm-up lowers nothing",
        ),
        pytest.param(
            12,
            facts(started_at_s=None),
            8,
            Code.WARMING_UP,
            "the first decision after a start; wanted 12, left at 8",
            id="the first decision changes nothing",
        ),
    ],
)
def test_a_guardrail_limits_and_says_why(
    wish: int, given_facts: Facts, allowed: int, code: Code, sentence: str
) -> None:
    rulings = guard(np.array([wish]), given_facts)

    assert rulings.allowed.tolist() == [allowed]
    assert (code, sentence) in [(r.code, r.sentence) for r in rulings.reasons[0]]


def test_a_wish_that_breaks_no_rule_passes_without_a_word() -> None:
    rulings = guard(np.array([9]), facts())

    assert rulings.allowed.tolist() == [9]
    assert rulings.reasons == {}


def test_a_limit_that_does_not_bind_is_still_said() -> None:
    rulings = guard(np.array([50]), facts(4))

    assert rulings.allowed.tolist() == [8]
    assert [r.code for r in rulings.reasons[0]] == [Code.STEP_UP_LIMITED, Code.ABOVE_MAX_REPLICAS]


def test_partial_telemetry_still_raises() -> None:
    rulings = guard(np.array([12]), facts(incomplete="partition 3 of 8 has not reported"))

    assert rulings.allowed.tolist() == [12]


@given(any_facts(), st.integers(0, 10**9))
def test_whatever_is_wished_the_floor_stays_in_the_band_and_moves_in_steps(
    some: Facts, wish: int
) -> None:
    allowed = int(allow(np.array([wish]), some)[0])
    floor, baseline = int(some.floor_now[0]), int(some.baseline[0])

    most = min(int(some.replicas_max[0]), max(int(some.ceiling[0]), baseline))
    if some.started_at_s is not None:
        assert allowed <= most
    assert allowed >= baseline or allowed == floor
    assert allowed <= max(floor + max(floor, 4), baseline)
    assert floor - allowed <= -(-floor // 4) or allowed == most


@given(any_facts(), st.integers(0, 10**9))
def test_a_raise_needs_a_witness_and_pods_that_can_start(some: Facts, wish: int) -> None:
    allowed = int(allow(np.array([wish]), some)[0])

    if allowed > max(some.floor_now[0], some.baseline[0]):
        assert allowed <= 2 * some.corroborated[0]
        assert not some.blocked
        assert not some.paused[0]


@given(any_facts(), st.integers(0, 10**9))
def test_a_floor_falls_only_as_far_as_demand_did(some: Facts, wish: int) -> None:
    allowed = int(allow(np.array([wish]), some)[0])

    is_blind = some.lag_s > 600 or some.telemetry_age_s > 600
    bounds = min(int(some.replicas_max[0]), max(int(some.ceiling[0]), int(some.baseline[0])))
    if allowed < min(some.floor_now[0], bounds) and not some.paused[0] and not is_blind:
        assert allowed >= some.needed_now[0]
        assert not some.metrics_failing or some.metrics_failing_s[0] > some.metrics_failing_hold_s


@given(any_facts(), st.integers(0, 10**9))
def test_nothing_is_lowered_on_telemetry_that_is_missing_or_young(some: Facts, wish: int) -> None:
    some = replace(some, ceiling=np.array([NO_CEILING]), paused=np.array([False]))
    allowed = int(allow(np.array([wish]), some)[0])

    if allowed < some.floor_now[0]:
        assert some.baseline[0] > 0
        assert some.started_at_s == NOW_S - 3600
        is_whole = some.demand_known[0] and not some.incomplete and some.telemetry_age_s <= 60
        assert (is_whole and some.lag_s <= 180) or some.lag_s > 600


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=6), st.integers(1, 20))
def test_a_row_is_guarded_as_if_it_stood_alone(wishes: list[int], floor: int) -> None:
    together = guard(np.array(wishes), facts(floor, rows=len(wishes)))

    for row, wish in enumerate(wishes):
        alone = guard(np.array([wish]), facts(floor))
        assert alone.allowed[0] == together.allowed[row]
        assert alone.reasons.get(0, ()) == together.reasons.get(row, ())


@pytest.mark.parametrize("rule", GUARDRAILS, ids=lambda rule: rule.allow.__name__)
def test_a_rule_leaves_its_facts_and_the_wish_as_they_are(rule: Any) -> None:
    some = facts(telemetry_age_s=90.0, incomplete="partition 1 of 2 has not reported")
    before = replace(some, floor_now=some.floor_now.copy())
    wish = np.array([50])

    rule.allow(wish, some)

    assert wish.tolist() == [50]
    assert some.floor_now.tolist() == before.floor_now.tolist()


def test_a_target_may_keep_limits_of_its_own() -> None:
    from predictor.core.policy import ModuleOverride

    policy = Policy(
        targets={"core/us-east-1": ModuleOverride(step_up_replicas_max=1, step_up_ratio_max=0.0)}
    )
    other = TargetKey("core", "eu-west-1")
    some = facts(8, rows=2, policy=policy_rows(policy, [CORE, other]))

    assert allow(np.array([14, 14]), some).tolist() == [9, 14]


def test_a_ceiling_below_what_the_metrics_ask_for_takes_no_sync_from_them() -> None:
    some = facts(10, asked_by_metrics=np.array([20]), ceiling=np.array([15]))
    rulings = guard(np.array([20]), some)

    assert rulings.allowed.tolist() == [10]
    sentence = "the HPA's metrics ask for 20 replicas of 10; a floor of 15 would take one sync"
    assert any(sentence in reason.sentence for reason in rulings.reasons[0])


@pytest.mark.parametrize(("owners", "floor"), [(None, 12), (10, 14), (2, 6)])
def test_no_configured_step_is_larger_than_what_the_server_accepts(
    owners: int | None, floor: int
) -> None:
    policy = Policy(defaults=ModulePolicy(step_up_replicas_max=50, step_up_ratio_max=10.0))
    rows = policy_rows(policy, [CORE])
    if owners is not None:
        rows = replace(rows, step_up_most=np.array([float(owners)]))

    assert allow(np.array([20]), facts(4, policy=rows)).tolist() == [floor]


def test_the_last_bit_of_a_product_makes_no_step_larger_or_smaller() -> None:
    policy = Policy(
        defaults=ModulePolicy(
            step_up_ratio_max=0.29, release_step_ratio=0.07, corroboration_ratio_max=1.1
        )
    )
    some = facts(100, replicas_max=np.array([500]), policy=policy_rows(policy, [CORE]))

    assert allow(np.array([500]), some).tolist() == [129]
    assert allow(np.array([3]), some).tolist() == [93]
    some = replace(some, floor_now=np.array([9]), corroborated=np.array([10.0]))
    assert allow(np.array([12]), some).tolist() == [11]


@pytest.mark.parametrize("manifest", ["guard/hpa.yaml", "guard-keda/scaled_object.yaml"])
def test_the_largest_step_is_the_one_that_the_server_takes(manifest: str) -> None:
    text = (Path(__file__).parents[2] / "deploy" / manifest).read_text(encoding="utf-8")

    assert f": variables.before * {1 + REACH_RATIO} + {REACH_REPLICAS}\n" in text
