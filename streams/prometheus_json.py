"""Samples as Telefonica's prometheus-kafka-adapter writes them: one JSON object for each.

`streams/events.py` registers `PrometheusJson`. The adapter forwards what Prometheus sends by remote
write, so the value is text, the time has whole seconds, and the type of the metric is lost: its
name has to tell (`streams/metric_names.py`). The records have no key, so a topic of this adapter
must have one partition (its handlers.go); with more, the samples of one counter are scattered.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from streams.catalog import Catalog
from streams.event_json import finite_number
from streams.event_time import TIME_CHARACTERS_MAX, event_time_s
from streams.event_types import Headers, Ignored, MetricSample, Outcomes, SampleType
from streams.json_events import surroundings
from streams.metric_place import metric_place

REPLICA_LABELS = ("prometheus_replica", "__replica__")
"""External labels that tell identical Prometheus servers apart (Prometheus Operator; Cortex and
Mimir). Both scrape everything, and both would be counted."""

Label = Annotated[str, Meta(max_length=1024)]


class _Sample(msgspec.Struct):
    timestamp: Annotated[str, Meta(max_length=TIME_CHARACTERS_MAX)] | int | float
    value: float | Annotated[str, Meta(max_length=64)]
    name: Annotated[str, Meta(min_length=1, max_length=256)]
    labels: Annotated[dict[Label, Label], Meta(max_length=128)]


class _Head(msgspec.Struct):
    """Only whether the keys are there, and not that of our own contract."""

    timestamp: msgspec.Raw
    value: msgspec.Raw
    name: msgspec.Raw
    labels: msgspec.Raw
    kind: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_SAMPLE = msgspec.json.Decoder(_Sample)
_HEAD = msgspec.json.Decoder(_Head)


class PrometheusJson:
    """`timestamp`, `value`, `name` and `labels`, in any order."""

    name = "prometheus_json"

    def claims(self, media_type: str, headers: Headers) -> bool:
        return False

    def recognises(self, body: bytes) -> bool:
        if b'"labels"' not in body or b'"timestamp"' not in body:
            return False
        try:
            return _HEAD.decode(body).kind is msgspec.UNSET
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False

    def decode(
        self, headers: Headers, body: bytes, catalog: Catalog, record_time_s: float | None
    ) -> Outcomes:
        wire = _SAMPLE.decode(body)
        time_s = event_time_s(wire.timestamp, record_time_s, catalog.future_skew_max_s)
        if wire.value == "NaN":
            # How Prometheus marks a series that ended; as text it looks like any other NaN.
            return (Ignored("", time_s, "staleness marker"),)
        around = surroundings(headers, catalog)
        place = metric_place(wire.name, SampleType.UNKNOWN, wire.labels, catalog, around.region)
        aside = ("__name__", *REPLICA_LABELS)
        labels = sorted(item for item in wire.labels.items() if item[0] not in aside)
        replicas = (wire.labels[label] for label in REPLICA_LABELS if label in wire.labels)
        sample = MetricSample(
            "", time_s, wire.name, finite_number(wire.value), *place, tuple(labels),
            replica=next(replicas, ""),
        )  # fmt: skip
        return (sample,)
