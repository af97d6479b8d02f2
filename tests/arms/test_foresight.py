"""The bound: every step is carried by pods that were started in time, and no pod is kept longer."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from predictor.arms.families import FAMILIES
from predictor.arms.foresight import demand_to_carry
from predictor.arms.known_demand import pods_for
from tests.arms.arm_scenes import SIZING, a_learnt, a_scene

SYNC_S = 15


def bound(demand: list[float], lead_time_s: float) -> list[int]:
    """Its floors at each sync over the judged stretch of one-minute steps."""
    future = np.asarray(demand)
    learnt = a_learnt(np.empty(0), 60, future)
    sizing = SIZING._replace(lead_time_s=lead_time_s, pod_limit_per_s=20.0)
    arm = FAMILIES["foresight"].make(1.0, sizing, learnt)
    syncs = range(learnt.end_s, learnt.end_s + 60 * len(demand), SYNC_S)
    return [arm.floor(a_scene(learnt, future, now_s)) for now_s in syncs]


def test_pods_stay_through_gaps_as_the_load_does() -> None:
    nan = math.nan
    learnt = a_learnt(np.array([35.0, nan]), 60, np.array([nan, 90.0, nan, nan, 10.0]))
    assert demand_to_carry(learnt).tolist() == [35.0, 90.0, 90.0, 90.0, 10.0]
    unknown = a_learnt(np.empty(0), 60, np.array([nan, 70.0]))
    assert demand_to_carry(unknown).tolist() == [70.0, 70.0]


DEMANDS = st.lists(st.floats(0.0, 500.0), min_size=1, max_size=30)
LEADS = st.integers(0, 400)


@given(DEMANDS, LEADS)
def test_ready_pods_carry_every_moment_once_the_first_can_be_there(
    demand: list[float], lead_time_s: int
) -> None:
    floors = bound(demand, lead_time_s)
    for second in range(lead_time_s + SYNC_S, 60 * len(demand)):
        started = (second - lead_time_s) // SYNC_S
        ready = min(floors[started : second // SYNC_S + 1])
        assert ready >= pods_for(demand[second // 60], 20.0)


@given(DEMANDS, LEADS)
def test_no_pod_is_kept_that_nothing_within_reach_needs(
    demand: list[float], lead_time_s: int
) -> None:
    for sync, floor in enumerate(bound(demand, lead_time_s)):
        first, last = sync * SYNC_S, sync * SYNC_S + lead_time_s + SYNC_S - 1
        reach = demand[first // 60 : last // 60 + 1]
        assert floor == max(pods_for(rate, 20.0) for rate in reach)
