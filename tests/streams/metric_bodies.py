"""Whole valid records of metrics, as exporters write them, for tests to change one thing in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import pytest
from google.protobuf import json_format
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    AGGREGATION_TEMPORALITY_DELTA,
    AGGREGATION_TEMPORALITY_UNSPECIFIED,
    AggregationTemporality,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from streams.events import FormatOptions, Headers, MetricSample
from tests.streams.format_bodies import NOON_NS, NOON_TEXT, Record, as_json, read

OTLP_METRICS = FormatOptions(format="otlp_proto_metrics")
SECOND_NS = 10**9
Temporality: TypeAlias = AggregationTemporality.ValueType
CUMULATIVE = AGGREGATION_TEMPORALITY_CUMULATIVE
DELTA = AGGREGATION_TEMPORALITY_DELTA
UNSPECIFIED = AGGREGATION_TEMPORALITY_UNSPECIFIED
COUNTER = "mplp_http_requests_total"
POD = {"service.name": "mplp-core", "cloud.region": "eu-west-1", "k8s.pod.name": "core-0"}
START_NS = NOON_NS - 60 * SECOND_NS


def attributes(values: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key=key, value=AnyValue(string_value=text)) for key, text in values.items()]


def a_point(
    value: float = 7,
    at_s: float = 0,
    start_s: float | None = -60,
    labels: Mapping[str, str] | None = None,
) -> NumberDataPoint:
    """Times are counted from noon; `start_s` None is a start that is not said."""
    point = NumberDataPoint(
        time_unix_nano=NOON_NS + int(at_s * SECOND_NS),
        start_time_unix_nano=0 if start_s is None else NOON_NS + int(start_s * SECOND_NS),
        attributes=attributes(labels or {}),
    )
    if isinstance(value, int):
        point.as_int = value
    else:
        point.as_double = value
    return point


def a_sum(
    *points: NumberDataPoint,
    name: str = COUNTER,
    temporality: Temporality = CUMULATIVE,
    rises: bool = True,
) -> Metric:
    data = Sum(data_points=points, aggregation_temporality=temporality, is_monotonic=rises)
    return Metric(name=name, sum=data)


def a_gauge(*points: NumberDataPoint, name: str) -> Metric:
    return Metric(name=name, gauge=Gauge(data_points=points))


def a_histogram(count: int = 7, temporality: Temporality = CUMULATIVE) -> Metric:
    point = HistogramDataPoint(
        time_unix_nano=NOON_NS,
        start_time_unix_nano=START_NS,
        count=count,
        sum=1.25,
        bucket_counts=[count, 0],
        explicit_bounds=[0.005],
    )
    data = Histogram(data_points=[point], aggregation_temporality=temporality)
    return Metric(name="http.server.request.duration", histogram=data)


def an_exponential_histogram(count: int = 7) -> Metric:
    point = ExponentialHistogramDataPoint(
        time_unix_nano=NOON_NS,
        start_time_unix_nano=START_NS,
        count=count,
        scale=3,
        zero_count=count,
    )
    data = ExponentialHistogram(data_points=[point], aggregation_temporality=DELTA)
    return Metric(name="http.server.request.duration", exponential_histogram=data)


def a_summary(count: int = 7) -> Metric:
    point = SummaryDataPoint(
        time_unix_nano=NOON_NS, start_time_unix_nano=START_NS, count=count, sum=1.25
    )
    return Metric(name="http_request_duration_seconds", summary=Summary(data_points=[point]))


def an_export(*metrics: Metric, resource: Mapping[str, str] | None = None) -> MetricsData:
    """What one process reports at once."""
    scope = ScopeMetrics(scope=InstrumentationScope(name="http"), metrics=metrics)
    named = Resource(attributes=attributes(POD if resource is None else resource))
    return MetricsData(resource_metrics=[ResourceMetrics(resource=named, scope_metrics=[scope])])


def together(exports: Iterable[MetricsData]) -> MetricsData:
    """What a Collector makes one record of."""
    return MetricsData(resource_metrics=[one for data in exports for one in data.resource_metrics])


def in_protobuf(data: MetricsData) -> Record:
    return Record(data.SerializeToString(), (), OTLP_METRICS)


def in_json(data: MetricsData) -> Record:
    """As the Collector writes it: enumerations are numbers, whole numbers of 64 bits are text."""
    fields = json_format.MessageToDict(data, use_integers_for_enums=True)
    return Record(as_json({"resourceMetrics": [], **fields}))


def from_adapter(value: str = "4711", **changed: Any) -> dict[str, Any]:
    """A sample as prometheus-kafka-adapter's JSON serializer writes it."""
    labels = {
        "__name__": COUNTER, "app": "mplp-core", "region": "eu-west-1", "instance": "10.0.0.7:8080",
        "job": "mplp-modules", "status": "200",
    }  # fmt: skip
    fields = {"timestamp": NOON_TEXT.replace(".000", ""), "value": value, "name": COUNTER}
    return {**fields, "labels": labels, **changed}


Written = Callable[[MetricsData], Record]
both_encodings = pytest.mark.parametrize("written", [in_protobuf, in_json])


def a_scrape(value: str = "4711", headers: Headers = (), **changed: Any) -> Record:
    return Record(as_json(from_adapter(value, **changed)), headers)


def samples_of(record: Record) -> list[MetricSample]:
    outcomes = read(record)
    samples = [one for one in outcomes if isinstance(one, MetricSample)]
    assert len(samples) == len(outcomes), outcomes
    return samples


def the_sample(record: Record) -> MetricSample:
    (sample,) = samples_of(record)
    return sample
