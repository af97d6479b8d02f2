"""A first model of the HorizontalPodAutoscaler that scales on one metric per pod.

`simulated.py` runs one for every simulated target; a full twin of the controller can take its place
behind the same `Autoscaler`. It must never look at demand: it knows its metric and nothing else,
and that late.

Source: the Kubernetes documentation, "Horizontal Pod Autoscaling" (algorithm, tolerance, pods not
yet ready, stabilisation, scaling policies), and the order of steps in the v1.37 controller: bounds
before metrics, stabilisation of metric recommendations (never of floors), then the rate limit.

Left out: several metrics, CPU initialisation, scaling policies other than the default ones.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple, Protocol

SYNC_S = 15.0
"""The controller's `--horizontal-pod-autoscaler-sync-period`, its default."""

TOLERANCE = 0.1
"""`--horizontal-pod-autoscaler-tolerance`: a ratio this near to 1 changes nothing."""

STABILISATION_S = 300.0
"""`behavior.scaleDown.stabilizationWindowSeconds`, its default."""

_POLICY_PERIOD_S = 15.0
_SCALE_UP_PODS = 4
_SCALE_UP_FACTOR = 2.0


class Scene(NamedTuple):
    """What the controller sees at one sync.

    Of the Ready pods, `measured` have a sample and `unmeasured` none yet; `metric_per_pod` is the
    mean over the measured ones, None where there are none.
    """

    replicas: int
    measured: int
    unmeasured: int
    starting: int
    replicas_min: int
    replicas_max: int
    metric_per_pod: float | None


class Autoscaler(Protocol):
    """One autoscaler of one target; keeps its own memory between syncs."""

    def sync(self, now_s: float, scene: Scene) -> int:
        """The replicas wanted after this sync."""
        ...


class ReactiveHpa:
    """The default `behavior` on one `AverageValue` metric, per-pod target in the metric's unit."""

    def __init__(self, target_per_pod: float) -> None:
        self._target_per_pod = target_per_pod
        self._recommendations: deque[tuple[float, int]] = deque()
        self._raises: deque[tuple[float, int]] = deque()

    def sync(self, now_s: float, scene: Scene) -> int:
        """Bounds first, then the metric; zero replicas mean that a person switched it off."""
        wanted = self._wanted(now_s, scene)
        if wanted > scene.replicas:
            self._raises.append((now_s, wanted - scene.replicas))
        return wanted

    def _wanted(self, now_s: float, scene: Scene) -> int:
        replicas = scene.replicas
        if replicas == 0:
            return 0
        if replicas > scene.replicas_max:
            return scene.replicas_max
        if replicas < scene.replicas_min:
            return scene.replicas_min
        if scene.metric_per_pod is None:
            return replicas
        asked = self._asked_by_metric(scene, scene.metric_per_pod)
        wanted = min(self._stabilised(now_s, replicas, asked), self._rate_limit(now_s, replicas))
        return max(scene.replicas_min, min(scene.replicas_max, wanted))

    def _asked_by_metric(self, scene: Scene, metric_per_pod: float) -> int:
        ratio = metric_per_pod / self._target_per_pod
        absent = scene.unmeasured + (scene.starting if ratio > 1.0 else 0)
        if absent == 0:
            return scene.replicas if _settled(ratio) else _ceil(ratio * scene.measured)
        # Pods without a sample count as idle on the way up, as on target on the way down.
        known = ratio * scene.measured + (scene.unmeasured if ratio < 1.0 else 0)
        pods = scene.measured + absent
        damped = known / pods
        asked = _ceil(known)
        turned = (damped - 1.0) * (ratio - 1.0) < 0
        if _settled(damped) or turned or (asked - scene.replicas) * (damped - 1.0) < 0:
            return scene.replicas
        return asked

    def _stabilised(self, now_s: float, replicas: int, asked: int) -> int:
        """Down only to the highest that the metric asked within the window; up at once."""
        recommendations = self._recommendations
        while recommendations and recommendations[0][0] <= now_s - STABILISATION_S:
            recommendations.popleft()
        recommendations.append((now_s, asked))
        if asked >= replicas:
            return asked
        return min(replicas, max(one for _, one in recommendations))

    def _rate_limit(self, now_s: float, replicas: int) -> int:
        """Raises of the running period, floors included, eat from what it allows."""
        raises = self._raises
        while raises and raises[0][0] <= now_s - _POLICY_PERIOD_S:
            raises.popleft()
        start = replicas - sum(added for _, added in raises)
        limit = max(_ceil(start * _SCALE_UP_FACTOR), start + _SCALE_UP_PODS)
        return max(replicas, limit)


def _settled(ratio: float) -> bool:
    return abs(ratio - 1.0) <= TOLERANCE


def _ceil(value: float) -> int:
    # Sums of floats land a hair above the whole number that they stand for.
    return math.ceil(value - 1e-9)
