"""Decodes many requests of the contract in one call, quicker for the names it has met before.

`streams/record_block.py` keeps one for each worker. Senders use few names: once they are known, the
decoder hands out the one object of each name instead of making a text for each event, which also
spares hashing it. A name that is new, like everything else that is unusual, goes the longer way.
Must never accept what `BulkRequest` refuses.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Literal

import msgspec

from streams.event_json import Count, EventId, Module, Name, Region, SampleRate

NAMES_MAX = 512
"""With more names than this nothing is learnt: looking them up would cost what it saves."""


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


_module, _region = attrgetter("module"), attrgetter("region")


class BulkDecoder:
    """Decodes lines of JSON; learns the names of modules and regions from them."""

    def __init__(self) -> None:
        self._plain = msgspec.json.Decoder(BulkRequest)
        self._quick: msgspec.json.Decoder[Any] | None = None
        self._modules: set[str] = set()
        self._regions: set[str | None] = set()

    def lines(self, joined: bytes) -> list[Any]:
        """A `BulkRequest`, or what has its fields, for each line; raises `msgspec.MsgspecError`
        or `UnicodeDecodeError` if one is none.
        """
        if self._quick is not None:
            try:
                return self._quick.decode_lines(joined)
            except msgspec.ValidationError:
                pass  # a new name, or no request of the usual kind: the plain decoder tells
        events = self._plain.decode_lines(joined)
        self._learn(events)
        return events

    def one(self, value: bytes) -> BulkRequest:
        """A single one; raises as `lines` does."""
        return self._plain.decode(value)

    def _learn(self, events: list[BulkRequest]) -> None:
        modules = self._modules.union(map(_module, events))
        regions = self._regions.union(map(_region, events))
        if len(modules) + len(regions) > NAMES_MAX:
            self._quick = None
        elif (modules, regions) != (self._modules, self._regions):
            self._modules, self._regions = modules, regions
            self._quick = _decoder(modules, regions)


def _decoder(modules: set[str], regions: set[str | None]) -> msgspec.json.Decoder[Any] | None:
    named = sorted(region for region in regions if region is not None)
    if not modules or not named:
        return None
    region: Any = Literal[tuple(named)]
    known = msgspec.defstruct(
        "KnownRequest",
        [
            ("module", Literal[tuple(sorted(modules))]),
            ("time", str),
            ("region", region | None, None) if None in regions else ("region", region),
            *_fields("id", "routing", "count", "sample_rate", "version", "caller"),
        ],
        gc=False,
        tag="request",
        tag_field="kind",
    )
    return msgspec.json.Decoder(known)


def _fields(*names: str) -> list[tuple[str, Any, Any]]:
    """The same fields as in `BulkRequest`, with their checks and defaults."""
    found = {field.name: field for field in msgspec.structs.fields(BulkRequest)}
    return [(name, found[name].type, found[name].default) for name in names]
