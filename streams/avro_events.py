"""Reads Avro records by their writer's schema.

`streams/schema_readers.py` imports this module only where an Avro schema is configured. Fields are
taken by name as the writer's schema has them; there is no second schema to resolve against, since
unknown fields are ignored and missing ones have defaults further on. Must never raise anything but
`RefusalError` for what a sender wrote.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import fastavro
import msgspec
from fastavro.schema import SchemaParseException

from streams.contract_schemas import avro_schema
from streams.event_types import RefusalError, RejectReason

# What the library raises for bytes that are not of the schema; it wraps none of it.
_NOT_OF_SCHEMA = (
    EOFError, IndexError, KeyError, ValueError, OverflowError, TypeError, struct.error, MemoryError,
    ArithmeticError, StopIteration,
)  # fmt: skip


def avro_reader(content: bytes) -> Callable[[bytes], dict[str, Any]]:
    """Reads the bytes of one record; empty content means the contract's own schema.

    Raises `ValueError` for a schema that is none, that is not a record, or in which a few bytes
    could stand for endless items.
    """
    schema = msgspec.json.decode(content) if content else avro_schema()
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise ValueError("an event is a record")
    if _has_empty_items(schema):
        raise ValueError("an array of items without length can be endless")
    try:
        parsed = fastavro.parse_schema(schema)
    except (SchemaParseException, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an Avro schema: {error}") from error

    def read(body: bytes) -> dict[str, Any]:
        rest = io.BytesIO(body)
        try:
            fields = fastavro.schemaless_reader(rest, parsed, None)
        except _NOT_OF_SCHEMA as error:
            sentence = f"not of the schema: {type(error).__name__}"
            raise RefusalError(RejectReason.MALFORMED, sentence) from None
        if rest.tell() != len(body):
            sentence = f"{len(body) - rest.tell()} bytes after the record"
            raise RefusalError(RejectReason.MALFORMED, sentence)
        assert isinstance(fields, dict), "a record schema gives a mapping"
        return fields

    return read


def _has_empty_items(schema: Any) -> bool:
    """Whether some array holds items that take no bytes, so that their number costs nothing."""
    if isinstance(schema, list):
        return any(_has_empty_items(one) for one in schema)
    if not isinstance(schema, dict):
        return False
    if schema.get("type") == "array" and _is_empty(schema.get("items")):
        return True
    return any(_has_empty_items(one) for one in schema.values())


def _is_empty(schema: Any) -> bool:
    if isinstance(schema, dict):
        if schema.get("type") == "record":
            return all(_is_empty(one.get("type")) for one in schema.get("fields", ()))
        return _is_empty(schema.get("type")) or schema.get("size") == 0
    return bool(schema == "null")
