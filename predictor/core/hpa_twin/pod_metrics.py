"""The replicas that a metric of the pods asks for: Resource, ContainerResource and Pods metrics.

`metric_replicas.py` calls it once per metric and sync. It must keep the controller's whole-number
divisions in their order: a ratio that is rounded later scales at another moment.

Source: `replica_calculator.go` (`GetResourceReplicas`, `GetRawResourceReplicas`,
`GetMetricReplicas`, `calcPlainMetricReplicas`, `groupPods`), `metrics/utilization.go`.
"""

from __future__ import annotations

from typing import NamedTuple

from predictor.core.hpa_twin.int32 import ceil_int32, quotient, wrapped_int32
from predictor.core.hpa_twin.metric import Metric, MetricType, TargetType
from predictor.core.hpa_twin.observation import Observation
from predictor.core.hpa_twin.spec import ControllerFlags
from predictor.core.hpa_twin.tolerances import Tolerances


class MetricFailed(Exception):  # noqa: N818 - an outcome that is counted, not a fault
    """A metric that no replicas can be computed from; the message says why."""


class PodCounts(NamedTuple):
    """The pods as one metric sees them.

    `ready` pods have a sample that counts, and `total` is the sum of these; `missing` pods have
    none; `unready` ones have one that does not count yet. Deleted pods are in none of them.
    """

    ready: int
    missing: int
    unready: int
    total: int


def replicas_for_pods(
    metric: Metric,
    observation: Observation,
    tolerances: Tolerances,
    now_s: float,
    flags: ControllerFlags,
) -> int:
    """Replicas that bring the mean per pod to the target; raises `MetricFailed`.

    Pods without a sample count as idle on the way up and as on target (or at their whole request)
    on the way down; pods that are not ready count as idle on the way up and not at all on the way
    down. Where that turns the direction round, nothing changes.
    """
    counts = counted(metric, observation, now_s, flags)
    if not counts.ready:
        raise MetricFailed(f"{metric.key}: no pod has a sample that counts")
    request = _request(metric, observation)
    target = metric.target.amount
    ratio = _ratio(counts.total, counts.ready, target, request)
    is_up_with_unready = counts.unready > 0 and ratio > 1.0
    if not is_up_with_unready and not counts.missing:
        if tolerances.lowest <= ratio <= tolerances.highest:
            return observation.replicas
        return ceil_int32(ratio * counts.ready)
    total, pods = counts.total, counts.ready
    if counts.missing and ratio != 1.0:
        pods += counts.missing
        if ratio < 1.0:
            total += counts.missing * _assumed(target, request)
    if is_up_with_unready:
        pods += counts.unready
    damped = _ratio(total, pods, target, request)
    return _unless_turned(ratio, damped, pods, observation.replicas, tolerances)


def _unless_turned(
    ratio: float, damped: float, pods: int, replicas: int, tolerances: Tolerances
) -> int:
    if tolerances.lowest <= damped <= tolerances.highest:
        return replicas
    if (ratio < 1.0 < damped) or (damped < 1.0 < ratio):
        return replicas
    wanted = ceil_int32(damped * pods)
    if (damped < 1.0 and wanted > replicas) or (damped > 1.0 and wanted < replicas):
        return replicas
    return wanted


def counted(
    metric: Metric, observation: Observation, now_s: float, flags: ControllerFlags
) -> PodCounts:
    """Sort the pods as `groupPods` does: only CPU looks at readiness, all look at pending pods."""
    key = metric.key
    is_cpu = metric.name == "cpu" and metric.type is not MetricType.PODS
    ready = missing = unready = total = 0
    for count, start_s, is_ready, changed_s, deleting, values, pending in observation.pods:
        if deleting:
            continue
        if pending:
            unready += count
            continue
        value = values.get(key)
        if value is None:
            missing += count
        elif is_cpu and _is_unready(
            start_s, is_ready, changed_s, observation, now_s=now_s, flags=flags
        ):
            unready += count
        else:
            ready += count
            total += count * value
    return PodCounts(ready, missing, unready, total)


def _is_unready(
    start_s: float,
    is_ready: bool,
    changed_s: float,
    observation: Observation,
    *,
    now_s: float,
    flags: ControllerFlags,
) -> bool:
    """Whether a CPU sample tells of starting up, not of load.

    Young pods have to be ready, for a whole sample window; older ones must have been ready once.
    """
    if start_s + flags.cpu_initialization_s > now_s:
        if not is_ready:
            return True
        samples_s = now_s if observation.samples_s is None else observation.samples_s
        return samples_s < changed_s + observation.sample_window_s
    return not is_ready and start_s + flags.initial_readiness_delay_s > changed_s


def _request(metric: Metric, observation: Observation) -> int:
    """Each pod's request where the target is a share of it, else 0."""
    if metric.target.type is not TargetType.UTILIZATION:
        return 0
    request = observation.requests.get(metric.key)
    if not request:
        raise MetricFailed(f"{metric.key}: the pods request none of it")
    return request


def _ratio(total: int, pods: int, target: int, request: int) -> float:
    """Source: `GetResourceUtilizationRatio`, `GetMetricUsageRatio`."""
    if request:
        return wrapped_int32(quotient(total * 100, request * pods)) / target
    return quotient(total, pods) / target


def _assumed(target: int, request: int) -> int:
    """What a pod without a sample is taken to use on the way down."""
    return request * max(100, target) // 100 if request else target
