"""The simulated world: pods take time, overload outlasts the burst, everything is counted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.actuators.simulated import SimulatedCluster, SimulatedRoute
from predictor.cluster_model.delays import FixedDelay
from predictor.cluster_model.nodes import NodeSpec
from predictor.cluster_model.workload import Workload
from predictor.cluster_model.workload_spec import WorkloadSpec, requests_hpa
from predictor.core.cluster import Applied, TargetKey
from tests.actuators.cluster_worlds import a_floor_intent, the_hpa
from tests.cluster_model.workload_builders import a_metric, an_hpa_of

KEY = TargetKey("core", "us-east-1")


def a_spec(replicas_min: int = 4, replicas_max: int = 20, start_up_s: float = 60.0) -> WorkloadSpec:
    hpa = requests_hpa(replicas_min, replicas_max, target_per_pod_per_s=100.0)
    return WorkloadSpec(KEY, hpa, pod_limit_per_s=150.0, start_up=FixedDelay(start_up_s))


def a_cluster(spec: WorkloadSpec | None = None) -> SimulatedCluster:
    return SimulatedCluster([spec or a_spec()], start_s=0.0)


def run(cluster: SimulatedCluster, until_s: float, demand_per_s: float) -> Workload:
    while cluster.now_s < until_s:
        cluster.advance(min(until_s, cluster.now_s + 15.0), {KEY: demand_per_s})
    return cluster.workload(KEY)


def test_a_steady_load_that_fits_changes_nothing() -> None:
    cluster = a_cluster()

    run(cluster, 3600.0, 400.0)

    measures = cluster.measures(KEY)
    assert (measures.violation_minutes, measures.scale_actions) == (0.0, 0)
    assert measures.pod_hours == pytest.approx(4.0)
    assert measures.served == pytest.approx(measures.requests) == pytest.approx(400.0 * 3600.0)


def test_the_reactive_hpa_sees_a_burst_only_after_it_has_come() -> None:
    # demand    400/s until 600 s, then 1200/s; metric 30 s late; pods 60 s to start
    cluster = a_cluster()
    run(cluster, 600.0, 400.0)

    during = run(cluster, 615.0, 1200.0)
    assert (during.starting, during.in_violation) == (0, True)
    after = run(cluster, 1500.0, 1200.0)

    assert (after.ready >= 12, after.in_violation) == (True, False)
    assert 1.0 < cluster.measures(KEY).violation_minutes < 15.0


async def test_a_floor_raised_by_the_lead_time_before_a_burst_prevents_the_violation() -> None:
    cluster = a_cluster()
    run(cluster, 500.0, 400.0)

    outcome = await cluster.set_floor(a_floor_intent(await the_hpa(cluster), 12))
    run(cluster, 600.0, 400.0)
    run(cluster, 1500.0, 1200.0)

    assert isinstance(outcome, Applied)
    assert cluster.measures(KEY).violation_minutes == 0.0


async def test_a_floor_becomes_ready_pods_after_their_start_up_and_not_before() -> None:
    cluster = a_cluster(a_spec(start_up_s=45.0))
    run(cluster, 60.0, 400.0)
    await cluster.set_floor(a_floor_intent(await the_hpa(cluster), 7))

    pods = [(run(cluster, t, 400.0).ready, run(cluster, t, 400.0).starting) for t in (90.0, 105.0)]

    assert pods == [(4, 3), (7, 0)]


async def test_starting_pods_are_paid_for() -> None:
    cluster = a_cluster(a_spec(start_up_s=3600.0))
    await cluster.set_floor(a_floor_intent(await the_hpa(cluster), 8))

    run(cluster, 1800.0, 300.0)

    assert cluster.measures(KEY).pod_hours == pytest.approx(8 * 0.5)


def test_overload_outlasts_the_burst_by_its_queue() -> None:
    cluster = a_cluster(a_spec(replicas_max=4))
    run(cluster, 60.0, 1200.0)

    queued = run(cluster, 75.0, 300.0)

    assert (queued.utilisation, queued.in_violation) == (0.5, True)
    assert not run(cluster, 600.0, 300.0).in_violation


def test_nobody_waits_longer_than_their_patience() -> None:
    cluster = a_cluster(a_spec(replicas_max=4))

    workload = run(cluster, 600.0, 1200.0)

    measures = cluster.measures(KEY)
    assert workload.queue == pytest.approx(4 * 150.0 * 30.0)
    assert measures.unserved == pytest.approx(measures.requests - measures.served - workload.queue)


def test_the_same_demand_gives_the_same_world() -> None:
    worlds = [a_cluster(), a_cluster()]

    for cluster in worlds:
        for step in range(400):
            cluster.advance((step + 1) * 7.5, {KEY: 300.0 + 10.0 * (step % 97)})

    assert worlds[0].measures(KEY) == worlds[1].measures(KEY)


def test_the_stride_of_the_caller_changes_nothing() -> None:
    strides = (15.0, 60.0, 300.0)
    worlds = [a_cluster() for _ in strides]

    for cluster, stride_s in zip(worlds, strides, strict=True):
        for _ in range(int(1800 / stride_s)):
            cluster.advance(cluster.now_s + stride_s, {KEY: 900.0})

    assert worlds[0].measures(KEY) == worlds[1].measures(KEY) == worlds[2].measures(KEY)


def test_weights_are_those_of_the_route() -> None:
    cluster = SimulatedCluster([], 0.0, [SimulatedRoute("core", {"a": 70, "b": 30})])

    assert cluster.weights("core") == {"a": 70, "b": 30}


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_a_demand_that_cannot_be_is_an_error(rate: float) -> None:
    with pytest.raises(ValueError, match="requests/s"):
        a_cluster().advance(15.0, {KEY: rate})


def test_time_does_not_run_backwards() -> None:
    cluster = a_cluster()
    cluster.advance(30.0, {})

    with pytest.raises(ValueError, match="time runs"):
        cluster.advance(15.0, {})


async def test_a_view_shows_every_metric_of_the_hpa_with_its_reading() -> None:
    cpu = a_metric("Resource", "cpu", type="Utilization", averageUtilization=70)
    rate = a_metric("Pods", "mplp_requests_per_second", type="AverageValue", averageValue="100")
    queue = a_metric("Object", "queue_length", type="Value", value="100")
    spec = WorkloadSpec(KEY, an_hpa_of(cpu, rate, queue), pod_limit_per_s=150.0)
    cluster = a_cluster(spec)
    run(cluster, 300.0, 360.0)

    metrics = (await the_hpa(cluster)).metrics

    assert [(one.kind, one.name, one.target, one.current) for one in metrics] == [
        ("Resource", "cpu", 70.0, 63.0),
        ("Pods", "mplp_requests_per_second", 100.0, 90.0),
        ("Object", "queue_length", 100.0, 0.0),
    ]


async def test_workloads_of_a_region_share_its_nodes() -> None:
    # 4 pods each on nodes of 10: two more find room, the third waits for a node
    keys = [KEY, TargetKey("plan", KEY.region)]
    specs = [replace(a_spec(), key=key) for key in keys]
    nodes = {KEY.region: NodeSpec(10, provisioning=FixedDelay(600.0))}
    cluster = SimulatedCluster(specs, 0.0, nodes=nodes)

    await cluster.set_floor(a_floor_intent(await the_hpa(cluster), 7))
    cluster.advance(300.0, {})
    assert (cluster.workload(KEY).ready, cluster.workload(KEY).starting) == (6, 1)
    cluster.remove(keys[1])
    cluster.advance(375.0, {})

    assert cluster.workload(KEY).ready == 7


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.0, 5000.0), min_size=1, max_size=80), st.floats(0.0, 200.0))
def test_every_request_is_served_queued_or_counted_as_unserved(
    demands: list[float], start_up_s: float
) -> None:
    cluster = a_cluster(a_spec(start_up_s=start_up_s))

    for step, demand in enumerate(demands):
        cluster.advance((step + 1) * 15.0, {KEY: demand})
        workload = cluster.workload(KEY)
        assert 4 <= workload.replicas <= 20
        assert workload.ready >= 0 <= workload.starting

    measures = cluster.measures(KEY)
    accounted = measures.served + measures.unserved + cluster.workload(KEY).queue
    assert accounted == pytest.approx(measures.requests, rel=1e-9, abs=1e-6)
