"""An HPA's metrics with their current readings, as its status would show them.

`predictor/actuators/simulated.py` puts them into its views. It must never show more than the HPA
saw at its last sync.

Source: `computeStatusFor…Metric` in the Kubernetes controller's `horizontal.go`: means over the
pods with a sample, utilisation as a percentage of their requests.
"""

from __future__ import annotations

from predictor.core.cluster import MetricTarget
from predictor.core.hpa_twin.metric import Metric, TargetType
from predictor.core.hpa_twin.observation import Observation
from predictor.core.hpa_twin.spec import HpaSpec


def metric_targets(hpa: HpaSpec, seen: Observation | None) -> tuple[MetricTarget, ...]:
    """Every metric in its base unit, utilisation in percent; no reading where there is none."""
    return tuple(
        MetricTarget(
            kind=metric.type.value,
            name=metric.name,
            target_type=metric.target.type.value,
            target=_unit(metric, metric.target.amount),
            current=None if seen is None else _current(metric, seen),
        )
        for metric in hpa.metrics
    )


def _current(metric: Metric, seen: Observation) -> float | None:
    if metric.key in seen.failed:
        return None
    if metric.is_per_pod:
        return _per_pod(metric, seen)
    reading = seen.objects.get(metric.key)
    if reading is None:
        return None
    if metric.target.type is TargetType.AVERAGE_VALUE:
        return reading / 1000.0 / max(seen.replicas, 1)
    return reading / 1000.0


def _per_pod(metric: Metric, seen: Observation) -> float | None:
    """The mean over Ready pods with a sample."""
    total = pods = 0
    for group in seen.pods:
        if group.ready and metric.key in group.values:
            pods += group.count
            total += group.count * group.values[metric.key]
    if not pods:
        return None
    if metric.target.type is TargetType.UTILIZATION:
        return float(total * 100 // (seen.requests[metric.key] * pods))
    return total / pods / 1000.0


def _unit(metric: Metric, amount: int) -> float:
    return float(amount) if metric.target.type is TargetType.UTILIZATION else amount / 1000.0
