"""The replicas that a metric beside the pods asks for: Object and External metrics.

`metric_replicas.py` calls it once per metric and sync. It must never look at a pod's samples; a
`Value` target does look at how many pods are ready.

Source: `replica_calculator.go` (`GetObjectMetricReplicas`, `GetObjectPerPodMetricReplicas`,
`GetExternalMetricReplicas`, `GetExternalPerPodMetricReplicas`, `getUsageRatioReplicaCount`,
`getReadyPodsCount`).
"""

from __future__ import annotations

from predictor.core.hpa_twin.int32 import INT32_MAX, ceil_int32
from predictor.core.hpa_twin.metric import Metric, MetricType, TargetType
from predictor.core.hpa_twin.observation import Observation
from predictor.core.hpa_twin.pod_metrics import MetricFailed
from predictor.core.hpa_twin.quantity import INT64_MAX
from predictor.core.hpa_twin.tolerances import Tolerances


def replicas_for_reading(metric: Metric, observation: Observation, tolerances: Tolerances) -> int:
    """Replicas that bring the reading, or its share per pod, to the target.

    Raises `MetricFailed`.
    """
    usage = observation.objects.get(metric.key)
    if usage is None:
        raise MetricFailed(f"{metric.key}: there is no reading")
    if metric.target.type is TargetType.VALUE:
        return _for_value(usage / metric.target.amount, observation, tolerances, metric.key)
    return _for_average(metric, usage, observation, tolerances)


def _for_value(ratio: float, observation: Observation, tolerances: Tolerances, key: str) -> int:
    """The ready pods times the ratio; from zero replicas the ratio itself, tolerance or not.

    Deleted pods count while they are ready.
    """
    if observation.replicas == 0:
        return ceil_int32(ratio)
    if tolerances.lowest <= ratio <= tolerances.highest:
        return observation.replicas
    if not observation.pods:
        raise MetricFailed(f"{key}: there is no pod")
    ready = sum([group.count for group in observation.pods if group.ready and not group.pending])
    wanted = ratio * ready
    return INT32_MAX if wanted > INT32_MAX else ceil_int32(wanted)


def _for_average(
    metric: Metric, usage: int, observation: Observation, tolerances: Tolerances
) -> int:
    """The reading divided by the target, unless the share of each pod is near enough to it."""
    replicas = observation.status_replicas
    if replicas is None:
        replicas = observation.replicas
    target = metric.target.amount
    if metric.type is MetricType.EXTERNAL and usage < 0:
        usage = INT64_MAX  # The controller takes a sum below zero for one that overflowed.
    if replicas:
        ratio = usage / (float(target) * float(replicas))
        if tolerances.lowest <= ratio <= tolerances.highest:
            return replicas
    wanted = usage / target
    if metric.type is MetricType.EXTERNAL and wanted > INT32_MAX:
        return INT32_MAX
    return ceil_int32(wanted)
