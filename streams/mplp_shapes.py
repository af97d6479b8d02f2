"""The shapes that MPLP itself gives to its events, none of them made for counting requests.

`streams/json_events.py` calls it for JSON objects that are not of our contract,
`streams/cloudevents.py` for data under a type that is not ours. A shape is told by its keys, in
snake_case or camelCase; what is read of it are identity, time, module, region and type, each looked
for in a fixed order. The outcome of a request (its status, its duration) is no matter: a refused
request is demand too. Must never keep or show a payload, which is users' text.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from streams.arrivals import Meaning
from streams.catalog import Catalog
from streams.event_json import STAGES_MAX, Count, RequestFields, SampleRate
from streams.event_time import TIME_CHARACTERS_MAX, event_time_s
from streams.event_types import (
    Around,
    Ignored,
    RefusalError,
    RejectReason,
    RequestEvent,
)

Fields = dict[str, msgspec.Raw]
"""The keys of one object, their values not parsed yet."""


class Shape(enum.StrEnum):
    """By the letters of the documentation; a shape says where the event stands in the object."""

    EVENT = "A, B, D, G"
    """An identity and a type: core events, base events, bus events, golden timelines."""
    BUS_MESSAGE = "C"
    """`event_name` beside `event_type`, `source_module`, `created_at`."""
    MESSAGE = "E"
    """A queue's message around a payload, which is the event."""
    PROTOCOL_MESSAGE = "F"
    """`message_type` and a `sender`, the event inside."""
    MODULE_CALL = "H"
    """A request identity and a module: one call, whatever became of it."""


def shape_of(fields: Fields) -> Shape | None:
    """Which shape has these keys; None for none of them."""
    is_without = fields.keys().isdisjoint
    for shape, wanted in _KEYS:
        for names in wanted:
            if is_without(names):
                break
        else:
            return shape
    return None


_EVENT_ID = ("event_id", "eventId", "id")
_MESSAGE_ID = ("message_id", "messageId")
_REQUEST_ID = ("request_id", "requestId")
_TYPE = ("event_type", "eventType", "type")
_EVENT_NAME = ("event_name", "eventName")
_MESSAGE_TYPE = ("message_type", "messageType")
_MODULE_ID = ("module_id", "moduleId")
_MODULE_TYPE = ("module_type", "moduleType")
_SOURCE_MODULE = ("source_module", "sourceModule")
_CREATED_AT = ("created_at", "createdAt")
_IDS = (*_EVENT_ID, *_MESSAGE_ID, *_REQUEST_ID)
_TIMES = ("time", "timestamp", *_CREATED_AT)

_KEYS: tuple[tuple[Shape, tuple[tuple[str, ...], ...]], ...] = (
    (Shape.PROTOCOL_MESSAGE, (_MESSAGE_TYPE, ("sender",))),
    (Shape.MESSAGE, (_MESSAGE_ID, ("payload",), ("topic", "metadata"))),
    (Shape.BUS_MESSAGE, (_EVENT_NAME, _SOURCE_MODULE)),
    (Shape.EVENT, (("event_id", "eventId"), _TYPE)),
    (Shape.MODULE_CALL, (_REQUEST_ID, _MODULE_ID)),
    (Shape.EVENT, (_EVENT_ID, _TYPE)),
    (Shape.EVENT, (("event_type", "eventType"), _TIMES)),
)
"""Asked in this order: a shape with more keys of its own before one with fewer."""

_LABELS = ("labels", "attributes", "metadata", "resource")
_DATA = ("data", "payload", "event")
_MODULE_LABELS = ("app", "k8s.deployment.name", "service.name")
_REGION_LABELS = ("cloud.region", "region", "cluster", "topology.kubernetes.io/region")
_ROUTES = ("http.route", "route", "url.path", "path")
_ROUTE = re.compile(r"(?:https?://[^/]*)?/api(?:/v\d+)?/([A-Za-z_-]{1,64})(?:[/?#]|$)")
_PIECES = re.compile(r"[./:]+")

