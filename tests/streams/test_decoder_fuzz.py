"""Whatever senders write, decoding ends in events that are sound or in a reason why not.

`GRAMMARS` has one entry for each format: how a valid record of it looks, with parts that a test may
change. A new format is one more entry. Each record is changed at a few places, cut and flipped, and
given headers that do not belong to it.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from streams.counters import REQUESTS_MAX, CounterDemand
from streams.event_batches import MSGPACK_TYPE
from streams.event_time import EARLIEST_S, LATEST_S
from streams.event_types import EVENTS_PER_RECORD_MAX, OTHER
from streams.events import (
    FormatOptions,
    Headers,
    Heartbeat,
    Ignored,
    MetricSample,
    Outcomes,
    Rejected,
    RequestEvent,
)
from tests.streams.format_bodies import (
    AVRO_ID,
    CONTRACT,
    MODULES,
    NOON_MS,
    NOON_S,
    PROTOBUF_ID,
    REGIONS,
    SCHEMAS,
    SHAPES,
    Record,
    a_catalog,
    a_json_span,
    a_message,
    a_span,
    avro_body,
    camel,
    framed,
    otlp_json,
    otlp_proto,
    packed,
    protobuf_body,
    read,
)
from tests.streams.metric_bodies import (
    CUMULATIVE,
    DELTA,
    OTLP_METRICS,
    SECOND_NS,
    UNSPECIFIED,
    a_gauge,
    a_histogram,
    a_point,
    a_sum,
    a_summary,
    an_exponential_histogram,
    an_export,
    from_adapter,
    in_json,
    in_protobuf,
)

CLOUD_EVENT = {
    "specversion": "1.0", "id": "7", "source": "/mplp", "type": "io.mplp.request.v1",
    "time": "2026-01-01T12:00:00Z", "data": {"module": "core", "count": 5},
}  # fmt: skip
METRIC = {"kind": "metric", "module": "core", "name": "rps", "value": "1.5", "labels": {"a": "b"}}

EXTREMES: tuple[Any, ...] = (
    None, True, 0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**64, 10**30, 1e308, -1e308,
    5e-324, -0.0, 0.5, math.nan, math.inf, -math.inf, NOON_S, NOON_MS, "", "x" * 600, "NaN",
    "Infinity", "1e999", "-1", "core", "2026-01-01T12:00:00", "9999-12-31T23:59:60Z",
    "0001-01-01T00:00:00+23:59", "\x00", "\U0001f600", "ot=th:ffffffffffffff", "ot=p:62",
    [], {}, [[]], {"a": {"b": []}}, [1, "x", None],
)  # fmt: skip
HEADERS: tuple[tuple[str, bytes | None], ...] = (
    ("content-type", b"application/cloudevents+json"),
    ("content-type", b"application/x-ndjson"),
    ("content-type", MSGPACK_TYPE.encode()),
    ("content-type", b"application/x-protobuf"),
    ("Content-Type", b"\xff\xfe"),
    ("content-type", None),
    ("ce_specversion", b"1.0"),
    ("ce_id", b"7"),
    ("ce_source", b"/x"),
    ("ce_type", b"io.mplp.request.v1"),
    ("ce_type", b"request.received"),
    ("ce_time", b"\xff"),
    ("region", b"eu-west-1"),
    ("region", b"\xff" * 300),
    ("region", None),
)


@st.composite
def changed(draw: DrawFn, valid: Any) -> Any:
    """The value with up to three of its parts, at any depth, dropped, replaced or moved inside."""
    value = copy.deepcopy(valid)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 1, 2, 3]))):
        places = list(_places(value))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        change = draw(st.integers(0, len(EXTREMES) + 1))
        if change < len(EXTREMES):
            holder[key] = copy.deepcopy(EXTREMES[change])
        elif change == len(EXTREMES):
            del holder[key]
        else:
            holder[key] = {"data": holder[key], "kind": "request"}
    return value


def _places(value: Any) -> Any:
    """Every (dictionary or list, key or index) in it."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


@st.composite
def scrambled(draw: DrawFn, bodies: SearchStrategy[bytes]) -> bytes:
    """The bytes, most often as they are, else with some flipped, cut or doubled."""
    body = bytearray(draw(bodies))
    how = draw(st.sampled_from([*["whole"] * 9, "flipped", "cut", "doubled"]))
    if how == "flipped" and body:
        for _ in range(draw(st.integers(1, 8))):
            body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    elif how == "cut":
        del body[draw(st.integers(0, len(body))) :]
    return bytes(body * 2 if how == "doubled" else body)


def as_text(value: object) -> bytes:
    """JSON with the numbers that are none in JSON."""
    return json.dumps(value).encode()


def json_of(*valid: object) -> SearchStrategy[bytes]:
    return st.sampled_from(valid).flatmap(changed).map(as_text)


