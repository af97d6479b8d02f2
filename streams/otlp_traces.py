"""Spans as request events: OpenTelemetry traces as the Collector's Kafka exporter writes them.

`streams/events.py` registers both encodings; the exporter marks neither in a header, so a topic in
`otlp_proto` says so in the options, while JSON is told by its first key. A span of kind SERVER is a
request that arrived at its service when the span began; INTERNAL, CLIENT and PRODUCER spans are the
same request seen from elsewhere and are ignored. Sampling is undone by what the tracestate says
(`streams/trace_sampling.py`). Follows opentelemetry-proto 1.x, trace/v1/trace.proto, and the OTLP
specification's JSON encoding: identities in hexadecimal, enumerations as numbers, 64-bit integers
as text. The Protobuf classes are imported with the first such record: a worker without one does
without their memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from streams.catalog import Catalog
from streams.event_time import checked_time_s
from streams.event_types import (
    DECODE_ERRORS,
    EVENTS_PER_RECORD_MAX,
    Around,
    Event,
    Headers,
    Ignored,
    Outcomes,
    RefusalError,
    Rejected,
    RejectReason,
    RequestEvent,
    rejection,
)
from streams.json_events import surroundings
from streams.otlp_resource import place
from streams.trace_sampling import spans_stood_for

SERVER = 2
CONSUMER = 5
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
PINNED_ATTRIBUTE = "http.request.header.region"
"""Where instrumentation records the request header that chose the region (semantic conventions)."""


class Span(NamedTuple):
    """What matters of a span, from either encoding; `kind` as in trace.proto, times in ns."""

    kind: int
    event_id: str
    start_ns: int
    trace_state: str
    pinned: bool


class OtlpProtoTraces:
    """`TracesData` in Protobuf, which is also an `ExportTraceServiceRequest`."""

    name = "otlp_proto_traces"

    def claims(self, media_type: str, headers: Headers) -> bool:
        return False  # application/x-protobuf may be anything

    def recognises(self, body: bytes) -> bool:
        return False  # and so may the bytes: metrics look the same from outside

    def decode(
        self, headers: Headers, body: bytes, catalog: Catalog, record_time_s: float | None
    ) -> Outcomes:
        from google.protobuf.message import DecodeError  # noqa: PLC0415  # see the module
        from opentelemetry.proto.trace.v1.trace_pb2 import TracesData  # noqa: PLC0415

        try:
            traces = TracesData.FromString(body)
        except DecodeError as error:
            raise RefusalError(RejectReason.MALFORMED, f"not OTLP traces: {error}") from None
        if body and not traces.resource_spans:
            raise RefusalError(RejectReason.MALFORMED, "not OTLP traces: no resource spans")
        groups = (
            (_texts(one.resource.attributes), _proto_spans(one)) for one in traces.resource_spans
        )
        return _outcomes(groups, catalog, record_time_s, surroundings(headers, catalog))


def _proto_spans(resource_spans: Any) -> Iterator[Span | Rejected]:
    for scope in resource_spans.scope_spans:
        for span in scope.spans:
            if span.kind not in (SERVER, CONSUMER):
                yield Span(span.kind, "", span.start_time_unix_nano, "", pinned=False)
            elif len(span.trace_id) != 16 or len(span.span_id) != 8:
                yield Rejected(RejectReason.INVALID_FIELD, "a span without trace or span identity")
            else:
                yield Span(
                    span.kind,
                    span.trace_id.hex() + span.span_id.hex(),
                    span.start_time_unix_nano,
                    span.trace_state,
                    any(one.key == PINNED_ATTRIBUTE for one in span.attributes),
                )


def _texts(attributes: Iterable[Any]) -> dict[str, str]:
    """The text attributes of a Protobuf resource."""
    return {one.key: one.value.string_value for one in attributes if one.value.string_value}


Hexadecimal = Annotated[str, Meta(pattern="^[0-9a-fA-F]*$")]


class _Value(msgspec.Struct, rename="camel"):
    string_value: str = ""


class _Attribute(msgspec.Struct):
    key: str
    value: _Value = msgspec.field(default_factory=_Value)


class _JsonSpan(msgspec.Struct, rename="camel"):
    kind: int | Annotated[str, Meta(max_length=32)] = 0
    trace_id: Annotated[Hexadecimal, Meta(max_length=32)] = ""
    span_id: Annotated[Hexadecimal, Meta(max_length=16)] = ""
    start_time_unix_nano: int | Annotated[str, Meta(pattern=r"^\d{1,20}$")] = 0
    trace_state: str = ""
    attributes: msgspec.Raw = msgspec.Raw()


class _ScopeSpans(msgspec.Struct):
    spans: list[msgspec.Raw] = []


class _Resource(msgspec.Struct):
    attributes: list[_Attribute] = []


class _ResourceSpans(msgspec.Struct, rename="camel"):
    resource: _Resource = msgspec.field(default_factory=_Resource)
    scope_spans: list[_ScopeSpans] = []


class _TracesData(msgspec.Struct, rename="camel"):
    resource_spans: list[_ResourceSpans]


_TRACES = msgspec.json.Decoder(_TracesData)
_SPAN = msgspec.json.Decoder(_JsonSpan)
_FIRST_KEY = re.compile(rb'\s*\{\s*"resourceSpans"\s*:')


class OtlpJsonTraces:
    """`TracesData` in JSON, told by its first key, which is its only one."""

    name = "otlp_json_traces"

    def claims(self, media_type: str, headers: Headers) -> bool:
        return False

    def recognises(self, body: bytes) -> bool:
        return _FIRST_KEY.match(body) is not None

    def decode(
        self, headers: Headers, body: bytes, catalog: Catalog, record_time_s: float | None
    ) -> Outcomes:
        groups = (
            (
                {one.key: one.value.string_value for one in group.resource.attributes},
                _json_spans(group),
            )
            for group in _TRACES.decode(body).resource_spans
        )
        return _outcomes(groups, catalog, record_time_s, surroundings(headers, catalog))


def _json_spans(group: _ResourceSpans) -> Iterator[Span | Rejected]:
    for scope in group.scope_spans:
        for raw in scope.spans:
            try:
                yield _json_span(_SPAN.decode(raw))
            except DECODE_ERRORS as error:
                yield rejection(error)


def _json_span(span: _JsonSpan) -> Span:
    kind = span.kind
    if isinstance(kind, str):
        name = kind.removeprefix("SPAN_KIND_").lower()
        kind = _KINDS.index(name) if name in _KINDS else 0
    if kind in (SERVER, CONSUMER) and (len(span.trace_id) != 32 or len(span.span_id) != 16):
        sentence = "a span without trace or span identity"
        raise RefusalError(RejectReason.INVALID_FIELD, sentence)
    pinned = f'"{PINNED_ATTRIBUTE}"'.encode() in bytes(span.attributes)
    event_id = (span.trace_id + span.span_id).lower()
    return Span(kind, event_id, int(span.start_time_unix_nano), span.trace_state, pinned)


Group = tuple[dict[str, str], Iterable[Span | Rejected]]


def _outcomes(
    groups: Iterable[Group], catalog: Catalog, record_time_s: float | None, around: Around
) -> Outcomes:
    """One outcome for each span that may be a request, and one for all that are none."""
    arrivals = {SERVER, CONSUMER} if catalog.options.consumer_spans else {SERVER}
    outcomes: list[Event | Rejected] = []
    ignored = spans_read = 0
    newest_ns = 0
    for attributes, spans in groups:
        for span in spans:
            spans_read += 1
            if spans_read > EVENTS_PER_RECORD_MAX:
                sentence = f"more than {EVENTS_PER_RECORD_MAX} spans in one record"
                raise RefusalError(RejectReason.OVERSIZE, sentence)
            if isinstance(span, Rejected):
                outcomes.append(span)
            elif span.kind not in arrivals:
                ignored += 1
                newest_ns = max(newest_ns, span.start_ns)
            else:
                try:
                    outcomes += _request(span, attributes, catalog, record_time_s, around)
                except RefusalError as refusal:
                    outcomes.append(refusal.rejected)
    if ignored:
        outcomes.append(_ignored(ignored, newest_ns, catalog, record_time_s))
    return outcomes


def _request(
    span: Span,
    attributes: dict[str, str],
    catalog: Catalog,
    record_time_s: float | None,
    around: Around,
) -> list[RequestEvent]:
    stood_for = spans_stood_for(span.trace_state)
    if stood_for is None:
        stood_for = 1 / catalog.options.span_sample_rate
    if not stood_for:
        return []
    time_s = checked_time_s(span.start_ns / 1e9, record_time_s, catalog.future_skew_max_s)
    module, region = place(attributes, catalog, around.region)
    variance = stood_for * (stood_for - 1)
    event = RequestEvent(
        span.event_id, time_s, module, region, stood_for, span.pinned, None, variance
    )
    return [event]


def _ignored(
    spans: int, newest_ns: int, catalog: Catalog, record_time_s: float | None
) -> Ignored | Rejected:
    skew_max_s = catalog.future_skew_max_s
    try:
        time_s = checked_time_s(newest_ns / 1e9, record_time_s, skew_max_s)
    except RefusalError as refusal:
        if record_time_s is None:
            return refusal.rejected
        time_s = record_time_s  # nothing hangs on the time of what is not counted
    return Ignored("", time_s, "span that is no arrival", spans)
