"""Decodes a block of Kafka records into columns: the usual event in bulk, all others one by one.

`streams/owned_partition.py` gives it what one fetch brought, `predictor/file_demand.py` the lines
of a file. A record of our contract that no header tells otherwise is decoded together with its
neighbours, at a third of the cost. `streams.events.decode` decides what every record means, and the
two must never disagree. Pure: no clock, network or log.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from streams.bulk_decoder import BulkRequest
from streams.catalog import Catalog
from streams.event_columns import (
    NO_COLUMNS,
    Cells,
    EventColumns,
    Integers,
    columns_of,
    merged_columns,
)
from streams.event_seconds import utc_seconds
from streams.event_time import EARLIEST_S, LATEST_S, rfc3339_s
from streams.event_types import (
    DECODE_ERRORS,
    Headers,
    Heartbeat,
    Ignored,
    MetricSample,
    RefusalError,
    Rejected,
    RequestEvent,
)
from streams.events import decode

SMALL_BLOCK = 8
"""Up to here arrays cost more than they save."""


class Record(Protocol):
    """A record as aiokafka gives it; `timestamp` in milliseconds, below 0 where there is none."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


class Block(NamedTuple):
    """What a block of records holds.

    Rejections and samples come with the place of their record in the block. `ignored` counts the
    events that are no arrivals.
    """

    columns: EventColumns
    rejected: list[tuple[int, Rejected]]
    samples: list[tuple[int, MetricSample]]
    ignored: int


_spelling = attrgetter("module", "region", "routing", "sample_rate")
_value, _timestamp, _headers = attrgetter("value"), attrgetter("timestamp"), attrgetter("headers")
_count, _id, _time = attrgetter("count"), attrgetter("id"), attrgetter("time")


def decode_block(records: Sequence[Record], catalog: Catalog, cells: Cells) -> Block:
    """Everything the records hold, in their order. Never raises for what a sender wrote."""
    usual: tuple[Integers, EventColumns] | None = None
    if len(records) > SMALL_BLOCK and catalog.options.format in ("", "json"):
        usual = _usual(records, catalog, cells)
        if usual is not None and len(usual[0]) == len(records):
            return Block(usual[1], [], [], 0)
    return _with_the_odd_ones(records, usual, catalog, cells)


def _usual(
    records: Sequence[Record], catalog: Catalog, cells: Cells
) -> tuple[Integers, EventColumns] | None:
    """The records that can be read in bulk: their places (events,), and their columns."""
    rows, events = _bulk(records, catalog, cells)
    if not events:
        return None
    times_s, readable = _times(list(map(_time, events)))
    offsets, written_s = _offsets(records), _written(records)
    if len(events) < len(records):
        offsets, written_s = offsets[rows], written_s[rows]
    dated = written_s >= 0
    if not readable.all() or times_s.min() < EARLIEST_S or times_s.max() >= LATEST_S:
        readable &= (times_s >= EARLIEST_S) & (times_s < LATEST_S)
    # A second of room: these are rounded, and who is near the limit is judged by the exact time.
    readable &= ~dated | (times_s - written_s <= catalog.future_skew_max_s - 1)
    cells.spellings.begin()
    spelled = map(cells.spellings.__getitem__, map(_spelling, events))
    spelling = np.fromiter(spelled, np.int64, len(events))
    cell_of, sample_rate_of = cells.spellings.table
    cell, counts = cell_of[spelling], np.fromiter(map(_count, events), np.float64, len(events))
    variance = None
    if (sample_rate_of != 1).any():
        one_in = 1 / sample_rate_of[spelling]
        variance = counts * one_in * (one_in - 1)
        counts = counts / sample_rate_of[spelling]
    columns = EventColumns(
        np.where(dated, np.minimum(times_s, written_s), times_s),
        cell,
        counts,
        variance,
        np.fromiter(map(hash, map(_id, events)), np.int64, len(events)).view(np.uint64),
        offsets,
    )
    good = readable & (cell >= 0)
    return (rows, columns) if good.all() else (rows[good], columns.rows(good))


