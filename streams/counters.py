"""Turns samples of request metrics into requests per bucket: what happened between two samples.

`streams/owned_partition.py` keeps one `CounterDemand` for each input partition, gives it every
`MetricSample` in offset order and counts the amounts in the partition's windows. Pure: no clock,
and nothing on disk. Must never make demand of silence, of a jump after a gap or of a second source
of the same requests.

A difference needs the earlier sample, so a reader that starts again has to begin early enough. The
argument, in which a bucket is *kept* while the windows still count into it:

1. Every sample of a source, even one that adds nothing, gives an amount in the bucket it lies in,
   and each amount names the offset of the earlier sample that decided (`needed_offset`). The
   windows hold the committed offset at the least of those of all kept buckets.
2. `needed_offset()` is the least offset of the last samples of all live series, and of the latest
   samples of the sources that outrank others. Below that nothing is committed either.
3. So a reader that starts again has, where an amount falls into a kept bucket, the same earlier
   sample as the one that never stopped, and gives the same amount. All that it may see otherwise
   ends in a bucket that is no longer kept. What follows is the same by 2.
4. A series is forgotten when it is silent for the gap and for as long as the windows look back:
   whatever follows is a gap, or falls into no kept bucket. So a dead series holds no offset.

This holds while no series is refused for want of room and while no series' clock goes back by more
than the gap. An amount lies as far back as the samples are apart, so the lateness of a metric topic
must be the scrape or export interval and 30 s more.
"""

from __future__ import annotations

import enum
import hashlib
from collections import Counter
from typing import NamedTuple

import msgspec

from streams.counter_shares import spread
from streams.event_types import OTHER, MetricSample, RequestEvent, SampleType
from streams.metric_names import MetricMeaning, MetricNames
from streams.metric_sources import MetricSources

REQUESTS_MAX = 1_000_000_000.0
"""More between two samples is a broken counter: the most that one event of the contract may say."""
SERIES_GAP_MAX_S = 300.0
"""As long as Prometheus looks back for a sample (`query.lookback-delta`)."""
SOURCE_HOLD_S = 120.0
"""Two samples of the slowest usual exporter, which exports once a minute (OpenTelemetry SDK)."""


class SampleVerdict(enum.StrEnum):
    """What became of a sample."""

    COUNTED = "metric_counted"
    RESET = "metric_reset"
    """Counted: lower than before, so the count began anew and the new value is what was added."""
    FIRST = "metric_first"
    """The first of its series, or of a server that took over: the next one is counted from it."""
    AFTER_GAP = "metric_after_gap"
    """Longer after the one before than `series_gap_max_s`: silence, then a new first sample."""
    REPEATED = "metric_repeated"
    """Not newer than the last one of its series, or another server's copy of it."""
    OUTRANKED = "metric_outranked"
    """The module has a better source, and its requests are counted once."""
    IMPLAUSIBLE = "metric_implausible"
    """Negative, or more than a billion requests at once."""
    WRONG_TYPE = "metric_wrong_type"
    """A count by its name and a gauge by its type, or the other way round."""
    UNKEYED = "metric_unkeyed"
    """One series' samples may lie in several partitions, where no difference can be taken."""
    REFUSED = "metric_series_refused"
    """A new series beyond `series_max`."""
    NOT_DEMAND = "metric_not_demand"
    UNKNOWN_NAME = "metric_unknown_name"
    OTHER = "metric_other"
    """Of a module or a region that is not ours."""


class CounterAmount(NamedTuple):
    """Requests in one bucket, and the first record that a restart needs to find them again."""

    event: RequestEvent
    needed_offset: int


class _Last(NamedTuple):
    """The last sample of a series that was not passed over."""

    time_s: float
    value: float
    offset: int
    replica: str


class _Reading(NamedTuple):
    """What one sample adds over (from_s, its own time], and whether it is the last one now."""

    verdict: SampleVerdict
    requests: float
    from_s: float
    is_last: bool = True


