"""Looks at records as the service would, and keeps counts of everything a person may ask.

`predictor/events/inspect.py` feeds it batches of one partition each. Memory is bounded whatever the
topic holds: fixed bins, a fixed number of names, the service's own filters. Pure.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from predictor.events.metric_survey import MetricSurvey
from predictor.events.naming_catalog import NamingCatalog
from predictor.events.partition_survey import (
    HEARTBEAT,
    IGNORED,
    REQUEST,
    SAMPLE,
    PartitionSurvey,
)
from predictor.events.quantile_sketch import QuantileSketch
from predictor.events.topic_report import (
    FormatCount,
    NameCount,
    PartitionRow,
    PlaceRate,
    Quantiles,
    RejectedCount,
    TopicReport,
)
from streams.event_types import OTHER
from streams.events import (
    FORMATS,
    Catalog,
    Headers,
    Heartbeat,
    Ignored,
    MetricSample,
    Outcomes,
    Rejected,
    RequestEvent,
    decode,
)
from streams.id_hash import hash_of
from streams.record_headers import media_type

DUPLICATE_IDS = 2_000_000
"""Ids remembered over all partitions, 16 to 64 MB; at most the service's own for each."""
DUPLICATE_EVENTS_MAX = 100_000
BUCKETS_MAX = 1_000_000
"""Distinct buckets that are told apart: four months of ten seconds."""
STAMPED_BY_BROKER = 1


