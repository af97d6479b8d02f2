"""A number that stands as one more metric in the HPA, seen as a floor.

KEDA's triggers and Crane's prediction reach the pods as an External metric with an AverageValue:
the HPA takes the largest of all metrics, within its tolerance, and holds it for its scale-down
window. The arms of those peers call this. It must never hold longer than that window.
"""

from __future__ import annotations

import math
from collections import deque

from predictor.arms.known_demand import ROUNDING

TOLERANCE = 0.1
"""Kubernetes' default, `--horizontal-pod-autoscaler-tolerance`."""


def asked_by_trigger(value: float, target: float, replicas: int) -> int:
    """Replicas an External metric of type AverageValue asks for; 0 where it says nothing.

    Within the tolerance the current number stands, above and below: Kubernetes v1.37
    `replica_calculator.go`, `GetExternalPerPodMetricReplicas`.
    """
    if not (math.isfinite(value) and value > 0.0 and target > 0.0):
        return 0
    if replicas > 0 and abs(value / (target * replicas) - 1.0) <= TOLERANCE:
        return replicas
    return math.ceil(value / target - ROUNDING)


class Held:
    """The most that was asked for within a window, as the HPA's stabilisation keeps it."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._kept: deque[tuple[float, int]] = deque()

    def most(self, now_s: float, replicas: int) -> int:
        """The largest of this and of what was asked less than `window_s` ago."""
        while self._kept and self._kept[-1][1] <= replicas:
            self._kept.pop()
        self._kept.append((now_s, replicas))
        while self._kept[0][0] < now_s - self._window_s:
            self._kept.popleft()
        return self._kept[0][1]
