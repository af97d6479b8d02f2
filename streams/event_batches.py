"""Many events in one record: JSON lines, and MessagePack arrays for senders that write in bulk.

`streams/events.py` registers both. Every event stands for itself: a bad one is set aside with its
reason and the others count. `PackedRequest` is what the fast way of counting decodes in bulk; what
it means is decided here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from streams.catalog import Catalog
from streams.event_json import ID_CHARACTERS_MAX, Count, Module, Region, SampleRate
from streams.event_time import checked_time_s
from streams.event_types import (
    DECODE_ERRORS,
    EVENTS_PER_RECORD_MAX,
    Event,
    Headers,
    Outcomes,
    RefusalError,
    Rejected,
    RejectReason,
    RequestEvent,
    rejection,
)
from streams.json_events import json_event, surroundings

JSON_LINES_TYPES = (
    "application/x-ndjson",
    "application/jsonl",
    "application/jsonlines",
    "application/json-lines",
)
MSGPACK_TYPE = "application/vnd.mplp.events+msgpack"


class PackedRequest(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One request event as an array; what stands at its end may be left out.

    `time_ms` is milliseconds since 1970 and nothing else. `id` is text, bytes or None, which
    `event_id` checks, because msgspec has no union of text and bytes.
    """

    time_ms: int
    module: Module
    region: Region | None = None
    id: Any = None
    count: Count = 1
    pinned: bool = False
    sample_rate: SampleRate = 1.0

    @property
    def event_id(self) -> str | bytes:
        """The identity; raises `RefusalError` for what is none, and for one that is too long."""
        found = "" if self.id is None else self.id
        if not isinstance(found, str | bytes) or len(found) > ID_CHARACTERS_MAX:
            sentence = f"an id is text or bytes, at most {ID_CHARACTERS_MAX} of them"
            raise RefusalError(RejectReason.INVALID_FIELD, sentence)
        return found

    def event(
        self, catalog: Catalog, record_time_s: float | None, region: str | None
    ) -> RequestEvent:
        """The event; raises `RefusalError`. `region` stands in where the array has none."""
        time_s = checked_time_s(self.time_ms / 1000, record_time_s, catalog.future_skew_max_s)
        named = region if self.region is None else self.region
        found_module, found_region = catalog.place(self.module, named)
        one_in = 1 / self.sample_rate
        return RequestEvent(
            self.event_id,
            time_s,
            found_module,
            found_region,
            self.count / self.sample_rate,
            self.pinned,
            None,
            self.count * one_in * (one_in - 1),
        )


_ARRAYS = msgspec.msgpack.Decoder(list[msgspec.Raw])
_PACKED = msgspec.msgpack.Decoder(PackedRequest)


class JsonLines:
    """One JSON object a line, each as it could stand alone; empty lines are passed over."""

    name = "jsonl"

    def claims(self, media_type: str, headers: Headers) -> bool:
        return media_type in JSON_LINES_TYPES

    def recognises(self, body: bytes) -> bool:
        """Whether the first line is a whole object and more follows: no single object does that."""
        end = body.find(b"\n")
        if end < 0 or body[:1] != b"{" or body[:end].rstrip()[-1:] != b"}":
            return False
        if not body[end:].strip():
            return False
        try:
            msgspec.json.decode(body[:end], type=msgspec.Raw)
        except (msgspec.MsgspecError, RecursionError):
            return False
        return True

    def decode(
        self, headers: Headers, body: bytes, catalog: Catalog, record_time_s: float | None
    ) -> Outcomes:
        _check_number(body.count(b"\n"))
        around = surroundings(headers, catalog)
        outcomes: list[Event | Rejected] = []
        for line in body.split(b"\n"):
            if line and not line.isspace():
                try:
                    outcomes.append(json_event(line, catalog, record_time_s, around))
                except DECODE_ERRORS as error:
                    outcomes.append(rejection(error))
        return outcomes


class MsgpackBatch:
    """An array of `PackedRequest` arrays."""

    name = "msgpack"

    def claims(self, media_type: str, headers: Headers) -> bool:
        return media_type == MSGPACK_TYPE

    def recognises(self, body: bytes) -> bool:
        return False  # too many other bytes begin like an array

    def decode(
        self, headers: Headers, body: bytes, catalog: Catalog, record_time_s: float | None
    ) -> Outcomes:
        _check_number(packed_events(body))  # before the elements are made
        arrays = _ARRAYS.decode(body)
        region = surroundings(headers, catalog).region
        outcomes: list[Event | Rejected] = []
        for array in arrays:
            try:
                outcomes.append(_PACKED.decode(array).event(catalog, record_time_s, region))
            except DECODE_ERRORS as error:
                outcomes.append(rejection(error))
        return outcomes


def packed_events(body: bytes) -> int:
    """How many elements the array says it has (MessagePack specification, array format family)."""
    first = body[0] if body else 0
    if first == 0xDC:
        return int.from_bytes(body[1:3])
    if first == 0xDD:
        return int.from_bytes(body[1:5])
    return first & 0x0F


def packed_head_bytes(body: bytes) -> int:
    """How many bytes come before the first element of an array; 0 for what is none."""
    return 1 if body[0] & 0xF0 == 0x90 else {0xDC: 3, 0xDD: 5}.get(body[0], 0)


def _check_number(events: int) -> None:
    if events > EVENTS_PER_RECORD_MAX:
        sentence = f"{events} events in one record, at most {EVENTS_PER_RECORD_MAX}"
        raise RefusalError(RejectReason.OVERSIZE, sentence)