_ID = msgspec.json.Decoder(Annotated[str, Meta(max_length=128)] | int | None)
_TIME = msgspec.json.Decoder(
    Annotated[str, Meta(max_length=TIME_CHARACTERS_MAX)] | int | float | None
)
_NAME = msgspec.json.Decoder(Annotated[str, Meta(max_length=512)] | None)
_OBJECT = msgspec.json.Decoder(Fields)
_NO_FIELDS: Fields = {}
_COUNT = msgspec.json.Decoder(Count | None)
_SAMPLE_RATE = msgspec.json.Decoder(SampleRate | None)
_STAGES = msgspec.json.Decoder(list[Annotated[str, Meta(max_length=128)]])
_UNREADABLE = "no list of names, or too long a one"
"""Stands for stages that cannot be read: no module's name, so it is counted as one not ours."""
_ROUTING = msgspec.json.Decoder(Literal["pinned", "weighted"] | None)


def shape_event(
    shape: Shape, fields: Fields, catalog: Catalog, record_time_s: float | None, around: Around
) -> RequestEvent | Ignored:
    """The request that arrived, or that this was none; raises one of `DECODE_ERRORS`."""
    found_id = _first(_ID, fields, _IDS)
    event_id = around.event_id if found_id is None else str(found_id)
    found_time = _first(_TIME, fields, _TIMES)
    time = around.time if found_time is None else found_time
    time_s = event_time_s(time, record_time_s, catalog.future_skew_max_s)
    meaning, what = _meaning(shape, fields, catalog)
    if meaning is None or not meaning.counts:
        return Ignored(event_id, time_s, what)
    return arrival(meaning, fields, event_id, time_s, catalog, around=around)


def arrival(
    meaning: Meaning,
    fields: Fields,
    event_id: str,
    time_s: float,
    catalog: Catalog,
    *,
    around: Around,
) -> RequestEvent:
    """A request whose place and number the fields tell; raises one of `DECODE_ERRORS`."""
    count = _first(_COUNT, fields, ("count",))
    return RequestFields(
        module=_module(meaning, fields, catalog, around),
        region=_region(fields) or around.region,
        count=1 if count is None else count,
        sample_rate=_first(_SAMPLE_RATE, fields, ("sample_rate", "sampleRate")) or 1.0,
        routing=_first(_ROUTING, fields, ("routing",)) or "weighted",
        stages=_stages(fields),
    ).event(event_id, time_s, catalog)


def unwrapped(fields: Fields, around: Around) -> tuple[bytes, Around]:
    """The payload of a queue's message, and what the message says where the payload is silent.

    A payload may be an object or JSON in a string.
    """
    payload = bytes(fields["payload"])
    if payload[:1] == b'"':
        payload = msgspec.json.decode(payload, type=str).encode()
    found_id = _first(_ID, fields, _MESSAGE_ID)
    headers = _object(fields, ("headers",))
    return payload, Around(
        event_id=around.event_id if found_id is None else str(found_id),
        time=_first(_TIME, fields, _TIMES),
        region=_hint(headers, ("region",)) or around.region,
        module=around.module,
    )


def _meaning(shape: Shape, fields: Fields, catalog: Catalog) -> tuple[Meaning | None, str]:
    """What the event's type means, and the type; a module call without a type is an arrival."""
    inner = _object(fields, ("event",)) if shape is Shape.PROTOCOL_MESSAGE else _NO_FIELDS
    what = ""
    for places, names in (
        (inner, _EVENT_NAME),
        (inner, _TYPE),
        (fields, _EVENT_NAME),
        (fields, _TYPE),
        (fields, _MESSAGE_TYPE),
    ):
        name = _first(_NAME, places, names)
        if name:
            what = what or name[:128]
            meaning = catalog.arrivals.meaning(name)
            if meaning is not None:
                return meaning, name[:128]
    if shape is Shape.MODULE_CALL:
        return Meaning(counts=True), what
    return None, what


