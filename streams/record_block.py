"""Decodes a block of Kafka records into columns: the usual event in bulk, all others one by one.

`streams/owned_partition.py` gives it what one fetch brought, `predictor/file_demand.py` the lines
of a file. A record of our contract that no header tells otherwise is decoded together with its
neighbours, at a third of the cost, and so are records of many events (`streams/batch_block.py`).
`streams.events.decode` decides what every record means, and the two must never disagree. Pure: no
clock, network or log.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from streams.batch_block import Part, line_batches, packed_batches
from streams.bulk_columns import Stamps, bulk_columns
from streams.bulk_decoder import BulkRequest
from streams.catalog import Catalog
from streams.event_batches import JSON_LINES_TYPES, MSGPACK_TYPE
from streams.event_columns import (
    NO_COLUMNS,
    Cells,
    EventColumns,
    Integers,
    columns_of,
    merged_columns,
)
from streams.event_seconds import seconds_of
from streams.event_types import (
    DECODE_ERRORS,
    Headers,
    Heartbeat,
    Ignored,
    MetricSample,
    Record,
    RefusalError,
    Rejected,
    RequestEvent,
)
from streams.events import decode, format_of
from streams.line_breaks import line_breaks
from streams.record_headers import media_type

SMALL_BLOCK = 8
"""Up to so many single events arrays cost more than they save."""


class Block(NamedTuple):
    """What a block of records holds.

    Rejections and samples come with the place of their record in the block. `ignored` counts the
    events that are no arrivals.
    """

    columns: EventColumns
    rejected: list[tuple[int, Rejected]]
    samples: list[tuple[int, MetricSample]]
    ignored: int


_STAGES = b'"stages"'
_spelling = attrgetter("module", "region", "routing", "sample_rate")
_value, _headers, _time = attrgetter("value"), attrgetter("headers"), attrgetter("time")
_offset, _timestamp = attrgetter("offset"), attrgetter("timestamp")


def decode_block(records: Sequence[Record], cells: Cells) -> Block:
    """Everything the records hold, in their order. Never raises for what a sender wrote."""
    rows_of = _by_format(records, cells.catalog)
    lines = [*rows_of.get("jsonl", ())]
    parts = _single_events(records, rows_of.get("json", ()), lines, cells)
    if lines:
        parts += line_batches(records, lines, cells)
    if "msgpack" in rows_of:
        parts += packed_batches(records, rows_of["msgpack"], cells)
    if len(parts) == 1 and len(parts[0].read) == len(records):
        return Block(parts[0].columns, [], [], 0)
    return _with_the_odd_ones(records, parts, cells)


def _by_format(records: Sequence[Record], catalog: Catalog) -> dict[str, Sequence[int]]:
    """Places of the records by the name of their format, "" where the headers name a rare one."""
    usual: str = catalog.options.format or "json"
    if not any(map(_headers, records)):
        return {usual: range(len(records))}
    found: dict[str, list[int]] = {}
    last, name = (), usual
    for row, headers in enumerate(map(_headers, records)):
        if headers != last:
            last, name = headers, _format_in(headers, catalog, usual)
        found.setdefault(name, []).append(row)
    return dict(found)


def _format_in(headers: Headers, catalog: Catalog, usual: str) -> str:
    """What the headers say of the format; those of tracing, for one, say nothing."""
    telling = False
    for name, _ in headers:
        if name.startswith("ce_") or name == catalog.options.region_header:
            return ""
        telling = telling or name.lower() == "content-type"
    if not telling:
        return usual
    written = media_type(headers)
    if written == MSGPACK_TYPE:
        return "msgpack"
    if written in JSON_LINES_TYPES:
        return "jsonl"
    return usual if written in ("", "application/json") else ""


def _single_events(
    records: Sequence[Record], rows: Sequence[int], lines: list[int], cells: Cells
) -> list[Part]:
    """Those of the records `rows` that hold one usual event; notes the ones of many in `lines`."""
    chosen = records if len(rows) == len(records) else [records[row] for row in rows]
    values = list(map(_value, chosen))
    found = _usual(values, cells) if len(rows) > SMALL_BLOCK else None
    if found is None:
        if not cells.catalog.options.format:
            lines += [row for row, one in zip(rows, chosen, strict=True) if _has_lines(one)]
        if len(rows) <= SMALL_BLOCK:
            return []
        found = _each(values, cells)
    good, events = found
    if len(good) < len(rows):
        chosen, rows = [chosen[place] for place in good], [rows[place] for place in good]
    if not events:
        return []
    written_ms = np.fromiter(map(_timestamp, chosen), np.int64, len(chosen))
    stamps = Stamps(seconds_of(list(map(_time, events))), written_ms // 1000, _offsets(chosen))
    fine, columns = bulk_columns(events, stamps, _spelling, cells)
    places = np.array(rows)
    if not fine.all():
        places, columns = places[fine], columns.rows(fine)
    return [Part(places, places, columns)]


def _usual(
    values: list[bytes | None], cells: Cells
) -> tuple[Sequence[int], list[BulkRequest]] | None:
    """Places of the values and their events; None where any is not usual.

    The few that start workflows, which one key tells, are no reason to read all singly.
    """
    events = _all_at_once(values, cells)
    if events is not None:
        return range(len(values)), events
    places = [place for place, value in enumerate(values) if value and _STAGES not in value]
    if SMALL_BLOCK < len(places) < len(values):
        events = _all_at_once([values[place] for place in places], cells)
    return None if events is None else (places, events)


def _all_at_once(values: list[bytes | None], cells: Cells) -> list[BulkRequest] | None:
    """The event of each value; None unless each is one usual event on one line."""
    with contextlib.suppress(TypeError, *DECODE_ERRORS):
        joined = b"\n".join(values)  # type: ignore[arg-type]  # a TypeError says that one is None
        breaks = line_breaks(joined)
        if breaks is None or len(breaks) != len(values) - 1:
            return None
        longest = cells.catalog.body_bytes_max
        if len(joined) > longest and max(map(len, filter(None, values))) > longest:
            return None
        events = cells.decoder.lines(joined)
        return events if len(events) == len(values) else None
    return None


def _each(values: list[bytes | None], cells: Cells) -> tuple[list[int], list[BulkRequest]]:
    """Places of the values that are one usual event, and the events."""
    places, found = [], []
    for place, value in enumerate(values):
        if value is not None and len(value) <= cells.catalog.body_bytes_max:
            with contextlib.suppress(*DECODE_ERRORS):
                found.append(cells.decoder.one(value))
                places.append(place)
    return places, found


def _offsets(records: Sequence[Record]) -> Integers:
    first, last = records[0].offset, records[-1].offset
    if last - first == len(records) - 1:  # offsets of a partition only grow
        return np.arange(first, last + 1)
    return np.fromiter(map(_offset, records), np.int64, len(records))


def _has_lines(record: Record) -> bool:
    """Whether a record whose format nobody names looks like JSON lines."""
    value = record.value
    if value is None or b"\n" not in value:
        return False
    try:
        return format_of(value, record.headers, "").name == "jsonl"
    except RefusalError:
        return False


def _with_the_odd_ones(records: Sequence[Record], parts: list[Part], cells: Cells) -> Block:
    """The parts, and each record that is in none of them decoded by itself."""
    odd = np.arange(len(records))
    for part in parts:
        odd = np.setdiff1d(odd, part.read)
    block = Block(NO_COLUMNS, [], [], 0)
    events: list[RequestEvent | Heartbeat] = []
    rows: list[int] = []
    ignored = 0
    for row in odd.tolist():
        record = records[row]
        written_s = record.timestamp / 1000 if record.timestamp >= 0 else None
        for outcome in decode(record.value, record.headers, cells.catalog, record_time_s=written_s):
            if isinstance(outcome, Rejected):
                block.rejected.append((row, outcome))
            elif isinstance(outcome, MetricSample):
                block.samples.append((row, outcome))
            else:
                ignored += outcome.events if isinstance(outcome, Ignored) else 0
                events.append(outcome)
                rows.append(row)
    places = np.array(rows, np.int64)
    columns = columns_of(events, [records[row].offset for row in rows], cells)
    for part in parts:
        columns = merged_columns(part.columns, part.rows, columns, places)
        places = np.sort(np.concatenate([part.rows, places]))
    return block._replace(columns=columns, ignored=ignored)
