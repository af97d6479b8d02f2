from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.core.allocation import Allocation, RouteFacts, allocate
from predictor.core.policy import RegionPolicy
from predictor.core.reasons import Code, Reason
from predictor.core.weights import rounded, stepped
from tests.core.core_values import AP, EU, NOW_S, US, codes

POLICY = RegionPolicy()


def a_spread(**changes: Any) -> RouteFacts:
    """The guide's 50/30/20, 1000/s unpinned, every region able to carry 1000/s now."""
    values: dict[str, Any] = {
        "regions": (US, EU, AP),
        "weights_now": (50, 30, 20),
        "weights_home": (50, 30, 20),
        "unpinned_per_s": 1000.0,
        "pinned_per_s": (0.0, 0.0, 0.0),
        "carries_max_per_s": (1000.0, 1000.0, 1000.0),
        "carries_ready_per_s": (1000.0, 1000.0, 1000.0),
        "moved_at_s": None,
    }
    values.update(changes)
    for name in ("weights_now", "weights_home"):
        values[name] = np.array(values[name], dtype=np.int64)
    for name in ("pinned_per_s", "carries_max_per_s", "carries_ready_per_s"):
        values[name] = np.array(values[name], dtype=np.float64)
    return RouteFacts(**values)


def test_weights_stay_home_while_every_region_can_carry_its_share() -> None:
    allocation = allocate(a_spread(), POLICY, NOW_S)

    assert allocation.weights.tolist() == [50, 30, 20]
    assert codes(allocation.reasons) == [Code.WEIGHTS_BALANCED]


def test_a_region_that_would_be_over_its_maximum_gives_what_it_cannot_carry() -> None:
    allocation = allocate(a_spread(carries_max_per_s=(400, 1000, 1000)), POLICY, NOW_S)

    assert allocation.wanted.tolist() == [36, 38, 26]  # 400/s less a tenth carries 36 points
    assert allocation.weights.tolist()[0] == 40
    assert codes(allocation.reasons) == [Code.WEIGHTS_FOLLOW_CAPACITY, Code.WEIGHT_STEP_LIMITED]
    assert "us-east-1 would get 500/s and carries 400/s at maxReplicas" in (
        allocation.reasons[0].sentence
    )


def test_pinned_demand_takes_its_place_first() -> None:
    allocation = allocate(
        a_spread(pinned_per_s=(600, 0, 0), carries_max_per_s=(1000, 1000, 1000)), POLICY, NOW_S
    )

    assert allocation.wanted.tolist()[0] == 30


def test_traffic_waits_for_the_pods_that_shall_carry_it() -> None:
    allocation = allocate(
        a_spread(carries_max_per_s=(400, 1000, 1000), carries_ready_per_s=(400, 320, 200)),
        POLICY,
        NOW_S,
    )

    assert allocation.wanted.tolist() == [36, 38, 26]
    assert allocation.weights.tolist() == [48, 32, 20]
    assert Code.CAPACITY_NOT_READY in codes(allocation.reasons)
    assert "ap-southeast-1 has Ready pods for 20 points, not for 24" in [
        reason.sentence for reason in allocation.reasons
    ]


def test_weights_go_home_when_there_is_room_to_spare_again() -> None:
    away = {"weights_now": (36, 38, 26)}

    tight = allocate(a_spread(**away, carries_max_per_s=(520, 1000, 1000)), POLICY, NOW_S)
    roomy = allocate(a_spread(**away, carries_max_per_s=(560, 1000, 1000)), POLICY, NOW_S)

    assert tight.weights.tolist() == [36, 38, 26]
    assert roomy.wanted.tolist() == [50, 30, 20]
    assert roomy.weights.tolist()[0] == 46


def test_when_no_region_has_room_all_are_overloaded_alike() -> None:
    allocation = allocate(a_spread(carries_max_per_s=(200, 200, 200)), POLICY, NOW_S)

    assert sorted(allocation.wanted.tolist()) == [33, 33, 34]
    assert Code.NO_HEADROOM in codes(allocation.reasons)
    assert "all regions together carry 54 of 100 points" in allocation.reasons[0].sentence


def test_a_region_of_which_nothing_is_known_is_given_no_more() -> None:
    unknown = (400, 1000, np.nan)

    allocation = allocate(
        a_spread(carries_max_per_s=unknown, carries_ready_per_s=unknown), POLICY, NOW_S
    )

    assert allocation.wanted.tolist()[2] == 20


