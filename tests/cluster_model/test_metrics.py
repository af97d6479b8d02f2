"""What the HPA sees: late, averaged, of pods that have a sample, and by the kind of metric."""

from __future__ import annotations

from typing import Any

import pytest

from predictor.cluster_model.delays import FixedDelay
from predictor.cluster_model.metric_pipeline import PipelineSpec
from predictor.cluster_model.metric_signals import Signal
from predictor.cluster_model.readings import metric_targets
from predictor.cluster_model.workload import Workload
from tests.cluster_model.workload_builders import a_metric, a_workload, an_hpa_of, play

CPU = a_metric("Resource", "cpu", type="Utilization", averageUtilization=70)
MEMORY = a_metric("Resource", "memory", type="Utilization", averageUtilization=80)
REQUESTS = a_metric("Pods", "mplp_requests_per_second", type="AverageValue", averageValue="100")
QUEUE = a_metric("Object", "context_queue_length", type="Value", value="100")
CONSUMED = a_metric("External", "messages_consumed", type="AverageValue", averageValue="30")
CONTAINER = a_metric("ContainerResource", "cpu", type="AverageValue", averageValue="350m")
ODD = a_metric("Pods", "connections_active", type="AverageValue", averageValue="1000")


def readings(workload: Workload) -> dict[tuple[str, str], float | None]:
    targets = metric_targets(workload.spec.hpa.spec, workload.observation)
    return {(one.kind, one.name): one.current for one in targets}


def with_metrics(*metrics: dict[str, Any], replicas: int = 4, **changes: Any) -> Workload:
    hpa = an_hpa_of(*metrics, replicas_min=replicas, replicas_max=replicas)
    return a_workload(hpa=hpa, **changes)


def test_at_the_rate_at_target_every_metric_is_at_its_target() -> None:
    workload = with_metrics(CPU, REQUESTS, CONTAINER, ODD, CONSUMED)

    play(workload, 0.0, 300.0, 400.0)

    assert list(readings(workload).values()) == [70.0, 100.0, 0.35, 1000.0, 30.0]
    assert workload.recommended == 4


def test_without_a_request_metric_the_cpu_target_says_what_a_pod_carries_there() -> None:
    half = a_metric("Resource", "cpu", type="Utilization", averageUtilization=50)

    workload = play(with_metrics(half), 0.0, 300.0, 4 * 75.0)

    assert readings(workload) == {("Resource", "cpu"): 50.0}


def test_memory_does_not_follow_the_load() -> None:
    workload = with_metrics(MEMORY, REQUESTS)

    play(workload, 0.0, 300.0, 400.0)
    calm = readings(workload)["Resource", "memory"]
    play(workload, 300.0, 600.0, 500.0)

    assert readings(workload)["Resource", "memory"] == calm == pytest.approx(48.0, abs=1.0)


def test_served_load_ends_at_the_pod_limit_and_arrivals_do_not() -> None:
    # 4 pods of at most 150/s under 1000/s; the HPA may not scale
    served = play(with_metrics(CPU, REQUESTS), 0.0, 300.0, 1000.0)
    arrivals = PipelineSpec(counts_arrivals=True)
    arrived = play(with_metrics(CPU, REQUESTS, pipeline=arrivals), 0.0, 300.0, 1000.0)

    assert list(readings(served).values()) == [105.0, 150.0]
    assert list(readings(arrived).values()) == [105.0, 250.0]


def test_a_reading_is_the_mean_of_a_window_and_seen_late() -> None:
    # 0/s until 300 s, then 400/s for 4 pods; 30 s late, over 60 s
    workload = with_metrics(REQUESTS)
    play(workload, 0.0, 300.0, 0.0)

    seen = {}
    play(workload, 300.0, 390.0, 400.0, lambda now_s: seen.update({now_s: readings(workload)}))

    values = [value for one in seen.values() for value in one.values()]
    assert values == [0.0, 0.0, 25.0, 50.0, 75.0, 100.0]


def test_a_pod_has_no_request_rate_before_its_second_scrape_is_seen() -> None:
    # two more pods from 300 s on, Ready at 350 s; scraped at 360 and 375 s, seen at 405 s
    workload = play(a_workload(4, start_up=FixedDelay(50.0)), 0.0, 300.0, 400.0)
    workload.floor = 6
    workload.sync(300.0)

    measured = {}

    def count(now_s: float) -> None:
        pods = workload.observation.pods if workload.observation else ()
        measured[now_s] = sum(one.count for one in pods if one.values)

    play(workload, 300.0, 420.0, 400.0, count)

    assert (measured[390.0], measured[405.0]) == (4, 6)


def test_a_queue_metric_is_the_queue() -> None:
    workload = with_metrics(QUEUE, replicas=4)

    play(workload, 0.0, 300.0, 700.0)

    assert readings(workload)["Object", "context_queue_length"] == pytest.approx(workload.queue)
    assert workload.queue == pytest.approx(4 * 150.0 * 30.0)


def test_a_queue_metric_of_pods_is_each_pods_share_of_the_queue() -> None:
    each = a_metric("Pods", "queue_length", type="AverageValue", averageValue="1000")
    workload = with_metrics(each, replicas=4)

    play(workload, 0.0, 300.0, 700.0)

    assert readings(workload)["Pods", "queue_length"] == pytest.approx(workload.queue / 4)


def test_what_a_metric_follows_can_be_said_and_is_noted_where_it_was_guessed() -> None:
    guessed = with_metrics(ODD, REQUESTS)
    said = with_metrics(ODD, REQUESTS, signals={"connections_active": Signal.QUEUE})

    assert [note for note in guessed.notes if "connections_active" in note]
    assert said.notes == ()
    with pytest.raises(ValueError, match="no_such"):
        with_metrics(REQUESTS, signals={"no_such": Signal.CPU})


def test_starting_pods_do_not_slow_a_cpu_scale_up_more_than_their_number() -> None:
    # CPU at 105 % of 70 %: four pods ask for six, and with three starting for no more than these
    workload = a_workload(hpa=an_hpa_of(CPU, replicas_min=4))
    play(workload, 0.0, 300.0, 400.0)
    play(workload, 300.0, 1200.0, 600.0)

    assert 6 <= workload.replicas <= 7
    assert not workload.in_violation


def test_a_pod_without_requests_uses_its_idle_share_of_the_cpu_target() -> None:
    shown = {}
    for demand in (0.0, 200.0, 400.0):
        workload = with_metrics(CPU, CONTAINER, rate_at_target_per_s=100.0, cpu_idle_share=0.2)
        play(workload, 0.0, 300.0, demand)
        shown[demand] = list(readings(workload).values())

    assert shown == {0.0: [14.0, 0.07], 200.0: [42.0, 0.21], 400.0: [70.0, 0.35]}
