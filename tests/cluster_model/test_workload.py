"""A workload as a whole: repeatable, bounded, and every request and pod accounted for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.cluster_model.delays import FixedDelay, LogNormalDelay
from predictor.cluster_model.incidents import IncidentRates, drawn_incidents
from predictor.cluster_model.nodes import NodeSpec
from predictor.cluster_model.workload import Workload
from predictor.cluster_model.workload_spec import owner_hpa, requests_hpa
from predictor.core.hpa_twin.spec import HpaSpecRefused
from tests.cluster_model.workload_builders import SYNC_S, a_spec, a_workload, play

RATES = IncidentRates(
    deploys_per_day=20.0,
    failures_per_day=40.0,
    outages_per_day=2.0,
    metric_failures_per_day=10.0,
)


def a_busy_workload(seed: int = 3, **changes: Any) -> Workload:
    """Everything on: start-up and nodes that vary, incidents of all kinds, an objective."""
    return a_workload(
        3,
        30,
        start_up=LogNormalDelay(60.0, 150.0),
        nodes=NodeSpec(4, 1, 6, LogNormalDelay(100.0, 200.0)),
        incidents=drawn_incidents(RATES, 0.0, 86_400.0, np.random.default_rng(seed)),
        response_p95_max_s=1.0,
        seed=seed,
        **changes,
    )


def a_day(workload: Workload, peak_per_s: float = 1800.0) -> list[Any]:
    told: list[Any] = []
    for step in range(1920):
        demand = peak_per_s * (0.5 - 0.5 * math.cos(2 * math.pi * step / 1920))
        play(workload, step * SYNC_S, (step + 1) * SYNC_S, demand)
        told.append((workload.replicas, workload.ready, workload.queue, workload.recommended))
    return told


def test_the_same_seed_gives_the_same_bytes() -> None:
    runs = [(a_day(workload), workload.measures) for workload in (a_busy_workload() for _ in "ab")]

    assert repr(runs[0]) == repr(runs[1])


def test_another_seed_gives_another_day() -> None:
    assert a_day(a_busy_workload(3)) != a_day(a_busy_workload(4))


def test_five_hundred_pods_are_no_more_cohorts_than_five() -> None:
    groups = []
    for peak_per_s in (500.0, 50_000.0):
        workload = a_workload(3, 1000, start_up=LogNormalDelay(60.0, 100.0))
        a_day(workload, peak_per_s)
        play(workload, 1920 * SYNC_S, 2400 * SYNC_S, peak_per_s)
        assert workload.observation is not None
        groups.append((workload.replicas > 400, len(workload.observation.pods)))

    assert groups == [(False, 1), (True, 1)]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.0, 8000.0), st.integers(3, 30)), min_size=1, max_size=60),
    st.integers(0, 1000),
)
def test_every_request_and_every_pod_is_accounted_for(
    steps: list[tuple[float, int]], seed: int
) -> None:
    workload = a_busy_workload(seed)

    for step, (demand, floor) in enumerate(steps):
        workload.floor = floor
        play(workload, step * 60.0, (step + 1) * 60.0, demand)
        assert workload.pods >= workload.replicas
        assert 3 <= workload.replicas <= 30
        assert 0 <= workload.ready <= workload.pods <= 2 * 30

    counted = workload.measures
    accounted = counted.served + counted.unserved + workload.queue
    assert accounted == pytest.approx(counted.requests, rel=1e-9, abs=1e-6)
    assert counted.violation_s <= counted.elapsed_s == len(steps) * 60.0


def test_pods_become_ready_inside_a_long_stretch_as_in_short_ones() -> None:
    # three pods more, Ready after 47 s: 600/s are carried from then on, not from the next step
    served = []
    for stretches in ([15.0, 30.0, 45.0, 60.0], [60.0]):
        workload = a_workload(1, start_up=FixedDelay(47.0), patience_s=0.0)
        workload.floor, start_s = 4, 0.0
        workload.sync(0.0)
        for end_s in stretches:
            workload.serve(start_s, end_s, 600.0)
            start_s = end_s
        served.append(workload.measures.served)

    assert served == pytest.approx([47.0 * 150.0 + 13.0 * 600.0] * 2)


def test_a_missed_response_time_is_a_violation_where_there_is_an_objective() -> None:
    # 4 pods at 97 % with requests of 50 ms: p95 is above 0.15 s long before the pods are full
    strict = play(a_workload(4, 4, response_p95_max_s=0.2), 0.0, 60.0, 582.0)
    lax = play(a_workload(4, 4), 0.0, 60.0, 582.0)

    assert (strict.in_violation, lax.in_violation) == (True, False)
    assert strict.measures.response_p95_s > 0.2
    assert lax.measures.response_p50_s < lax.measures.response_p95_s < lax.measures.response_p99_s


def test_overload_shows_in_the_response_times() -> None:
    calm, overloaded = (play(a_workload(4, 4), 0.0, 600.0, rate) for rate in (400.0, 800.0))

    assert calm.measures.response_p95_s < 0.3
    assert overloaded.measures.response_p95_s == pytest.approx(30.0, rel=0.1)


def test_floor_changes_are_counted_and_the_same_floor_is_none() -> None:
    workload = a_workload(4)

    for floor in (6, 6, 4):
        workload.floor = floor

    assert workload.measures.floor_changes == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pod_limit_per_s": 50.0}, "below the target"),
        ({"pod_limit_per_s": float("nan")}, "pod limit"),
        ({"patience_s": -1.0}, "patience"),
        ({"replicas": -1}, "replicas"),
        ({"requests": {"cpu": -1}}, "requests"),
        ({"seed": -1}, "seed"),
    ],
)
def test_a_workload_that_cannot_be_is_an_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        a_spec(**changes)


def test_bounds_that_cannot_be_are_an_error() -> None:
    with pytest.raises(ValueError, match="5 to 4"):
        requests_hpa(5, 4, 100.0)
    with pytest.raises(HpaSpecRefused, match="maxReplicas"):
        owner_hpa({"minReplicas": 1, "metrics": []})
