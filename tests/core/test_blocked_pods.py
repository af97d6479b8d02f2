"""Pods that do not come are not asked for again and again, and old readings bear no pods out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from predictor.core.cluster import HpaView, MetricTarget
from predictor.core.decide import decide
from predictor.core.decision import FloorDecision
from predictor.core.reasons import Code
from tests.core.core_values import NOW_S, a_policy, an_hpa, codes, some_inputs, warm_state

TICK_S = 60.0
LEAD_MAX_S = 900.0


def followed(view: Callable[[int], HpaView], ticks: int, **values: Any) -> list[FloorDecision]:
    """The decisions for a target that looks like this at each tick, and had all its pods before."""
    policy = a_policy()
    whole = msgspec.structs.replace(view(0), ready_replicas=view(0).min_replicas)
    state, rows = warm_state(some_inputs([whole]), policy), []
    for tick in range(ticks):
        inputs = some_inputs([view(tick)], **values)
        decision, state = decide(inputs, policy, state, NOW_S + tick * TICK_S)
        rows.append(decision.floors[0])
    return rows


def is_blocked(row: FloorDecision) -> bool:
    return Code.CAPACITY_BLOCKED in codes(row.reasons)


def test_pods_that_stay_away_longer_than_any_lead_time_end_the_raises() -> None:
    rows = followed(lambda _: an_hpa(min_replicas=10, ready_replicas=5), 18, peak=1900.0)

    late = next(tick for tick, row in enumerate(rows) if is_blocked(row))
    assert LEAD_MAX_S / TICK_S < late <= LEAD_MAX_S / TICK_S + 1
    assert [row.floor for row in rows[late:]] == [10] * (18 - late)
    assert "5 of 10 pods are Ready, none more for" in rows[late].reasons[-1].sentence


@pytest.mark.parametrize(
    "ready",
    [
        pytest.param(lambda tick: 3 + tick // 10, id="pods come slowly, but they come"),
        pytest.param(lambda _: 18, id="one in ten is broken"),
    ],
)
def test_a_target_is_not_blocked_where(ready: Callable[[int], int]) -> None:
    rows = followed(
        lambda tick: an_hpa(min_replicas=20, max_replicas=40, ready_replicas=ready(tick)),
        40,
        peak=3000.0,
    )

    assert not any(is_blocked(row) for row in rows)


def test_what_the_cluster_says_of_its_pods_counts_at_once() -> None:
    row = followed(lambda _: an_hpa(blocked="a quota lets no more pods in"), 1, peak=900.0)[0]

    assert row.floor == 3
    assert "a quota lets no more pods in; wanted 9, held 3" in [r.sentence for r in row.reasons]


def test_an_old_reading_counts_for_the_pods_that_there_were() -> None:
    # Three pods at 90 %; then seven, while the reading is still the one of three.
    metric = MetricTarget("Pods", "mplp_requests_per_second", "AverageValue", 100.0, 90.0)

    def view(tick: int) -> HpaView:
        pods = 3 if tick < 3 else 7
        return an_hpa(min_replicas=pods, max_replicas=40, metrics=(metric,))

    rows = followed(view, 4, peak=4000.0, demand=4000.0, usual_peak=0.0)

    assert rows[3].floor == 7
    assert Code.NOT_CORROBORATED in codes(rows[3].reasons)
