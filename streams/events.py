"""Decodes a record's bytes and headers into its events, or into the reasons why it holds none.

`streams/ingest.py` and `streams/source_file.py` call `decode` once for each record; the formats
stand in files of their own behind the registry `FORMATS`. Pure: no clock, network or log. Must
never raise for what a sender wrote, and must give the same verdict when a topic is read again.
"""

from __future__ import annotations

from streams.catalog import Catalog
from streams.cloudevents import BinaryCloudEvent, StructuredCloudEvent
from streams.event_batches import JsonLines, MsgpackBatch
from streams.event_json import contract_schema
from streams.event_types import (
    DECODE_ERRORS,
    Event,
    Format,
    Headers,
    Heartbeat,
    Ignored,
    MetricSample,
    Outcomes,
    RefusalError,
    Rejected,
    RejectReason,
    RequestEvent,
    rejection,
)
from streams.format_options import FormatOptions
from streams.json_events import JsonEvents
from streams.otlp_metric_encodings import OtlpJsonMetrics, OtlpProtoMetrics
from streams.otlp_traces import OtlpJsonTraces, OtlpProtoTraces
from streams.prometheus_json import PrometheusJson
from streams.record_headers import media_type
from streams.schema_registry_frame import SchemaRegistryFrame

__all__ = [
    "FORMATS",
    "Catalog",
    "Event",
    "Format",
    "FormatOptions",
    "Headers",
    "Heartbeat",
    "Ignored",
    "MetricSample",
    "Outcomes",
    "RejectReason",
    "Rejected",
    "RequestEvent",
    "contract_schema",
    "decode",
]

FORMATS: tuple[Format, ...] = (
    StructuredCloudEvent(),
    BinaryCloudEvent(),
    JsonLines(),
    MsgpackBatch(),
    SchemaRegistryFrame(),
    OtlpProtoTraces(),
    OtlpJsonTraces(),
    OtlpProtoMetrics(),
    OtlpJsonMetrics(),
    PrometheusJson(),
    JsonEvents(),
)
"""Asked in this order; the last one takes what the others leave."""

_BY_NAME = {form.name: form for form in FORMATS}
_NOT_TEXT = ("protobuf", "avro", "msgpack")


def decode(
    body: bytes | None, headers: Headers, catalog: Catalog, *, record_time_s: float | None
) -> Outcomes:
    """One record's events. `record_time_s` is the record's own timestamp, epoch seconds.

    The timestamp stands in for a missing event time and is the reference for times in the future.
    The format is what the headers name, else what the options name for the topic, else what the
    value looks like.
    """
    if body is None:
        return (Rejected(RejectReason.TOMBSTONE, "the record has no value"),)
    if len(body) > catalog.body_bytes_max:
        sentence = f"{len(body)} bytes, at most {catalog.body_bytes_max}"
        return (Rejected(RejectReason.OVERSIZE, sentence),)
    try:
        form = format_of(body, headers, catalog.options.format)
        return form.decode(headers, body, catalog, record_time_s)
    except DECODE_ERRORS as error:
        return (rejection(error),)


def format_of(body: bytes, headers: Headers, configured: str) -> Format:
    """Who decodes this record; raises `RefusalError` if its headers tell of something unknown."""
    written = media_type(headers) if headers else ""
    if headers:
        for form in FORMATS:
            if form.claims(written, headers):
                return form
    if configured:
        return _BY_NAME[configured]
    if written.endswith(_NOT_TEXT):
        sentence = f"the content type {written!r} tells no format; set `events.format`"
        raise RefusalError(RejectReason.UNSUPPORTED_FORMAT, sentence)
    for form in FORMATS:
        if form.recognises(body):
            return form
    raise AssertionError("the last format takes everything")
