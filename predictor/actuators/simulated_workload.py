"""One simulated Deployment with its HPA: pods that take time to start, a queue, a late metric.

`simulated.py` holds one per target and steps it. Event time only: it must never read a clock. Plain
numbers, because a fortnight is eighty thousand steps.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from predictor.actuators.reactive_hpa import Autoscaler, ReactiveHpa, Scene
from predictor.core.cluster import TargetKey

# Below this, work in the queue is the dust of float sums.
_QUEUE_DUST = 1e-9


@dataclass(frozen=True, slots=True)
class HpaSpec:
    """The owner's HPA: bounds and one `AverageValue` metric, requests per second and pod."""

    replicas_min: int
    replicas_max: int
    target_per_pod_per_s: float
    metric: str = "mplp_requests_per_second"

    def __post_init__(self) -> None:
        if not 1 <= self.replicas_min <= self.replicas_max:
            raise ValueError(f"bounds {self.replicas_min} to {self.replicas_max} are not bounds")
        if self.target_per_pod_per_s <= 0:
            raise ValueError(f"a target of {self.target_per_pod_per_s} per pod is not a target")


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """A module in a region.

    `pod_limit_per_s` is what one Ready pod can carry at most; the HPA's target is usually about
    70 % of it. `start_up_s` is from creation to Ready. A request waits at most `patience_s`, then
    it goes unserved. The metric is averaged over `metric_window_s` and seen `metric_delay_s` late:
    scrape, adapter and the resource metrics pipeline together. It counts requests served, so that
    it saturates under overload as handled requests and CPU do, or else requests that arrive.
    """

    key: TargetKey
    hpa: HpaSpec
    pod_limit_per_s: float
    start_up_s: float = 60.0
    patience_s: float = 30.0
    metric_delay_s: float = 30.0
    metric_window_s: float = 60.0
    metric_counts_arrivals: bool = False
    replicas: int | None = None

    def __post_init__(self) -> None:
        if self.pod_limit_per_s < self.hpa.target_per_pod_per_s:
            limit, target = self.pod_limit_per_s, self.hpa.target_per_pod_per_s
            raise ValueError(f"{self.key}: a pod limit of {limit}/s is below the target {target}/s")
        if min(self.start_up_s, self.patience_s, self.metric_delay_s) < 0:
            raise ValueError(f"{self.key}: times are not negative")
        if self.metric_window_s <= 0:
            raise ValueError(f"{self.key}: a window of {self.metric_window_s} s holds no metric")


@dataclass(slots=True)
class Measures:
    """What has been counted since the start; violation never without what it cost."""

    elapsed_s: float = 0.0
    violation_s: float = 0.0
    pod_s: float = 0.0
    requests: float = 0.0
    served: float = 0.0
    unserved: float = 0.0
    scale_actions: int = 0

    @property
    def violation_minutes(self) -> float:
        """Minutes in which Ready pods could not carry the demand."""
        return self.violation_s / 60.0

    @property
    def pod_hours(self) -> float:
        """Hours of every pod that existed, starting ones included."""
        return self.pod_s / 3600.0