def test_two_steps_keep_their_distance() -> None:
    allocation = allocate(
        a_spread(carries_max_per_s=(400, 1000, 1000), moved_at_s=NOW_S - 20), POLICY, NOW_S
    )

    assert allocation.weights.tolist() == [50, 30, 20]
    assert "moved 20 s ago, steps are 60 s apart" in [r.sentence for r in allocation.reasons]


@pytest.mark.parametrize(
    "missing",
    [
        pytest.param({"unpinned_per_s": np.nan}, id="no forecast of unpinned demand"),
        pytest.param({"pinned_per_s": (0, np.nan, 0)}, id="no forecast of one region's pinned"),
        pytest.param({"held": Reason(Code.STALE_TELEMETRY, "90 s old")}, id="held"),
    ],
)
def test_nothing_moves_on_what_is_not_known(missing: dict[str, Any]) -> None:
    allocation = allocate(a_spread(carries_max_per_s=(1, 1, 1), **missing), POLICY, NOW_S)

    assert allocation.weights.tolist() == [50, 30, 20]
    assert len(allocation.reasons) == 1


def test_a_closed_loop_settles_without_oscillation() -> None:
    weights, moves = [50, 30, 20], []
    for step in range(30):
        allocation = allocate(
            a_spread(weights_now=weights, carries_max_per_s=(150, 700, 700)),
            POLICY,
            NOW_S + 60 * step,
        )
        moves.append(allocation.weights.tolist() != weights)
        weights = allocation.weights.tolist()

    assert weights[0] <= 15
    assert not any(moves[6:])


capacities = st.lists(st.floats(0, 3000), min_size=3, max_size=3)


@st.composite
def any_spread(draw: st.DrawFn) -> RouteFacts:
    now = draw(st.sampled_from([(50, 30, 20), (36, 38, 26), (100, 0, 0), (5, 90, 5), (34, 33, 33)]))
    home = draw(st.sampled_from([(50, 30, 20), (100, 0, 0), (34, 33, 33)]))
    return a_spread(
        weights_now=now,
        weights_home=home,
        unpinned_per_s=draw(st.floats(0, 1e12)),
        pinned_per_s=draw(capacities),
        carries_max_per_s=draw(capacities),
        carries_ready_per_s=draw(capacities),
    )


def a_sound(allocation: Allocation, spread: RouteFacts) -> None:
    for weights in (allocation.wanted, allocation.weights):
        assert weights.sum() == 100
        assert weights.min() >= 0
    change = allocation.weights - spread.weights_now
    assert np.abs(change).max() <= POLICY.weight_step_max
    lowest = np.minimum(np.minimum(spread.weights_home, spread.weights_now), POLICY.weight_min)
    highest = np.maximum(np.maximum(spread.weights_home, spread.weights_now), POLICY.weight_max)
    assert (allocation.weights >= lowest).all()
    assert (allocation.weights <= highest).all()


@settings(max_examples=300, deadline=None)
@given(any_spread())
def test_weights_always_sum_to_100_and_move_in_steps_within_bounds(spread: RouteFacts) -> None:
    a_sound(allocate(spread, POLICY, NOW_S), spread)


@settings(max_examples=300, deadline=None)
@given(any_spread())
def test_traffic_never_moves_to_where_ready_pods_cannot_carry_it(spread: RouteFacts) -> None:
    allocation = allocate(spread, POLICY, NOW_S)

    for row in np.flatnonzero(allocation.weights > spread.weights_now):
        served = spread.unpinned_per_s * allocation.weights[row] / 100
        assert spread.pinned_per_s[row] + served <= spread.carries_ready_per_s[row] * (1 + 1e-6)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12).filter(lambda shares: sum(shares) > 0.01))
def test_rounding_keeps_the_sum_and_is_off_by_less_than_one(shares: list[float]) -> None:
    exact = np.array(shares) / sum(shares) * 100

    whole = rounded(exact, 100)

    assert whole.sum() == 100
    assert np.abs(whole - exact).max() < 1 + 1e-6


@pytest.mark.parametrize(
    ("now", "wanted", "stepped_to"),
    [
        pytest.param([50, 30, 20], [45, 33, 22], [45, 33, 22], id="a short way is gone at once"),
        pytest.param([50, 30, 20], [10, 55, 35], [40, 36, 24], id="a long way in proportion"),
        pytest.param([100, 0], [0, 100], [90, 10], id="two regions"),
        pytest.param([100], [100], [100], id="one region"),
    ],
)
def test_a_step_is_no_longer_than_it_may_be(
    now: list[int], wanted: list[int], stepped_to: list[int]
) -> None:
    assert stepped(np.array(now), np.array(wanted), 10).tolist() == stepped_to