def lines_of(*valid: object) -> SearchStrategy[bytes]:
    return st.lists(json_of(*valid), max_size=4).map(b"\n".join)


@st.composite
def protobuf_fields(draw: DrawFn) -> dict[str, Any]:
    int64, int32 = st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1)
    choices: dict[str, SearchStrategy[Any]] = {
        "module": st.sampled_from(["core", "", "x" * 300]),
        "region": st.sampled_from(["eu-west-1", "mars"]),
        "id": st.text(max_size=5),
        "time": st.one_of(st.just(NOON_MS), int64),
        "count": st.one_of(st.integers(1, 9), int64),
        "sample_rate": st.one_of(st.just(0.5), st.floats()),
        "routing": st.sampled_from(["pinned", "weighted", "both"]),
        "version": st.one_of(st.just(1), int32),
        "kind": st.sampled_from(["request", "request", "heartbeat", "metric", "x"]),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(choices))))
    return {"module": "core", **{name: draw(choices[name]) for name in sorted(chosen)}}


def framed_avro(fields: dict[str, Any]) -> bytes:
    return framed(AVRO_ID, avro_body(fields))


def framed_protobuf(path: bytes, fields: dict[str, Any]) -> bytes:
    return framed(PROTOBUF_ID, protobuf_body(path, **fields))


SPANS = st.builds(
    a_span,
    kind=st.integers(0, 5),
    start_time_unix_nano=st.one_of(st.just(NOON_MS * 10**6), st.integers(0, 2**64 - 1)),
    trace_state=st.sampled_from(["", "ot=th:c", "ot=p:63", "ot=th:ffffffffffffff", "ot=th:;;,=="]),
    trace_id=st.sampled_from([b"t" * 16, b"", b"t" * 99]),
)
POINTS = st.builds(
    a_point,
    st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(0, 9), st.floats()),
    st.one_of(st.just(0), st.integers(-int(NOON_S), 2**63 // SECOND_NS - int(NOON_S) - 1)),
    st.one_of(st.none(), st.integers(-400, 400)),
    st.dictionaries(st.just("module"), st.sampled_from(["core", "plan", "", "x" * 300])),
)
METRICS = st.one_of(
    st.builds(
        a_sum,
        POINTS,
        POINTS,
        name=st.sampled_from(["http_requests_total", "mplp_core_operations_total", "x", ""]),
        temporality=st.sampled_from([CUMULATIVE, DELTA, UNSPECIFIED]),
        rises=st.booleans(),
    ),
    st.builds(a_gauge, POINTS, name=st.sampled_from(["mplp_requests_per_second", "up"])),
    st.builds(a_histogram, st.integers(0, 2**63), temporality=st.sampled_from([CUMULATIVE, DELTA])),
    st.builds(an_exponential_histogram, st.integers(0, 2**63)),
    st.builds(a_summary, st.integers(0, 2**63)),
)
PACKED = [NOON_MS, "core", "eu-west-1", "7", 3, True, 0.5]
JSON_METRICS = json.loads(in_json(an_export(a_sum(a_point(7)), a_histogram(5))).body)
PATHS = (b"\0", b"\0", b"\0", b"\2\0", b"\2\2", b"\1")
PLAIN = FormatOptions(schemas=SCHEMAS)
OTLP = FormatOptions(format="otlp_proto_traces", consumer_spans=True)

GRAMMARS: dict[str, tuple[SearchStrategy[bytes], Headers, FormatOptions]] = {
    "contract": (json_of(CONTRACT, METRIC, {"kind": "heartbeat"}), (), PLAIN),
    "shapes": (json_of(*SHAPES.values(), *map(camel, SHAPES.values())), (), PLAIN),
    "messages": (json_of(*map(a_message, SHAPES.values()), a_message(CONTRACT)), (), PLAIN),
    "cloudevents": (json_of(CLOUD_EVENT), HEADERS[:1], PLAIN),
    "cloudevents_binary": (json_of(CLOUD_EVENT["data"]), HEADERS[6:10], PLAIN),
    "jsonl": (lines_of(CONTRACT, SHAPES["H"], METRIC), HEADERS[1:2], PLAIN),
    "msgpack": (
        st.lists(changed(PACKED), max_size=4).map(
            lambda arrays: packed(*map(_for_msgpack, arrays)).body
        ),
        HEADERS[2:3],
        PLAIN,
    ),
    "avro": (protobuf_fields().map(framed_avro), (), PLAIN),
    "protobuf": (
        st.builds(framed_protobuf, st.sampled_from(PATHS), protobuf_fields()),
        (),
        PLAIN,
    ),
    "otlp_proto_traces": (
        st.lists(SPANS, max_size=4).map(lambda spans: otlp_proto(*spans).body), (), OTLP,
    ),
    "otlp_json_traces": (
        json_of(otlp_json(a_json_span(), a_json_span(kind="SPAN_KIND_CLIENT"))), (), PLAIN,
    ),
    "otlp_proto_metrics": (
        st.lists(METRICS, max_size=3).map(lambda metrics: in_protobuf(an_export(*metrics)).body),
        (),
        OTLP_METRICS,
    ),
    "otlp_json_metrics": (json_of(JSON_METRICS), (), PLAIN),
    "prometheus_json": (json_of(from_adapter(), from_adapter("NaN")), (), PLAIN),
    "bytes": (st.binary(max_size=64), (), PLAIN),
}  # fmt: skip


def _for_msgpack(value: Any) -> Any:
    """MessagePack has no whole numbers beyond 64 bits."""
    if isinstance(value, list):
        return [_for_msgpack(one) for one in value]
    if isinstance(value, dict):
        return {key: _for_msgpack(one) for key, one in value.items()}
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value)
    return value


