"""Samples from OpenTelemetry metrics, as the Collector's Kafka exporter writes them.

`streams/events.py` registers both encodings; as with traces only JSON can be told from the value.
Sums and gauges give their value, histograms of both kinds and summaries their count: for
`http.server.request.duration` that is the number of requests. What the sums mean for demand,
`streams/counters.py` knows. Follows opentelemetry-proto 1.x, metrics/v1/metrics.proto, and the OTLP
specification's JSON encoding: enumerations as numbers, 64-bit integers as text. The Protobuf
classes are imported with the first such record. Must never let one bad data point spoil the others.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from streams.catalog import Catalog
from streams.event_time import EARLIEST_S, checked_time_s, event_time_s
from streams.event_types import (
    EVENTS_PER_RECORD_MAX,
    Event,
    Headers,
    Ignored,
    MetricSample,
    Outcomes,
    RefusalError,
    Rejected,
    RejectReason,
    SampleType,
)
from streams.json_events import surroundings
from streams.metric_place import metric_place

NO_RECORDED_VALUE = 1
"""The flag of a data point that says a series ended (metrics.proto, DataPointFlags)."""

_DELTA, _CUMULATIVE = 1, 2


class Point(NamedTuple):
    """What matters of a data point, from either encoding; times in ns, 0 for none."""

    value: float | None
    time_ns: int
    start_ns: int
    labels: dict[str, str]


class Metric(NamedTuple):
    """A metric's points; a temporality that nobody may use gives no type."""

    name: str
    type: SampleType | None
    points: Iterable[Point | Rejected]


class Resource(NamedTuple):
    """Who sent the metrics: attributes as text, and the scopes with their metrics."""

    attributes: dict[str, str]
    scopes: Iterable[tuple[str, Iterable[Metric]]]


def sum_type(temporality: int, *, is_monotonic: bool) -> SampleType | None:
    """What a sum or a histogram is; one that may fall is a level, so no count of anything."""
    if not is_monotonic:
        return SampleType.GAUGE
    return {_DELTA: SampleType.DELTA, _CUMULATIVE: SampleType.CUMULATIVE}.get(temporality)


def metric_outcomes(
    resources: Iterable[Resource], headers: Headers, catalog: Catalog, record_time_s: float | None
) -> Outcomes:
    """One outcome for each data point that has a value, and one for all that have none.

    Of metrics that are no demand only sound samples are given: nobody has to mend those.
    """
    reader = _Reader(catalog, record_time_s, surroundings(headers, catalog).region)
    for resource in resources:
        for scope, metrics in resource.scopes:
            source = _digest(sorted(resource.attributes.items()), scope)
            for metric in metrics:
                reader.read(metric, resource.attributes, source)
    return reader.finished()


class _Reader:
    """Collects the outcomes of one record."""

    def __init__(self, catalog: Catalog, record_time_s: float | None, region: str | None) -> None:
        self._catalog = catalog
        self._record_time_s = record_time_s
        self._region = region
        self._outcomes: list[Event | Rejected] = []
        self._points = 0
        self._ended = 0
        self._newest_ended_ns = 0

    def read(self, metric: Metric, attributes: dict[str, str], source: str) -> None:
        """Take every point of the metric."""
        sample_type = metric.type or SampleType.UNKNOWN
        is_demand = self._catalog.metric_names.is_demand(metric.name, sample_type)
        for point in metric.points:
            self._points += 1
            if self._points > EVENTS_PER_RECORD_MAX:
                sentence = f"more than {EVENTS_PER_RECORD_MAX} data points in one record"
                raise RefusalError(RejectReason.OVERSIZE, sentence)
            if isinstance(point, Point) and point.value is None:
                self._ended += 1
                self._newest_ended_ns = max(self._newest_ended_ns, point.time_ns)
                continue
            outcome = self._outcome(metric, point, attributes, source)
            if is_demand or not isinstance(outcome, Rejected):
                self._outcomes.append(outcome)

    def finished(self) -> Outcomes:
        """All outcomes; ended series prove that the feed is alive."""
        if self._ended:
            try:
                time_s = self._time_s(self._newest_ended_ns)
            except RefusalError as refusal:
                self._outcomes.append(refusal.rejected)
            else:
                what = "data point without a value"
                self._outcomes.append(Ignored("", time_s, what, self._ended))
        return self._outcomes

    def _outcome(
        self, metric: Metric, point: Point | Rejected, attributes: dict[str, str], source: str
    ) -> Event | Rejected:
        try:
            if isinstance(point, Rejected):
                return point
            return self._sample(metric, point, attributes, source)
        except RefusalError as refusal:
            return refusal.rejected

    def _sample(
        self, metric: Metric, point: Point, attributes: dict[str, str], source: str
    ) -> MetricSample:
        value, sample_type = point.value, metric.type
        if sample_type is None:
            sentence = f"{metric.name!r} is neither a delta nor cumulative"
            raise RefusalError(RejectReason.INVALID_FIELD, sentence)
        if value is None or not math.isfinite(value):
            sentence = f"a data point of {metric.name!r} is no finite number"
            raise RefusalError(RejectReason.INVALID_FIELD, sentence)
        place = metric_place(
            metric.name, sample_type, {**attributes, **point.labels}, self._catalog, self._region
        )
        start_s = point.start_ns / 1e9
        return MetricSample(
            "",
            self._time_s(point.time_ns),
            metric.name,
            value,
            *place,
            tuple(sorted(point.labels.items())),
            sample_type,
            start_s if start_s >= EARLIEST_S else None,
            source,
        )

    def _time_s(self, time_ns: int) -> float:
        skew_max_s = self._catalog.future_skew_max_s
        if not time_ns:
            return event_time_s(None, self._record_time_s, skew_max_s)
        return checked_time_s(time_ns / 1e9, self._record_time_s, skew_max_s)


def _digest(attributes: list[tuple[str, str]], scope: str) -> str:
    written = msgspec.msgpack.encode((attributes, scope))
    return hashlib.blake2b(written, digest_size=8).hexdigest()