class CounterDemand:
    """The series of one input partition. `counts` holds verdicts so far, replays included."""

    def __init__(
        self,
        names: MetricNames,
        *,
        bucket_s: int = 10,
        series_gap_max_s: float = SERIES_GAP_MAX_S,
        source_hold_s: float = SOURCE_HOLD_S,
        kept_back_s: float = 330.0,
        series_max: int = 20_000,
    ) -> None:
        """`kept_back_s`: how far behind the newest event the windows still count, late parts too.

        For `source_hold_s` after its last sample a source keeps those below it out; it must be
        longer than two samples are apart.
        """
        self.counts: Counter[SampleVerdict] = Counter()
        self._names = names
        self._bucket_s = bucket_s
        self._gap_max_s = series_gap_max_s
        self._kept_back_s = kept_back_s
        self._series_max = series_max
        self._hold_s = source_hold_s
        # In the order of their offsets: the first one is the one that a restart needs.
        self._series: dict[bytes, _Last] = {}
        self._sources = MetricSources(source_hold_s, series_gap_max_s)

    @property
    def series(self) -> int:
        """How many series are known now."""
        return len(self._series)

    def add(
        self, sample: MetricSample, offset: int, *, whole_series: bool = True
    ) -> list[CounterAmount]:
        """The requests that this sample tells of, in order of time; most are in closed buckets.

        `whole_series` is false where the records have no key and the topic has several partitions:
        then only what needs no earlier sample is counted.
        """
        source = self._names.find(sample.name, sample.type)
        if source is None:
            return self._nothing(SampleVerdict.UNKNOWN_NAME)
        unfit = _unfit(sample, source.meaning)
        if unfit is not None:
            return self._nothing(unfit)
        is_alone = sample.type is SampleType.DELTA and _began_before(sample)
        if not (whole_series or is_alone):
            return self._nothing(SampleVerdict.UNKEYED)
        key = series_key(sample)
        last = None if is_alone else self._series.get(key)
        if last is None and not is_alone and len(self._series) >= self._series_max:
            return self._nothing(SampleVerdict.REFUSED)
        reading = self._read(sample, source.meaning, last, is_alone=is_alone)
        needed = offset if last is None else last.offset
        if reading.is_last and not is_alone:
            self._series.pop(key, None)
            self._series[key] = _Last(sample.time_s, sample.value, offset, sample.replica)
        better = self._sources.better(sample, source.precedence)
        self._sources.see(sample, source.precedence, offset)
        if better is not None:
            needed = min(needed, better)
            reading = _Reading(SampleVerdict.OUTRANKED, 0.0, sample.time_s)
        self.counts[reading.verdict] += 1
        event_id = f"{key.hex()}@{sample.time_s}" if is_alone else ""
        return self._amounts(sample, reading, needed, event_id)

    def needed_offset(self, newest_s: float | None) -> int | None:
        """The record to which a restart has to go back for what follows; None for none.

        `newest_s` is the newest event time that the windows believe. Forgets what is long silent.
        """
        if newest_s is not None:
            silent_before_s = newest_s - self._gap_max_s - self._kept_back_s
            while self._series:
                key = next(iter(self._series))
                if self._series[key].time_s >= silent_before_s:
                    break
                del self._series[key]
            self._sources.forget(newest_s - self._hold_s - self._kept_back_s)
        offsets = self._sources.offsets()
        if self._series:
            offsets.append(next(iter(self._series.values())).offset)
        return min(offsets, default=None)

    def _nothing(self, verdict: SampleVerdict) -> list[CounterAmount]:
        self.counts[verdict] += 1
        return []

    def _read(
        self, sample: MetricSample, meaning: MetricMeaning, last: _Last | None, *, is_alone: bool
    ) -> _Reading:
        if is_alone or last is None:
            reading = self._since_start(sample)
        else:
            reading = self._since(last, sample, is_rate=meaning.means == "requests_per_s")
        requests = reading.requests * meaning.scale
        if requests > REQUESTS_MAX:
            return _Reading(SampleVerdict.IMPLAUSIBLE, 0.0, sample.time_s)
        return reading._replace(requests=requests)

    def _since_start(self, sample: MetricSample) -> _Reading:
        """A sample that says itself since when it counts; without an earlier one no other does."""
        if sample.start_s is None or not _began_before(sample):
            return _Reading(SampleVerdict.FIRST, 0.0, sample.time_s)
        if sample.time_s - sample.start_s > self._gap_max_s:
            is_delta = sample.type is SampleType.DELTA
            verdict = SampleVerdict.AFTER_GAP if is_delta else SampleVerdict.FIRST
            return _Reading(verdict, 0.0, sample.time_s)
        return _Reading(SampleVerdict.COUNTED, sample.value, sample.start_s)

    def _since(self, last: _Last, sample: MetricSample, *, is_rate: bool) -> _Reading:
        verdict = self._without_difference(last, sample)
        if verdict is not None:
            is_last = verdict is not SampleVerdict.REPEATED
            return _Reading(verdict, 0.0, sample.time_s, is_last=is_last)
        if is_rate:
            requests = sample.value * (sample.time_s - last.time_s)
            return _Reading(SampleVerdict.COUNTED, requests, last.time_s)
        if sample.type is SampleType.DELTA:
            return _Reading(SampleVerdict.COUNTED, sample.value, last.time_s)
        if sample.value < last.value:
            return _Reading(SampleVerdict.RESET, sample.value, last.time_s)
        return _Reading(SampleVerdict.COUNTED, sample.value - last.value, last.time_s)

    def _without_difference(self, last: _Last, sample: MetricSample) -> SampleVerdict | None:
        """Why nothing lies between the two; None if something does."""
        passed_s = sample.time_s - last.time_s
        if sample.replica != last.replica:
            # Whichever server comes first by name is followed: whoever reads again chooses alike.
            copied = sample.replica > last.replica and passed_s <= self._hold_s
            return SampleVerdict.REPEATED if copied else SampleVerdict.FIRST
        if abs(passed_s) > self._gap_max_s:
            return SampleVerdict.AFTER_GAP
        return SampleVerdict.REPEATED if passed_s <= 0 else None

    def _amounts(
        self, sample: MetricSample, reading: _Reading, needed: int, event_id: str
    ) -> list[CounterAmount]:
        shares = spread(reading.requests, reading.from_s, sample.time_s, self._bucket_s)
        return [
            CounterAmount(
                RequestEvent(event_id, at_s, sample.module, sample.region, requests, pinned=False),
                needed,
            )
            for at_s, requests in shares
        ]