def _module(meaning: Meaning, fields: Fields, catalog: Catalog, around: Around) -> str:
    """The first name that is a module of ours.

    A field made for the module's name has the last word, also if it names none of ours; a sender, a
    label, a route or the event's type is only a hint.
    """
    unknown = None
    for name, is_certain in _module_names(meaning, fields, around):
        if is_certain or catalog.module(name) is not None:
            return name
        unknown = unknown or name
    if unknown is None:
        raise RefusalError(RejectReason.INVALID_FIELD, "no field names the module")
    return unknown


def _module_names(meaning: Meaning, fields: Fields, around: Around) -> Iterator[tuple[str, bool]]:
    """Names in the order of their authority, and whether each is certain to mean a module."""
    data = _object(fields, _DATA)
    yield from _names_of_modules(fields, data)
    for place in (fields, _object(fields, _LABELS), data):
        for label in _MODULE_LABELS:
            if name := _hint(place, (label,)):
                yield name, False
    for place in (fields, data):
        if route := _ROUTE.match(_hint(place, _ROUTES) or ""):
            yield route[1], False
    for hint in (around.module, meaning.module):
        if hint:
            yield hint, False


def _names_of_modules(fields: Fields, data: Fields) -> Iterator[tuple[str, bool]]:
    """What stands in the fields that MPLP's shapes have for it."""
    if name := _first(_NAME, fields, ("module", *_SOURCE_MODULE)):
        yield name, True
    if name := _hint(fields, ("source",)):
        yield name, False
        yield from ((piece, False) for piece in _PIECES.split(name)[:4] if piece)
    for place, names in (
        (fields, _MODULE_ID),
        (_object(fields, ("sender",)), (*_MODULE_TYPE, *_MODULE_ID)),
        (data, ("module", *_MODULE_ID)),
    ):
        if name := _first(_NAME, place, names):
            yield name, True


def _region(fields: Fields) -> str | None:
    for place, names in (
        (fields, ("region", "cloud.region")),
        (_object(fields, _LABELS), _REGION_LABELS),
        (_object(fields, _DATA), ("region", "cloud.region")),
    ):
        found: str | None = _first(_NAME, place, names)
        if found:
            return found
    return None


def _stages(fields: Fields) -> list[str] | None:
    """What the workflow that starts here will ask; a hint, so that nothing is refused for it."""
    for place in (fields, _object(fields, _DATA)):
        raw = place.get("stages")
        if raw is not None and bytes(raw) != b"null":
            try:
                found = _STAGES.decode(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                return [_UNREADABLE]
            return found if len(found) <= STAGES_MAX else [*found[: STAGES_MAX - 1], _UNREADABLE]
    return None


def _first(decoder: msgspec.json.Decoder[Any], fields: Fields, names: tuple[str, ...]) -> Any:
    """The first of these keys that is neither null nor empty; it must be what the decoder reads."""
    if fields.keys().isdisjoint(names):
        return None  # most are not there, and this is the quickest way to know
    for name in names:
        raw = fields.get(name)
        if raw is not None:
            value = decoder.decode(raw)
            if value is not None and value != "":
                return value
    return None


def _hint(fields: Fields, names: tuple[str, ...]) -> str | None:
    """The same for a name that need not be one: what is no text is passed over."""
    try:
        found: str | None = _first(_NAME, fields, names)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return found


def _object(fields: Fields, names: tuple[str, ...]) -> Fields:
    """The first of these keys that holds an object; no keys if there is none."""
    if fields.keys().isdisjoint(names):
        return _NO_FIELDS
    for name in names:
        raw = fields.get(name)
        if raw is not None and bytes(raw).startswith(b"{"):
            return _OBJECT.decode(raw)
    return _NO_FIELDS