class TopicSurvey:
    """Counts so far; `report` may be called at any time."""

    def __init__(
        self,
        source: str,
        catalog: Catalog,
        partitions: int,
        *,
        bucket_s: int = 10,
        lateness_s: float = 30.0,
    ) -> None:
        """`catalog` has a default region, as the service's has."""
        self._source = source
        self._bucket_s = bucket_s
        self._lateness_s = lateness_s
        self._plain = catalog
        self._unknown: dict[str, Counter[str]] = {"module": Counter(), "region": Counter()}
        self._naming = _naming(catalog, self._unknown)
        events = max(1_000, min(DUPLICATE_EVENTS_MAX, DUPLICATE_IDS // max(partitions, 1) // 2))
        self._partitions = [
            PartitionSurvey(
                number, bucket_s=bucket_s, lateness_s=lateness_s, duplicate_events=events
            )
            for number in range(partitions)
        ]
        self._metrics = MetricSurvey(catalog.metric_names, partitions, bucket_s=bucket_s)
        self.counts: Counter[str] = Counter()
        self._formats: dict[str, list[int]] = {}
        self._rejected: dict[str, RejectedCount] = {}
        self._places: dict[tuple[str, str], list[float]] = {}
        self._where: dict[tuple[str, str], set[int]] = {}
        self._delay = QuantileSketch()
        self._ahead_max_s = 0.0
        self._buckets: set[int] = set()
        self._oldest_s, self._newest_s = math.inf, -math.inf

    def add(self, partition: int, records: Sequence[Any]) -> None:
        """Records of one partition in offset order: `offset`, `value`, `headers`, `timestamp`
        in ms (-1: none) and `timestamp_type`."""
        survey = self._partitions[partition]
        batch = _Batch()
        for record in records:
            survey.see_offset(record.offset)
            self._see(record, partition, batch)
        times_s = np.array(batch.times_s)
        offsets = np.array(batch.offsets, np.int64)
        survey.see_times(times_s, offsets, np.array(batch.kinds, np.int64))
        self._metrics.forget(partition, survey.believed_s)
        named = np.array(batch.ids, np.uint64)
        has_id = named != 0
        repeated = survey.see_ids(times_s[has_id], named[has_id], offsets[has_id])
        self._count_requests(batch, set(np.flatnonzero(has_id)[repeated].tolist()), partition)
        self._delay.add(np.array(batch.delays_s))
        if len(times_s):
            self._oldest_s = min(self._oldest_s, float(times_s.min()))
            self._newest_s = max(self._newest_s, float(times_s.max()))
            self._see_buckets(np.unique(times_s // self._bucket_s) * self._bucket_s)

    def _see_buckets(self, times_s: Iterable[float]) -> None:
        if len(self._buckets) < BUCKETS_MAX:
            self._buckets.update(int(time_s // self._bucket_s) for time_s in times_s)

    def _see(self, record: Any, partition: int, batch: _Batch) -> None:
        counts, body = self.counts, record.value
        counts["records"] += 1
        counts["bytes"] += len(body or b"")
        counts["stamped_by_broker"] += record.timestamp_type == STAMPED_BY_BROKER
        record_time_s = None if record.timestamp < 0 else record.timestamp / 1000
        self._naming.without_region = 0
        outcomes = decode(body, record.headers, self._naming, record_time_s=record_time_s)
        counts["without_region"] += self._naming.without_region
        refused = bool(outcomes) and all(isinstance(one, Rejected) for one in outcomes)
        name = _format_name(body, record.headers, self._plain)
        seen = self._formats.setdefault(name, [0, 0])
        seen[0] += 1
        seen[1] += refused
        if record_time_s is not None:
            self._compare_clocks(record, outcomes, record_time_s)
        for one in outcomes:
            if isinstance(one, Rejected):
                self._reject(one, partition, record.offset)
                continue
            if record_time_s is not None:
                batch.delays_s.append(record_time_s - one.time_s)
            if isinstance(one, RequestEvent):
                counts["other_events"] += one.module == OTHER
                batch.requests[len(batch.times_s)] = one
                event_id = hash_of(one.event_id)
                batch.add(REQUEST, one.time_s, record.offset, event_id)
            elif isinstance(one, MetricSample):
                counts["samples"] += 1
                is_whole = len(self._partitions) == 1 or record.key is not None
                told = self._metrics.add(one, partition, record.offset, is_whole=is_whole)
                self._see_buckets(told)
                batch.add(SAMPLE, one.time_s, record.offset)
            elif isinstance(one, Ignored):
                counts["ignored"] += one.events
                batch.add(IGNORED, one.time_s, record.offset)
            else:
                batch.add(HEARTBEAT, one.time_s, record.offset)

    def _count_requests(self, batch: _Batch, repeated: set[int], partition: int) -> None:
        """Sums by module and region, repetitions left out as the service does."""
        counts = self.counts
        for row, event in batch.requests.items():
            if row in repeated:
                continue
            counts["pinned"] += event.pinned
            counts["sampled"] += event.variance > 0
            counts["summaries"] += event.requests > 1 and event.variance == 0
            key = (event.module, event.region)
            sums = self._places.setdefault(key, [0, 0.0])
            sums[0] += 1
            sums[1] += event.requests
            self._where.setdefault(key, set()).add(partition)

    def _reject(self, rejected: Rejected, partition: int, offset: int) -> None:
        known = self._rejected.get(rejected.reason.value)
        if known is None:
            known = RejectedCount(rejected.reason.value, 0, rejected.detail, partition, offset)
        self._rejected[rejected.reason.value] = RejectedCount(
            known.reason, known.count + 1, known.example, known.partition, known.offset
        )

    def _compare_clocks(self, record: Any, outcomes: Outcomes, record_time_s: float) -> None:
        """An event that is set at its record's time has none of its own, or was ahead of it.

        Reading the record once more without its timestamp tells which.
        """
        at_record = [
            isinstance(one, RequestEvent | MetricSample | Heartbeat) and one.time_s == record_time_s
            for one in outcomes
        ]
        if not any(at_record):
            return
        alone = decode(record.value, record.headers, self._plain, record_time_s=None)
        if len(alone) != len(outcomes):
            return
        for one, is_there in zip(alone, at_record, strict=True):
            if not is_there:
                continue
            if isinstance(one, Rejected):
                self.counts["without_time"] += 1
            elif one.time_s > record_time_s:
                self.counts["ahead_of_record"] += 1
                self._ahead_max_s = max(self._ahead_max_s, one.time_s - record_time_s)

    def report(self, *, is_complete: bool = True) -> TopicReport:
        """What was seen so far, not yet judged."""
        counts = self.counts
        lateness = QuantileSketch()
        for one in self._partitions:
            lateness.merge(one.lateness)
        covered_s = self._covered_s()
        metrics = self._metrics
        return TopicReport(
            source=self._source,
            is_complete=is_complete,
            records=counts["records"],
            bytes=counts["bytes"],
            events=sum(one.events for one in self._partitions),
            requests=sum(requests for _, requests in self._places.values()),
            covered_s=round(covered_s, 3),
            first_event=_shown(self._oldest_s),
            last_event=_shown(self._newest_s),
            summaries=counts["summaries"],
            sampled=counts["sampled"],
            pinned=counts["pinned"],
            heartbeats=sum(one.heartbeats for one in self._partitions),
            samples=counts["samples"],
            ignored=counts["ignored"],
            rejected_events=sum(one.count for one in self._rejected.values()),
            other_events=counts["other_events"],
            without_region=counts["without_region"],
            without_time=counts["without_time"],
            duplicates=sum(one.duplicates for one in self._partitions),
            late=sum(one.late for one in self._partitions),
            lateness_s=self._lateness_s,
            lateness=_quantiles(lateness),
            lateness_s_for_9999=round(lateness.quantile_s(0.9999), 3),
            delay=_quantiles(self._delay),
            ahead_of_record=counts["ahead_of_record"],
            ahead_of_record_max_s=round(self._ahead_max_s, 3),
            ahead_of_others=sum(one.ahead_of_others for one in self._partitions),
            stamped_by_broker=counts["stamped_by_broker"],
            formats=tuple(FormatCount(name, *seen) for name, seen in sorted(self._formats.items())),
            rejected=tuple(sorted(self._rejected.values(), key=lambda one: -one.count)),
            unknown_names=self._unknown_names(),
            places=self._place_rates(covered_s),
            partitions=self._partition_rows(covered_s),
            metrics=metrics.rows(covered_s),
            sample_requests=metrics.requests,
            sample_interval=_quantiles(metrics.intervals),
            sample_verdicts=metrics.verdicts(),
        )

    def _covered_s(self) -> float:
        """Seconds of event time in which there was anything: gaps and mad clocks do not count."""
        span_s = self._newest_s - self._oldest_s
        covered_s = float(len(self._buckets) * self._bucket_s)
        return max(min(span_s, covered_s), 1.0) if self._buckets else 0.0

    def _unknown_names(self) -> tuple[NameCount, ...]:
        return tuple(
            NameCount("module" if what == "module" else "region", name, events)
            for what, names in self._unknown.items()
            for name, events in names.most_common()
        )

    def _place_rates(self, covered_s: float) -> tuple[PlaceRate, ...]:
        per_s = 1 / covered_s if covered_s else 0.0
        return tuple(
            PlaceRate(
                module, region, int(events), requests, round(events * per_s, 3),
                round(requests * per_s, 3), len(self._where[module, region]),
            )
            for (module, region), (events, requests) in sorted(
                self._places.items(), key=lambda one: -one[1][1]
            )
        )  # fmt: skip

    def _partition_rows(self, covered_s: float) -> tuple[PartitionRow, ...]:
        believed = [one.believed_s for one in self._partitions]
        front_s = max((one for one in believed if one is not None), default=0.0)
        return tuple(
            PartitionRow(
                one.partition, one.records, one.events, one.heartbeats,
                round(one.events / covered_s, 3) if covered_s else 0.0,
                one.first_offset, one.last_offset, _shown(one.newest_s),
                None if last_s is None else front_s - last_s,
            )
            for one, last_s in zip(self._partitions, believed, strict=True)
        )  # fmt: skip


class _Batch:
    """The events of a batch, as columns in the making; id 0 is none."""

    def __init__(self) -> None:
        self.times_s: list[float] = []
        self.offsets: list[int] = []
        self.kinds: list[int] = []
        self.ids: list[int] = []
        self.delays_s: list[float] = []
        self.requests: dict[int, RequestEvent] = {}
        """Row -> the event, where it is one of requests."""

    def add(self, kind: int, time_s: float, offset: int, event_id: int = 0) -> None:
        self.times_s.append(time_s)
        self.offsets.append(offset)
        self.kinds.append(kind)
        self.ids.append(event_id & 0xFFFF_FFFF_FFFF_FFFF)


def _naming(catalog: Catalog, unknown: dict[str, Counter[str]]) -> NamingCatalog:
    naming = NamingCatalog(
        catalog.modules,
        catalog.regions,
        default_region=catalog.default_region,
        future_skew_max_s=catalog.future_skew_max_s,
        body_bytes_max=catalog.body_bytes_max,
        options=catalog.options,
    )
    naming.remember_in(unknown["module"], unknown["region"])
    return naming


def _format_name(body: bytes | None, headers: Headers, catalog: Catalog) -> str:
    """The decoder that `streams.events.decode` would ask."""
    if body is None:
        return "(no value)"
    written = media_type(headers) if headers else ""
    for form in FORMATS:
        if headers and form.claims(written, headers):
            return form.name
    if catalog.options.format:
        return catalog.options.format
    return next((form.name for form in FORMATS if form.recognises(body)), "(none)")


def _quantiles(sketch: QuantileSketch) -> Quantiles:
    p50_s, p90_s, p99_s = (round(sketch.quantile_s(share), 3) for share in (0.5, 0.9, 0.99))
    return Quantiles(p50_s, p90_s, p99_s, round(sketch.max_s, 3))


def _shown(time_s: float) -> str | None:
    if not math.isfinite(time_s):
        return None
    return datetime.fromtimestamp(int(time_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
