"""The metrics of many HPAs as arrays: what each asks a pod to carry, and what it shows now.

`predictor/core/decide.py` reads them once per decision for learning and sizing. Memory is never
read: a leak would look like load. Nothing may be learned from a metric that the HPA cannot read.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.series import FloatArray
from predictor.core.cluster import HpaView, MetricTarget
from predictor.core.policy import Policy

_NAN = float("nan")
_NOTHING = (_NAN,) * 7
_UNITS = {
    ("Resource", "Utilization"): 0.0,
    ("Resource", "AverageValue"): 1.0,
    ("ContainerResource", "Utilization"): 2.0,
    ("ContainerResource", "AverageValue"): 3.0,
}
_PER_POD_KINDS = ("Pods", "Object", "External")


@dataclass(frozen=True, slots=True)
class MetricColumns:
    """One row per target, each array of shape (n,), NaN where the HPA has no such metric.

    `stated_per_s` is the lowest target of a metric that counts requests. `usage_*` is CPU in
    percent of a pod's request or in cores, as `usage_metric` says: a number for that metric's kind
    and unit. `level_pods` is how many pods' worth of its target a level shows now, the largest of
    several. `response_target_s` and `response_now_s` are of a metric of response times.
    """

    hpas: tuple[HpaView | None, ...]
    stated_per_s: FloatArray
    usage_metric: FloatArray
    usage_target: FloatArray
    usage_now: FloatArray
    level_pods: FloatArray
    response_target_s: FloatArray
    response_now_s: FloatArray
    template: FloatArray


def metric_columns(hpas: Sequence[HpaView | None], policy: Policy) -> MetricColumns:
    """Read every HPA's metrics, by the names that the policy gives for what they count."""
    names = _Names(
        frozenset(policy.request_rate_metrics),
        policy.level_metrics,
        frozenset(policy.response_time_metrics),
    )
    rows = [_row(hpa, names) for hpa in hpas]
    columns = np.array(rows, dtype=np.float64).reshape(-1, len(_NOTHING)).T.copy()
    stated_per_s, unit, target, usage_now, level, objective_s, response_s = columns
    return MetricColumns(
        hpas=tuple(hpas),
        stated_per_s=stated_per_s,
        usage_metric=unit,
        usage_target=target,
        usage_now=usage_now,
        level_pods=level,
        response_target_s=objective_s,
        response_now_s=response_s,
        template=_templates(hpas),
    )


def usage_metric(metrics: Iterable[MetricTarget]) -> MetricTarget | None:
    """The CPU metric that is learned from: the first of the pod's, else of a container's."""
    found = None
    for metric in metrics:
        if metric.name != "cpu" or (metric.kind, metric.target_type) not in _UNITS:
            continue
        if metric.kind == "Resource" and metric.target > 0:
            return metric
        if found is None and metric.target > 0:
            found = metric
    return found


def is_request_rate(metric: MetricTarget, counted: Iterable[str]) -> bool:
    """Whether the metric's target is requests per second a pod.

    Source: Kubernetes documentation, "Horizontal Pod Autoscaling": an `AverageValue` of an Object
    or External metric is its whole value divided by the number of pods, as that of a Pods metric
    is the pods' mean.
    """
    is_per_pod = metric.kind in _PER_POD_KINDS
    is_average = metric.target_type == "AverageValue" and metric.target > 0
    return is_per_pod and is_average and metric.name in counted


def is_level(metric: MetricTarget, module: str, policy: Policy) -> bool:
    """Whether the metric is a level (connections, a queue) that belongs to this module."""
    is_average = metric.target_type == "AverageValue" and metric.target > 0
    return is_average and policy.level_metrics.get(metric.name) == module


def level_pods(metric: MetricTarget, hpa: HpaView) -> float:
    """How many pods' worth of its target the level shows; NaN where it has no reading.

    The mean of a Pods metric is over Ready pods, that of the others over all that are asked for.
    """
    if metric.current is None or hpa.metrics_failing:
        return _NAN
    pods = hpa.ready_replicas if metric.kind == "Pods" else hpa.spec_replicas
    return metric.current * pods / metric.target


class _Names(NamedTuple):
    """What the policy says that metrics count."""

    counted: frozenset[str]
    levels: dict[str, str]
    timed: frozenset[str]


def _row(hpa: HpaView | None, names: _Names) -> tuple[float, ...]:
    """Plain loops: there are tens of thousands of rows each ten seconds."""
    if hpa is None:
        return _NOTHING
    stated = level = timed_target = timed_now = _NAN
    for metric in hpa.metrics:
        name, is_average = metric.name, metric.target_type == "AverageValue"
        if name in names.counted:
            if is_request_rate(metric, names.counted) and not metric.target >= stated:
                stated = metric.target
        elif name in names.timed:
            if metric.target > 0 and not timed_target > 0:
                timed_target, timed_now = metric.target, _reading(metric, hpa)
        elif is_average and metric.target > 0 and names.levels.get(name) == hpa.key.module:
            pods = level_pods(metric, hpa)
            level = pods if not level >= pods else level
    cpu = usage_metric(hpa.metrics)
    if cpu is None:
        return (stated, _NAN, _NAN, _NAN, level, timed_target, timed_now)
    unit = _UNITS[cpu.kind, cpu.target_type]
    return (stated, unit, cpu.target, _reading(cpu, hpa), level, timed_target, timed_now)


def _templates(hpas: Sequence[HpaView | None]) -> FloatArray:
    """A number for each pod template, NaN where it cannot be read."""
    texts = [hpa.template if hpa else "" for hpa in hpas]
    numbers = {text: float(zlib.crc32(text.encode())) for text in set(texts)}
    numbers[""] = _NAN
    return np.array([numbers[text] for text in texts], dtype=np.float64)


def _reading(metric: MetricTarget, hpa: HpaView) -> float:
    if metric.current is None or hpa.metrics_failing:
        return _NAN
    return metric.current