class Workload:
    """The moving state of one target; `measures` and the plain attributes are for reading."""

    def __init__(self, spec: WorkloadSpec, autoscaler: Autoscaler | None = None) -> None:
        self.spec = spec
        self.floor = spec.hpa.replicas_min
        self.replicas_max = spec.hpa.replicas_max
        self.ready = spec.replicas if spec.replicas is not None else spec.hpa.replicas_min
        self.queue = 0.0
        self.utilisation = 0.0
        self.in_violation = False
        self.metric_per_pod: float | None = None
        self.measures = Measures()
        self._autoscaler = autoscaler or ReactiveHpa(spec.hpa.target_per_pod_per_s)
        self._starting: deque[tuple[float, int]] = deque()
        self._starting_pods = 0
        self._samples: deque[tuple[float, float, float, int]] = deque()

    @property
    def starting(self) -> int:
        """Pods that exist and are not Ready."""
        return self._starting_pods

    @property
    def replicas(self) -> int:
        """The Deployment's spec.replicas."""
        return self.ready + self._starting_pods

    def serve(self, start_s: float, end_s: float, demand_per_s: float) -> None:
        """Serve `demand_per_s` over the step with the pods Ready at its start."""
        duration_s = end_s - start_s
        self._become_ready(start_s)
        carried_per_s = self.ready * self.spec.pod_limit_per_s
        arrived = demand_per_s * duration_s
        waiting = self.queue + arrived
        served = min(waiting, carried_per_s * duration_s)
        queue = min(waiting - served, carried_per_s * self.spec.patience_s)
        self.in_violation = demand_per_s > carried_per_s or queue > _QUEUE_DUST
        self.utilisation = demand_per_s / carried_per_s if carried_per_s else 0.0
        self.queue = queue
        counted = arrived if self.spec.metric_counts_arrivals else served
        per_pod_per_s = counted / duration_s / self.ready if self.ready else 0.0
        self._samples.append((end_s, duration_s, per_pod_per_s, self.ready))
        self._count(duration_s, arrived, served, waiting - served - queue)

    def reconcile(self, now_s: float) -> None:
        """One sync of the HPA: read the late metric, decide, scale."""
        self._become_ready(now_s)
        measured, self.metric_per_pod = self._late_metric(now_s)
        scene = Scene(
            self.replicas,
            measured,
            self.ready - measured,
            self._starting_pods,
            self.floor,
            self.replicas_max,
            self.metric_per_pod,
        )
        self._scale(now_s, self._autoscaler.sync(now_s, scene))

    def _count(self, duration_s: float, arrived: float, served: float, unserved: float) -> None:
        measures = self.measures
        measures.elapsed_s += duration_s
        measures.violation_s += duration_s if self.in_violation else 0.0
        measures.pod_s += (self.ready + self._starting_pods) * duration_s
        measures.requests += arrived
        measures.served += served
        measures.unserved += unserved

    def _become_ready(self, now_s: float) -> None:
        starting = self._starting
        while starting and starting[0][0] <= now_s:
            pods = starting.popleft()[1]
            self.ready += pods
            self._starting_pods -= pods

    def _scale(self, now_s: float, wanted: int) -> None:
        more = wanted - self.ready - self._starting_pods
        if more == 0:
            return
        self.measures.scale_actions += 1
        if more > 0:
            self._starting.append((now_s + self.spec.start_up_s, more))
            self._starting_pods += more
        else:
            self._remove(-more)
        self._become_ready(now_s)

    def _remove(self, pods: int) -> None:
        """As a ReplicaSet does: pods that are not Ready go first, the youngest before others."""
        while pods and self._starting:
            ready_at_s, count = self._starting.pop()
            gone = min(pods, count)
            pods -= gone
            self._starting_pods -= gone
            if count > gone:
                self._starting.append((ready_at_s, count - gone))
        self.ready -= pods

    def _late_metric(self, now_s: float) -> tuple[int, float | None]:
        """How many Ready pods have a sample, and the mean of their means over the window.

        The longest-lived pods stay, so those beyond an older sample's count are younger than it.
        """
        newest_s = now_s - self.spec.metric_delay_s
        oldest_s = newest_s - self.spec.metric_window_s
        samples = self._samples
        while samples and samples[0][0] <= oldest_s:
            samples.popleft()
        measured, alive = 0, self.ready
        total = work = span_s = 0.0
        for end_s, duration_s, per_pod_per_s, pods in reversed(samples):
            if end_s > newest_s:
                continue
            still = min(alive, pods)
            if span_s:
                total += (alive - still) * work / span_s
            else:
                measured = still
            alive = still
            work += per_pod_per_s * duration_s
            span_s += duration_s
        if not measured:
            return 0, None
        return measured, (total + alive * work / span_s) / measured
