"""What all metrics of an HPA ask for together: the most that any of them does.

`controller.py` calls it where the bounds leave the question open. It must never scale down on a
part of the metrics: one that failed might have asked for more.

Source: `computeReplicasForMetrics` in `horizontal.go`.
"""

from __future__ import annotations

from typing import NamedTuple

from predictor.core.hpa_twin.metric import Metric
from predictor.core.hpa_twin.object_metrics import replicas_for_reading
from predictor.core.hpa_twin.observation import Observation
from predictor.core.hpa_twin.pod_metrics import MetricFailed, replicas_for_pods
from predictor.core.hpa_twin.spec import ControllerFlags, HpaSpec
from predictor.core.hpa_twin.tolerances import Tolerances, tolerances_of


class Asked(NamedTuple):
    """`replicas` is None where nothing may be done; `error` tells of metrics that failed."""

    replicas: int | None
    error: str | None


def asked_by_metrics(
    spec: HpaSpec, observation: Observation, now_s: float, flags: ControllerFlags
) -> Asked:
    """The most that a metric asks for, in the order of the spec."""
    tolerances = tolerances_of(spec, flags)
    wanted = failures = 0
    first = ""
    for metric in spec.metrics:
        try:
            proposal = _proposal(metric, observation, tolerances, now_s, flags)
        except MetricFailed as failed:
            first = first or str(failed)
            failures += 1
            continue
        # As written there: after a metric that asked for 0 the next one counts whatever it asks.
        if wanted == 0 or proposal > wanted:
            wanted = proposal
    if not failures:
        return Asked(wanted, None)
    error = f"{failures} of {len(spec.metrics)} metrics failed, first {first}"
    is_blind = failures == len(spec.metrics) or wanted < observation.replicas
    return Asked(None if is_blind else wanted, error)


def _proposal(
    metric: Metric,
    observation: Observation,
    tolerances: Tolerances,
    now_s: float,
    flags: ControllerFlags,
) -> int:
    if metric.key in observation.failed:
        raise MetricFailed(f"{metric.key}: the call failed")
    if metric.is_per_pod:
        return replicas_for_pods(metric, observation, tolerances, now_s, flags)
    return replicas_for_reading(metric, observation, tolerances)
