"""Decodes records that hold many events each in bulk: JSON lines, and MessagePack arrays.

`streams/record_block.py` calls it with those records of a block whose format is one of the two. A
record with anything unusual in it is left to `streams.events.decode`, event by event; what is read
here must be what that one would say. Pure: no clock, network or log.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.bulk_columns import Stamps, bulk_columns
from streams.bulk_decoder import BulkDecoder
from streams.event_batches import packed_events, packed_head_bytes
from streams.event_columns import NO_COLUMNS, Cells, EventColumns, Integers, Spelling
from streams.event_seconds import seconds_of
from streams.event_types import DECODE_ERRORS, EVENTS_PER_RECORD_MAX, Record
from streams.line_breaks import line_breaks
from streams.packed_scan import scan

_time, _time_ms = attrgetter("time"), attrgetter("time_ms")


class Part(NamedTuple):
    """Some records of a block, read whole.

    `read` are their places in the block (records,), `rows` those of the record of each event
    (events,); both ascend.
    """

    read: Integers
    rows: Integers
    columns: EventColumns


class _Decoded(NamedTuple):
    """Places of records (records,), how many events each has, and all their events in order."""

    rows: list[int]
    numbers: list[int]
    events: list[Any]


def line_batches(records: Sequence[Record], rows: Sequence[int], cells: Cells) -> list[Part]:
    """Those of the records `rows` that are nothing but lines of usual requests."""
    longest = cells.catalog.body_bytes_max
    values = {row: records[row].value or b"" for row in rows}
    values = {row: value.rstrip(b"\n") for row, value in values.items() if len(value) <= longest}
    found = _lines(values, cells.decoder)
    if found is None:  # one of them is not that simple
        found = _Decoded([], [], [])
        for row, value in values.items():
            one = _lines({row: value}, cells.decoder)
            if one is not None:
                for known, more in zip(found, one, strict=True):
                    known.extend(more)
    return _parts(records, found, _LINES, cells)


def packed_batches(records: Sequence[Record], rows: Sequence[int], cells: Cells) -> list[Part]:
    """Those of the records `rows` that are arrays of usual requests; ids of one kind in each."""
    longest = cells.catalog.body_bytes_max
    bodies, numbers = {}, []
    for row in rows:
        body = records[row].value or b""
        number = packed_events(body)
        if len(body) <= longest and 0 < number <= EVENTS_PER_RECORD_MAX:
            bodies[row] = body
            numbers.append(number)
    parts = _scanned(records, bodies, numbers, cells)
    for part in parts:
        for row in part.read.tolist():
            del bodies[row]
    with_ids, without = _Decoded([], [], []), _Decoded([], [], [])
    for row, body in bodies.items():
        with contextlib.suppress(*DECODE_ERRORS):
            events, have_ids = cells.packed_decoder.arrays(body)
            found = with_ids if have_ids else without
            found.rows.append(row)
            found.numbers.append(len(events))
            found.events.extend(events)
    return [
        *parts,
        *_parts(records, with_ids, _PACKED, cells),
        *_parts(records, without, _PACKED._replace(have_ids=False), cells),
    ]


def _scanned(
    records: Sequence[Record], bodies: dict[int, bytes], numbers: list[int], cells: Cells
) -> list[Part]:
    """One part with the bodies of the usual layout whose events are all good, if there are any."""
    if not bodies:
        return []
    rows = list(bodies)
    heads = [packed_head_bytes(body) for body in bodies.values()]
    found = scan(list(bodies.values()), numbers, heads)
    if found is None:
        return []
    stamps = _stamps([records[row] for row in rows], found.time_ms // 1000, found.of)
    cell = cells.packed_names.cells(found.joined, found.names, found.names_bytes, found.pinned)
    columns = EventColumns(
        stamps.counted_s,
        cell,
        found.counts.astype(np.float64),
        None,
        found.id_hash,
        stamps.offsets,
    )
    places = np.array(rows)
    good = stamps.good(cells.catalog) & (cell >= 0)
    return [_only_good(Part(places[found.read], places[found.of], columns), good)]


def _lines(values: dict[int, bytes], decoder: BulkDecoder) -> _Decoded | None:
    """All events of the values; None if they have to be read one by one."""
    joined = b"\n".join(values.values())
    breaks = line_breaks(joined)
    if breaks is None:
        return None
    ends = np.cumsum([len(value) + 1 for value in values.values()]) - 1
    numbers = np.diff(np.searchsorted(breaks, ends), prepend=-1)
    if numbers.max() > EVENTS_PER_RECORD_MAX:
        return None
    with contextlib.suppress(*DECODE_ERRORS):
        events = decoder.lines(joined)
        if len(events) == len(breaks) + 1:
            return _Decoded(list(values), numbers.tolist(), events)
    return None


def _line_seconds(events: list[Any]) -> Integers:
    return seconds_of(list(map(_time, events)))


def _packed_seconds(events: list[Any]) -> Integers:
    return np.fromiter(map(_time_ms, events), np.int64, len(events)) // 1000


class _Reading(NamedTuple):
    """How the events of a format are read."""

    seconds: Callable[[list[Any]], Integers]
    spelling: Callable[[Any], Spelling]
    have_ids: bool = True


_LINES = _Reading(_line_seconds, attrgetter("module", "region", "routing", "sample_rate"))
_PACKED = _Reading(_packed_seconds, attrgetter("module", "region", "pinned", "sample_rate"))


def _parts(
    records: Sequence[Record], found: _Decoded, reading: _Reading, cells: Cells
) -> list[Part]:
    """One part with the records whose events are all good, if there are any."""
    read = np.array(found.rows, np.int64)
    if not found.events:
        return [Part(read, np.zeros(0, np.int64), NO_COLUMNS)] if len(read) else []
    try:
        times_s = reading.seconds(found.events)
    except OverflowError:
        return []  # a number of milliseconds beyond 64 bits
    of = np.repeat(np.arange(len(read)), found.numbers)
    stamps = _stamps([records[row] for row in found.rows], times_s, of)
    good, columns = bulk_columns(
        found.events, stamps, reading.spelling, cells, have_ids=reading.have_ids
    )
    return [_only_good(Part(read, read[of], columns), good)]


def _stamps(records: Sequence[Record], times_s: Integers, of: Integers) -> Stamps:
    """`of` (events,) is the place of each event's record."""
    written_ms = np.fromiter((one.timestamp for one in records), np.int64, len(records))
    offsets = np.fromiter((one.offset for one in records), np.int64, len(records))
    return Stamps(times_s, (written_ms // 1000)[of], offsets[of])


def _only_good(part: Part, good: NDArray[np.bool_]) -> Part:
    """Without the records that hold an event (events,) that is not good."""
    if good.all():
        return part
    bad = np.unique(part.rows[~good])
    kept = ~np.isin(part.rows, bad)
    return Part(np.setdiff1d(part.read, bad), part.rows[kept], part.columns.rows(kept))