def _bulk(
    records: Sequence[Record], catalog: Catalog, cells: Cells
) -> tuple[Integers, list[BulkRequest]]:
    """Events of the records that hold one of the usual kind, and where those stand."""
    values = list(map(_value, records))
    if any(map(_headers, records)):
        for row, record in enumerate(records):
            if record.headers and _tells(record.headers, catalog):
                values[row] = None
    with contextlib.suppress(TypeError, *DECODE_ERRORS):
        joined = b"\n".join(values)  # a TypeError says that one is None
        events = cells.decoder.lines(joined)
        # As many events as values, and no line break but ours: each value is one event.
        if len(events) == len(values) and _lines(joined) == len(values):
            longest = catalog.body_bytes_max
            if len(joined) <= longest or max(map(len, filter(None, values))) <= longest:
                return np.arange(len(values)), events
    rows, found = [], []
    for row, value in enumerate(values):
        if value is not None and len(value) <= catalog.body_bytes_max:
            with contextlib.suppress(*DECODE_ERRORS):
                found.append(cells.decoder.one(value))
                rows.append(row)
    return np.array(rows, np.int64), found


def _lines(joined: bytes) -> int:
    """How many lines; `bytes.count` takes three times as long for one character."""
    return int(np.count_nonzero(np.frombuffer(joined, np.uint8) == ord("\n"))) + 1


def _tells(headers: Headers, catalog: Catalog) -> bool:
    """Whether a header says something of the event; those of tracing, for one, do not."""
    region = catalog.options.region_header
    return any(
        name.startswith("ce_") or name == region or name.lower() == "content-type"
        for name, _ in headers
    )


def _times(texts: list[str]) -> tuple[Integers, NDArray[np.bool_]]:
    """Whole seconds (events,), and which of them could be read."""
    times_s = utc_seconds(texts)
    if times_s is not None:
        return times_s, np.ones(len(texts), bool)
    times_s = np.zeros(len(texts), np.int64)
    for row, text in enumerate(texts):
        with contextlib.suppress(RefusalError):
            times_s[row] = math.floor(rfc3339_s(text))
    return times_s, times_s > 0


def _offsets(records: Sequence[Record]) -> Integers:
    first, last = records[0].offset, records[-1].offset
    if last - first == len(records) - 1:  # offsets of a partition only grow
        return np.arange(first, last + 1)
    return np.array([record.offset for record in records], np.int64)


def _written(records: Sequence[Record]) -> Integers:
    """The records' own whole seconds; below 0 where a record has no timestamp."""
    return np.fromiter(map(_timestamp, records), np.int64, len(records)) // 1000


def _with_the_odd_ones(
    records: Sequence[Record],
    usual: tuple[Integers, EventColumns] | None,
    catalog: Catalog,
    cells: Cells,
) -> Block:
    """The block with each record that is not among the usual ones decoded by itself."""
    odd: Iterable[int] = range(len(records))
    if usual is not None:
        odd = np.setdiff1d(np.arange(len(records)), usual[0]).tolist()
    block = Block(NO_COLUMNS, [], [], 0)
    events: list[RequestEvent | Heartbeat] = []
    rows: list[int] = []
    ignored = 0
    for row in odd:
        record = records[row]
        written_s = record.timestamp / 1000 if record.timestamp >= 0 else None
        for outcome in decode(record.value, record.headers, catalog, record_time_s=written_s):
            if isinstance(outcome, Rejected):
                block.rejected.append((row, outcome))
            elif isinstance(outcome, MetricSample):
                block.samples.append((row, outcome))
            else:
                ignored += outcome.events if isinstance(outcome, Ignored) else 0
                events.append(outcome)
                rows.append(row)
    columns = columns_of(events, [records[row].offset for row in rows], cells)
    if usual is not None:
        columns = merged_columns(usual[1], usual[0], columns, np.array(rows, np.int64))
    return block._replace(columns=columns, ignored=ignored)
