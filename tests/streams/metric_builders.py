"""Samples of request counters, for tests: whole values, drawn or made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streams.counters import CounterAmount, CounterDemand
from streams.event_types import MetricSample, SampleType
from streams.metric_names import MetricNames

T0 = 1_764_000_000.0
COUNTER = "mplp_http_requests_total"
BETTER = "mplp_core_operations_total"
RATE = "mplp_requests_per_second"
NAMES = MetricNames(["core", "plan", "role"])


def a_sample(at_s: float, value: float, name: str = COUNTER, **changed: Any) -> MetricSample:
    fields: dict[str, object] = {
        "event_id": "",
        "time_s": T0 + at_s,
        "name": name,
        "value": value,
        "module": "core",
        "region": "us-east-1",
        "labels": (("pod", "core-0"),),
    }
    return MetricSample(**{**fields, **changed})


def cumulative(at_s: float, value: float, start_s: float, **changed: Any) -> MetricSample:
    return a_sample(at_s, value, type=SampleType.CUMULATIVE, start_s=T0 + start_s, **changed)


def delta(at_s: float, value: float, start_s: float, **changed: Any) -> MetricSample:
    return a_sample(at_s, value, type=SampleType.DELTA, start_s=T0 + start_s, **changed)


def taken(demand: CounterDemand, samples: Iterable[MetricSample]) -> list[CounterAmount]:
    """What comes of the samples, in offsets from 0."""
    return [one for offset, sample in enumerate(samples) for one in demand.add(sample, offset)]


def amounts(samples: Iterable[MetricSample], demand: CounterDemand | None = None) -> list[float]:
    """The amounts that are not zero, in the order in which they come."""
    made = taken(demand or CounterDemand(NAMES), samples)
    return [one.event.requests for one in made if one.event.requests]


def buckets(made: Iterable[CounterAmount]) -> dict[int, float]:
    """Requests by bucket, counted from T0; zeros left out."""
    found: dict[int, float] = {}
    for one in made:
        start_s = int((one.event.time_s - T0) // 10 * 10)
        if one.event.requests:
            found[start_s] = found.get(start_s, 0) + one.event.requests
    return found
