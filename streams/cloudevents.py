"""CloudEvents 1.0 on Kafka: the binary and the structured mode.

`streams/events.py` registers both. Identity is (source, id), the time is the envelope's, the rest
stands in the data. Follows the Kafka protocol binding 1.0.2, sections 3.1 to 3.3 (cloudevents/spec,
kafka-protocol-binding.md). Kafka has no batch mode, and an Avro envelope is not read: both are
refused by name, never guessed at.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

import msgspec
from msgspec import Meta

from streams.catalog import Catalog
from streams.event_json import HeartbeatFields, MetricFields, RequestFields
from streams.event_time import event_time_s
from streams.event_types import Event, Headers, Outcomes, RefusalError, RejectReason

SPEC_VERSION = "1.0"
EVENT_TYPES: dict[str, type[RequestFields | MetricFields | HeartbeatFields]] = {
    "io.mplp.request.v1": RequestFields,
    "io.mplp.metric.v1": MetricFields,
    "io.mplp.heartbeat.v1": HeartbeatFields,
}
_OWN_TYPES = tuple(name.removesuffix("v1") for name in EVENT_TYPES)

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


_STRUCTURED = msgspec.json.Decoder(Envelope)
_DATA = {name: msgspec.json.Decoder(fields) for name, fields in EVENT_TYPES.items()}


class StructuredCloudEvent:
    """The whole event in one JSON body; its attributes win over any headers."""

    name = "CloudEvents 1.0, structured"

    def recognises(self, headers: Headers, body: bytes) -> bool:
        return bool(headers) and _content_type(headers).startswith("application/cloudevents")

    def decode(
        self, headers: Headers, body: bytes, catalog: Catalog, record_time_s: float | None
    ) -> Outcomes:
        media_type = _content_type(headers).partition(";")[0].strip()
        if media_type != "application/cloudevents+json":
            raise _unsupported(f"the content type {media_type!r} is not read")
        envelope = _STRUCTURED.decode(body)
        if envelope.data_base64 is None:
            data = bytes(envelope.data)
        else:
            data = _from_base64(envelope.data_base64)
        return (_event(envelope, data, catalog, record_time_s),)


class BinaryCloudEvent:
    """Attributes in `ce_` headers, the data as the body."""

    name = "CloudEvents 1.0, binary"

    def recognises(self, headers: Headers, body: bytes) -> bool:
        return any(key == "ce_specversion" for key, _ in headers)

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
        content_type = _content_type(headers)
        if content_type:
            attributes["datacontenttype"] = content_type
        return (_event(msgspec.convert(attributes, Envelope), body, catalog, record_time_s),)


def _event(envelope: Envelope, data: bytes, catalog: Catalog, record_time_s: float | None) -> Event:
    if envelope.specversion != SPEC_VERSION:
        raise RefusalError(
            RejectReason.UNKNOWN_VERSION,
            f"CloudEvents {envelope.specversion!r}, not {SPEC_VERSION}",
        )
    decoder = _DATA.get(envelope.type)
    if decoder is None:
        raise _unknown_type(envelope.type)
    if not _is_json(envelope.datacontenttype):
        raise _unsupported(f"data of content type {envelope.datacontenttype!r} is not read")
    fields = decoder.decode(data or b"{}")
    time_s = event_time_s(envelope.time, record_time_s, catalog.future_skew_max_s)
    # A source is a URI reference, so a space cannot be part of one.
    return fields.event(f"{envelope.source} {envelope.id}", time_s, catalog)


def _content_type(headers: Headers) -> str:
    for key, value in reversed(headers):
        if value is not None and key.lower() == "content-type":
            return value.decode("utf-8", "replace").strip().lower()
    return ""


def _is_json(content_type: str | None) -> bool:
    if content_type is None:
        return True
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type.endswith(("/json", "+json"))


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
