"""OpenTelemetry metrics in Protobuf and in JSON, read into the points of `streams/otlp_metrics.py`.

`streams/events.py` registers the two formats. Nothing is decided here: this file knows how the two
encodings write the same thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from streams.catalog import Catalog
from streams.event_types import (
    DECODE_ERRORS,
    Headers,
    Outcomes,
    RefusalError,
    Rejected,
    RejectReason,
    SampleType,
    rejection,
)
from streams.otlp_metrics import (
    NO_RECORDED_VALUE,
    Metric,
    Point,
    Resource,
    metric_outcomes,
    sum_type,
)

_TEMPORALITIES = ("unspecified", "delta", "cumulative")


class OtlpProtoMetrics:
    """`MetricsData` in Protobuf, which is also an `ExportMetricsServiceRequest`."""

    name = "otlp_proto_metrics"

    def claims(self, media_type: str, headers: Headers) -> bool:
        return False  # application/x-protobuf may be anything

    def recognises(self, body: bytes) -> bool:
        return False  # and so may the bytes: traces look the same from outside

    def decode(
        self, headers: Headers, body: bytes, catalog: Catalog, record_time_s: float | None
    ) -> Outcomes:
        # Imported with the first such record: a worker without one does without their memory.
        from google.protobuf.message import DecodeError  # noqa: PLC0415
        from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData  # noqa: PLC0415

        try:
            data = MetricsData.FromString(body)
        except DecodeError as error:
            raise RefusalError(RejectReason.MALFORMED, f"not OTLP metrics: {error}") from None
        if body and not data.resource_metrics:
            raise RefusalError(RejectReason.MALFORMED, "not OTLP metrics: no resource metrics")
        resources = (
            Resource(
                _proto_texts(one.resource.attributes),
                ((scope.scope.name, map(_proto_metric, scope.metrics)) for scope in _scopes(one)),
            )
            for one in data.resource_metrics
        )
        return metric_outcomes(resources, headers, catalog, record_time_s)


def _scopes(resource_metrics: Any) -> Iterable[Any]:
    scopes: Iterable[Any] = resource_metrics.scope_metrics
    return scopes


def _proto_metric(metric: Any) -> Metric:
    kind = metric.WhichOneof("data")
    if kind is None:
        return Metric(metric.name, None, ())
    data = getattr(metric, kind)
    points = (_proto_point(point, kind) for point in data.data_points)
    return Metric(metric.name, _sample_type(kind, data), points)


def _proto_point(point: Any, kind: str) -> Point:
    value: float | None
    if point.flags & NO_RECORDED_VALUE:
        value = None
    elif kind in ("sum", "gauge"):
        field = point.WhichOneof("value")
        value = None if field is None else float(getattr(point, field))
    else:
        value = float(point.count)
    return Point(
        value,
        point.time_unix_nano,
        point.start_time_unix_nano,
        _proto_texts(point.attributes),
    )


def _proto_texts(attributes: Iterable[Any]) -> dict[str, str]:
    return {one.key: _proto_text(one.value) for one in attributes}


def _proto_text(value: Any) -> str:
    kind = value.WhichOneof("value")
    if kind is None:
        return ""
    if kind in ("string_value", "int_value", "double_value", "bool_value"):
        return str(getattr(value, kind))
    return str(value.SerializeToString(deterministic=True).hex())


def _sample_type(kind: str, data: Any) -> SampleType | None:
    """What the points are, by the kind of data they stand in."""
    if kind == "gauge":
        return SampleType.GAUGE
    if kind == "summary":
        return SampleType.CUMULATIVE
    is_monotonic = kind != "sum" or data.is_monotonic
    temporality = data.aggregation_temporality
    if isinstance(temporality, str):
        name = temporality.removeprefix("AGGREGATION_TEMPORALITY_").lower()
        temporality = _TEMPORALITIES.index(name) if name in _TEMPORALITIES else 0
    return sum_type(temporality, is_monotonic=is_monotonic)


Nanoseconds = (
    Annotated[int, Meta(ge=0, le=2**63 - 1)] | Annotated[str, Meta(pattern=r"^[0-9]{1,20}$")]
)
Whole = (
    Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    | Annotated[str, Meta(pattern=r"^-?[0-9]{1,20}$")]
)
_NOT_NUMBERS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class _Attribute(msgspec.Struct):
    key: str
    value: dict[str, Any] = {}


class _JsonPoint(msgspec.Struct, rename="camel"):
    attributes: list[_Attribute] = []
    start_time_unix_nano: Nanoseconds = 0
    time_unix_nano: Nanoseconds = 0
    as_double: float | Annotated[str, Meta(max_length=16)] | None = None
    as_int: Whole | None = None
    count: Whole = 0
    flags: int = 0


class _Data(msgspec.Struct, rename="camel"):
    data_points: list[msgspec.Raw] = []
    aggregation_temporality: int | Annotated[str, Meta(max_length=64)] = 0
    is_monotonic: bool = False


class _JsonMetric(msgspec.Struct, rename="camel"):
    name: str = ""
    sum: _Data | None = None
    gauge: _Data | None = None
    histogram: _Data | None = None
    exponential_histogram: _Data | None = None
    summary: _Data | None = None


class _Scope(msgspec.Struct):
    name: str = ""


class _ScopeMetrics(msgspec.Struct):
    scope: _Scope = msgspec.field(default_factory=_Scope)
    metrics: list[_JsonMetric] = []


class _JsonResource(msgspec.Struct):
    attributes: list[_Attribute] = []


class _ResourceMetrics(msgspec.Struct, rename="camel"):
    resource: _JsonResource = msgspec.field(default_factory=_JsonResource)
    scope_metrics: list[_ScopeMetrics] = []


class _MetricsData(msgspec.Struct, rename="camel"):
    resource_metrics: list[_ResourceMetrics]


_METRICS = msgspec.json.Decoder(_MetricsData)
_POINT = msgspec.json.Decoder(_JsonPoint)
_FIRST_KEY = re.compile(rb'\s*\{\s*"resourceMetrics"\s*:')
_KINDS = ("sum", "gauge", "histogram", "exponential_histogram", "summary")


class OtlpJsonMetrics:
    """`MetricsData` in JSON, told by its first key, which is its only one."""

    name = "otlp_json_metrics"

    def claims(self, media_type: str, headers: Headers) -> bool:
        return False

    def recognises(self, body: bytes) -> bool:
        return _FIRST_KEY.match(body) is not None

    def decode(
        self, headers: Headers, body: bytes, catalog: Catalog, record_time_s: float | None
    ) -> Outcomes:
        resources = (
            Resource(
                _json_texts(one.resource.attributes),
                ((scope.scope.name, map(_json_metric, scope.metrics)) for scope in _scopes(one)),
            )
            for one in _METRICS.decode(body).resource_metrics
        )
        return metric_outcomes(resources, headers, catalog, record_time_s)


def _json_metric(metric: _JsonMetric) -> Metric:
    for kind in _KINDS:
        data: _Data | None = getattr(metric, kind)
        if data is not None:
            points = _json_points(data.data_points, is_number=kind in ("sum", "gauge"))
            return Metric(metric.name, _sample_type(kind, data), points)
    return Metric(metric.name, None, ())


def _json_points(raw_points: list[msgspec.Raw], *, is_number: bool) -> Iterator[Point | Rejected]:
    for raw in raw_points:
        try:
            point = _POINT.decode(raw)
            value = None
            if not point.flags & NO_RECORDED_VALUE:
                value = _number(point) if is_number else float(point.count)
            yield Point(
                value,
                int(point.time_unix_nano),
                int(point.start_time_unix_nano),
                _json_texts(point.attributes),
            )
        except DECODE_ERRORS as error:
            yield rejection(error)


def _number(point: _JsonPoint) -> float | None:
    if point.as_int is not None:
        return float(point.as_int)
    if isinstance(point.as_double, str):
        found = _NOT_NUMBERS.get(point.as_double)
        if found is None:
            raise RefusalError(RejectReason.INVALID_FIELD, "a double is no number")
        return found
    return point.as_double


def _json_texts(attributes: list[_Attribute]) -> dict[str, str]:
    return {one.key: _json_text(one.value) for one in attributes}


def _json_text(value: dict[str, Any]) -> str:
    found = next(iter(value.values()), "")
    return found if isinstance(found, str) else msgspec.json.encode(found).decode()
