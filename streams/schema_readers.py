"""Makes readers of the registered schemas: from the bytes after a frame to the record's fields.

`streams/catalog.py` calls it once, when the configuration is put together, so that a schema that
cannot be read stops the start and not the stream. The Avro and Protobuf libraries are imported
only where a schema of theirs is configured: a worker whose topics need none stays small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from streams.format_options import RegisteredSchema

Reader = Callable[[bytes], dict[str, Any]]
"""Raises `RefusalError` for bytes that are not of the schema."""


def schema_readers(schemas: Iterable[RegisteredSchema]) -> dict[int, Reader]:
    """One reader for each schema id; raises `ValueError` naming the id of a bad schema."""
    readers: dict[int, Reader] = {}
    for schema in schemas:
        if schema.id in readers:
            raise ValueError(f"the schema id {schema.id} is given twice")
        try:
            readers[schema.id] = _reader(schema)
        except ValueError as error:
            raise ValueError(f"the schema {schema.id} cannot be read: {error}") from error
    return readers


def _reader(schema: RegisteredSchema) -> Reader:
    # Imported here, not above: see the module.
    if schema.language == "avro":
        from streams.avro_events import avro_reader  # noqa: PLC0415

        return avro_reader(schema.content)
    from streams.protobuf_events import protobuf_reader  # noqa: PLC0415

    return protobuf_reader(schema.content, schema.message)
