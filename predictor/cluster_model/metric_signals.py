"""What each metric of an HPA follows in a simulated workload: requests, CPU, memory, a queue.

`metric_pipeline.py` turns signals into readings. A metric that nobody described is guessed by its
type and name, and the guess is told in a sentence; nothing may be guessed silently that could turn
a result.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import NamedTuple

from predictor.core.hpa_twin.metric import Metric, MetricType, TargetType
from predictor.core.hpa_twin.spec import HpaSpec

RATE_SHARE = 0.7
"""Of the pod limit: what a pod carries at the HPA's target where no metric says; the usual CPU
target."""
MEMORY_SHARE = 0.6
"""Of the target: memory that an idle pod holds. It does not follow the load, as a heap does not."""
REQUEST_DEFAULTS = {"cpu": 1000, "memory": 1024**3 * 1000}
"""Thousandths: one core, one GiB."""

_REQUESTS_NAME = re.compile(r"request|rps|qps|http", re.IGNORECASE)
_QUEUE_NAME = re.compile(r"queue|backlog|lag\b|pending|waiting", re.IGNORECASE)
_TIME_NAME = re.compile(r"latency|response_time|duration|p9\d", re.IGNORECASE)


class Signal(enum.StrEnum):
    """What a metric follows."""

    REQUESTS = "requests"
    """Requests per second, served or arriving as the workload says; of each pod, or of all."""
    CPU = "cpu"
    """Served load on top of what an idle pod uses: at its target when each pod serves the rate at
    target; ends at the limit."""
    MEMORY = "memory"
    """Always the same share of the target."""
    LOAD = "load"
    """Served load in the metric's own unit: the target when each pod serves the rate at target."""
    QUEUE = "queue"
    """Requests that wait."""
    RESPONSE_TIME = "response time"
    """The 95th percentile of the newest stretch, seconds."""


class SignalledMetric(NamedTuple):
    """One metric of the HPA, what it follows, and its factor (thousandths per unit followed).

    REQUESTS, CPU and LOAD follow a rate per second, QUEUE requests, RESPONSE_TIME seconds; MEMORY
    is the factor itself. `idle` is what a pod of CPU shows without a request, in thousandths.
    """

    metric: Metric
    signal: Signal
    factor: float
    idle: float = 0.0


def signalled(
    hpa: HpaSpec,
    described: Mapping[str, Signal],
    requests: Mapping[str, int],
    rate_at_target_per_s: float,
    cpu_idle_share: float = 0.0,
) -> tuple[tuple[SignalledMetric, ...], tuple[str, ...]]:
    """Every metric with its signal, and a note for each that was guessed without a hint.

    `described` is by `Metric.key`. A key that the HPA has not is a `ValueError`. `cpu_idle_share`
    is what an idle pod uses, as a share of a CPU target.
    """
    unknown = sorted(set(described) - {metric.key for metric in hpa.metrics})
    if unknown:
        raise ValueError(f"signals for metrics the HPA does not have: {', '.join(unknown)}")
    found, notes = [], []
    for metric in hpa.metrics:
        signal = described.get(metric.key) or _guess(metric)
        if signal is None:
            signal = Signal.LOAD
            notes.append(f"{metric.type} metric {metric.key}: taken as proportional to served load")
        factor = _factor(metric, signal, requests, rate_at_target_per_s)
        share = cpu_idle_share if signal is Signal.CPU else 0.0
        idle = share * factor * rate_at_target_per_s
        found.append(SignalledMetric(metric, signal, factor * (1.0 - share), idle))
    return tuple(found), tuple(notes)


def rate_at_target(hpa: HpaSpec, described: Mapping[str, Signal], pod_limit_per_s: float) -> float:
    """Requests per second and pod at the HPA's target, as its metrics and the pod limit say.

    The lowest target of a metric that counts requests per pod, else the lowest CPU utilisation
    target of the pod limit, else 70 % of the limit.
    """
    stated = [
        metric.target.amount / 1000.0
        for metric in hpa.metrics
        if metric.target.type is TargetType.AVERAGE_VALUE and metric.target.amount > 0
        if (described.get(metric.key) or _guess(metric)) is Signal.REQUESTS
    ]
    if stated:
        return min(stated)
    shares = [
        metric.target.amount / 100.0
        for metric in hpa.metrics
        if metric.target.type is TargetType.UTILIZATION and 0 < metric.target.amount <= 100
        if (described.get(metric.key) or _guess(metric)) is Signal.CPU
    ]
    return pod_limit_per_s * min(shares, default=RATE_SHARE)


def requests_of(hpa: HpaSpec, given: Mapping[str, int]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Each pod's requests by resource and by "container/name", with a note for each assumed one."""
    requests, notes = dict(given), []
    for metric in hpa.metrics:
        if metric.type not in (MetricType.RESOURCE, MetricType.CONTAINER_RESOURCE):
            continue
        if metric.key not in requests:
            assumed = requests.get(metric.name, REQUEST_DEFAULTS.get(metric.name, 1000))
            requests[metric.key] = assumed
            if metric.name not in given:
                notes.append(f"{metric.key}: a request of {assumed / 1000:g} per pod was assumed")
    return requests, tuple(notes)


def _guess(metric: Metric) -> Signal | None:
    if metric.type in (MetricType.RESOURCE, MetricType.CONTAINER_RESOURCE):
        return {"cpu": Signal.CPU, "memory": Signal.MEMORY}.get(metric.name)
    for name, signal in (
        (_QUEUE_NAME, Signal.QUEUE),
        (_TIME_NAME, Signal.RESPONSE_TIME),
        (_REQUESTS_NAME, Signal.REQUESTS),
    ):
        if name.search(metric.name):
            return signal
    return None


def _factor(
    metric: Metric, signal: Signal, requests: Mapping[str, int], rate_per_s: float
) -> float:
    if signal in (Signal.REQUESTS, Signal.QUEUE, Signal.RESPONSE_TIME):
        return 1000.0
    amount = float(metric.target.amount)
    if metric.target.type is TargetType.UTILIZATION:
        amount *= requests[metric.key] / 100.0
    return MEMORY_SHARE * amount if signal is Signal.MEMORY else amount / rate_per_s
