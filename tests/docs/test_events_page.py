"""Every example of the event contract is decoded into what the page says."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
import pytest
import yaml

from predictor.settings import GUIDE_REPLICAS_MIN
from streams.arrivals import ARRIVALS
from streams.cloudevents import EVENT_TYPES
from streams.dead_letter import dead_letter
from streams.event_types import Headers, Rejected, RejectReason
from streams.events import FORMATS, Catalog, FormatOptions, contract_schema, decode
from tests.docs.pages import REFERENCE, Block, blocks, code, rows, text_of

TEXT = text_of(REFERENCE / "events.md")
RECORD_TIME_S = datetime(2026, 11, 25, 8, 0, 5, tzinfo=UTC).timestamp()
CATALOG = Catalog(GUIDE_REPLICAS_MIN, ("us-east-1", "eu-west-1"), default_region="us-east-1")
REFUSED = {code(cells[0])[0]: code(cells[2]) for cells in rows(TEXT, "reason")}


class Example(NamedTuple):
    """A record as the page shows it; `read_as` has a line for each of its events."""

    options: FormatOptions
    headers: list[tuple[str, bytes]]
    body: bytes
    read_as: list[str]


BODIES: dict[str, Callable[[str], bytes]] = {
    "json body": str.encode,
    "text body": str.encode,
    "hex body": bytes.fromhex,
}


class Record(NamedTuple):
    """What the dead letter reads of aiokafka's record."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def examples(found: list[Block]) -> list[Example]:
    """A body, the headers and options right before it if there are any, and what follows it."""
    made = []
    before: dict[str, str] = {}
    for block, after in pairwise(found):
        if block.kind in ("text headers", "yaml options"):
            before[block.kind] = block.text
            continue
        if block.kind in BODIES:
            assert after.kind == "python read-as", block.text
            options = yaml.safe_load(before.get("yaml options", "{}"))
            made.append(
                Example(
                    msgspec.convert(options, FormatOptions),
                    header_pairs(before.get("text headers", "")),
                    BODIES[block.kind](block.text),
                    after.text.splitlines(),
                )
            )
        before = {}
    return made


def header_pairs(text: str) -> list[tuple[str, bytes]]:
    pairs = [line.split(": ", 1) for line in text.splitlines()]
    return [(name, value.encode()) for name, value in pairs]


def read(body: bytes | None, headers: Headers = ()) -> object:
    (outcome,) = decode(body, headers, CATALOG, record_time_s=RECORD_TIME_S)
    return outcome


@pytest.mark.parametrize("example", examples(blocks(TEXT)))
def test_example_is_read_as_the_page_says(example: Example) -> None:
    catalog = Catalog(
        GUIDE_REPLICAS_MIN,
        ("us-east-1", "eu-west-1"),
        default_region="us-east-1",
        options=example.options,
    )

    outcomes = decode(example.body, example.headers, catalog, record_time_s=RECORD_TIME_S)

    assert [repr(one) for one in outcomes] == example.read_as


def test_examples_show_all_kinds_of_events() -> None:
    shown = {line.partition("(")[0] for one in examples(blocks(TEXT)) for line in one.read_as}

    assert shown == {
        "RequestEvent", "WorkflowRequest", "MetricSample", "Heartbeat", "Ignored", "Rejected",
    }  # fmt: skip


def test_every_format_is_in_the_table() -> None:
    shown = {code(cells[0])[0] for cells in rows(TEXT, "format")}

    # CloudEvents are one format to people: binary mode is the other way to write it.
    assert shown == {form.name for form in FORMATS} - {"cloudevents_binary"}


def test_every_type_that_means_work_is_in_the_table() -> None:
    shown = {
        (cells[0], name)
        for cells in rows(TEXT, "at the module")
        for name in code(cells[1])
        if not set("…") & set(name)
    }

    assert shown == {(module, name) for name, module in ARRIVALS.items()}


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

    letter = dead_letter(("mplp.requests", 3), Record(7, 1, None, body), rejected, 16 * 1024)

    shown = {code(cells[0])[0] for cells in rows(TEXT, "header")}
    assert {name for name, _ in letter.headers} == shown
    assert letter.value == body[: 16 * 1024]
