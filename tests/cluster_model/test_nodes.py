"""Nodes: pods wait for room, room is never given twice, and unneeded nodes go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from predictor.cluster_model.delays import FixedDelay, LogNormalDelay
from predictor.cluster_model.nodes import NEVER_S, NodePool, NodeSpec
from predictor.cluster_model.workload import Workload
from tests.cluster_model.workload_builders import a_spec, a_workload, play


def a_pool(**changes: int) -> NodePool:
    bounds = {"nodes_min": 1, "nodes_max": 3} | changes
    return NodePool(NodeSpec(10, provisioning=FixedDelay(120.0), **bounds), 0.0)


def test_pods_beyond_the_room_wait_for_a_node_and_then_start() -> None:
    # 8 of 10 places taken; floor 15: 2 pods at once, 5 with the node after 120 s; start-up 60 s
    spec = NodeSpec(10, provisioning=FixedDelay(120.0))
    workload = a_workload(8, nodes=spec)
    play(workload, 0.0, 60.0, 800.0)
    workload.floor = 15
    workload.sync(60.0)

    ready = []
    play(workload, 60.0, 270.0, 800.0, lambda now_s: ready.append((now_s, workload.ready)))

    assert dict(ready)[105.0] == 8
    assert dict(ready)[120.0] == dict(ready)[225.0] == 10
    assert dict(ready)[240.0] == 15


def test_two_workloads_share_the_room_of_their_region() -> None:
    pool = a_pool()

    first, second = pool.place(0.0, 7), pool.place(0.0, 7)

    assert (first, second) == ([(0.0, 7)], [(0.0, 3), (120.0, 4)])


def test_beyond_the_last_node_pods_wait_until_others_go() -> None:
    pool = a_pool(nodes_max=1)
    pool.place(0.0, 8)

    assert pool.place(0.0, 5) == [(0.0, 2), (NEVER_S, 3)]
    pool.release(60.0, 0.0, 4)
    assert pool.place(60.0, 3) == [(60.0, 3)]


def test_pending_pods_take_room_that_becomes_free_before_their_node_is_there() -> None:
    spec = NodeSpec(10, provisioning=FixedDelay(3600.0))
    pool = NodePool(spec, 0.0)
    pool.place(0.0, 6)
    workload = Workload(a_spec(4), 0.0, pool)
    workload.floor = 8
    workload.sync(0.0)

    pool.release(30.0, 0.0, 6)
    play(workload, 0.0, 120.0, 0.0)

    assert (workload.ready, workload.starting, pool.used) == (8, 0, 8)


def test_room_comes_back_although_another_workload_was_ahead_in_time() -> None:
    pool = a_pool()
    pool.place(0.0, 12)
    pool.pass_time(130.0)

    pool.release(115.0, 120.0, 2)

    assert pool.used == 10


def test_pods_that_no_node_may_take_start_when_others_have_gone() -> None:
    # one node of 10 at most, 6 places taken by others until 300 s
    pool = a_pool(nodes_max=1)
    pool.place(0.0, 6)
    workload = Workload(a_spec(4), 0.0, pool)
    workload.floor = 8
    play(workload, 0.0, 300.0, 0.0)
    assert (workload.ready, workload.starting) == (4, 4)

    pool.release(300.0, 0.0, 6)
    play(workload, 300.0, 420.0, 0.0)

    assert (workload.ready, workload.starting, pool.used) == (8, 0, 8)


def test_a_node_goes_when_it_was_not_needed_for_ten_minutes() -> None:
    pool = a_pool()
    pool.place(0.0, 25)
    pool.pass_time(120.0)
    pool.release(300.0, 0.0, 10)

    counts = []
    for now_s in (315.0, 885.0, 900.0):
        pool.pass_time(now_s)
        counts.append(pool.nodes)

    assert counts == [3, 3, 2]


def test_a_node_that_was_needed_in_between_stays_longer() -> None:
    # 3 nodes; 15 of 25 pods go at 300 s, 10 are there again from 600 to 750 s
    pool = a_pool()
    pool.place(0.0, 25)
    pool.release(300.0, 0.0, 15)
    pool.place(600.0, 10)
    pool.release(750.0, 600.0, 10)

    pool.pass_time(900.0)

    assert pool.nodes == 2


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 600)), max_size=40)
)
def test_no_room_is_given_twice(steps: list[tuple[int, int, int]]) -> None:
    pool = NodePool(NodeSpec(10, 1, 8, LogNormalDelay(60.0, 300.0), 300.0), 0.0)
    held: list[list[float]] = []
    now_s = 0.0

    for new, gone, wait_s in steps:
        held += [[at_s, float(count)] for at_s, count in pool.place(now_s, new) if at_s < NEVER_S]
        left = gone
        while left > 0 and held:
            at_s, count = held.pop()
            pool.release(now_s, at_s, int(count))
            left -= int(count)
        now_s += wait_s
        pool.pass_time(now_s)
        here = sum(count for at_s, count in held if at_s <= now_s)
        assert pool.used == here <= pool.nodes * 10
        assert 1 <= pool.nodes + pool.ordered <= 8
