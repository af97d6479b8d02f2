"""Metrics of a Collector or of Prometheus say what a user would say they say."""

from __future__ import annotations

import math

import msgspec
import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from streams.event_types import (
    EVENTS_PER_RECORD_MAX,
    OTHER,
    Ignored,
    MetricSample,
    Rejected,
    RejectReason,
    SampleType,
)
from streams.events import Catalog, decode
from tests.streams.format_bodies import (
    MODULES,
    NOON_NS,
    NOON_S,
    REGIONS,
    Record,
    as_json,
    read,
)
from tests.streams.metric_bodies import (
    COUNTER,
    DELTA,
    OTLP_METRICS,
    UNSPECIFIED,
    Written,
    a_gauge,
    a_histogram,
    a_point,
    a_sum,
    a_summary,
    an_exponential_histogram,
    an_export,
    both_encodings,
    in_json,
    in_protobuf,
    samples_of,
    the_sample,
)


@both_encodings
def test_sum_is_a_sample_of_its_series_module_and_region(written: Written) -> None:
    sample = the_sample(
        written(an_export(a_sum(a_point(7, labels={"method": "GET", "status": "200"}))))
    )

    assert msgspec.structs.replace(sample, source="") == MetricSample(
        "", NOON_S, COUNTER, 7.0, "core", "eu-west-1", (("method", "GET"), ("status", "200")),
        SampleType.CUMULATIVE, NOON_S - 60,
    )  # fmt: skip
    assert sample.source, "two pods with the same labels would be one series"


@both_encodings
@pytest.mark.parametrize(
    ("metric", "value", "sample_type"),
    [
        pytest.param(a_sum(a_point(7)), 7, "cumulative", id="cumulative sum"),
        pytest.param(a_sum(a_point(7), temporality=DELTA), 7, "delta", id="delta sum"),
        pytest.param(a_sum(a_point(7.5)), 7.5, "cumulative", id="sum of a fraction"),
        pytest.param(a_sum(a_point(7), rises=False), 7, "gauge", id="sum that may fall"),
        pytest.param(a_gauge(a_point(2.5), name="mplp_requests_per_second"), 2.5, "gauge",
                     id="gauge"),
        pytest.param(a_histogram(9), 9, "cumulative", id="histogram counts"),
        pytest.param(a_histogram(9, temporality=DELTA), 9, "delta", id="delta histogram"),
        pytest.param(an_exponential_histogram(9), 9, "delta", id="exponential histogram"),
        pytest.param(a_summary(9), 9, "cumulative", id="summary"),
    ],
)  # fmt: skip
def test_every_kind_of_data_gives_its_value_or_its_count(
    written: Written, metric: Metric, value: float, sample_type: str
) -> None:
    sample = the_sample(written(an_export(metric)))

    assert (sample.value, sample.type) == (value, sample_type)


@both_encodings
def test_pods_and_scopes_are_series_of_their_own_and_one_pod_stays_one(written: Written) -> None:
    pods = [{"service.name": "mplp-core", "k8s.pod.name": f"core-{pod}"} for pod in (0, 1, 0)]

    first, second, again = (
        the_sample(written(an_export(a_sum(a_point()), resource=pod))) for pod in pods
    )

    assert first.source == again.source
    assert first.source != second.source


def test_both_encodings_of_one_export_are_one_series() -> None:
    data = an_export(a_sum(a_point(7, labels={"method": "GET"})), a_histogram(), a_summary())

    assert samples_of(in_protobuf(data)) == samples_of(in_json(data))


