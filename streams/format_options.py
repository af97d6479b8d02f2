"""How the records of a topic are to be read: the section `events` of the configuration.

`streams/catalog.py` carries the options to every format; the composition root fills them from the
file. All have defaults, so a topic in our own contract needs none. Holds no paths that anybody
opens here: whoever builds the options reads the schema files (`FormatOptions.loaded`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from streams.metric_names import MetricMeaning

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Attribute = Annotated[str, Meta(min_length=1, max_length=128)]

FormatName = Literal[
    "",
    "cloudevents",
    "json",
    "jsonl",
    "msgpack",
    "otlp_json_metrics",
    "otlp_json_traces",
    "otlp_proto_metrics",
    "otlp_proto_traces",
    "prometheus_json",
    "schema_registry",
]
"""What `format` may say; each is the name of a format in `streams.events.FORMATS`."""


class RegisteredSchema(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One schema of a registry, by its id: what the writer used, so no registry need be asked.

    `content` is the text of an Avro schema, or a Protobuf `FileDescriptorSet` (`protoc
    --include_imports --descriptor_set_out`); empty means the contract's own schema that ships
    with this package. `message` is the Protobuf message to expect, by its full name.
    """

    id: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    language: Literal["avro", "protobuf"]
    file: str = ""
    content: bytes = b""
    message: Annotated[str, Meta(max_length=256)] = ""


class FormatOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a record does not say about itself, or says in words that are not ours."""

    format: FormatName = ""
    """The format of records whose headers name none; empty: told by their first bytes and keys."""

    module_aliases: dict[Name, Name] = {}
    """A sender's name for a module -> the configured module."""
    region_aliases: dict[Name, Name] = {}
    """A sender's name for a region -> the configured region."""
    region_header: Annotated[str, Meta(max_length=128)] = "region"
    """The record header that holds the region where the value has none; empty: no such header."""

    service_attributes: Annotated[tuple[Attribute, ...], Meta(max_length=16)] = (
        "service.name",
        "k8s.deployment.name",
        "k8s.statefulset.name",
        "app",
    )
    """OpenTelemetry resource attributes that may name the module; the first known name counts."""
    region_attributes: Annotated[tuple[Attribute, ...], Meta(max_length=16)] = (
        "cloud.region",
        "topology.kubernetes.io/region",
        "region",
    )
    """OpenTelemetry resource attributes that may name the region; the first one there counts."""
    consumer_spans: bool = False
    """Whether spans of kind CONSUMER are arrivals as well as those of kind SERVER."""
    span_sample_rate: Annotated[float, Meta(ge=1e-6, le=1)] = 1.0
    """Share of spans that are kept, for spans whose tracestate does not say."""

    count_on: Literal["started", "completed"] = "started"
    """Which event of a pair is the arrival of a request; the other one is ignored."""
    arrivals: Annotated[dict[Name, bool | Name], Meta(max_length=1024)] = {}
    """Event types that count or not, over the table of `streams/arrivals.py`; a name is a module
    at which such an event counts."""

    metrics: Annotated[dict[Name, MetricMeaning], Meta(max_length=1024)] = {}
    """Metrics that count requests or do not, over the table of `streams/metric_names.py`; the first
    one beats the others, and all beat the table. `<module>` in a name stands for every module."""

    schemas: Annotated[tuple[RegisteredSchema, ...], Meta(max_length=256)] = ()
    """The schemas behind the ids in records of a schema registry."""

    def loaded(self, read: Callable[[str], bytes]) -> FormatOptions:
        """The same options with every schema's file read; what `read` raises is not caught."""
        schemas = tuple(
            msgspec.structs.replace(schema, content=read(schema.file)) if schema.file else schema
            for schema in self.schemas
        )
        return msgspec.structs.replace(self, schemas=schemas)
