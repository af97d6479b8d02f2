"""Pods: who goes first, and that none is lost or made on the way."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from predictor.cluster_model.pods import NEVER_S, Cohort, Fleet


def a_fleet(*cohorts: tuple[int, float, float], now_s: float = 1000.0) -> Fleet:
    """Cohorts of (pods, on a node since, Ready since); what lies ahead of `now_s` has not come."""
    fleet = Fleet()
    for count, scheduled_s, ready_s in cohorts:
        fleet.add(Cohort(count, min(scheduled_s, now_s), scheduled_s, ready_s, 0))
    fleet.become_ready(now_s, (0.0, 0.0))
    return fleet


def test_pods_go_in_the_order_in_which_a_replica_set_removes_them() -> None:
    # Ready since 0 s and 900 s; on a node and not Ready; on no node yet
    fleet = a_fleet((1, 0, 0), (1, 840, 900), (1, 990, 1050), (1, NEVER_S, NEVER_S))

    gone = [fleet.remove(1)[0].ready_s for _ in range(4)]

    assert gone == [NEVER_S, 1050, 900, 0]


def test_a_removal_takes_part_of_a_cohort_of_many() -> None:
    fleet = a_fleet((500, 0, 0), (20, 990, 1050))

    gone = fleet.remove(100)

    assert [one.count for one in gone] == [20, 80]
    assert (fleet.ready, fleet.starting) == (420, 0)


@given(
    st.lists(
        st.tuples(st.integers(1, 600), st.integers(0, 2000), st.integers(0, 900)), max_size=12
    ),
    st.lists(st.tuples(st.booleans(), st.integers(0, 900)), max_size=12),
)
def test_no_pod_is_lost_or_counted_twice(
    cohorts: list[tuple[int, int, int]], takes: list[tuple[bool, int]]
) -> None:
    rng = np.random.default_rng(1)
    fleet = a_fleet(*[(count, at_s, at_s + delay_s) for count, at_s, delay_s in cohorts])

    for dies, count in takes:
        before = fleet.pods
        gone = fleet.lose(count, rng) if dies and before else fleet.remove(count)
        taken = sum(one.count for one in gone)
        assert taken == min(count, before)
        assert fleet.pods == before - taken
        assert fleet.ready == sum(one.count for one in fleet.ready_cohorts)
        assert fleet.starting == sum(one.count for one in fleet.starting_cohorts)