def _unfit(sample: MetricSample, meaning: MetricMeaning) -> SampleVerdict | None:
    """Why a sample of this meaning can be no demand, whatever came before."""
    if meaning.means == "not_demand":
        return SampleVerdict.NOT_DEMAND
    if sample.module == OTHER:
        return SampleVerdict.OTHER
    is_count = sample.type in (SampleType.CUMULATIVE, SampleType.DELTA)
    wrong = is_count if meaning.means == "requests_per_s" else sample.type is SampleType.GAUGE
    if wrong:
        return SampleVerdict.WRONG_TYPE
    return SampleVerdict.IMPLAUSIBLE if sample.value < 0 else None


def _began_before(sample: MetricSample) -> bool:
    return sample.start_s is not None and sample.start_s < sample.time_s


def series_key(sample: MetricSample) -> bytes:
    """A series: all that tells it from others, in sixteen bytes however long the labels are.

    The start of a cumulative count is part of it, since a count that began anew is another unbroken
    sequence (OpenTelemetry metrics data model, "Resets and Gaps"); so two writers that forgot to
    name their instances are not taken for one that keeps falling back.
    """
    start_s = sample.start_s if sample.type is SampleType.CUMULATIVE else None
    identity = (
        sample.name, sample.module, sample.region, sample.labels, sample.source, start_s,
    )  # fmt: skip
    return hashlib.blake2b(msgspec.msgpack.encode(identity), digest_size=16).digest()
