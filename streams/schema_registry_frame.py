"""Records as the serializers of a schema registry write them: a frame that names the schema by id.

`streams/events.py` registers `SchemaRegistryFrame`. The frame is a zero byte and the id in four
bytes, most significant first; what follows is read by the schema that the options give for the id
(`streams/schema_readers.py`), because asking a registry is no business of a decoder. The fields
then go the way of JSON, so that they may be those of our contract or of any other shape. Source:
Confluent Schema Registry documentation, "Wire format".
"""

from __future__ import annotations

from typing import Any

import msgspec

from streams.catalog import Catalog
from streams.event_types import Headers, Outcomes, RefusalError, RejectReason
from streams.json_events import json_event, surroundings

FRAME_BYTES = 5


class SchemaRegistryFrame:
    """Avro, Protobuf or JSON behind a schema id; no text and no MessagePack of ours begins so."""

    name = "schema_registry"

    def claims(self, media_type: str, headers: Headers) -> bool:
        return False  # the serializers set no header

    def recognises(self, body: bytes) -> bool:
        return body[:1] == b"\0" and len(body) > FRAME_BYTES

    def decode(
        self, headers: Headers, body: bytes, catalog: Catalog, record_time_s: float | None
    ) -> Outcomes:
        if not self.recognises(body):
            raise RefusalError(RejectReason.MALFORMED, "no frame with a schema id")
        schema_id = int.from_bytes(body[1:FRAME_BYTES])
        content = body[FRAME_BYTES:]
        reader = catalog.schema_readers.get(schema_id)
        if reader is not None:
            content = _as_json(reader(content))
        elif content[:1] != b"{":  # the JSON Schema serializer writes its text behind the id
            sentence = f"the schema id {schema_id} is not one of the schemas in the options"
            raise RefusalError(RejectReason.UNSUPPORTED_FORMAT, sentence)
        around = surroundings(headers, catalog)
        return (json_event(content, catalog, record_time_s, around),)


def _as_json(fields: dict[str, Any]) -> bytes:
    """The fields that are there; one that names a module and no kind or type is a request."""
    there = {name: value for name, value in fields.items() if value is not None}
    if "module" in there and there.keys().isdisjoint(("kind", "event_type", "type")):
        there["kind"] = "request"
    return msgspec.json.encode(there)
