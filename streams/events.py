"""Decodes a record's bytes and headers into its events, or into the reason why it holds none.

`streams/ingest.py` and `streams/source_file.py` call `decode` once for each record; the formats
stand in files of their own behind the registry `FORMATS`. Pure: no clock, network or log. Must
never raise for what a sender wrote, and must give the same verdict when a topic is read again.
"""

from __future__ import annotations

import msgspec

from streams.catalog import Catalog
from streams.cloudevents import BinaryCloudEvent, StructuredCloudEvent
from streams.event_json import BareJson, contract_schema
from streams.event_types import (
    Event,
    Format,
    Headers,
    Heartbeat,
    MetricSample,
    Outcomes,
    RefusalError,
    Rejected,
    RejectReason,
    RequestEvent,
)

__all__ = [
    "FORMATS",
    "Catalog",
    "Event",
    "Format",
    "Headers",
    "Heartbeat",
    "MetricSample",
    "Outcomes",
    "RejectReason",
    "Rejected",
    "RequestEvent",
    "contract_schema",
    "decode",
]

FORMATS: tuple[Format, ...] = (StructuredCloudEvent(), BinaryCloudEvent(), BareJson())
"""Asked in this order; the last one takes what the others leave."""


def decode(
    body: bytes | None, headers: Headers, catalog: Catalog, *, record_time_s: float | None
) -> Outcomes:
    """One record's events. `record_time_s` is the record's own timestamp, epoch seconds.

    The timestamp stands in for a missing event time and is the reference for times in the future.
    """
    if body is None:
        return (Rejected(RejectReason.TOMBSTONE, "the record has no value"),)
    if len(body) > catalog.body_bytes_max:
        sentence = f"{len(body)} bytes, at most {catalog.body_bytes_max}"
        return (Rejected(RejectReason.OVERSIZE, sentence),)
    try:
        for form in FORMATS:
            if form.recognises(headers, body):
                return form.decode(headers, body, catalog, record_time_s)
    except (RefusalError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return (rejection(error),)
    return (Rejected(RejectReason.UNSUPPORTED_FORMAT, "no format claims this record"),)


def rejection(error: Exception) -> Rejected:
    """What to say of an error that a format may raise.

    msgspec raises `RecursionError` on deep nesting and `UnicodeDecodeError` on broken text.
    """
    if isinstance(error, RefusalError):
        return error.rejected
    invalid = isinstance(error, msgspec.ValidationError)
    reason = RejectReason.INVALID_FIELD if invalid else RejectReason.MALFORMED
    return RefusalError(reason, str(error)).rejected
