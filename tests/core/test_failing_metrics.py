"""An HPA that cannot read a metric keeps its floor, but not for ever."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.core.cluster import HpaView
from predictor.core.decide import decide
from predictor.core.decision import FloorDecision
from predictor.core.guardrails import Facts
from predictor.core.guardrails.evidence_rules import failing_metrics_never_lower
from predictor.core.policy import Policy
from predictor.core.reasons import Code
from tests.core.core_values import NOW_S, a_policy, an_hpa, codes, some_inputs, warm_state
from tests.core.guardrail_facts import any_facts

HOUR_S = 3600.0
FAILING = "FailedGetPodsMetric: no server"


def followed(hours: float, failing_since_s: float | None, **inputs: Any) -> list[FloorDecision]:
    """Decisions each minute while the HPA's metrics fail; what is decided is carried out."""
    policy, floor, rows = a_policy(), 12, []

    def seen() -> HpaView:
        return an_hpa(
            min_replicas=floor, metrics_failing=FAILING, metrics_failing_since_s=failing_since_s
        )

    state = warm_state(some_inputs([seen()]), policy)
    for minute in range(round(60 * hours)):
        decision, state = decide(
            some_inputs([seen()], **inputs), policy, state, NOW_S + 60 * minute
        )
        rows.append(decision.floors[0])
        floor = rows[-1].floor or 0
    return rows


def test_the_floor_stays_for_hours_and_then_falls_in_steps_to_what_demand_needs() -> None:
    rows = followed(3, NOW_S - 4 * HOUR_S, peak=500.0, demand=500.0)

    floors = [row.floor for row in rows]
    assert floors[:121] == [12] * 121
    assert list(dict.fromkeys(floors[121:])) == [9, 6, 5]
    held, released = rows[60].reasons[-1], rows[121].reasons[-1]
    assert (held.code, released.code) == (Code.METRICS_FAILING, Code.METRICS_FAILING)
    assert f"{FAILING}; failing for 5.0 h, limit 6.0 h; wanted" in held.sentence
    assert "released in steps to the 5 replicas that demand as it is seen needs" in (
        released.sentence
    )


def test_demand_that_nobody_sees_releases_nothing() -> None:
    rows = followed(1, NOW_S - 48 * HOUR_S, peak=float("nan"), demand=float("nan"))

    assert {row.floor for row in rows} == {12}


def test_where_the_controller_says_no_time_the_floor_stays() -> None:
    rows = followed(1, None, peak=500.0, demand=500.0)

    assert {row.floor for row in rows} == {12}
    assert Code.METRICS_FAILING in codes(rows[-1].reasons)


@settings(max_examples=500)
@given(any_facts(), st.integers(0, 60), st.sampled_from([np.nan, 600.0, 30_000.0]))
def test_however_long_metrics_fail_no_floor_falls_below_what_seen_demand_needs(
    some: Facts, wish: int, failing_s: float
) -> None:
    some = replace(some, metrics_failing={0: FAILING}, metrics_failing_s=np.array([failing_s]))
    allowed = int(failing_metrics_never_lower(np.array([wish]), some)[0])

    if allowed < some.floor_now[0]:
        assert failing_s > Policy().metrics_failing_hold_s
        assert allowed >= some.needed_now[0], "and it is known"
        assert some.lag_s <= some.telemetry_handback_after_s
