"""A region without a Ready pod loses its traffic, as far and as fast as the others can carry it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.core.allocation import RouteFacts, allocate
from predictor.core.cluster import TargetKey
from predictor.core.decide import decide
from predictor.core.decision import WeightDecision
from predictor.core.policy import RegionPolicy, RoutePolicy
from predictor.core.reasons import Code
from tests.core.core_values import (
    AP,
    EU,
    NOW_S,
    US,
    a_policy,
    a_route,
    an_hpa,
    some_inputs,
    three_regions,
    warm_state,
)  # fmt: skip
from tests.core.test_allocation import a_spread, any_spread

POLICY = RegionPolicy()
HOME = {US: 50, EU: 30, AP: 20}
GONE = {0: "0 of 20 pods are Ready for 200 s, its lead time is 120 s"}
DEAD = {"carries_max_per_s": (0, 1000, 1000), "carries_ready_per_s": (0, 1000, 1000)}


def test_a_region_without_a_pod_gives_everything_in_steps() -> None:
    weights, seen = (50, 30, 20), []
    for step in range(8):
        facts = a_spread(**DEAD, gone=GONE, weights_now=weights)
        weights = tuple(allocate(facts, POLICY, NOW_S + 60 * step).weights.tolist())
        seen.append(weights[0])

    assert seen == [40, 30, 20, 10, 5, 5, 5, 5], "the server takes no weight below 5"
    assert weights == (5, 57, 38)
    reason = allocate(a_spread(**DEAD, gone=GONE), POLICY, NOW_S).reasons[0]
    assert reason.code is Code.WEIGHTS_FOLLOW_CAPACITY
    assert "us-east-1: 0 of 20 pods are Ready for 200 s" in reason.sentence


def test_the_others_get_no_more_than_they_carry_and_the_rest_stays() -> None:
    allocation = allocate(a_spread(carries_max_per_s=(0, 400, 300), gone=GONE), POLICY, NOW_S)

    assert allocation.wanted.tolist() == [30, 40, 30]
    assert allocation.reasons[0].code is Code.NO_HEADROOM
    assert "carry 70 of 100 points" in allocation.reasons[0].sentence


def test_an_outage_may_take_the_headroom_that_weights_leave_free() -> None:
    facts = a_spread(carries_max_per_s=(0, 600, 450), gone=GONE)

    assert allocate(facts, POLICY, NOW_S).wanted.tolist() == [5, 57, 38]


def test_an_owner_who_lets_weights_go_to_nothing_has_a_dead_region_emptied() -> None:
    policy = RegionPolicy(weight_min=0, weight_max=100)

    assert allocate(a_spread(**DEAD, gone=GONE), policy, NOW_S).wanted.tolist() == [0, 60, 40]


def test_where_no_region_has_a_pod_nothing_moves() -> None:
    allocation = allocate(a_spread(gone=dict.fromkeys(range(3), "none")), POLICY, NOW_S)

    assert allocation.weights.tolist() == [50, 30, 20]


def test_what_is_pinned_to_a_dead_region_keeps_nothing_there() -> None:
    facts = a_spread(**DEAD, gone=GONE, pinned_per_s=(np.nan, 0, 0))

    assert allocate(facts, POLICY, NOW_S).wanted.tolist() == [5, 57, 38]


@st.composite
def any_outage(draw: st.DrawFn) -> RouteFacts:
    gone = draw(st.sets(st.integers(0, 2), min_size=1))
    facts = draw(any_spread())
    return RouteFacts(
        **{name: getattr(facts, name) for name in RouteFacts.__slots__ if name != "gone"},
        gone=dict.fromkeys(gone, "0 of 3 pods are Ready"),
    )


@settings(max_examples=400, deadline=None)
@given(any_outage())
def test_whatever_is_gone_weights_stay_sound_and_no_dead_region_gains(facts: RouteFacts) -> None:
    made = allocate(facts, POLICY, NOW_S)

    dead = list(facts.gone)
    for weights in (made.wanted, made.weights):
        assert weights.sum() == 100
        least = np.minimum(facts.weights_home, facts.weights_now)
        most = np.maximum(facts.weights_home, facts.weights_now)
        assert (weights >= np.minimum(least, POLICY.weight_min)).all()
        assert (weights <= np.maximum(most, POLICY.weight_max)).all()
        assert (weights[dead] <= facts.weights_now[dead]).all()
    assert np.abs(made.weights - facts.weights_now).max() <= POLICY.weight_step_max


@settings(max_examples=400, deadline=None)
@given(any_outage())
def test_no_living_region_is_given_more_than_it_carries(facts: RouteFacts) -> None:
    made = allocate(facts, POLICY, NOW_S)

    for place in np.flatnonzero(made.weights > facts.weights_now).tolist():
        served = facts.pinned_per_s[place] + facts.unpinned_per_s * made.weights[place] / 100
        assert served <= facts.carries_ready_per_s[place] * (1 + 1e-6)


def followed(ready: list[int]) -> list[WeightDecision]:
    """What is decided of the route while so many of 10 pods are Ready in us-east-1."""
    policy = a_policy(routes={"core": RoutePolicy(home_weights=HOME)})
    weights = HOME
    made: list[WeightDecision] = []

    def look(pods: int) -> Any:
        there = {US: pods, EU: 20, AP: 20}
        hpas = [
            an_hpa(
                TargetKey("core", region),
                max_replicas=40,
                spec_replicas=10 if region == US else 20,
                ready_replicas=there[region],
            )
            for region in (US, EU, AP)
        ]
        load = {key: 1000.0 if key.region == "*" else 0.0 for key in three_regions()}
        route = a_route(weights, home=None if weights == HOME else HOME)
        return some_inputs(hpas, keys=three_regions(), peak=load, demand=load, routes=[route])

    state = warm_state(look(10), policy)
    for tick, pods in enumerate(ready):
        decision, state = decide(look(pods), policy, state, NOW_S + 60 * tick)
        made.append(decision.weights[0])
        weights = dict(zip((US, EU, AP), decision.weights[0].weights, strict=True))
    return made


def test_traffic_leaves_a_region_after_its_lead_time_and_comes_home_with_its_pods() -> None:
    shares = [one.weights[0] for one in followed([10] + [0] * 14 + [10] * 12)]

    # Each second look, for a step is dated to the look that shows it.
    assert shares[:4] == [50] * 4, "120 s are its lead time"
    assert shares[4:15] == [40, 40, 30, 30, 20, 20, 10, 10, 5, 5, 5]
    assert shares[15:24] == [15, 15, 25, 25, 35, 35, 45, 45, 50]


@pytest.mark.parametrize("pods", [[10, 0, 0, 10, 10], [10, 1, 1, 1, 1, 1, 1]])
def test_a_short_restart_or_a_single_pod_is_no_outage(pods: list[int]) -> None:
    assert not any("pods are Ready for" in one.reasons[0].sentence for one in followed(pods))
