"""The request event of our contract as an Avro and as a Protobuf schema.

`avro_events.py` and `protobuf_events.py` read by it where a schema id has no content of its own.
For senders the same stands in `streams/schemas/event.avsc` and `event.proto`; both are made from
the one table here, and a test holds the files to it. The Protobuf descriptor is put together in
code, so that neither this package nor its users need the compiler.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

NAMESPACE = "mplp.events.v1"


class SchemaField(NamedTuple):
    """A field of the contract; `avro` and `protobuf` are its types in the two languages."""

    name: str
    avro: Any
    protobuf: str
    number: int
    default: Any = None
    meaning: str = ""


FIELDS: tuple[SchemaField, ...] = (
    SchemaField("module", "string", "string", 1, meaning="the configured module"),
    SchemaField("region", "string", "string", 2, meaning="a configured region"),
    SchemaField("id", "string", "string", 3, meaning="tells a repetition from a second event"),
    SchemaField(
        "time",
        {"type": "long", "logicalType": "timestamp-millis"},
        "int64",
        4,
        meaning="milliseconds since 1970; the record's timestamp if missing",
    ),
    SchemaField("count", "long", "int64", 5, 1, "how many requests; 1 if missing"),
    SchemaField("sample_rate", "double", "double", 6, 1.0, "share of requests reported"),
    SchemaField("routing", "string", "string", 7, "weighted", "pinned or weighted"),
    SchemaField("caller", "string", "string", 8, meaning="the module that asked"),
    SchemaField("version", "int", "int32", 9, 1, "of the contract; 1 if missing"),
    SchemaField("kind", "string", "string", 10, "request", "request or heartbeat"),
)
_TYPES = {"string": "TYPE_STRING", "int64": "TYPE_INT64", "int32": "TYPE_INT32",
          "double": "TYPE_DOUBLE"}  # fmt: skip


def avro_schema() -> dict[str, Any]:
    """The schema as an Avro record; only the module must be there."""
    return {
        "type": "record",
        "name": "Event",
        "namespace": NAMESPACE,
        "doc": "Requests that arrived at a module, or a heartbeat.",
        "fields": [_avro_field(field) for field in FIELDS],
    }


def avro_text() -> str:
    """`event.avsc`."""
    return msgspec.json.format(msgspec.json.encode(avro_schema()), indent=2).decode() + "\n"


def _avro_field(field: SchemaField) -> dict[str, Any]:
    if field.name == "module":
        return {"name": field.name, "type": field.avro, "doc": field.meaning}
    if field.default is not None:
        written = {"name": field.name, "type": field.avro, "default": field.default}
    else:
        written = {"name": field.name, "type": ["null", field.avro], "default": None}
    return {**written, "doc": field.meaning}


def protobuf_text() -> str:
    """`event.proto`."""
    lines = [
        'syntax = "proto3";',
        "",
        f"package {NAMESPACE};",
        "",
        "// Requests that arrived at a module, or a heartbeat.",
        "message Event {",
    ]
    for field in FIELDS:
        lines.append(f"  // {field.meaning}")
        lines.append(f"  {field.protobuf} {field.name} = {field.number};")
    return "\n".join([*lines, "}", ""])


def protobuf_file() -> Any:
    """The `FileDescriptorProto` that the compiler would make of `event.proto`."""
    from google.protobuf.descriptor_pb2 import (  # noqa: PLC0415  # only where Protobuf is read
        FieldDescriptorProto,
        FileDescriptorProto,
    )

    file = FileDescriptorProto(name="event.proto", package=NAMESPACE, syntax="proto3")
    message = file.message_type.add(name="Event")
    for field in FIELDS:
        message.field.add(
            name=field.name,
            number=field.number,
            type=FieldDescriptorProto.Type.Value(_TYPES[field.protobuf]),
            label=FieldDescriptorProto.LABEL_OPTIONAL,
            json_name=field.name,
        )
    return file
