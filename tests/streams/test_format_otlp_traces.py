"""Server spans are requests; what sampling left out is added again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from streams.event_types import OTHER
from streams.events import FormatOptions, Ignored, Rejected, RejectReason, RequestEvent
from tests.streams.format_bodies import (
    NOON_NS,
    NOON_S,
    OTLP_PROTO,
    Record,
    a_json_span,
    a_span,
    as_json,
    otlp_json,
    otlp_proto,
    read,
)

SPAN_ID = "74" * 16 + "73" * 8
A_REQUEST = RequestEvent(SPAN_ID, NOON_S, "core", "us-east-1", 1.0, pinned=False)


def read_json(*spans: object, resource: dict[str, str] | None = None) -> list[object]:
    return list(read(Record(as_json(otlp_json(*spans, resource=resource)))))


def test_server_span_is_a_request_at_its_service_when_it_began() -> None:
    assert list(read(otlp_proto(a_span()))) == [A_REQUEST]
    assert read_json(a_json_span()) == [A_REQUEST]


@pytest.mark.parametrize("kind", [0, 1, 3, 4, 5])
def test_spans_of_other_kinds_are_ignored_and_counted(kind: int) -> None:
    ignored = Ignored("", NOON_S, "span that is no arrival", 2)

    assert list(read(otlp_proto(a_span(kind=kind), a_span(), a_span(kind=kind)))) == [
        A_REQUEST,
        ignored,
    ]
    name = Span.SpanKind.Name(kind)
    assert read_json(a_json_span(kind=kind), a_json_span(kind=name)) == [ignored]


def test_consumer_spans_are_requests_where_the_options_say_so() -> None:
    spans = [a_span(kind=Span.SPAN_KIND_CONSUMER), a_span(kind=Span.SPAN_KIND_CLIENT)]

    outcomes = read(otlp_proto(*spans, consumer_spans=True))

    assert [type(one) for one in outcomes] == [RequestEvent, Ignored]


def test_json_may_write_enumerations_by_name_and_numbers_as_numbers() -> None:
    assert read_json(a_json_span(kind="SPAN_KIND_SERVER", startTimeUnixNano=NOON_NS)) == [A_REQUEST]
    assert read_json(a_json_span(traceId="7A" * 16)) == read_json(a_json_span(traceId="7a" * 16))


@pytest.mark.parametrize(
    ("resource", "place"),
    [
        ({"service.name": "mplp-plan-service"}, ("plan", "us-east-1")),
        ({"service.name": "plan", "cloud.region": "eu-west-1"}, ("plan", "eu-west-1")),
        ({"service.name": "plan", "topology.kubernetes.io/region": "eu-west-1"},
         ("plan", "eu-west-1")),
        ({"service.name": "unknown_service", "k8s.deployment.name": "mplp-role"},
         ("role", "us-east-1")),
        ({"service.name": "billing", "cloud.region": "eu-west-1"}, (OTHER, OTHER)),
        ({"service.name": "plan", "cloud.region": "mars"}, (OTHER, OTHER)),
        ({"host.name": "h"}, (OTHER, OTHER)),
    ],
)  # fmt: skip
def test_resource_names_the_module_and_the_region(
    resource: dict[str, str], place: tuple[str, str]
) -> None:
    (event,) = read(otlp_proto(a_span(), resource=resource))

    assert isinstance(event, RequestEvent)
    assert (event.module, event.region) == place
    assert read_json(a_json_span(), resource=resource) == [event]


def test_request_whose_header_chose_the_region_is_pinned() -> None:
    key = "http.request.header.region"
    attribute = {"key": key, "value": {"arrayValue": {"values": [{"stringValue": "eu-west-1"}]}}}

    (pinned,) = read(otlp_proto(a_span(attributes=[{"key": key}])))

    assert isinstance(pinned, RequestEvent)
    assert pinned.pinned
    assert read_json(a_json_span(attributes=[attribute])) == [pinned]


# The specification's own examples of thresholds: th:0 keeps all, th:8 half, th:c a quarter.
@pytest.mark.parametrize(
    ("trace_state", "stands_for"),
    [
        ("", 1), ("ot=th:0", 1), ("ot=th:8", 2), ("ot=th:c", 4), ("ot=th:c;rv:abcdef01234567", 4),
        ("vendor=th:8,ot=rv:d29d6a7215ced0;th:fd70a4", 2**24 / (2**24 - 0xFD70A4)),
        ("other=1, ot=p:3;r:10 ", 8),
        ("ot=p:0", 1), ("ot=th:c;p:10", 4), ("ot=th:xyz", 1), ("ot=th:123456789abcdef", 1),
        ("ot=p:64", 1), ("not=th:8", 1), ("ot=", 1),
    ],
)  # fmt: skip
def test_sampled_span_stands_for_those_that_were_left_out(
    trace_state: str, stands_for: float
) -> None:
    (event,) = read(otlp_proto(a_span(trace_state=trace_state)))

    assert isinstance(event, RequestEvent)
    assert event.requests == pytest.approx(stands_for, rel=1e-6)
    assert event.variance == pytest.approx(stands_for * (stands_for - 1), rel=1e-5)
    assert read_json(a_json_span(traceState=trace_state)) == [event]


@given(st.integers(1, 10**6 - 1))
@settings(max_examples=50, deadline=None)
def test_any_probability_written_as_a_threshold_is_undone(per_million: int) -> None:
    probability = per_million / 10**6
    threshold = round((1 - probability) * 2**56)
    digits = f"{threshold:014x}".rstrip("0") or "0"

    (event,) = read(otlp_proto(a_span(trace_state=f"ot=th:{digits}")))

    assert isinstance(event, RequestEvent)
    assert event.requests == pytest.approx(1 / probability, rel=1e-6)


def test_span_of_sampling_probability_zero_counts_for_nothing() -> None:
    assert list(read(otlp_proto(a_span(trace_state="ot=p:63")))) == []


@pytest.mark.parametrize("trace_state", ["ot=p:62", "ot=th:ffffffffffffff"])
def test_span_that_would_be_all_of_the_demand_is_refused(trace_state: str) -> None:
    (rejected,) = read(otlp_proto(a_span(trace_state=trace_state)))

    assert isinstance(rejected, Rejected)
    assert rejected.reason == RejectReason.INVALID_FIELD


def test_options_give_the_sampling_that_spans_do_not_tell() -> None:
    spans = [a_span(), a_span(trace_state="ot=th:8")]

    outcomes = read(otlp_proto(*spans, span_sample_rate=0.1))

    assert [one.requests for one in outcomes if isinstance(one, RequestEvent)] == [10.0, 2.0]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"trace_id": b""}, RejectReason.INVALID_FIELD),
        ({"span_id": b"short"}, RejectReason.INVALID_FIELD),
        ({"start_time_unix_nano": 0}, RejectReason.INVALID_TIME),
        ({"start_time_unix_nano": 2**64 - 1}, RejectReason.FUTURE_TIME),
    ],
)
def test_bad_span_is_set_aside_and_the_others_count(
    changed: dict[str, Any], reason: RejectReason
) -> None:
    before, rejected, after = read(otlp_proto(a_span(), a_span(**changed), a_span()))

    assert before == after == A_REQUEST
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason


@pytest.mark.parametrize(
    "changed",
    [{"traceId": "zz" * 16}, {"traceId": ""}, {"kind": None}, {"startTimeUnixNano": "noon"}, None],
    ids=str,
)
def test_bad_json_span_is_set_aside_and_the_others_count(changed: dict[str, Any] | None) -> None:
    bad = 7 if changed is None else a_json_span(**changed)

    before, rejected, after = read_json(a_json_span(), bad, a_json_span())

    assert before == after == A_REQUEST
    assert isinstance(rejected, Rejected)
    assert rejected.reason == RejectReason.INVALID_FIELD


def test_record_with_too_many_spans_is_set_aside_whole() -> None:
    (rejected,) = read_json(*[{}] * 100_001)

    assert isinstance(rejected, Rejected)
    assert rejected.reason == RejectReason.OVERSIZE


def test_time_of_spans_that_are_ignored_is_of_no_importance() -> None:
    (ignored,) = read(otlp_proto(a_span(kind=1, start_time_unix_nano=0)))

    assert ignored == Ignored("", NOON_S, "span that is no arrival", 1)


@pytest.mark.parametrize("body", [b"\x00", b"hello", b"\x12\x02ab", otlp_proto(a_span()).body[:-3]])
def test_bytes_that_are_no_traces_are_malformed(body: bytes) -> None:
    (rejected,) = read(Record(body, (), OTLP_PROTO))

    assert isinstance(rejected, Rejected)
    assert rejected.reason == RejectReason.MALFORMED


def test_without_the_option_protobuf_is_refused_with_what_to_do() -> None:
    record = Record(otlp_proto(a_span()).body, [("content-type", b"application/x-protobuf")])

    (rejected,) = read(record)
    (event,) = read(record._replace(options=OTLP_PROTO))

    assert isinstance(rejected, Rejected)
    assert rejected.reason == RejectReason.UNSUPPORTED_FORMAT
    assert "events.format" in rejected.detail
    assert event == A_REQUEST


def test_service_names_that_are_not_modules_are_mapped_by_the_options() -> None:
    options = FormatOptions(
        format="otlp_proto_traces",
        module_aliases={"planner-api": "plan"},
        region_aliases={"frankfurt": "eu-west-1"},
        service_attributes=("mplp.component",),
        region_attributes=("datacenter",),
    )
    resource = {"mplp.component": "planner-api", "datacenter": "Frankfurt"}
    record = otlp_proto(a_span(), resource=resource)._replace(options=options)

    (event,) = read(record)

    assert isinstance(event, RequestEvent)
    assert (event.module, event.region) == ("plan", "eu-west-1")
