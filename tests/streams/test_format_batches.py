"""A record of many events: each stands for itself, good or bad."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.event_batches import JSON_LINES_TYPES, MSGPACK_TYPE, PackedRequest
from streams.events import Headers, Rejected, RejectReason, RequestEvent
from tests.streams.format_bodies import (
    CONTRACT,
    NOON_MS,
    NOON_S,
    SHAPES,
    Record,
    as_json,
    packed,
    read,
)

JSON_LINES: Headers = [("Content-Type", b"application/x-ndjson; charset=utf-8")]
LEAST: list[object] = [NOON_MS, "core"]


def lines(*written: bytes) -> bytes:
    return b"\n".join(written)


@pytest.mark.parametrize("content_type", [*JSON_LINES_TYPES, ""])
def test_each_line_is_what_it_would_be_alone(content_type: str) -> None:
    events = [as_json(CONTRACT), as_json(SHAPES["H"]), as_json({"kind": "heartbeat"})]
    headers = [("content-type", content_type.encode())] if content_type else []

    outcomes = read(Record(lines(*events), headers))

    assert list(outcomes) == [read(Record(event))[0] for event in events]


def test_line_that_is_bad_is_set_aside_and_the_others_count() -> None:
    bad = [b"hello", b'{"kind":"request","module":"\xff"}', b"[1]", b'{"x":' * 3000]
    body = lines(as_json(CONTRACT), b"", *bad, b"  \r", as_json(CONTRACT), b"")

    outcomes = read(Record(body, JSON_LINES))

    assert [type(one).__name__ for one in outcomes] == [
        "RequestEvent", "Rejected", "Rejected", "Rejected", "Rejected", "RequestEvent",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        msgspec.json.format(as_json({**CONTRACT, "nested": {"a": {}}}), indent=2),
        as_json(CONTRACT) + b"\n",
        as_json(CONTRACT) + b"\r\n \n",
        b'{"nested": {}\n, "kind": "request", "module": "core"}',
    ],
    ids=["indented", "with a line end", "with empty lines", "broken after a brace"],
)
def test_one_object_over_several_lines_is_one_event(body: bytes) -> None:
    (outcome,) = read(Record(body))

    assert isinstance(outcome, RequestEvent)


def test_packed_request_says_the_same_as_json() -> None:
    whole = [NOON_MS, "core", "eu-west-1", "7", 3, True, 0.5]

    outcomes = read(packed(whole, [NOON_MS, "core", "eu-west-1", b"\x01\xab"], LEAST))

    assert list(outcomes) == [
        RequestEvent("7", NOON_S, "core", "eu-west-1", 6.0, True, None, 6.0),
        RequestEvent(b"\x01\xab", NOON_S, "core", "eu-west-1", 1.0, pinned=False),
        RequestEvent("", NOON_S, "core", "us-east-1", 1.0, pinned=False),
    ]


BAD_ARRAYS: dict[str, tuple[list[object], RejectReason]] = {
    "empty": ([], RejectReason.INVALID_FIELD),
    "seconds": ([NOON_MS // 1000, "core"], RejectReason.INVALID_TIME),
    "microseconds": ([NOON_MS * 1000, "core"], RejectReason.INVALID_TIME),
    "a fraction": ([NOON_MS + 0.5, "core"], RejectReason.INVALID_FIELD),
    "the largest number": ([2**64 - 1, "core"], RejectReason.INVALID_TIME),
    "tomorrow": ([NOON_MS + 86_400_000, "core"], RejectReason.FUTURE_TIME),
    "no module": ([NOON_MS, None], RejectReason.INVALID_FIELD),
    "an id of another type": ([NOON_MS, "core", None, 7], RejectReason.INVALID_FIELD),
    "an id that is too long": ([NOON_MS, "core", None, b"x" * 129], RejectReason.INVALID_FIELD),
    "a count below zero": ([NOON_MS, "core", None, None, -1], RejectReason.INVALID_FIELD),
    "pinned as a number": ([NOON_MS, "core", None, None, 1, 1], RejectReason.INVALID_FIELD),
    "a rate of nothing": ([NOON_MS, "core", None, None, 1, True, 0.0], RejectReason.INVALID_FIELD),
    "a rate of NaN": (
        [NOON_MS, "core", None, None, 1, True, float("nan")],
        RejectReason.INVALID_FIELD,
    ),
}


@pytest.mark.parametrize(("array", "reason"), BAD_ARRAYS.values(), ids=BAD_ARRAYS.keys())
def test_packed_request_that_is_bad_is_set_aside_and_the_others_count(
    array: list[object], reason: RejectReason
) -> None:
    before, outcome, after = read(packed(LEAST, array, LEAST))

    assert isinstance(outcome, Rejected)
    assert outcome.reason == reason
    assert isinstance(before, RequestEvent)
    assert after == before


def test_fields_that_a_later_version_adds_are_passed_over() -> None:
    whole: list[object] = [NOON_MS, "core", None, "7", 1, False, 1.0]

    assert read(packed([*whole, "later", 8])) == read(packed(whole))


def test_records_header_gives_the_region_of_packed_requests_without_one() -> None:
    body = packed([NOON_MS, "core"], [NOON_MS, "core", "us-east-1"]).body
    headers = [("content-type", MSGPACK_TYPE.encode()), ("region", b"eu-west-1")]

    outcomes = read(Record(body, headers))

    assert [one.region for one in outcomes if isinstance(one, RequestEvent)] == [
        "eu-west-1",
        "us-east-1",
    ]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", RejectReason.MALFORMED),
        (b"\x93\x90", RejectReason.MALFORMED),
        (b"\xdd\xff\xff\xff\xff", RejectReason.OVERSIZE),
        (b"\xdc\x00", RejectReason.MALFORMED),
        (msgspec.msgpack.encode({"a": 1}), RejectReason.INVALID_FIELD),
        (msgspec.msgpack.encode([LEAST]) + b"\x00", RejectReason.MALFORMED),
    ],
    ids=["empty", "cut", "claims 4 billion", "cut in its length", "a map", "something after it"],
)
def test_value_that_is_no_array_of_arrays_is_set_aside_whole(
    body: bytes, reason: RejectReason
) -> None:
    (outcome,) = read(Record(body, packed().headers))

    assert isinstance(outcome, Rejected)
    assert outcome.reason == reason


@pytest.mark.parametrize(
    "record",
    [Record(b"1\n" * 100_001, JSON_LINES), packed(*[[]] * 100_001)],
    ids=["lines", "arrays"],
)
def test_record_with_too_many_events_is_set_aside_whole(record: Record) -> None:
    (outcome,) = read(record)

    assert isinstance(outcome, Rejected)
    assert outcome.reason == RejectReason.OVERSIZE


PLACES = st.sampled_from(["us-east-1", "eu-west-1", None, "mars"])
PACKED = st.builds(
    PackedRequest,
    st.integers(NOON_MS - 10**9, NOON_MS),
    st.sampled_from(["core", "mplp-plan", "billing"]),
    PLACES,
    st.one_of(st.none(), st.text(max_size=20), st.binary(max_size=16)),
    st.integers(1, 10**9),
    st.booleans(),
    st.floats(1e-6, 1),
)


def as_text(event_id: str | bytes) -> str:
    """JSON has no bytes."""
    return event_id.decode("latin-1") if isinstance(event_id, bytes) else event_id


@given(st.lists(PACKED, max_size=8))
@settings(max_examples=60, deadline=None)
def test_batch_holds_what_its_events_as_json_would_say(events: list[PackedRequest]) -> None:
    bodies = [
        {
            "kind": "request",
            "time": event.time_ms,
            "module": event.module,
            "region": event.region,
            "id": as_text(event.event_id),
            "count": event.count,
            "routing": "pinned" if event.pinned else "weighted",
            "sample_rate": event.sample_rate,
        }
        for event in events
    ]
    arrays = msgspec.msgpack.encode(events)

    found = [
        msgspec.structs.replace(one, event_id=as_text(one.event_id))
        for one in read(Record(arrays, packed().headers))
        if isinstance(one, RequestEvent)
    ]
    assert found == list(read(Record(lines(*map(as_json, bodies)), JSON_LINES)))
    assert Counter(type(one) for one in read(Record(arrays, packed().headers))) == Counter(
        {RequestEvent: len(events)} if events else {}
    )
