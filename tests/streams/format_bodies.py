"""Whole valid records of every format, for tests to change one thing in."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import fastavro
import msgspec
from google.protobuf import descriptor_pool, message_factory
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from streams.contract_schemas import NAMESPACE, avro_schema, protobuf_file
from streams.event_batches import MSGPACK_TYPE
from streams.events import Catalog, FormatOptions, Headers, Outcomes, decode
from streams.format_options import RegisteredSchema

MODULES = (
    "context", "plan", "role", "confirm", "trace", "extension", "dialog", "collab", "core",
    "network",
)  # fmt: skip
REGIONS = ("us-east-1", "eu-west-1")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON_S = NOON.timestamp()
NOON_MS = int(NOON_S * 1000)
NOON_NS = int(NOON_S) * 10**9
NOON_TEXT = "2026-01-01T12:00:00.000Z"

AVRO_ID, PROTOBUF_ID = 7, 8
SCHEMAS = (
    RegisteredSchema(id=AVRO_ID, language="avro"),
    RegisteredSchema(id=PROTOBUF_ID, language="protobuf"),
)

SHAPES: dict[str, dict[str, Any]] = {
    "A": {
        "event_id": "5f1c", "event_type": "plan_created", "event_family": "pipeline_stage",
        "timestamp": NOON_TEXT, "project_id": "p", "payload": {"text": "secret"},
    },
    "A1": {
        "event_id": "5f1c", "event_type": "context_created", "event_family": "graph_update",
        "timestamp": NOON_TEXT, "graph_id": "g", "update_kind": "node_add", "node_delta": 1,
        "edge_delta": 0, "source_module": "context",
    },
    "A2": {
        "event_id": "5f1c", "event_type": "step_started", "event_family": "pipeline_stage",
        "timestamp": NOON_TEXT, "pipeline_id": "p", "stage_id": "s", "stage_status": "running",
    },
    "A3": {
        "event_id": "5f1c", "event_type": "tool_execution_started",
        "event_family": "runtime_execution", "timestamp": NOON_TEXT, "execution_id": "x",
        "executor_kind": "tool", "status": "running",
    },
    "A4": {
        "event_id": "5f1c", "event_type": "MAPTurnDispatched", "timestamp": NOON_TEXT,
        "session_id": "s",
    },
    "B": {
        "event_id": "5f1c", "event_type": "plan.created", "source": "plan", "timestamp": NOON_TEXT,
        "trace_id": "t", "data": {"text": "secret"},
    },
    "C": {
        "event_id": "5f1c", "event_type": "module_event", "event_name": "context_created",
        "source_module": "context", "target_modules": ["plan"], "payload": {},
        "created_at": NOON_TEXT, "ttl_ms": 100,
    },
    "D": {
        "id": "exec-1767268800000-ab", "type": "workflow_started", "timestamp": NOON_TEXT,
        "source": "core", "payload": {"stages": ["plan"]},
    },
    "F": {
        "message_type": "event", "message_id": "msg-001", "timestamp": NOON_TEXT,
        "sender": {"module_id": "context-module-001", "module_type": "context_module"},
        "event": {"event_type": "context_created", "correlation": {"trace_id": "t"}},
    },
    "G": {
        "event_id": "5f1c", "event_type": "llm_call_started", "timestamp": NOON_TEXT,
        "data": {"model": "m"}, "parent_event_id": "5f1b",
    },
    "H": {
        "requestId": "req-1", "moduleId": "core-module-001", "serviceId": "createPlan",
        "status": "success", "duration": 41, "timestamp": NOON_TEXT,
    },
}  # fmt: skip
"""The shapes of MPLP's own events but E, which wraps one of the others."""

SHAPE_MODULES = {
    "A": "plan", "A1": "context", "A2": "plan", "A3": "extension", "A4": "collab", "B": "plan",
    "C": "context", "D": "core", "F": "context", "G": "extension", "H": "core",
}  # fmt: skip

CONTRACT: dict[str, Any] = {
    "kind": "request", "version": 1, "id": "7", "time": NOON_TEXT, "module": "core",
    "region": "eu-west-1", "count": 3, "sample_rate": 0.5, "routing": "pinned", "caller": "plan",
}  # fmt: skip


