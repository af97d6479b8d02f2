"""Deploys, failures, outages and blind metrics: each does what it says, at its time."""

from __future__ import annotations

import numpy as np
import pytest

from predictor.cluster_model.incidents import (
    Deploy,
    Incident,
    IncidentRates,
    Incidents,
    MetricFailure,
    PodFailure,
    RegionOutage,
    drawn_incidents,
)
from predictor.cluster_model.workload import Workload
from tests.cluster_model.workload_builders import a_spec, a_workload, play


def with_incidents(*incidents: Incident, replicas_min: int = 8) -> Workload:
    return a_workload(replicas_min, incidents=Incidents(incidents))


def test_a_deploy_replaces_all_pods_and_never_has_fewer_ready() -> None:
    workload = with_incidents(Deploy(300.0))
    pods: list[tuple[int, int]] = []

    play(workload, 0.0, 900.0, 700.0, lambda now_s: pods.append((workload.ready, workload.pods)))

    assert min(ready for ready, _ in pods) == 8
    assert max(existing for _, existing in pods) == 10
    assert pods[-1] == (8, 8)
    assert workload.observation is not None
    assert min(one.start_s for one in workload.observation.pods) >= 300.0


def test_a_deploy_costs_no_violation_where_load_fits() -> None:
    workload = play(with_incidents(Deploy(300.0)), 0.0, 900.0, 1100.0)

    assert workload.measures.violation_s == 0.0


def test_a_scale_down_in_the_midst_of_a_deploy_ends_with_the_pods_wanted() -> None:
    workload = with_incidents(Deploy(300.0), replicas_min=4)
    workload.floor = 8
    play(workload, 0.0, 345.0, 100.0)
    workload.floor = 1

    play(workload, 345.0, 900.0, 10.0)

    assert (workload.replicas, workload.pods, workload.ready) == (1, 1, 1)


def test_incidents_may_be_listed_in_any_order() -> None:
    listed: list[Incident] = [PodFailure(600.0, 0.5), Deploy(300.0), MetricFailure(450.0, 60.0)]

    runs = [
        play(with_incidents(*some), 0.0, 900.0, 700.0).measures
        for some in (listed, listed[::-1], sorted(listed, key=lambda one: one.at_s))
    ]

    assert runs[0] == runs[1] == runs[2]


def test_failed_pods_are_missing_until_new_ones_have_started() -> None:
    # half of 8 die at 300 s; the start-up takes a minute
    workload = with_incidents(PodFailure(300.0, 0.5))
    ready: dict[float, int] = {}

    play(workload, 0.0, 420.0, 700.0, lambda now_s: ready.update({now_s: workload.ready}))

    assert (ready[285.0], ready[300.0], ready[345.0], ready[360.0]) == (8, 4, 4, 8)
    assert workload.measures.violation_s == pytest.approx(60.0, abs=45.0)


def test_in_an_outage_nothing_is_served_and_the_hpa_does_nothing() -> None:
    workload = with_incidents(RegionOutage(300.0, 600.0))
    play(workload, 0.0, 300.0, 700.0)
    before = workload.measures.served

    play(workload, 300.0, 900.0, 700.0)

    assert (workload.measures.served, workload.measures.scale_actions) == (before, 0)
    assert workload.measures.violation_s == 600.0
    play(workload, 900.0, 1200.0, 700.0)
    assert (workload.ready >= 8, workload.in_violation) == (True, False)


def test_after_an_outage_the_hpa_does_not_take_the_silence_for_calm() -> None:
    # seven pods under 700/s; longer out than the five minutes that stabilise a fall
    workload = with_incidents(RegionOutage(600.0, 900.0), replicas_min=2)
    play(workload, 0.0, 600.0, 700.0)
    before = workload.replicas
    replicas: list[int] = []

    play(workload, 600.0, 1800.0, 700.0, lambda now_s: replicas.append(workload.replicas))

    assert before >= 7
    assert min(replicas) == before


def test_what_began_before_the_start_is_over() -> None:
    incidents = Incidents((PodFailure(100.0, 1.0), RegionOutage(200.0, 3600.0)))
    workload = Workload(a_spec(incidents=incidents), 300.0)

    play(workload, 300.0, 315.0, 400.0)

    assert (workload.ready, workload.in_violation) == (4, False)


def test_a_failure_of_a_metric_that_the_hpa_does_not_have_is_noted() -> None:
    workload = with_incidents(MetricFailure(300.0, 300.0, frozenset({"cpu"})))

    assert [note for note in workload.notes if note.startswith("cpu:")]


def test_while_metrics_fail_the_hpa_holds_its_replicas() -> None:
    workload = with_incidents(MetricFailure(300.0, 300.0), replicas_min=4)
    play(workload, 0.0, 300.0, 400.0)

    replicas: dict[float, int] = {}
    play(workload, 300.0, 720.0, 1000.0, lambda now_s: replicas.update({now_s: workload.replicas}))

    assert {replicas[at_s] for at_s in (315.0, 450.0, 585.0)} == {4}
    assert replicas[615.0] > 4


def test_the_same_seed_draws_the_same_incidents_and_the_rates_hold() -> None:
    rates = IncidentRates(deploys_per_day=2.0, failures_per_day=24.0)
    drawn = [drawn_incidents(rates, 0.0, 86_400.0 * 50, np.random.default_rng(7)) for _ in "ab"]

    assert drawn[0] == drawn[1]
    deploys = sum(isinstance(one, Deploy) for one in drawn[0].all)
    assert deploys == pytest.approx(100, abs=30)
    assert len(drawn[0].all) - deploys == pytest.approx(1200, abs=105)


def test_more_incidents_than_a_run_can_hold_are_an_error() -> None:
    with pytest.raises(ValueError, match="10000"):
        drawn_incidents(
            IncidentRates(failures_per_day=1e6), 0.0, 86_400.0, np.random.default_rng(1)
        )