@both_encodings
@pytest.mark.parametrize(
    ("resource", "labels", "name", "place"),
    [
        pytest.param({"service.name": "mplp-plan-service"}, {}, COUNTER, ("plan", "us-east-1"),
                     id="the worker's region where none is named"),
        pytest.param({"service.name": "plan", "cloud.region": "eu-west-1"}, {}, COUNTER,
                     ("plan", "eu-west-1"), id="resource"),
        pytest.param({"service.name": "x", "k8s.deployment.name": "mplp-role"},
                     {"region": "eu-west-1"}, COUNTER, ("role", "eu-west-1"),
                     id="deployment, and the region of the point"),
        pytest.param({"service.name": "mplp-app"}, {"module": "trace"}, COUNTER,
                     ("trace", "us-east-1"), id="a process of all modules"),
        pytest.param({"service.name": "mplp-app"}, {}, "mplp_confirm_operations_total",
                     ("confirm", "us-east-1"), id="the metric's own name"),
        pytest.param({"service.name": "gateway"}, {"http.route": "/api/v1/plans/{id}"}, COUNTER,
                     ("plan", "us-east-1"), id="route"),
        pytest.param({"k8s.cluster.name": "x"}, {"pod": "mplp-collab-7c9fbc5f4d-x2x9z"}, COUNTER,
                     ("collab", "us-east-1"), id="pod"),
        pytest.param({"service.name": "billing"}, {}, COUNTER, (OTHER, OTHER), id="not ours"),
        pytest.param({"service.name": "plan", "cloud.region": "mars"}, {}, COUNTER,
                     (OTHER, OTHER), id="not our region"),
        pytest.param({}, {}, COUNTER, (OTHER, OTHER), id="nothing named"),
    ],
)  # fmt: skip
def test_module_and_region_are_found_wherever_exporters_put_them(
    written: Written,
    resource: dict[str, str],
    labels: dict[str, str],
    name: str,
    place: tuple[str, str],
) -> None:
    sample = the_sample(
        written(an_export(a_sum(a_point(labels=labels), name=name), resource=resource))
    )

    assert (sample.module, sample.region) == place


@both_encodings
@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        pytest.param(a_sum(a_point(math.nan)), RejectReason.INVALID_FIELD, id="NaN"),
        pytest.param(a_sum(a_point(math.inf)), RejectReason.INVALID_FIELD, id="infinity"),
        pytest.param(a_sum(a_point(-math.inf)), RejectReason.INVALID_FIELD, id="-infinity"),
        pytest.param(a_sum(a_point(3), temporality=UNSPECIFIED), RejectReason.INVALID_FIELD,
                     id="no temporality"),
        pytest.param(a_sum(a_point(3, at_s=301)), RejectReason.FUTURE_TIME, id="future"),
        pytest.param(a_sum(a_point(3, at_s=-1.5e9)), RejectReason.INVALID_TIME, id="1978"),
    ],
)  # fmt: skip
def test_bad_point_costs_only_itself(written: Written, metric: Metric, reason: str) -> None:
    good = a_sum(a_point(5, labels={"method": "GET"}))

    before, bad, after = read(written(an_export(good, metric, good)))

    assert isinstance(bad, Rejected)
    assert bad.reason == reason
    assert isinstance(before, MetricSample)
    assert before == after


@both_encodings
def test_bad_point_of_a_metric_that_is_no_demand_troubles_nobody(written: Written) -> None:
    good = a_sum(a_point(5))
    latency = a_gauge(a_point(math.nan), a_point(2.5), name="mplp_response_time_p95")

    names = [one.name for one in samples_of(written(an_export(latency, good)))]

    assert names == ["mplp_response_time_p95", COUNTER]


@both_encodings
def test_series_that_ended_is_a_sign_of_life_and_no_value(written: Written) -> None:
    ended = a_point(0, at_s=-5)
    ended.ClearField("as_int")
    ended.flags = 1

    assert list(read(written(an_export(a_sum(ended, ended))))) == [
        Ignored("", NOON_S - 5, "data point without a value", 2)
    ]


@both_encodings
def test_clock_that_is_a_little_ahead_is_set_to_the_time_of_the_record(written: Written) -> None:
    assert the_sample(written(an_export(a_sum(a_point(at_s=200))))).time_s == NOON_S


