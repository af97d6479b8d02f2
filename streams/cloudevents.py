"""CloudEvents 1.0 on Kafka: the binary and the structured mode.

`streams/events.py` registers both. Identity is (source, id), the time is the envelope's, the rest
stands in the data. A type that is not ours counts if `streams/arrivals.py` knows it as an arrival.
Follows the Kafka protocol binding 1.0.2, sections 3.1 to 3.3 (cloudevents/spec,
kafka-protocol-binding.md). Kafka has no batch mode, and an Avro envelope is not read: both are
refused by name, never guessed at.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated

import msgspec
from msgspec import Meta

from streams.catalog import Catalog
from streams.event_json import HeartbeatFields, MetricFields, RequestFields
from streams.event_time import event_time_s
from streams.event_types import (
    Around,
    Event,
    Headers,
    Ignored,
    Outcomes,
    RefusalError,
    RejectReason,
)
from streams.json_events import surroundings
from streams.mplp_shapes import Fields, arrival
from streams.record_headers import content_type, media_type

SPEC_VERSION = "1.0"
EVENT_TYPES: dict[str, type[RequestFields | MetricFields | HeartbeatFields]] = {
    "io.mplp.request.v1": RequestFields,
    "io.mplp.metric.v1": MetricFields,
    "io.mplp.heartbeat.v1": HeartbeatFields,
}
_OWN_TYPES = tuple(name.removesuffix("v1") for name in EVENT_TYPES)

_STRUCTURED_TYPE = "application/cloudevents+json"
_PIECES = re.compile(r"[/:#]+")

Attribute = Annotated[str, Meta(min_length=1, max_length=128)]


class Envelope(msgspec.Struct, kw_only=True):
    """The context attributes that matter here, and the data in structured mode."""

    specversion: str
    id: Attribute
    source: Annotated[str, Meta(min_length=1, max_length=512)]
    type: str
    time: Annotated[str, Meta(max_length=64)] | None = None
    datacontenttype: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    data_base64: str | None = None


class _Mark(msgspec.Struct):
    """What an envelope has and no event of our contract."""

    specversion: str | None = None
    kind: msgspec.Raw | None = None


_STRUCTURED = msgspec.json.Decoder(Envelope)
_MARK = msgspec.json.Decoder(_Mark)
_FIELDS = msgspec.json.Decoder(Fields)
_DATA = {name: msgspec.json.Decoder(fields) for name, fields in EVENT_TYPES.items()}


class StructuredCloudEvent:
    """The whole event in one JSON body; its attributes win over any headers."""

    name = "cloudevents"

    def claims(self, media_type: str, headers: Headers) -> bool:
        return media_type.startswith("application/cloudevents")

    def recognises(self, body: bytes) -> bool:
        if b'"specversion"' not in body:
            return False
        try:
            mark = _MARK.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        return mark.specversion is not None and mark.kind is None

    def decode(
        self, headers: Headers, body: bytes, catalog: Catalog, record_time_s: float | None
    ) -> Outcomes:
        written = media_type(headers)
        if written.startswith("application/cloudevents") and written != _STRUCTURED_TYPE:
            raise _unsupported(f"the content type {written!r} is not read")
        envelope = _STRUCTURED.decode(body)
        if envelope.data_base64 is None:
            data = bytes(envelope.data)
        else:
            data = _from_base64(envelope.data_base64)
        return (_event(envelope, data, catalog, record_time_s, surroundings(headers, catalog)),)


class BinaryCloudEvent:
    """Attributes in `ce_` headers, the data as the body."""

    name = "cloudevents_binary"

    def claims(self, media_type: str, headers: Headers) -> bool:
        return any(key == "ce_specversion" for key, _ in headers)

    def recognises(self, body: bytes) -> bool:
        return False

    def decode(
        self, headers: Headers, body: bytes, catalog: Catalog, record_time_s: float | None
    ) -> Outcomes:
        attributes = {
            key.removeprefix("ce_"): value.decode()
            for key, value in headers
            if key.startswith("ce_") and value is not None
        }
        attributes.pop("data", None)
        attributes.pop("data_base64", None)
        if written := content_type(headers):
            attributes["datacontenttype"] = written
        envelope = msgspec.convert(attributes, Envelope)
        return (_event(envelope, body, catalog, record_time_s, surroundings(headers, catalog)),)


def _event(
    envelope: Envelope,
    data: bytes,
    catalog: Catalog,
    record_time_s: float | None,
    around: Around,
) -> Event:
    if envelope.specversion != SPEC_VERSION:
        raise RefusalError(
            RejectReason.UNKNOWN_VERSION,
            f"CloudEvents {envelope.specversion!r}, not {SPEC_VERSION}",
        )
    decoder = _DATA.get(envelope.type)
    meaning = None if decoder is not None else catalog.arrivals.meaning(envelope.type[:128])
    if decoder is None and (meaning is None or envelope.type.startswith(_OWN_TYPES)):
        raise _unknown_type(envelope.type)
    time_s = event_time_s(envelope.time, record_time_s, catalog.future_skew_max_s)
    # A source is a URI reference, so a space cannot be part of one.
    event_id = f"{envelope.source} {envelope.id}"
    if meaning is not None and not meaning.counts:
        return Ignored(event_id, time_s, envelope.type[:128])
    if not _is_json(envelope.datacontenttype):
        raise _unsupported(f"data of content type {envelope.datacontenttype!r} is not read")
    if decoder is not None:
        return decoder.decode(data or b"{}").event(event_id, time_s, catalog, around.region)
    assert meaning is not None
    fields = _FIELDS.decode(data or b"{}")
    around = around._replace(module=_PIECES.split(envelope.source)[-1])
    return arrival(meaning, fields, event_id, time_s, catalog, around=around)


def _is_json(written: str | None) -> bool:
    if written is None:
        return True
    return written.partition(";")[0].strip().lower().endswith(("/json", "+json"))


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise RefusalError(RejectReason.MALFORMED, f"data_base64: {error}") from None


def _unknown_type(name: str) -> RefusalError:
    if name.startswith(_OWN_TYPES):
        return RefusalError(RejectReason.UNKNOWN_VERSION, f"{name!r} is a version not read here")
    return RefusalError(RejectReason.UNKNOWN_KIND, f"the event type {name!r} is not one of ours")


def _unsupported(sentence: str) -> RefusalError:
    return RefusalError(RejectReason.UNSUPPORTED_FORMAT, sentence)
