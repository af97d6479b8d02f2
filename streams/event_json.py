"""Our own contract: an event as one JSON object, and the fields that CloudEvents carry as data.

`streams/json_events.py` decodes it; `streams/cloudevents.py` decodes the same fields without the
envelope's, and `streams/event_batches.py` has them as arrays. One typed decode does parsing and
checking; unknown fields are ignored, so a sender may add some. Must never keep a body or put it
into an error.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from streams.catalog import Catalog
from streams.event_time import TIME_CHARACTERS_MAX, event_time_s
from streams.event_types import (
    Around,
    Event,
    Heartbeat,
    MetricSample,
    RefusalError,
    RejectReason,
    RequestEvent,
    WorkflowRequest,
)

CONTRACT_VERSION = 1

ID_CHARACTERS_MAX = 128

Name = Annotated[str, Meta(min_length=1, max_length=128)]
EventId = Annotated[
    str,
    Meta(
        max_length=ID_CHARACTERS_MAX,
        description="Tells a repetition from a second event; may be missing.",
    ),
]
Version = Annotated[
    int, Meta(ge=0, le=1_000_000, description="Version of this contract; missing means 1.")
]
Module = Annotated[
    str, Meta(max_length=128, description="One of the configured modules; mplp-core-0 is core.")
]
Region = Annotated[
    str, Meta(max_length=128, description="A configured region; the consumer may have a default.")
]
Count = Annotated[
    int,
    Meta(
        ge=0,
        le=1_000_000_000,
        description="How many requests this event stands for; 0 says that there were none.",
    ),
]
SampleRate = Annotated[
    float,
    Meta(ge=1e-6, le=1, description="Share of requests that are reported; 0.1 counts tenfold."),
]
Routing = Annotated[
    Literal["pinned", "weighted"],
    Meta(description="pinned: the client chose the region, so the requests cannot be moved."),
]
STAGES_MAX = 64
Stages = Annotated[
    list[Name],
    Meta(
        max_length=STAGES_MAX,
        description="Modules that the workflow which each request starts will ask, in order.",
    ),
]
Time = Annotated[str, Meta(max_length=TIME_CHARACTERS_MAX)] | int | float
Label = Annotated[str, Meta(max_length=256)]

# What Prometheus adapters write for a sample; `float` would also take "nan" and "1_000".
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)


class RequestFields(msgspec.Struct, kw_only=True):
    """What a request event says besides id and time."""

    module: Module
    region: Region | None = None
    count: Count = 1
    sample_rate: SampleRate = 1.0
    routing: Routing = "weighted"
    caller: Name | None = None
    stages: Stages | None = None

    def event(
        self, event_id: str, time_s: float, catalog: Catalog, region: str | None = None
    ) -> RequestEvent:
        """Look module and region up; raises `RefusalError` if there is no region at all.

        The argument `region` stands in for an event that names none.
        """
        module, region = catalog.place(self.module, region if self.region is None else self.region)
        one_in = 1 / self.sample_rate
        said = (
            event_id,
            time_s,
            module,
            region,
            self.count / self.sample_rate,
            self.routing == "pinned",
            self.caller,
            self.count * one_in * (one_in - 1),
        )
        if not self.stages:
            return RequestEvent(*said)
        return WorkflowRequest(*said, catalog.stages(self.stages))


class MetricFields(msgspec.Struct, kw_only=True):
    """What a metric sample says besides id and time."""

    name: Name
    value: float | Annotated[str, Meta(max_length=64)]
    module: Module
    region: Region | None = None
    labels: Annotated[dict[Label, Label], Meta(max_length=32)] = {}

    def event(
        self, event_id: str, time_s: float, catalog: Catalog, region: str | None = None
    ) -> MetricSample:
        """As for requests; raises `RefusalError` also if the value is no number."""
        module, region = catalog.place(self.module, region if self.region is None else self.region)
        labels = tuple(sorted(self.labels.items()))
        value = finite_number(self.value)
        return MetricSample(event_id, time_s, self.name, value, module, region, labels)


class HeartbeatFields(msgspec.Struct, kw_only=True):
    """A heartbeat says nothing besides id and time."""

    def event(
        self, event_id: str, time_s: float, catalog: Catalog, region: str | None = None
    ) -> Heartbeat:
        """A heartbeat at this time; where is of no importance."""
        return Heartbeat(event_id, time_s)


class Request(RequestFields, tag="request", tag_field="kind", kw_only=True):
    """Requests that arrived at a module: one, or an aggregate of many."""

    version: Version = CONTRACT_VERSION
    id: EventId = ""
    time: Time | None = None


class Metric(MetricFields, tag="metric", tag_field="kind", kw_only=True):
    """One sample of a metric; the value may be a number or a number in a string."""

    version: Version = CONTRACT_VERSION
    id: EventId = ""
    time: Time | None = None


class Beat(HeartbeatFields, tag="heartbeat", tag_field="kind", kw_only=True):
    """Proof that the sender is alive where it has nothing to report."""

    version: Version = CONTRACT_VERSION
    id: EventId = ""
    time: Time | None = None


class _Head(msgspec.Struct):
    """Enough of a refused body to say whether it was of another kind or version."""

    kind: str = ""
    version: Version = CONTRACT_VERSION


KINDS = ("request", "metric", "heartbeat")
_DECODER: msgspec.json.Decoder[Request | Metric | Beat] = msgspec.json.Decoder(
    Request | Metric | Beat
)
_HEAD = msgspec.json.Decoder(_Head)


def contract_event(
    body: bytes, catalog: Catalog, record_time_s: float | None, around: Around
) -> Event:
    """The event of a body in the contract; raises one of `DECODE_ERRORS`.

    A body of another kind is refused as UNKNOWN_KIND.
    """
    try:
        wire = _DECODER.decode(body)
    except msgspec.ValidationError:
        _refuse_other_kind(_HEAD.decode(body))
        raise
    if wire.version != CONTRACT_VERSION:
        raise _unknown_version(wire.version)
    time = around.time if wire.time is None else wire.time
    time_s = event_time_s(time, record_time_s, catalog.future_skew_max_s)
    return wire.event(wire.id or around.event_id, time_s, catalog, around.region)


def contract_schema() -> dict[str, Any]:
    """The contract as JSON Schema 2020-12, for senders and for the documentation."""
    schema = msgspec.json.schema(Request | Metric | Beat)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"MPLP event, version {CONTRACT_VERSION}",
        **schema,
    }


def _refuse_other_kind(head: _Head) -> None:
    if head.kind not in KINDS:
        raise RefusalError(RejectReason.UNKNOWN_KIND, f"kind {head.kind[:64]!r} is none of {KINDS}")
    if head.version != CONTRACT_VERSION:
        raise _unknown_version(head.version)


def _unknown_version(version: int) -> RefusalError:
    sentence = f"version {version} of the contract, this release reads {CONTRACT_VERSION}"
    return RefusalError(RejectReason.UNKNOWN_VERSION, sentence)


def finite_number(value: float | str) -> float:
    """The value of a sample; senders that write numbers as text are taken at their word."""
    if isinstance(value, str):
        value = float(value) if _NUMBER.fullmatch(value.strip()) else math.nan
    if not math.isfinite(value):
        raise RefusalError(
            RejectReason.INVALID_FIELD, "the value of the sample is no finite number"
        )
    return value
