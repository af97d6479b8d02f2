"""Every example of the event contract is decoded into what the page says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from predictor.settings import GUIDE_REPLICAS_MIN
from streams.cloudevents import EVENT_TYPES
from streams.dead_letter import dead_letter
from streams.event_types import Headers, Rejected, RejectReason
from streams.events import Catalog, contract_schema, decode
from tests.docs.pages import REFERENCE, Block, blocks, code, rows, text_of

TEXT = text_of(REFERENCE / "events.md")
RECORD_TIME_S = datetime(2026, 11, 25, 8, 0, 5, tzinfo=UTC).timestamp()
CATALOG = Catalog(GUIDE_REPLICAS_MIN, ("us-east-1", "eu-west-1"), default_region="us-east-1")
REFUSED = {code(cells[0])[0]: code(cells[2]) for cells in rows(TEXT, "reason")}


class Example(NamedTuple):
    headers: list[tuple[str, bytes]]
    body: bytes
    read_as: str


class Record(NamedTuple):
    """What the dead letter reads of aiokafka's record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def examples(found: list[Block]) -> list[Example]:
    """A body, the headers right before it if there are any, and what follows it."""
    made = []
    for place, block in enumerate(found):
        if block.kind == "json body":
            before, after = found[place - 1], found[place + 1]
            assert after.kind == "python read-as", block.text
            headers = before.text if place and before.kind == "text headers" else ""
            made.append(Example(header_pairs(headers), block.text.encode(), after.text))
    return made


def header_pairs(text: str) -> list[tuple[str, bytes]]:
    pairs = [line.split(": ", 1) for line in text.splitlines()]
    return [(name, value.encode()) for name, value in pairs]


def read(body: bytes | None, headers: Headers = ()) -> object:
    (outcome,) = decode(body, headers, CATALOG, record_time_s=RECORD_TIME_S)
    return outcome


@pytest.mark.parametrize("example", examples(blocks(TEXT)))
def test_example_is_read_as_the_page_says(example: Example) -> None:
    assert repr(read(example.body, example.headers)) == example.read_as


def test_examples_show_all_kinds_and_all_three_ways_to_write_them() -> None:
    shown = examples(blocks(TEXT))

    kinds = {type(read(one.body, one.headers)).__name__ for one in shown}
    assert kinds == {"RequestEvent", "MetricSample", "Heartbeat"}
    names = [{name for name, _ in one.headers} for one in shown]
    assert any("ce_specversion" in one for one in names)
    assert {"content-type"} in names
    assert set() in names


@pytest.mark.parametrize("reason", RejectReason)
def test_every_reason_is_explained_and_its_example_is_refused_for_it(reason: RejectReason) -> None:
    for body in REFUSED[reason]:
        rejected = read(body.encode())

        assert isinstance(rejected, Rejected)
        assert rejected.reason == reason


def test_page_gives_no_reason_that_does_not_exist() -> None:
    assert set(REFUSED) == set(RejectReason)


def test_every_field_of_the_contract_is_in_the_table() -> None:
    shown = {name for cells in rows(TEXT, "field") for name in code(cells[0])}
    definitions: dict[str, Any] = contract_schema()["$defs"]

    assert shown == {name for one in definitions.values() for name in one["properties"]}


def test_every_cloud_event_type_is_in_the_table() -> None:
    assert {code(cells[1])[0] for cells in rows(TEXT, "kind")} == set(EVENT_TYPES)


def test_dead_letter_carries_the_headers_of_the_table() -> None:
    body = json.dumps({"kind": "invoice", "note": "x" * 20_000}).encode()
    rejected = read(body)
    assert isinstance(rejected, Rejected)

    letter = dead_letter(Record("mplp.requests", 3, 7, 1, None, body), rejected, 16 * 1024)

    shown = {code(cells[0])[0] for cells in rows(TEXT, "header")}
    assert {name for name, _ in letter.headers} == shown
    assert letter.value == body[: 16 * 1024]
