"""Decodes many requests of the contract in one call, quicker for the names it has met before.

`streams/record_block.py` and `streams/batch_block.py` call it. A name that is new, like everything
else that is unusual, goes the longer way. Must never accept what `BulkRequest` refuses.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from streams.event_json import Count, EventId, Module, Name, Region, SampleRate
from streams.known_names import KnownNames


class BulkRequest(msgspec.Struct, gc=False, tag="request", tag_field="kind"):
    """A request of the contract as most senders write it; what differs is decoded one by one."""

    module: Module
    time: str
    id: EventId = ""
    region: Region | None = None
    routing: Literal["weighted", "pinned"] = "weighted"
    count: Count = 1
    sample_rate: SampleRate = 1.0
    version: Literal[1] = 1
    caller: Name | None = None
    stages: None = None


class BulkDecoder:
    """Decodes lines of JSON; learns the names of modules and regions from them."""

    def __init__(self) -> None:
        self._plain = msgspec.json.Decoder(BulkRequest)
        self._known = KnownNames(_decoder)

    def lines(self, joined: bytes) -> list[Any]:
        """A `BulkRequest`, or what has its fields, for each line; raises `msgspec.MsgspecError`
        or `UnicodeDecodeError` if one is none.
        """
        if self._known.decoder is not None:
            try:
                return self._known.decoder.decode_lines(joined)  # type: ignore[no-any-return]
            except msgspec.ValidationError:
                pass  # a new name, or no request of the usual kind: the plain decoder tells
        events = self._plain.decode_lines(joined)
        self._known.learn(events)
        return events

    def one(self, value: bytes) -> BulkRequest:
        """A single one; raises as `lines` does."""
        return self._plain.decode(value)


def _decoder(names: dict[str, Any]) -> msgspec.json.Decoder[Any]:
    """For `BulkRequest` with narrower types for what is in `names`."""
    fields = [
        (field.name, names.get(field.name, field.type), field.default)
        for field in msgspec.structs.fields(BulkRequest)
    ]
    known = msgspec.defstruct(
        "KnownRequest",
        [field[:2] if field[2] is msgspec.NODEFAULT else field for field in fields],
        gc=False,
        tag="request",
        tag_field="kind",
    )
    return msgspec.json.Decoder(known)
