"""What one simulated workload is: its HPA, its pods, what they carry, and what befalls it.

Whoever simulates makes one for each module and region; `workload.py` steps it. It must never hold
anything that moves during a run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from predictor.cluster_model.delays import Delay, FixedDelay
from predictor.cluster_model.incidents import Incidents, MetricFailure
from predictor.cluster_model.metric_pipeline import PipelineSpec
from predictor.cluster_model.metric_signals import (
    Signal,
    SignalledMetric,
    rate_at_target,
    requests_of,
    signalled,
)
from predictor.cluster_model.nodes import NodeSpec
from predictor.core.cluster import TargetKey
from predictor.core.hpa_twin.spec import HpaSpec, HpaSpecRefused, read_hpa_spec

REPLICAS_MAX = 1_000_000
SERVICE_TIME_S = 0.05
DEFAULT_METRIC = "mplp_requests_per_second"


@dataclass(frozen=True, slots=True)
class OwnerHpa:
    """The HPA as its owner declared it: bounds, metrics and behavior."""

    replicas_min: int
    replicas_max: int
    spec: HpaSpec

    def __post_init__(self) -> None:
        if not 0 <= self.replicas_min <= self.replicas_max <= REPLICAS_MAX or not self.replicas_max:
            raise ValueError(f"bounds {self.replicas_min} to {self.replicas_max} are not bounds")


def requests_hpa(
    replicas_min: int,
    replicas_max: int,
    target_per_pod_per_s: float,
    metric: str = DEFAULT_METRIC,
) -> OwnerHpa:
    """The plain case: one Pods metric of requests per second, `AverageValue`, default behavior."""
    if not 0.001 <= target_per_pod_per_s < math.inf:
        raise ValueError(f"a target of {target_per_pod_per_s} per pod is not a target")
    target = {"type": "AverageValue", "averageValue": f"{round(target_per_pod_per_s * 1000)}m"}
    pods = {"metric": {"name": metric}, "target": target}
    spec = read_hpa_spec({"metrics": [{"type": "Pods", "pods": pods}], "behavior": {}})
    return OwnerHpa(replicas_min, replicas_max, spec)


def owner_hpa(spec: Mapping[str, Any]) -> OwnerHpa:
    """The plain `spec` of an `autoscaling/v2` HPA; minReplicas is 1 where absent, as there.

    Raises `HpaSpecRefused` or `ValueError` on what cannot be.
    """
    least, most = spec.get("minReplicas"), spec.get("maxReplicas")
    for name, bound in (("minReplicas", least), ("maxReplicas", most)):
        if not (isinstance(bound, int) or (bound is None and name == "minReplicas")):
            raise HpaSpecRefused(f"{name}: must be a whole number, not {bound!r}")
    return OwnerHpa(1 if least is None else int(least), int(most or 0), read_hpa_spec(spec))


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """A module in a region.

    `pod_limit_per_s` is what one Ready pod can carry at most; the HPA's target is usually about
    70 % of it, and `rate_at_target_per_s` what a pod carries there (None: as the metrics say).
    `start_up` is from a node to Ready. A request waits at most `patience_s`, then it goes unserved;
    alone it takes `service_time_s`. `response_p95_max_s` is the objective whose miss is a violation
    too. `cpu_idle_share` is what a pod without requests uses, as a share of a CPU target.
    `requests` are each pod's, in thousandths by resource name. `signals` says what a metric
    follows, by `Metric.key`; the others are guessed by type and name. Without `nodes` there is
    endless room. `replicas` are there at the start, None means the HPA's minimum.
    """

    key: TargetKey
    hpa: OwnerHpa
    pod_limit_per_s: float
    start_up: Delay = field(default_factory=lambda: FixedDelay(60.0))
    patience_s: float = 30.0
    pipeline: PipelineSpec = field(default_factory=PipelineSpec)
    requests: Mapping[str, int] = field(default_factory=dict)
    signals: Mapping[str, Signal] = field(default_factory=dict)
    rate_at_target_per_s: float | None = None
    cpu_idle_share: float = 0.0
    service_time_s: float = SERVICE_TIME_S
    response_p95_max_s: float | None = None
    nodes: NodeSpec | None = None
    incidents: Incidents = field(default_factory=Incidents)
    replicas: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.pod_limit_per_s < math.inf:
            raise ValueError(f"{self.key}: a pod limit of {self.pod_limit_per_s}/s is none")
        if not (0 <= self.patience_s < math.inf and 0 < self.service_time_s < math.inf):
            raise ValueError(f"{self.key}: patience and service time are not negative")
        if self.replicas is not None and not 0 <= self.replicas <= REPLICAS_MAX:
            raise ValueError(f"{self.key}: {self.replicas} replicas cannot be")
        if any(amount < 0 for amount in self.requests.values()):
            raise ValueError(f"{self.key}: requests of {dict(self.requests)} are negative")
        if not 0 <= self.cpu_idle_share < 1:
            raise ValueError(f"{self.key}: an idle share of {self.cpu_idle_share} is none")
        if self.seed < 0:
            raise ValueError(f"{self.key}: a seed of {self.seed} is none")
        rate = self.pod_rate_at_target_per_s
        if not 0 < rate <= self.pod_limit_per_s:
            limit = self.pod_limit_per_s
            raise ValueError(f"{self.key}: a pod limit of {limit}/s is below the target {rate}/s")

    @property
    def pod_rate_at_target_per_s(self) -> float:
        """Requests per second that a pod carries when the HPA is where it wants to be."""
        if self.rate_at_target_per_s is not None:
            return self.rate_at_target_per_s
        return rate_at_target(self.hpa.spec, self.signals, self.pod_limit_per_s)

    def settled(self) -> tuple[dict[str, int], tuple[SignalledMetric, ...], tuple[str, ...]]:
        """Requests and metrics with nothing left open, and a note for each thing assumed."""
        requests, assumed = requests_of(self.hpa.spec, self.requests)
        rate = self.pod_rate_at_target_per_s
        idle = self.cpu_idle_share
        metrics, guessed = signalled(self.hpa.spec, self.signals, requests, rate, idle)
        return requests, metrics, (*assumed, *guessed, *self._idle_failures())

    def _idle_failures(self) -> list[str]:
        named = {
            name
            for one in self.incidents.all
            if isinstance(one, MetricFailure)
            for name in one.metrics
        }
        unknown = sorted(named - {metric.key for metric in self.hpa.spec.metrics})
        return [f"{name}: a failure of a metric that the HPA does not have" for name in unknown]
