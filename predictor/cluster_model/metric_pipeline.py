"""The way of a metric from the pods to the HPA: scraped, averaged over a window, seen late.

`workload.py` tells it what was served and asks what the HPA may know. All Ready pods share the load
alike, so one set of running totals per pod serves every cohort. It must never let a reading through
that was not scraped yet.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from predictor.cluster_model.metric_signals import Signal, SignalledMetric
from predictor.cluster_model.pods import Cohort, Fleet
from predictor.core.hpa_twin.metric import MetricType, TargetType
from predictor.core.hpa_twin.observation import PodGroup

TOTALS_MAX = 4096
"""Stretches kept; with one a second still more than the longest window and delay."""
WINDOW_AND_DELAY_MAX_S = 3600.0
_NO_VALUES: dict[str, int] = {}
_PER_POD_LOAD = (Signal.CPU, Signal.LOAD)


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """Seconds: pods are scraped each `scrape_s`, a reading is the mean over `window_s`, and it is
    seen `delay_s` after the scrape: adapter and the metrics API together.

    A pod has its first reading with its second scrape, as a rate needs two. Requests are counted
    when they are served, so that the metric saturates under overload as handled requests do, or
    when they arrive.
    """

    scrape_s: float = 15.0
    window_s: float = 60.0
    delay_s: float = 30.0
    counts_arrivals: bool = False

    def __post_init__(self) -> None:
        if not (self.scrape_s > 0 and self.window_s > 0 and self.delay_s >= 0):
            raise ValueError(f"{self} cannot be: scrapes and windows last, delays are not negative")
        if not self.window_s + self.delay_s + self.scrape_s <= WINDOW_AND_DELAY_MAX_S:
            raise ValueError(f"{self} looks back more than {WINDOW_AND_DELAY_MAX_S:.0f} s")


class Totals(NamedTuple):
    """Running totals at one moment: of each Ready pod, and of all of them.

    `queue` (requests) and `response_p95_s` are of the moment.
    """

    at_s: float
    served_per_pod: float
    arrived_per_pod: float
    served: float
    arrived: float
    queue: float
    response_p95_s: float


class MetricPipeline:
    """The readings of one workload's metrics; `totals` are those up to now."""

    def __init__(
        self, spec: PipelineSpec, metrics: tuple[SignalledMetric, ...], start_s: float
    ) -> None:
        self.spec = spec
        self._start_s = self._since_s = start_s
        self._per_pod = tuple(one for one in metrics if one.metric.is_per_pod)
        self._beside = tuple(one for one in metrics if not one.metric.is_per_pod)
        self._started = tuple(
            one.metric.key for one in self._per_pod if one.metric.type is not MetricType.PODS
        )
        self.totals = Totals(start_s, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        self._history: deque[Totals] = deque([self.totals], maxlen=TOTALS_MAX)
        self._newest = self._oldest = self.totals
        self._window_s = 0.0
        self._is_measured = False
        self._ready = 1

    def note(self, totals: Totals) -> None:
        """The totals at the end of one more stretch."""
        self.totals = totals
        self._history.append(totals)

    def restart(self, now_s: float) -> None:
        """Nothing before this moment was scraped: from here on as at the start."""
        self._since_s = now_s

    def look(self, now_s: float) -> float:
        """Settle what may be seen now; gives when the newest visible sample was taken."""
        spec, history = self.spec, self._history
        age_s = (now_s - spec.delay_s - self._start_s) // spec.scrape_s * spec.scrape_s
        newest_s = max(self._start_s + age_s, self._since_s)
        oldest_s = max(newest_s - spec.window_s, self._since_s)
        while len(history) > 1 and history[1].at_s <= oldest_s:
            history.popleft()
        self._oldest = self._at(oldest_s)
        self._newest = self._at(newest_s)
        self._window_s = newest_s - oldest_s
        self._is_measured = newest_s - self._since_s >= spec.scrape_s
        return newest_s

    def groups(self, fleet: Fleet, now_s: float) -> tuple[PodGroup, ...]:
        """The pods as the HPA sees them, with the values it may see; call `look` before."""
        newest_s, oldest_s = self._newest.at_s, self._oldest.at_s
        self._ready = fleet.ready or 1
        settled: dict[str, int] | None = None
        found = []
        for cohort in fleet.ready_cohorts:
            ready_s = cohort.ready_s
            if ready_s <= oldest_s:
                if settled is None:
                    settled = self._settled_values()
                values = settled
            elif newest_s - ready_s >= self.spec.scrape_s:
                values = self._values(*cohort.counters, newest_s - ready_s)
            else:
                values = self._starting_values(cohort)
            found.append(PodGroup(cohort.count, cohort.scheduled_s, True, ready_s, False, values))
        found += [self._starting_group(one, now_s) for one in fleet.starting_cohorts]
        return tuple(found)

    def objects(self) -> dict[str, int]:
        """Readings of Object and External metrics in thousandths; call `look` before."""
        if not self._beside or not self._is_measured:
            return _NO_VALUES
        return {one.metric.key: self._reading(one) for one in self._beside}

    def _starting_group(self, cohort: Cohort, now_s: float) -> PodGroup:
        scheduled_s = cohort.scheduled_s
        pending = scheduled_s > now_s
        values = _NO_VALUES if pending else self._starting_values(cohort)
        return PodGroup(cohort.count, scheduled_s, False, cohort.created_s, False, values, pending)

    def _starting_values(self, cohort: Cohort) -> dict[str, int]:
        """A pod that runs is measured by the kubelet before it is Ready: idle, and its memory."""
        if not self._started or self._newest.at_s - cohort.scheduled_s < self.spec.scrape_s:
            return _NO_VALUES
        return {
            one.metric.key: round(one.factor if one.signal is Signal.MEMORY else one.idle)
            for one in self._per_pod
            if one.metric.key in self._started
        }

    def _settled_values(self) -> dict[str, int]:
        """Of pods that were Ready before the window began."""
        if not self._is_measured:
            return _NO_VALUES
        return self._values(self._oldest[1], self._oldest[2], self._window_s)

    def _values(self, served: float, arrived: float, span_s: float) -> dict[str, int]:
        """Each pod's values from its totals at the window's start; all share the queue alike."""
        newest = self._newest
        served_per_s = (newest[1] - served) / span_s
        values = {}
        for metric, signal, factor, idle in self._per_pod:
            if signal is Signal.REQUESTS and self.spec.counts_arrivals:
                value = (newest[2] - arrived) / span_s * factor
            elif signal is Signal.MEMORY:
                value = factor
            elif signal is Signal.QUEUE:
                value = newest.queue / self._ready * factor
            elif signal is Signal.RESPONSE_TIME:
                value = newest.response_p95_s * factor
            else:
                value = served_per_s * factor + idle
            values[metric.key] = int(value + 0.5)
        return values

    def _reading(self, one: SignalledMetric) -> int:
        newest, oldest, span_s = self._newest, self._oldest, self._window_s
        if one.signal is Signal.QUEUE:
            value = newest.queue
        elif one.signal is Signal.RESPONSE_TIME:
            value = newest.response_p95_s
        elif one.signal is Signal.MEMORY:
            value = 1.0
        elif one.signal is Signal.REQUESTS and self.spec.counts_arrivals:
            value = (newest.arrived - oldest.arrived) / span_s
        elif one.metric.target.type is TargetType.VALUE and one.signal in _PER_POD_LOAD:
            value = (newest.served_per_pod - oldest.served_per_pod) / span_s
        else:
            value = (newest.served - oldest.served) / span_s
        return int(value * one.factor + 0.5)

    def _at(self, moment_s: float) -> Totals:
        """The totals at a moment, between two stretches' ends in proportion."""
        after = self.totals
        for totals in reversed(self._history):
            if totals.at_s == moment_s:
                return totals
            if totals.at_s < moment_s:
                return _between(totals, after, moment_s)
            after = totals
        return self._history[0]


def _between(before: Totals, after: Totals, moment_s: float) -> Totals:
    if after.at_s <= before.at_s:
        return before._replace(at_s=moment_s)
    share = (moment_s - before.at_s) / (after.at_s - before.at_s)
    mixed = [low + share * (high - low) for low, high in zip(before, after, strict=True)]
    return Totals(moment_s, *mixed[1:])