class Record(NamedTuple):
    """A Kafka record's value and headers, and the options of its topic."""

    body: bytes
    headers: Headers = ()
    options: FormatOptions = FormatOptions(schemas=SCHEMAS)


def a_catalog(options: FormatOptions | None = None) -> Catalog:
    return Catalog(MODULES, REGIONS, default_region="us-east-1", options=options)


@functools.lru_cache(maxsize=64)
def _kept_catalog(options: bytes) -> Catalog:
    """Topics are read by one catalog for long: so here."""
    return a_catalog(msgspec.json.decode(options, type=FormatOptions))


def read(record: Record, record_time_s: float | None = NOON_S) -> Outcomes:
    catalog = _kept_catalog(msgspec.json.encode(record.options))
    return decode(record.body, record.headers, catalog, record_time_s=record_time_s)


def as_json(fields: object) -> bytes:
    return msgspec.json.encode(fields)


def a_message(payload: object, **changed: Any) -> dict[str, Any]:
    """Shape E."""
    return {
        "messageId": "m-1", "topic": "mplp.events", "payload": payload, "headers": {},
        "metadata": {"source": "MessageQueue", "version": "1.0.0", "retryCount": 0},
        "createdAt": NOON_TEXT, **changed,
    }  # fmt: skip


def camel(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same keys as TypeScript writes them."""

    def renamed(name: str) -> str:
        first, *rest = name.split("_")
        return first + "".join(part.capitalize() for part in rest)

    return {
        renamed(name): camel(value) if isinstance(value, dict) else value
        for name, value in fields.items()
    }


def packed(*arrays: list[object]) -> Record:
    body = msgspec.msgpack.encode(list(arrays))
    return Record(body, [("content-type", MSGPACK_TYPE.encode())])


def framed(schema_id: int, content: bytes) -> bytes:
    return b"\0" + schema_id.to_bytes(4) + content


def avro_body(fields: Mapping[str, Any], schema: dict[str, Any] | None = None) -> bytes:
    written = io.BytesIO()
    fastavro.schemaless_writer(written, schema or avro_schema(), dict(fields))
    return written.getvalue()


def protobuf_body(path: bytes = b"\0", **fields: Any) -> bytes:
    """The path of message indexes and the message of our contract."""
    written: bytes = _event_class()(**fields).SerializeToString()
    return path + written


def _event_class() -> Any:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(protobuf_file())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{NAMESPACE}.Event"))


OTLP_PROTO = FormatOptions(format="otlp_proto_traces")


def a_span(**changed: Any) -> dict[str, Any]:
    fields = {
        "trace_id": b"t" * 16,
        "span_id": b"s" * 8,
        "kind": Span.SPAN_KIND_SERVER,
        "start_time_unix_nano": NOON_NS,
        "name": "POST /api/v1/plans",
    }
    return {**fields, **changed}


def otlp_proto(
    *spans: dict[str, Any], resource: Mapping[str, str] | None = None, **options: Any
) -> Record:
    traces = TracesData()
    of_resource = traces.resource_spans.add()
    for key, value in (resource or {"service.name": "mplp-core"}).items():
        attribute = of_resource.resource.attributes.add()
        attribute.key, attribute.value.string_value = key, value
    scope = of_resource.scope_spans.add()
    for span in spans:
        scope.spans.add(**span)
    return Record(traces.SerializeToString(), (), msgspec.structs.replace(OTLP_PROTO, **options))


def a_json_span(**changed: Any) -> dict[str, Any]:
    fields = {
        "traceId": "74" * 16,
        "spanId": "73" * 8,
        "name": "POST /api/v1/plans",
        "kind": 2,
        "startTimeUnixNano": str(NOON_NS),
        "endTimeUnixNano": str(NOON_NS + 1),
        "status": {},
    }
    return {**fields, **changed}


def otlp_json(*spans: object, resource: Mapping[str, str] | None = None) -> dict[str, Any]:
    named = (resource or {"service.name": "mplp-core"}).items()
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in named]
    scopes = [{"scope": {}, "spans": list(spans)}]
    return {"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": scopes}]}
