"""Avro, Protobuf and JSON behind a schema id say the same as JSON alone."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.protobuf import descriptor_pb2, timestamp_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

import streams
from streams.contract_schemas import avro_text, protobuf_text
from streams.events import Catalog, FormatOptions, Rejected, RejectReason, RequestEvent
from streams.format_options import RegisteredSchema
from tests.streams.format_bodies import (
    AVRO_ID,
    CONTRACT,
    NOON_MS,
    NOON_S,
    PROTOBUF_ID,
    SCHEMAS,
    SHAPES,
    Record,
    a_catalog,
    as_json,
    avro_body,
    framed,
    protobuf_body,
    read,
)

WHOLE: dict[str, Any] = {**CONTRACT, "time": NOON_MS}
EXPECTED = RequestEvent("7", NOON_S, "core", "eu-west-1", 6.0, True, "plan", 6.0)
LEAST = RequestEvent("", NOON_S, "core", "us-east-1", 1.0, pinned=False)


def avro(fields: dict[str, Any]) -> Record:
    return Record(framed(AVRO_ID, avro_body(fields)))


def protobuf(path: bytes = b"\0", **fields: Any) -> Record:
    return Record(framed(PROTOBUF_ID, protobuf_body(path, **fields)))


def rejected_for(record: Record) -> RejectReason:
    (outcome,) = read(record)
    assert isinstance(outcome, Rejected), outcome
    return outcome.reason


def test_contract_says_the_same_in_every_language() -> None:
    assert list(read(avro(WHOLE))) == [EXPECTED]
    assert list(read(protobuf(**WHOLE))) == [EXPECTED]
    assert list(read(Record(framed(99, as_json(CONTRACT))))) == [EXPECTED]
    assert list(read(avro({"module": "core"}))) == [LEAST]
    assert list(read(protobuf(module="core"))) == [LEAST]


@given(
    st.sampled_from(["core", "billing"]),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.one_of(st.none(), st.integers(0, NOON_MS * 2)),
)
@settings(max_examples=80, deadline=None)
def test_avro_and_protobuf_agree_on_any_values(
    module: str, count: int, sample_rate: float, time_ms: int | None
) -> None:
    fields: dict[str, Any] = {
        "module": module,
        "count": count,
        "sample_rate": sample_rate,
        "time": time_ms,
    }
    # What is zero or empty in Protobuf is not there at all.
    there = {name: value for name, value in fields.items() if value not in (0, None)}

    (of_avro,) = read(avro(there))
    (of_protobuf,) = read(protobuf(**there))

    assert type(of_avro) is type(of_protobuf)
    if isinstance(of_avro, RequestEvent):
        assert of_avro == of_protobuf


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (b"\x02\x00", None),
        (b"\x02\x02", RejectReason.UNSUPPORTED_FORMAT),
        (b"\x02\x01", RejectReason.UNSUPPORTED_FORMAT),
        (b"\x04\x00\x00", RejectReason.UNSUPPORTED_FORMAT),
        (b"\x01", RejectReason.MALFORMED),
        (b"\xff\xff\xff\xff\xff\xff", RejectReason.MALFORMED),
    ],
    ids=["[0] in full", "no second message", "-1", "nothing nested", "-1 indexes", "endless"],
)
def test_path_of_message_indexes_is_followed(path: bytes, reason: RejectReason | None) -> None:
    if reason is None:
        assert list(read(protobuf(path, **WHOLE))) == [EXPECTED]
    else:
        assert rejected_for(protobuf(path, **WHOLE)) == reason


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\0\0\0\7", as_json(CONTRACT)])
def test_topic_of_framed_records_holds_no_others(body: bytes) -> None:
    options = FormatOptions(format="schema_registry", schemas=SCHEMAS)

    assert rejected_for(Record(body, (), options)) == RejectReason.MALFORMED


def test_schema_id_that_is_not_configured_is_named() -> None:
    (rejected,) = read(Record(framed(4711, avro_body(WHOLE))))

    assert isinstance(rejected, Rejected)
    assert rejected.reason == RejectReason.UNSUPPORTED_FORMAT
    assert "4711" in rejected.detail


@pytest.mark.parametrize(
    "content", [b"\xff" * 40, avro_body(WHOLE)[:-4], avro_body(WHOLE) + b"\0", b"\x80" * 40]
)
def test_bytes_that_are_not_of_the_avro_schema_are_malformed(content: bytes) -> None:
    assert rejected_for(Record(framed(AVRO_ID, content))) == RejectReason.MALFORMED


def test_bytes_that_are_not_of_the_protobuf_schema_are_malformed() -> None:
    content = protobuf_body(**WHOLE)[:-4]

    assert rejected_for(Record(framed(PROTOBUF_ID, content))) == RejectReason.MALFORMED


MPLP_CALL = {
    "type": "record", "name": "ModuleCall",
    "fields": [
        {"name": "requestId", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "moduleId", "type": ["null", "string"]},
        {"name": "status", "type": {"type": "enum", "name": "S", "symbols": ["success", "error"]}},
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "labels", "type": {"type": "map", "values": "string"}},
    ],
}  # fmt: skip


def test_avro_record_of_the_platforms_own_is_read_by_its_fields() -> None:
    schema = RegisteredSchema(id=1, language="avro", content=as_json(MPLP_CALL))
    fields: dict[str, Any] = {
        "requestId": "5d1f7a43-7e0b-4a46-9b7e-0a3f4f3f4a11",
        "moduleId": "plan-module-001",
        "status": "error",
        "timestamp": datetime(2026, 1, 1, 12, tzinfo=UTC),
        "labels": {"region": "eu-west-1"},
    }

    (event,) = read(
        Record(framed(1, avro_body(fields, MPLP_CALL)), (), FormatOptions(schemas=(schema,)))
    )

    assert event == RequestEvent(
        fields["requestId"], NOON_S, "plan", "eu-west-1", 1.0, pinned=False
    )


def a_descriptor_set() -> descriptor_pb2.FileDescriptorSet:
    """`protoc --include_imports` of a file whose second message is nested in its first."""
    file = descriptor_pb2.FileDescriptorProto(
        name="calls.proto", package="acme", syntax="proto3",
        dependency=["google/protobuf/timestamp.proto"],
    )  # fmt: skip
    file.enum_type.add(name="Routing").value.extend(
        [
            descriptor_pb2.EnumValueDescriptorProto(name="ROUTING_WEIGHTED", number=0),
            descriptor_pb2.EnumValueDescriptorProto(name="ROUTING_PINNED", number=1),
        ]
    )
    call = file.message_type.add(name="Envelope").nested_type.add(name="Call")
    kinds = descriptor_pb2.FieldDescriptorProto
    optional = kinds.LABEL_OPTIONAL
    call.field.add(name="requestId", number=1, type=kinds.TYPE_STRING, label=optional)
    call.field.add(name="moduleId", number=2, type=kinds.TYPE_STRING, label=optional)
    call.field.add(name="timestamp", number=3, type=kinds.TYPE_MESSAGE, label=optional,
                   type_name=".google.protobuf.Timestamp")  # fmt: skip
    call.field.add(name="routing", number=4, type=kinds.TYPE_ENUM, label=optional,
                   type_name=".acme.Routing")  # fmt: skip
    call.field.add(name="tags", number=5, type=kinds.TYPE_BYTES, label=kinds.LABEL_REPEATED)
    entry = call.nested_type.add(name="LabelsEntry")
    entry.options.map_entry = True
    for number, name in enumerate(("key", "value"), start=1):
        entry.field.add(name=name, number=number, type=kinds.TYPE_STRING, label=optional)
    call.field.add(name="labels", number=6, type=kinds.TYPE_MESSAGE, label=kinds.LABEL_REPEATED,
                   type_name=".acme.Envelope.Call.LabelsEntry")  # fmt: skip
    found = descriptor_pb2.FileDescriptorSet()
    timestamp_pb2.DESCRIPTOR.CopyToProto(found.file.add())
    found.file.append(file)
    return found


@pytest.mark.parametrize("message", ["", "acme.Envelope.Call"])
def test_protobuf_message_of_the_platforms_own_is_read_by_its_fields(message: str) -> None:
    content = a_descriptor_set().SerializeToString()
    schema = RegisteredSchema(id=1, language="protobuf", content=content, message=message)
    seconds = timestamp_pb2.Timestamp(seconds=int(NOON_S)).SerializeToString()
    labels = b"\x0a\x06region\x12\x09eu-west-1"
    body = b"".join(
        [
            b"\x0a\x03r-1\x12\x04plan\x1a", bytes([len(seconds)]), seconds, b"\x20\x01\x2a\x01\xff",
            b"\x32", bytes([len(labels)]), labels,
        ]
    )  # fmt: skip
    record = Record(framed(1, b"\x04\x00\x00" + body), (), FormatOptions(schemas=(schema,)))

    (event,) = read(record)

    assert event == RequestEvent("r-1", NOON_S, "plan", "eu-west-1", 1.0, pinned=True)


def test_protobuf_message_other_than_the_configured_one_is_refused() -> None:
    schema = RegisteredSchema(
        id=1,
        language="protobuf",
        content=a_descriptor_set().SerializeToString(),
        message="acme.Envelope.Call",
    )
    record = Record(framed(1, b"\0"), (), FormatOptions(schemas=(schema,)))

    assert rejected_for(record._replace(body=framed(1, b"\0\x0a"))) == (
        RejectReason.UNSUPPORTED_FORMAT
    )


EMPTY_ITEMS = {
    "type": "record", "name": "R",
    "fields": [{"name": "a", "type": {"type": "array", "items": "null"}}],
}  # fmt: skip
BAD_SCHEMAS = {
    "not JSON": RegisteredSchema(id=3, language="avro", content=b"{"),
    "no record": RegisteredSchema(id=3, language="avro", content=b'"string"'),
    "no fields": RegisteredSchema(id=3, language="avro", content=b'{"type":"record"}'),
    "an unknown type": RegisteredSchema(
        id=3, language="avro",
        content=b'{"type":"record","name":"R","fields":[{"name":"a","type":"invoice"}]}',
    ),
    "endless items": RegisteredSchema(id=3, language="avro", content=as_json(EMPTY_ITEMS)),
    "no descriptor": RegisteredSchema(id=3, language="protobuf", content=b"hello"),
    "no file": RegisteredSchema(id=3, language="protobuf", content=b"\x12\x00"),
    "no such message": RegisteredSchema(id=3, language="protobuf", message="acme.Invoice"),
    "imports left out": RegisteredSchema(
        id=3, language="protobuf",
        content=descriptor_pb2.FileDescriptorSet(
            file=[a_descriptor_set().file[1]]
        ).SerializeToString(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("schema", BAD_SCHEMAS.values(), ids=BAD_SCHEMAS.keys())
def test_bad_schema_stops_the_start_and_is_named(schema: RegisteredSchema) -> None:
    with pytest.raises(ValueError, match="schema 3 cannot be read"):
        a_catalog(FormatOptions(schemas=(schema,)))


def test_schema_id_that_is_given_twice_stops_the_start() -> None:
    twice = (RegisteredSchema(id=3, language="avro"),) * 2

    with pytest.raises(ValueError, match="3 is given twice"):
        a_catalog(FormatOptions(schemas=twice))


def test_options_are_loaded_with_the_schemas_files() -> None:
    schema = RegisteredSchema(id=1, language="avro", file="call.avsc")
    files = {"call.avsc": as_json(MPLP_CALL)}

    options = FormatOptions(schemas=(schema, *FormatOptions().schemas)).loaded(files.__getitem__)

    assert options.schemas[0].content == files["call.avsc"]


def test_shipped_schemas_are_those_that_are_read_by() -> None:
    folder = Path(streams.__file__).parent / "schemas"

    assert (folder / "event.avsc").read_text() == avro_text()
    assert (folder / "event.proto").read_text() == protobuf_text()


def test_worker_without_such_topics_does_without_their_libraries() -> None:
    program = (
        "import sys; import streams.events as e;"
        "e.decode(b'{}', (), e.Catalog(('core',), ('eu',)), record_time_s=None);"
        "print([n for n in ('fastavro', 'google.protobuf', 'opentelemetry') if n in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert shown.stdout.strip() == "[]"


def test_shape_in_a_json_schema_frame_is_read() -> None:
    assert list(read(Record(framed(5, as_json(SHAPES["H"]))))) == list(
        read(Record(as_json(SHAPES["H"])))
    )


def test_catalog_of_msgspec_options_from_a_file_is_the_same() -> None:
    options = msgspec.convert(
        {"format": "schema_registry", "schemas": [{"id": 7, "language": "avro"}]}, FormatOptions
    )
    catalog = Catalog(("core",), ("us-east-1",), options=options)

    assert set(catalog.schema_readers) == {7}


LOGICAL = {
    "module": "string",
    "at": {"type": "long", "logicalType": "local-timestamp-millis"},
    "day": {"type": "int", "logicalType": "date"},
    "clock": {"type": "long", "logicalType": "time-micros"},
    "price": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
    "raw": {"type": "fixed", "name": "Raw", "size": 3},
    "ratio": "double",
    "tree": {"type": "array", "items": ["null", {"type": "map", "values": "bytes"}]},
}


@given(st.binary(max_size=40))
@settings(max_examples=150, deadline=None)
def test_fields_of_any_avro_type_are_no_obstacle(tail: bytes) -> None:
    fields = [{"name": name, "type": of} for name, of in LOGICAL.items()]
    content = as_json({"type": "record", "name": "Any", "fields": fields})
    options = FormatOptions(schemas=(RegisteredSchema(id=1, language="avro", content=content),))
    body = framed(1, b"\x08core\x02\x02\x02\x02\x01abc" + tail)

    (outcome,) = read(Record(body, (), options))

    assert isinstance(outcome, Rejected | RequestEvent)


def test_record_of_every_avro_type_is_counted() -> None:
    fields = [{"name": name, "type": of} for name, of in LOGICAL.items()]
    content = as_json({"type": "record", "name": "Any", "fields": fields})
    options = FormatOptions(schemas=(RegisteredSchema(id=1, language="avro", content=content),))
    tail = b"\0\0\0\0\0\0\0\0" + b"\x02\x02\x02\x02a\x02\xff\0\0"
    body = framed(1, b"\x08core\x02\x02\x02\x02\x01abc" + tail)

    assert list(read(Record(body, (), options))) == [LEAST]