@both_encodings
def test_time_of_the_record_stands_in_where_a_point_has_none(written: Written) -> None:
    point = a_point(3)
    point.ClearField("time_unix_nano")

    assert the_sample(written(an_export(a_sum(point)))).time_s == NOON_S
    (refused,) = read(written(an_export(a_sum(point))), record_time_s=None)
    assert isinstance(refused, Rejected)
    assert refused.reason == RejectReason.INVALID_TIME


def test_start_that_is_not_said_is_none() -> None:
    assert the_sample(in_json(an_export(a_sum(a_point(start_s=None))))).start_s is None


@pytest.mark.parametrize("name", [COUNTER, "mplp_response_time_p95"])
def test_demand_without_a_region_is_refused_and_anything_else_is_not(name: str) -> None:
    nowhere = Catalog(MODULES, REGIONS, options=OTLP_METRICS)
    body, headers, _ = in_protobuf(
        an_export(a_gauge(a_point(3.5), name=name), resource={"service.name": "core"})
    )

    (outcome,) = decode(body, headers, nowhere, record_time_s=NOON_S)

    if name == COUNTER:
        assert isinstance(outcome, Rejected)
        assert outcome.reason == RejectReason.MISSING_REGION
    else:
        assert isinstance(outcome, MetricSample)


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        ({"asInt": "many"}, "invalid_field"),
        ({"asDouble": "lots"}, "invalid_field"),
        ({"asInt": "7", "timeUnixNano": -1}, "invalid_field"),
        ({"asInt": "7", "attributes": [{"value": {}}]}, "invalid_field"),
        ({"asInt": "7", "timeUnixNano": "99999999999999999999"}, "invalid_time"),
        ([], "invalid_field"),
    ],
)
def test_json_point_that_is_broken_costs_only_itself(point: object, reason: str) -> None:
    good = {"timeUnixNano": str(NOON_NS), "asInt": "7"}
    metric = {"name": COUNTER, "sum": {"dataPoints": [good, point, good],
              "aggregationTemporality": 2, "isMonotonic": True}}  # fmt: skip
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}

    first, bad, last = read(Record(as_json(body)))

    assert isinstance(bad, Rejected)
    assert bad.reason == reason
    assert isinstance(first, MetricSample)
    assert first == last


@pytest.mark.parametrize("temporality", ["AGGREGATION_TEMPORALITY_CUMULATIVE", 2])
def test_json_may_name_its_enumerations_and_write_whole_numbers_as_numbers(
    temporality: object,
) -> None:
    point = {"timeUnixNano": NOON_NS, "asInt": 7}
    metric = {"name": COUNTER, "sum": {"dataPoints": [point], "isMonotonic": True,
              "aggregationTemporality": temporality}}  # fmt: skip

    sample = the_sample(
        Record(as_json({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}))
    )

    assert (sample.value, sample.type, sample.time_s) == (7, "cumulative", NOON_S)


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(Record(in_protobuf(an_export(a_sum(a_point()))).body[:-3], (), OTLP_METRICS),
                     id="torn Protobuf"),
        pytest.param(Record(b"\x12\x03abc", (), OTLP_METRICS), id="another message"),
        pytest.param(Record(in_json(an_export(a_sum(a_point()))).body[:-3]), id="torn JSON"),
    ],
)  # fmt: skip
def test_record_that_is_torn_is_malformed(record: Record) -> None:
    (refused,) = read(record)

    assert isinstance(refused, Rejected)
    assert refused.reason == RejectReason.MALFORMED


def test_record_of_too_many_points_is_refused_whole() -> None:
    points = b"{}," * EVENTS_PER_RECORD_MAX + b"{}"
    body = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"x","gauge":{"dataPoints":['
    (refused,) = read(Record(body + points + b"]}}]}]}]}"))

    assert isinstance(refused, Rejected)
    assert refused.reason == RejectReason.OVERSIZE