@st.composite
def records(draw: DrawFn, grammar: str) -> Record:
    bodies, headers, options = GRAMMARS[grammar]
    mixes = draw(st.sampled_from([False] * 4 + [True]))
    strange = draw(st.lists(st.sampled_from(HEADERS), max_size=3)) if mixes else []
    mixed = draw(st.permutations([*headers, *strange])) if strange else headers
    return Record(draw(scrambled(bodies)), mixed, options)


COUNTED = a_catalog()


def assert_sound(outcomes: Outcomes, record_time_s: float | None) -> None:
    assert len(outcomes) <= EVENTS_PER_RECORD_MAX + 1
    for outcome in outcomes:
        if isinstance(outcome, Rejected):
            assert 0 < len(outcome.detail) <= 200
            continue
        latest_s = LATEST_S if record_time_s is None else record_time_s
        assert EARLIEST_S <= outcome.time_s <= latest_s
        if isinstance(outcome, RequestEvent | MetricSample):
            places = {*MODULES, OTHER}, {*REGIONS, OTHER}
            assert outcome.module in places[0]
            assert outcome.region in places[1]
        if isinstance(outcome, RequestEvent):
            assert 0 <= outcome.requests < math.inf
            assert 0 <= outcome.variance < math.inf
            assert len(outcome.event_id) <= 700
        elif isinstance(outcome, MetricSample):
            assert math.isfinite(outcome.value)
            assert outcome.start_s is None or EARLIEST_S <= outcome.start_s < 2 * LATEST_S
        elif isinstance(outcome, Ignored):
            assert outcome.events > 0
            assert len(outcome.what) <= 128
        else:
            assert isinstance(outcome, Heartbeat)


def assert_sound_demand(samples: list[MetricSample]) -> None:
    """Whatever was accepted: no request is made of what is no number, negative or yet to come."""
    demand = CounterDemand(COUNTED.metric_names)
    for offset, sample in enumerate(samples):
        for event, needed_offset in demand.add(sample, offset):
            assert 0 <= event.requests <= REQUESTS_MAX
            assert EARLIEST_S <= event.time_s <= sample.time_s
            assert (event.module, event.region) == (sample.module, sample.region)
            assert needed_offset <= offset


def check(record: Record, record_time_s: float | None) -> None:
    outcomes = read(record, record_time_s)

    assert_sound(outcomes, record_time_s)
    assert_sound_demand([one for one in outcomes if isinstance(one, MetricSample)])
    assert list(read(record, record_time_s)) == list(outcomes)


def fuzzed(examples: int) -> Callable[[str], None]:
    """A run of so many records of a grammar; what was found is not kept on disk."""

    def run(grammar: str) -> None:
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(records(grammar), st.sampled_from([NOON_S, NOON_S, None]))
        def decoded(record: Record, record_time_s: float | None) -> None:
            check(record, record_time_s)

        decoded()

    return run


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_nothing_a_sender_may_write_breaks_the_decoding(grammar: str) -> None:
    fuzzed(140)(grammar)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("grammar", GRAMMARS)
def test_nothing_a_sender_may_write_in_a_long_time_breaks_the_decoding(grammar: str) -> None:
    fuzzed(17_000)(grammar)


@pytest.mark.parametrize("grammar", sorted(set(GRAMMARS) - {"bytes"}))
def test_grammar_writes_records_that_are_read(grammar: str) -> None:
    # A grammar whose records are all refused would test nothing.
    accepted = 0

    @settings(max_examples=60, derandomize=True, database=None, deadline=None)
    @given(records(grammar))
    def counted(record: Record) -> None:
        nonlocal accepted
        accepted += any(not isinstance(one, Rejected) for one in read(record))

    counted()

    assert accepted >= 6
