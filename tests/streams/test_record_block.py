"""Reading in bulk is reading one by one, only quicker."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.batch_block import Part, line_batches, packed_batches
from streams.bulk_decoder import BulkDecoder, BulkRequest
from streams.catalog import Catalog
from streams.event_columns import Cells, columns_of
from streams.event_seconds import utc_seconds
from streams.event_time import rfc3339_s
from streams.event_types import (
    Headers,
    Heartbeat,
    Ignored,
    MetricSample,
    RefusalError,
    Rejected,
)
from streams.events import FormatOptions, decode
from streams.id_hash import hash_of
from streams.line_breaks import line_breaks
from streams.record_block import SMALL_BLOCK, Block, decode_block

CATALOG = Catalog(["core", "plan"], ["us-east-1", "eu-west-1"])
CELLS = Cells(CATALOG)
NOON_S = 1_767_268_800


class Stored(NamedTuple):
    """A record as a broker keeps it."""

    offset: int
    value: bytes | None
    timestamp: int = NOON_S * 1000
    headers: Headers = ()


def a_request(**changed: object) -> bytes:
    fields = {
        "kind": "request", "id": "7", "time": "2026-01-01T11:59:58.250Z", "module": "core",
        "region": "eu-west-1",
    }  # fmt: skip
    return json.dumps({**fields, **changed}).encode()


def one_by_one(records: list[Stored], catalog: Catalog = CATALOG) -> Block:
    """What `decode` says of each record."""
    block = Block(columns_of([], [], CELLS), [], [], 0)
    events, offsets, ignored = [], [], 0
    for row, record in enumerate(records):
        written_s = record.timestamp / 1000 if record.timestamp >= 0 else None
        for outcome in decode(record.value, record.headers, catalog, record_time_s=written_s):
            if isinstance(outcome, Rejected):
                block.rejected.append((row, outcome))
            elif isinstance(outcome, MetricSample):
                block.samples.append((row, outcome))
            else:
                ignored += outcome.events if isinstance(outcome, Ignored) else 0
                events.append(outcome)
                offsets.append(record.offset)
    return block._replace(columns=columns_of(events, offsets, CELLS), ignored=ignored)


def shown(block: Block) -> list[object]:
    columns = block.columns
    variance = [0.0] * len(columns.cell) if columns.variance is None else columns.variance.tolist()
    none = [None] * len(columns.cell)
    stages = none if columns.stages is None else columns.stages.tolist()
    return [
        columns.time_s.tolist(), columns.cell.tolist(), columns.requests.tolist(), variance,
        columns.id_hash.tolist(), columns.offset.tolist(), stages, block.rejected, block.samples,
        block.ignored,
    ]  # fmt: skip


TIMES = st.one_of(
    st.sampled_from([
        "2026-01-01T11:59:58.250Z", "2026-01-01T11:59:58.999Z", "2026-01-01T12:00:01Z",
        "2026-01-01T11:59:59.123456+00:00", "2026-01-01T12:59:59+01:00", "2026-01-01T12:04:59.9Z",
        "2026-01-01T12:05:00.000Z", "2026-01-01T12:05:00.500Z", "2026-01-01t11:00:00Z",
        "2026-01-01T23:59:60Z", "2026-02-30T11:00:00Z", "2026-01-01T11:00:00",
        "1969-01-01T00:00:00Z",
        "2026-01-01T11:59:5xZ", "",
    ]),
    st.just(NOON_S * 1000),
)  # fmt: skip
BODIES = st.one_of(
    st.fixed_dictionaries(
        {"time": TIMES},
        optional={
            "module": st.sampled_from(["core", "mplp-plan-service", "gateway", "", 7]),
            "region": st.sampled_from(["us-east-1", "US-EAST-1", "mars-1", None]),
            "routing": st.sampled_from(["pinned", "weighted", "other"]),
            "count": st.sampled_from([1, 3, 0, "1"]),
            "sample_rate": st.sampled_from([1, 0.1, 0.3, 2]),
            "id": st.sampled_from(["", "a", "b", 5]),
            "version": st.sampled_from([1, 2]),
            "caller": st.sampled_from(["plan", None, ""]),
            "stages": st.sampled_from([["plan"], ["plan", "gateway", "core"], [], None, "plan"]),
        },
    ).map(lambda changed: a_request(**changed)),
    st.sampled_from([
        b"", b" ", None, b"{", b"[]", a_request() + b"\n" + a_request(id="8"), b"\n" + a_request(),
        a_request() + b",", b'{"kind":"heartbeat","time":"2026-01-01T11:00:00Z"}',
        b'{"kind":"metric","name":"x","value":1,"module":"core","region":"us-east-1"}',
        b'{"kind":"request","kind":"metric","module":"core"}', b"\xff\xfe", b"null",
    ]),
)  # fmt: skip
LINES = st.builds(
    lambda lines, gap, end: gap.join(line or b"" for line in lines) + end,
    st.lists(BODIES, max_size=4), st.sampled_from([b"\n", b"\n", b"\r\n", b"\n\n", b" "]),
    st.sampled_from([b"", b"\n", b"\n\n"]),
)  # fmt: skip
WIDE = st.sampled_from([b"0123456789abcdef", b"0123456789abcdeg", bytes(16), b"\x93\xcf" * 8])
FIELDS = st.tuples(
    st.sampled_from([NOON_S * 1000 - 1] * 4
                    + [NOON_S * 1000 + 299_500, NOON_S * 1000 + 400_000, 5, 2**56, 2**64 - 1, -1]),
    st.sampled_from(["core", "core", "core", "plan", "gateway-7", "", "x" * 31, "x" * 32]),
    st.sampled_from(["us-east-1", "us-east-1", "eu-west-1", "mars-1", "r" * 31, None]),
    WIDE | WIDE | st.sampled_from([b"1", "1", None, b"", "", b"x" * 129, 7, []]),
    st.sampled_from([1, 1, 1, 0, 127, 128, 255, 256, 65_535, 65_536, -1]),
    st.booleans(),
    st.sampled_from([1.0, 0.1, 2.0]),
)  # fmt: skip
MANY = st.lists(
    st.tuples(FIELDS, st.sampled_from([3, 4, 5, 6, 6, 6, 7])).map(lambda one: one[0][: one[1]]),
    max_size=5,
)


def damaged(body: bytes, place: int, byte: int, how: str) -> bytes:
    place %= max(len(body), 1)
    return {
        "not": body,
        "changed": body[:place] + bytes([byte]) + body[place + 1 :],
        "cut": body[:place],
        "longer": body + bytes([byte]),
    }[how]


ARRAYS = st.builds(
    damaged,
    MANY.map(msgspec.msgpack.encode),
    st.integers(0, 400),
    st.integers(0, 255),
    st.sampled_from(["not", "not", "changed", "changed", "cut", "longer"]),
)
PACKED_HEADERS = (("content-type", b"application/vnd.mplp.events+msgpack"),)
HEADERS = st.sampled_from([
    (), (), (), (("traceparent", b"00-1-2-01"),), (("content-type", b"application/x-ndjson"),),
    (("region", b"us-east-1"),), (("Content-Type", b"text/plain"),),
    (("content-type", b"application/json; charset=utf-8"),),
    PACKED_HEADERS,
    (("content-type", b"application/x-ndjson"), ("region", b"eu-west-1")),
])  # fmt: skip
TIMESTAMPS = st.sampled_from([NOON_S * 1000, NOON_S * 1000 + 499, NOON_S * 1000 + 500, -1])


DRAWN = st.lists(
    st.tuples(st.one_of(BODIES, LINES, ARRAYS), TIMESTAMPS, HEADERS), min_size=1, max_size=40
)


@pytest.mark.parametrize("configured", ["", "json", "jsonl", "msgpack", "cloudevents"])
@settings(max_examples=150)
@given(DRAWN, st.data())
def test_a_block_says_what_its_records_say_one_by_one(
    configured: str, drawn: list[tuple[bytes | None, int, Headers]], data: st.DataObject
) -> None:
    options = FormatOptions(format=configured)  # type: ignore[arg-type]
    catalog = Catalog(["core", "plan"], ["us-east-1", "eu-west-1"], options=options)
    # Usual records around them, so that there is something to read in bulk.
    usual = [(a_request(id=str(number)), NOON_S * 1000, ()) for number in range(2 * SMALL_BLOCK)]
    mixed = data.draw(st.permutations([*usual, *drawn]) | st.just(drawn))
    records = [
        Stored(3 * number, value, timestamp, headers)
        for number, (value, timestamp, headers) in enumerate(mixed)
    ]

    block = decode_block(records, Cells(catalog))

    assert shown(block) == shown(one_by_one(records, catalog))


@pytest.mark.parametrize("every", [1, 2, 7])
def test_a_block_in_which_some_events_start_workflows_is_read_as_one_by_one(every: int) -> None:
    records = [
        Stored(
            number,
            a_request(id=str(number), **({} if number % every else {"stages": ["plan", "core"]})),
        )
        for number in range(5 * SMALL_BLOCK)
    ]

    assert shown(decode_block(records, CELLS)) == shown(one_by_one(records))


@example([b"\x01" + msgspec.msgpack.encode([(NOON_S * 1000, "core", "us-east-1")])[1:]])
@settings(max_examples=400)
@given(st.lists(ARRAYS, min_size=1, max_size=6))
def test_arrays_are_scanned_as_they_are_decoded(bodies: list[bytes]) -> None:
    cells = Cells(CATALOG)
    records = [
        Stored(number, body, NOON_S * 1000, PACKED_HEADERS) for number, body in enumerate(bodies)
    ]

    assert shown(decode_block(records, cells)) == shown(one_by_one(records))


def test_a_flood_of_names_in_arrays_does_not_grow_what_is_kept() -> None:
    cells, ids = Cells(CATALOG), iter(range(10**6))
    for begin in range(0, 30_000, 3_000):
        events = [
            (NOON_S * 1000, f"service-{number}", "eu-west-1", next(ids).to_bytes(16))
            for number in [*range(begin, begin + 3_000)] * 2
        ]
        events += [(NOON_S * 1000, "core", "eu-west-1", next(ids).to_bytes(16))] * 2
        body = msgspec.msgpack.encode(events)
        records = [Stored(begin, body, NOON_S * 1000, PACKED_HEADERS)]
        assert shown(decode_block(records, cells)) == shown(one_by_one(records))

    assert len(cells.packed_names) <= 4096


def a_batch(media_type: str, body: bytes, offset: int) -> Stored:
    return Stored(offset, body, NOON_S * 1000, (("content-type", media_type.encode()),))


def short_ids(number: int) -> Stored:
    return arrays(number, width=4)


def json_lines(number: int) -> Stored:
    lines = b"\n".join(a_request(id=f"{number}-{one}") for one in range(20))
    return a_batch("application/x-ndjson", lines + b"\n", number)


def arrays(number: int, width: int = 15) -> Stored:
    events = [
        (NOON_S * 1000 - one, "core", "eu-west-1", number.to_bytes(width) + bytes([one]), 2)
        for one in range(20)
    ]
    return a_batch("application/vnd.mplp.events+msgpack", msgspec.msgpack.encode(events), number)


@pytest.mark.parametrize(
    ("batch", "read"),
    [(json_lines, line_batches), (arrays, packed_batches), (short_ids, packed_batches)],
)
def test_records_of_many_events_are_read_in_bulk(
    batch: Callable[[int], Stored], read: Callable[..., list[Part]]
) -> None:
    records = [batch(number) for number in range(5)]
    columns = decode_block(records, CELLS).columns

    assert [part.read.tolist() for part in read(records, range(5), CELLS)] == [[0, 1, 2, 3, 4]]
    assert columns.offset.tolist() == [number for number in range(5) for _ in range(20)]
    assert len(set(columns.id_hash.tolist())) == 100
    assert shown(decode_block(records, CELLS)) == shown(one_by_one(records))


@pytest.mark.parametrize("joined", [
    a_request() + a_request() + b"\n" + b"{" + b"\n" + a_request()[1:],
    a_request() + a_request() + b"\n" + a_request().replace(b"{", b'{"x":\n{},', 1),
    b"\n" + a_request(), a_request() + b"\n", b"", b"\n", b"{", a_request() + b"\n" + b" {}",
])  # fmt: skip
def test_lines_are_one_object_each_or_nothing_is_promised(joined: bytes) -> None:
    assert line_breaks(joined) is None


def test_one_bad_record_in_a_block_costs_only_itself() -> None:
    values = [a_request(id=str(number)) for number in range(100)]
    values[50] = b"{"

    block = decode_block([Stored(n, value) for n, value in enumerate(values)], CELLS)

    assert [row for row, _ in block.rejected] == [50]
    assert len(block.columns.cell) == 99


def test_names_that_were_met_before_are_read_like_new_ones() -> None:
    decoder = BulkDecoder()
    sent = [
        [a_request(module="core"), a_request(module="plan", region="us-east-1")],
        [a_request(module="plan"), a_request(module="core", region="us-east-1", count=7)],
        [a_request(module="gateway"), b'{"kind":"request","module":"core","time":"now"}'],
        [a_request(module="core"), b'{"kind":"request","module":"gateway","time":"now"}'],
    ]
    for values in sent:
        found = decoder.lines(b"\n".join(values))

        assert [msgspec.structs.astuple(decoder.one(value)) for value in values] == [
            tuple(getattr(event, name) for name in BulkRequest.__struct_fields__) for event in found
        ]
    for wrong in (a_request(version=2), a_request(count=-1), a_request(routing="x")):
        with pytest.raises(msgspec.ValidationError):
            decoder.lines(wrong)


def test_a_flood_of_names_does_not_grow_what_is_kept() -> None:
    cells = Cells(CATALOG)
    for begin in range(0, 50_000, 5_000):
        names = range(begin, begin + 5_000)
        records = [Stored(n, a_request(module=f"service-{n}x")) for n in names]
        decode_block(records, cells)

    assert len(cells.spellings) < 10_000
    assert len(CATALOG.unknown_names) <= 32


@example(["2026-01-01T11:59:59.999999999"], "Z")
@given(
    st.lists(st.datetimes().map(lambda at: at.isoformat()), min_size=1, max_size=5),
    st.sampled_from(["Z", "+00:00", "+01:00", ""]),
)
def test_times_in_bulk_are_those_of_single_texts(drawn: list[str], zone: str) -> None:
    texts = [text + zone for text in drawn]

    found = utc_seconds(texts)

    if found is not None:
        assert found.tolist() == [rfc3339_s(text) // 1 for text in texts]


@pytest.mark.parametrize("text", ["2026-01-01T24:00:00Z", "2026-13-01T00:00:00Z",
                                  "2026-01-01T00:00:00.Z", "2026-01-01T00:0a:00Z"])  # fmt: skip
def test_what_is_no_time_is_none_in_bulk_either(text: str) -> None:
    assert utc_seconds([text, text]) is None
    with pytest.raises(RefusalError):
        rfc3339_s(text)


def test_an_event_without_id_is_never_like_another() -> None:
    assert hash_of("") == 0
    heartbeat = columns_of([Heartbeat("x", NOON_S)], [0], CELLS)
    assert heartbeat.id_hash.tolist() == [0]
