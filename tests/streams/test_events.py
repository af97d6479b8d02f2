"""Every record becomes an event or a rejection with its reason, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cloudevents.core.bindings.kafka import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.event_types import OTHER, WorkflowRequest
from streams.events import (
    Catalog,
    Headers,
    Heartbeat,
    MetricSample,
    Rejected,
    RejectReason,
    RequestEvent,
    contract_schema,
    decode,
)

MODULES = (
    "context", "plan", "role", "confirm", "trace", "extension", "dialog", "collab", "core",
    "network",
)  # fmt: skip
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON_S = NOON.timestamp()
CATALOG = Catalog(MODULES, ("us-east-1", "eu-west-1"), default_region="us-east-1")


def a_body(**changed: object) -> bytes:
    fields = {
        "kind": "request",
        "version": 1,
        "id": "7",
        "time": "2026-01-01T12:00:00Z",
        "module": "core",
        "region": "eu-west-1",
    }
    return json.dumps({**fields, **changed}).encode()


def read(
    body: bytes | None,
    headers: Headers = (),
    *,
    catalog: Catalog = CATALOG,
    record_time_s: float | None = NOON_S,
) -> object:
    (outcome,) = decode(body, headers, catalog, record_time_s=record_time_s)
    return outcome


def a_request_read(**changed: object) -> RequestEvent:
    event = read(a_body(**changed))
    assert isinstance(event, RequestEvent), event
    return event


def test_request_says_what_the_contract_says() -> None:
    event = read(a_body(count=30, sample_rate=0.1, routing="pinned", caller="plan"))

    assert event == RequestEvent("7", NOON_S, "core", "eu-west-1", 300.0, True, "plan", 2700.0)


def test_request_that_starts_workflows_says_which_modules_they_will_ask() -> None:
    event = read(a_body(count=3, stages=["mplp-core-0", "billing", "core"]))

    said = ("7", NOON_S, "core", "eu-west-1", 3.0, False)
    assert event == WorkflowRequest(*said, stages=("core", OTHER, "core"))


@pytest.mark.parametrize("stages", ["core", [1], ["core"] * 65, [""]])
def test_stages_of_our_contract_are_up_to_64_names(stages: object) -> None:
    rejected = read(a_body(stages=stages))

    assert isinstance(rejected, Rejected)
    assert rejected.reason is RejectReason.INVALID_FIELD


def test_what_may_be_missing_has_its_default() -> None:
    event = read(b'{"kind":"request","module":"core"}')

    assert event == RequestEvent("", NOON_S, "core", "us-east-1", 1.0, False)


def test_unknown_fields_are_ignored() -> None:
    assert a_request_read(shoe_size=44, nested={"a": [1]}) == a_request_read()


def test_heartbeat_and_metric_are_told_apart_by_kind() -> None:
    sample = read(a_body(kind="metric", name="rps", value="12.5", labels={"pod": "core-0"}))

    assert read(a_body(kind="heartbeat")) == Heartbeat("7", NOON_S)
    assert sample == MetricSample(
        "7", NOON_S, "rps", 12.5, "core", "eu-west-1", (("pod", "core-0"),)
    )


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-01T12:00:00Z",
        "2026-01-01t12:00:00z",
        "2026-01-01T12:00:00.000000000Z",
        "2026-01-01T14:30:00+02:30",
        "2026-01-01T11:59:60Z",
        NOON_S,
        int(NOON_S),
        int(NOON_S) * 10**3,
        int(NOON_S) * 10**6,
        int(NOON_S) * 10**9,
    ],
    ids=str,
)
def test_every_way_to_write_noon_is_noon(written: object) -> None:
    assert a_request_read(time=written).time_s == NOON_S


@given(
    st.datetimes().filter(lambda moment: 1991 < moment.year < 2200),
    st.integers(-14 * 60, 14 * 60),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_time_is_read_as_the_standard_library_reads_it(
    moment: datetime, zone_minutes: int, short: bool
) -> None:
    zone = timedelta(minutes=zone_minutes)
    written = (moment.replace(tzinfo=UTC) + zone).replace(tzinfo=None)
    sign, minutes = "-" if zone_minutes < 0 else "+", abs(zone_minutes)
    suffix = f"{sign}{minutes // 60:02}:{minutes % 60:02}"
    text = written.isoformat(timespec="milliseconds" if short else "microseconds") + suffix

    event = read(a_body(time=text), record_time_s=None)

    assert isinstance(event, RequestEvent)
    assert event.time_s == pytest.approx(datetime.fromisoformat(text).timestamp(), abs=1e-6)


@pytest.mark.parametrize(
    "name",
    ["core", "CORE", "mplp-core", "core_module", "core-service", "cores", "mplp-core-service",
     "core-module-001", "mplp-core-7d9f8b6c5d-x2x9z", "Core-0"],
)  # fmt: skip
def test_module_is_known_by_the_names_that_are_in_use(name: str) -> None:
    assert a_request_read(module=name).module == "core"


def test_modules_that_cannot_be_told_apart_are_a_configuration_error() -> None:
    with pytest.raises(ValueError, match="'core' and 'mplp-Core'"):
        Catalog(("core", "mplp-Core"), ())


REJECTED = {
    "no value": (None, RejectReason.TOMBSTONE),
    "not JSON": (b"hello", RejectReason.MALFORMED),
    "empty": (b"", RejectReason.MALFORMED),
    "broken UTF-8": (b'{"kind":"request","module":"\xff"}', RejectReason.MALFORMED),
    "NaN": (b'{"kind":"metric","module":"core","name":"x","value":NaN}', RejectReason.MALFORMED),
    "1e999": (a_body(kind="metric", name="x", value="1e999"), RejectReason.INVALID_FIELD),
    "infinity": (a_body(kind="metric", name="x", value="Infinity"), RejectReason.INVALID_FIELD),
    "nested 100,000 deep": (b'{"x":' * 100_000, RejectReason.MALFORMED),
    "5 MB": (a_body(caller="x" * 5_000_000), RejectReason.OVERSIZE),
    "an array": (b"[1]", RejectReason.INVALID_FIELD),
    "a count as text": (a_body(count="1"), RejectReason.INVALID_FIELD),
    "a negative count": (a_body(count=-1), RejectReason.INVALID_FIELD),
    "a count beyond reason": (a_body(count=10**30), RejectReason.INVALID_FIELD),
    "a sample rate of nothing": (a_body(sample_rate=0), RejectReason.INVALID_FIELD),
    "another kind": (a_body(kind="invoice"), RejectReason.UNKNOWN_KIND),
    "no kind": (b'{"module":"core"}', RejectReason.UNKNOWN_KIND),
    "another version": (a_body(version=2), RejectReason.UNKNOWN_VERSION),
    "a time without zone": (a_body(time="2026-01-01T12:00:00"), RejectReason.INVALID_TIME),
    "a day that is none": (a_body(time="2026-02-30T12:00:00Z"), RejectReason.INVALID_TIME),
    "a time before ours": (a_body(time=12), RejectReason.INVALID_TIME),
    "a number with 400 digits": (a_body(time=10**400), RejectReason.INVALID_TIME),
    "a year ahead": (a_body(time="2027-01-01T12:00:00Z"), RejectReason.FUTURE_TIME),
}


@pytest.mark.parametrize(("body", "reason"), REJECTED.values(), ids=REJECTED.keys())
def test_bad_record_is_rejected_for_its_reason(body: bytes | None, reason: RejectReason) -> None:
    rejected = read(body)

    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason
    assert 0 < len(rejected.detail) <= 200


@pytest.mark.parametrize("unknown", [{"module": "billing"}, {"region": "mars-1"}])
def test_what_is_not_configured_is_other_and_no_error(unknown: dict[str, str]) -> None:
    event = a_request_read(**unknown)

    assert (event.module, event.region) == (OTHER, OTHER)


def test_sampled_events_say_how_uncertain_their_total_is() -> None:
    # Of 30 reported at one in ten the total is 300 with a variance of 30 * 0.9 / 0.01.
    assert a_request_read(count=30, sample_rate=0.1).variance == pytest.approx(2700)
    assert a_request_read(count=30).variance == 0


def test_clock_that_is_a_minute_fast_counts_as_the_records_time() -> None:
    assert a_request_read(time="2026-01-01T12:01:00Z").time_s == NOON_S


def test_without_any_time_a_record_is_rejected() -> None:
    rejected = read(b'{"kind":"request","module":"core"}', record_time_s=None)

    assert isinstance(rejected, Rejected)
    assert rejected.reason == RejectReason.INVALID_TIME


def test_without_a_default_the_region_must_be_there() -> None:
    rejected = read(b'{"kind":"request","module":"core"}', catalog=Catalog(MODULES, ("eu-west-1",)))

    assert isinstance(rejected, Rejected)
    assert rejected.reason == RejectReason.MISSING_REGION


@given(
    st.one_of(
        st.binary(max_size=200),
        st.dictionaries(
            st.sampled_from(["kind", "version", "id", "time", "module", "count", "value"]),
            st.one_of(
                st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
                st.sampled_from(["request", "metric", "core"]), st.lists(st.integers(), max_size=2),
            ),
        ).map(lambda fields: json.dumps(fields).encode()),
    ),
    st.lists(
        st.tuples(
            st.sampled_from(["content-type", "ce_specversion", "ce_id", "ce_source", "ce_type"]),
            st.one_of(st.none(), st.binary(max_size=20), st.just(b"1.0"),
                      st.just(b"application/cloudevents+json")),
        ),
        max_size=5,
    ),
)  # fmt: skip
@settings(max_examples=400, deadline=None)
def test_nothing_a_sender_writes_raises(
    body: bytes, headers: list[tuple[str, bytes | None]]
) -> None:
    first = read(body, headers)

    assert isinstance(first, RequestEvent | MetricSample | Heartbeat | Rejected)
    assert read(body, headers) == first


def a_cloud_event(**changed: object) -> CloudEvent:
    attributes: dict[str, object] = {
        "specversion": "1.0",
        "id": "7",
        "source": "/mplp/gateway",
        "type": "io.mplp.request.v1",
        "time": NOON,
        "datacontenttype": "application/json",
    }
    data = {"module": "core", "region": "eu-west-1", "count": 5}
    return CloudEvent({**attributes, **changed}, data)


def kafka_headers(headers: dict[str, bytes]) -> Headers:
    return list(headers.items())


@pytest.mark.parametrize("write", [to_binary_event, to_structured_event])
def test_what_the_cloudevents_library_writes_is_read(write: object) -> None:
    message = write(a_cloud_event())  # type: ignore[operator]

    event = read(message.value, kafka_headers(message.headers))

    assert event == RequestEvent("/mplp/gateway 7", NOON_S, "core", "eu-west-1", 5.0, False)


@pytest.mark.parametrize("write", [to_binary_event, to_structured_event])
@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"type": "com.example.invoice.v1"}, RejectReason.UNKNOWN_KIND),
        ({"type": "io.mplp.request.v9"}, RejectReason.UNKNOWN_VERSION),
    ],
)
def test_cloud_event_of_another_type_is_rejected(
    write: object, changed: dict[str, object], reason: RejectReason
) -> None:
    message = write(a_cloud_event(**changed))  # type: ignore[operator]

    rejected = read(message.value, kafka_headers(message.headers))

    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason


@pytest.mark.parametrize(
    "content_type",
    ["application/cloudevents-batch+json", "APPLICATION/CloudEvents+avro; charset=binary"],
)
def test_cloudevents_modes_that_kafka_does_not_have_are_named(content_type: str) -> None:
    rejected = read(b"[]", [("content-type", content_type.encode())])

    assert isinstance(rejected, Rejected)
    assert rejected.reason == RejectReason.UNSUPPORTED_FORMAT


def test_in_structured_mode_the_body_wins_over_headers() -> None:
    message = to_structured_event(a_cloud_event())
    headers = [*kafka_headers(message.headers), ("ce_specversion", b"1.0"), ("ce_id", b"other")]

    event = read(message.value, headers)

    assert isinstance(event, RequestEvent)
    assert event.event_id == "/mplp/gateway 7"


def test_schema_describes_what_is_accepted() -> None:
    schema = contract_schema()

    assert set(schema["$defs"]) == {"Request", "Metric", "Beat"}
    assert schema["$defs"]["Request"]["properties"]["sample_rate"]["maximum"] == 1
    assert schema["$defs"]["Request"]["required"] == ["kind", "module"]
    msgspec.json.encode(schema)
