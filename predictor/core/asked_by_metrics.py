"""What an HPA's own metrics ask for, as far as its status says.

`predictor/core/targets.py` asks for each target. It is an estimate, at most one sync old, of what
the controller works out exactly; it must never be taken for a floor.
"""

from __future__ import annotations

import math

from predictor.core.cluster import HpaView, MetricTarget

TOLERANCE = 0.1
"""`--horizontal-pod-autoscaler-tolerance`, its default: a ratio this near to 1 asks for nothing."""
_DUST = 1e-9


def asked_by_metrics(hpa: HpaView) -> int:
    """The most that any metric asks for, in replicas; 0 where none asks for more than there are.

    Source: Kubernetes documentation, "Horizontal Pod Autoscaling", algorithm details: Ready pods
    times current over target, rounded up; the largest of several metrics counts.
    """
    return max((_asked(metric, _pods(metric, hpa)) for metric in hpa.metrics), default=0)


def _pods(metric: MetricTarget, hpa: HpaView) -> int:
    """How many pods the ratio is multiplied with: an average over all of them counts all."""
    is_beside_pods = metric.kind in ("Object", "External")
    counts_all = is_beside_pods and metric.target_type == "AverageValue"
    return hpa.spec_replicas if counts_all else hpa.ready_replicas


def _asked(metric: MetricTarget, pods: int) -> int:
    if metric.current is None or not metric.target > 0:
        return 0
    ratio = metric.current / metric.target
    if not 1.0 + TOLERANCE < ratio < math.inf:
        return 0
    return math.ceil(ratio * pods * (1.0 - _DUST))
