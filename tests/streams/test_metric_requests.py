"""From a record of metrics to the requests in it: each counted once, the refused ones too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData

from streams.counters import CounterDemand
from streams.event_columns import Cells
from streams.event_types import MetricSample, SampleType
from streams.events import Catalog, decode
from streams.ingest import IngestSettings
from streams.input_topics import InputTopic
from streams.metric_names import MetricMeaning, MetricNames
from streams.takeover import new_counters
from tests.streams.format_bodies import MODULES, NOON_S, Record, a_catalog
from tests.streams.metric_bodies import (
    CUMULATIVE,
    DELTA,
    OTLP_METRICS,
    Written,
    a_point,
    a_scrape,
    a_sum,
    an_export,
    both_encodings,
    from_adapter,
    in_protobuf,
    the_sample,
    together,
)


def demand(records: Iterable[Record], catalog: Catalog | None = None) -> Counter[tuple[str, str]]:
    """Requests by module and region, as one partition of a topic would count them."""
    catalog = catalog or a_catalog()
    counters = CounterDemand(catalog.metric_names)
    totals: Counter[tuple[str, str]] = Counter()
    for offset, (body, headers, options) in enumerate(records):
        known = a_catalog(msgspec.structs.replace(catalog.options, format=options.format))
        for one in decode(body, headers, known, record_time_s=NOON_S + 600):
            if isinstance(one, MetricSample):
                for amount in counters.add(one, offset):
                    totals[amount.event.module, amount.event.region] += int(amount.event.requests)
    return +totals


@pytest.mark.parametrize(
    ("name", "means", "module"),
    [
        ("mplp_http_requests_total", "requests", ""),
        ("http_requests_total", "requests", ""),
        ("http.server.request.duration", "requests", ""),
        ("mplp_http_request_duration_seconds", "requests", ""),
        ("mplp_core_operations_total", "requests", "core"),
        ("mplp_extension_operations_total", "requests", "extension"),
        ("mplp_requests_per_second", "requests_per_s", ""),
        ("requests_per_second", "requests_per_s", ""),
        ("core_operations_per_second", "requests_per_s", "core"),
        ("mplp_auth_requests_per_second", "requests_per_s", "role"),
        ("auth_requests_per_second", "requests_per_s", "role"),
        ("permission_checks_total", "requests", "role"),
        ("mplp_role_permission_checks_total", "requests", "role"),
        ("mplp_auth_attempts_total", "requests", "role"),
        ("mplp_trace_events_per_second", "requests_per_s", "trace"),
        ("trace_events_total", "requests", "trace"),
        ("mplp_plan_executions_total", "requests", "plan"),
        ("mplp_agent_collaborations_total", "requests", "collab"),
        ("mplp_network_connections_active", "not_demand", ""),
        ("mplp_context_queue_length", "not_demand", ""),
        ("mplp_contexts_active_total", "not_demand", ""),
        ("mplp_plans_running_total", "not_demand", ""),
        ("mplp_response_time_p95", "not_demand", ""),
        ("mplp_http_request_duration_seconds_bucket", "not_demand", ""),
        ("container_cpu_usage_seconds_total", "not_demand", ""),
        ("mplp_plan_execution_failures_total", "not_demand", ""),
    ],
)
def test_names_of_the_guides_mean_what_the_guides_say(name: str, means: str, module: str) -> None:
    found = MetricNames(MODULES).find(name, SampleType.CUMULATIVE)

    assert found is not None
    assert (found.meaning.means, found.meaning.module) == (means, module)


def session(temporality: Any) -> list[MetricsData]:
    """Two pods report every 15 s; the second one restarts after the second report."""
    served: dict[str, list[tuple[float, int]]] = {
        "core-0": [(-60, 10), (-60, 25), (-60, 25)],
        "core-1": [(-60, 4), (-60, 4), (20, 7)],
    }
    made = []
    for turn in range(3):
        for pod, reports in served.items():
            at_s = 15.0 * turn
            start_s, value = reports[turn]
            if temporality == DELTA:
                before = 0 if start_s == 20 else reports[max(turn - 1, 0)][1]
                start_s, value = at_s - 15, value - before
            point = a_point(value, at_s, start_s, {"status": "200"})
            resource = {"service.name": "mplp-core", "k8s.pod.name": pod}
            made.append(an_export(a_sum(point, temporality=temporality), resource=resource))
    return made


@both_encodings
@pytest.mark.parametrize("temporality", [CUMULATIVE, DELTA], ids=["cumulative", "delta"])
@pytest.mark.parametrize("batched", [False, True], ids=["a record each", "one record"])
def test_requests_between_the_reports_are_counted_whatever_the_temporality(
    written: Written, temporality: Any, batched: bool
) -> None:
    exports = session(temporality)
    before = 10 + 4 if temporality == CUMULATIVE else 0  # what the first report says since -60 s
    records = [written(together(exports))] if batched else [written(one) for one in exports]

    assert demand(records) == {("core", "us-east-1"): before + (25 - 10) + 0 + 0 + 7}


@both_encodings
def test_throttled_and_failed_requests_are_demand_too(written: Written) -> None:
    exports = [
        an_export(a_sum(*(a_point(turn * share, 15.0 * turn, 0, {"http.status": status})
                          for status, share in (("200", 50), ("429", 30), ("503", 7)))))
        for turn in range(1, 3)
    ]  # fmt: skip

    assert demand(map(written, exports)) == {("core", "eu-west-1"): 2 * (50 + 30 + 7)}


@pytest.mark.parametrize(
    ("means", "counted"),
    [
        pytest.param({"jobs_started_total": "requests", "jobs_completed_total": "not_demand"}, 12,
                     id="at the start"),
        pytest.param({"jobs_started_total": "not_demand", "jobs_completed_total": "requests"}, 9,
                     id="at the end"),
        pytest.param({"jobs_started_total": "requests", "jobs_completed_total": "requests"}, 12,
                     id="the first of both"),
        pytest.param({"jobs_completed_total": "requests", "jobs_started_total": "requests"}, 9,
                     id="the other of both"),
    ],
)  # fmt: skip
def test_request_that_is_counted_when_it_starts_and_when_it_ends_is_one_request(
    means: dict[str, Any], counted: int
) -> None:
    names = {name: MetricMeaning(means=one, module="plan") for name, one in means.items()}
    options = msgspec.structs.replace(OTLP_METRICS, metrics=names)
    exports = [
        an_export(
            a_sum(a_point(turn * 12, 15.0 * turn, 0), name="jobs_started_total"),
            a_sum(a_point(turn * 9, 15.0 * turn, 0), name="jobs_completed_total"),
        )
        for turn in range(2)
    ]
    # Of both the better one is known as such from its first sample on.
    assert demand(map(in_protobuf, exports), a_catalog(options)) == {("plan", "eu-west-1"): counted}


def scrapes(values: Sequence[int], **labels: str) -> list[Record]:
    known = from_adapter()["labels"]
    return [
        a_scrape(
            str(value), timestamp=f"2026-01-01T12:0{turn // 4}:{15 * (turn % 4):02}Z",
            labels={**known, **labels},
        )
        for turn, value in enumerate(values)
    ]  # fmt: skip


def test_counter_that_prometheus_scrapes_is_counted_through_its_reset() -> None:
    assert demand(scrapes([100, 130, 180, 20, 25])) == {("core", "eu-west-1"): 30 + 50 + 20 + 5}


def test_instances_and_answers_of_one_module_add_up() -> None:
    pods = [scrapes([0, 40, 80], instance=one, status=status) for one in "ab"
            for status in ("200", "429")]  # fmt: skip
    by_turn = [record for turn in zip(*pods, strict=True) for record in turn]

    assert demand(by_turn) == {("core", "eu-west-1"): 4 * 80}


@pytest.mark.parametrize(
    ("lateness_s", "requests"), [(120, 0), (630, 90)], ids=["too long a gap", "ten minutes apart"]
)
def test_samples_may_be_as_far_apart_as_the_lateness_of_their_topic(
    lateness_s: float, requests: int
) -> None:
    catalog = a_catalog()
    topic = InputTopic("mplp.metrics", Cells(catalog), lateness_s, 120)
    counters = new_counters(topic, IngestSettings())
    scraped = [
        the_sample(a_scrape(str(value), timestamp=f"2026-01-01T11:{minute}:00Z"))
        for minute, value in ((40, 10), (50, 100))
    ]

    made = [one for offset, sample in enumerate(scraped) for one in counters.add(sample, offset)]

    assert sum(one.event.requests for one in made) == requests
