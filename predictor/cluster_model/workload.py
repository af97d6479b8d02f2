"""One simulated Deployment with its HPA, stepped in event time.

`predictor/actuators/simulated.py` holds one per target; simulations step their own: `serve` a
stretch under a demand, `sync` the HPA, every 15 s. It must never read a clock, and the HPA in it
never sees demand: it sees what the metric pipeline lets through. Plain numbers, because a month of
thirty workloads is five million steps.
"""

from __future__ import annotations

import zlib

import numpy as np

from predictor.cluster_model.deployment import Deployment
from predictor.cluster_model.incidents import Deploy, MetricFailure, PodFailure, RegionOutage
from predictor.cluster_model.measures import Measures
from predictor.cluster_model.metric_pipeline import MetricPipeline, Totals
from predictor.cluster_model.nodes import NodePool
from predictor.cluster_model.pods import NEVER_S
from predictor.cluster_model.response_times import P95_FACTOR
from predictor.cluster_model.serving import Demand, serve_stretch
from predictor.cluster_model.workload_spec import WorkloadSpec
from predictor.core.hpa_twin.controller import Limit, new_hpa_state, sync
from predictor.core.hpa_twin.observation import Observation
from predictor.core.hpa_twin.spec import DEFAULT_FLAGS, ControllerFlags

# Below this, work in the queue is the dust of float sums.
_QUEUE_DUST = 1e-9
_NOTHING_FAILED: frozenset[str] = frozenset()


class Workload:
    """The moving state of one target; `measures` and the plain attributes are for reading.

    `floor` (minReplicas), `replicas_max` and `replicas` (the Deployment's `spec.replicas`) may be
    set; the next `sync` acts on them. `recommended` is what the metrics asked for at the last sync,
    `limited_by` what bound it, `observation` what it saw. `nodes` are those of its region where it
    shares them; without, it has its own if its spec says so.
    """

    def __init__(
        self,
        spec: WorkloadSpec,
        start_s: float,
        nodes: NodePool | None = None,
        flags: ControllerFlags = DEFAULT_FLAGS,
    ) -> None:
        self.spec = spec
        self.replicas_max = spec.hpa.replicas_max
        self.replicas = spec.hpa.replicas_min if spec.replicas is None else spec.replicas
        self.queue = 0.0
        self.utilisation = 0.0
        self.in_violation = False
        self.recommended: int | None = None
        self.limited_by = Limit.NONE
        self.error: str | None = None
        self.observation: Observation | None = None
        self.measures = Measures()
        self._floor = spec.hpa.replicas_min
        self._requests, self.metrics, self.notes = spec.settled()
        self._flags = flags
        self._hpa_state = new_hpa_state()
        self._pipeline = MetricPipeline(spec.pipeline, self.metrics, start_s)
        self._deployment = self._deployed(nodes, start_s)
        self._fleet = self._deployment.fleet
        pipeline = spec.pipeline
        looks_back_s = pipeline.window_s + pipeline.delay_s + pipeline.scrape_s
        self._settled_after_s = max(flags.cpu_initialization_s, looks_back_s)
        self._incident = sum(one.at_s < start_s for one in spec.incidents.all)
        self._is_out = False
        self._out_until_s = -NEVER_S
        self._failures: list[MetricFailure] = []
        self._next_event_s = self._next_event()

    @property
    def floor(self) -> int:
        """The HPA's minReplicas."""
        return self._floor

    @floor.setter
    def floor(self, floor: int) -> None:
        if floor != self._floor:
            self._floor = floor
            self.measures.floor_changes += 1

    @property
    def ready(self) -> int:
        """Pods that serve; none while the region is out."""
        return 0 if self._is_out else self._fleet.ready

    @property
    def starting(self) -> int:
        """Pods that exist and are not Ready, those without a node included."""
        return self._fleet.starting

    @property
    def pods(self) -> int:
        """Pods that exist; more than `replicas` while a deploy runs."""
        return self._fleet.pods

    def serve(self, start_s: float, end_s: float, demand_per_s: float) -> None:
        """Serve `demand_per_s` over [start_s, end_s); pods become Ready inside as they come."""
        while self._next_event_s < end_s:
            event_s = max(self._next_event_s, start_s)
            if event_s > start_s:
                self._serve(start_s, event_s, demand_per_s)
                start_s = event_s
            self._happen(event_s)
        if end_s > start_s:
            self._serve(start_s, end_s, demand_per_s)

    def sync(self, now_s: float) -> None:
        """One sync of the HPA: look at what may be seen, decide, scale. Not while out."""
        if self._next_event_s <= now_s:
            self._happen(now_s)
        if self._is_out:
            return
        self._fleet.join_settled(now_s - self._settled_after_s)
        self._deployment.find_room(now_s)
        observation = self.observation = self._observe(now_s)
        done = sync(self.spec.hpa.spec, observation, self._hpa_state, now_s, self._flags)
        wanted, self.recommended, self._hpa_state, self.error, self.limited_by = done
        if wanted != self.replicas:
            self.replicas = wanted
            self.measures.scale_actions += 1
        if self._fleet.pods != wanted or self._fleet.starting:
            self._settle(now_s)

    def delete(self, now_s: float) -> None:
        """The Deployment is deleted: its pods go and leave their nodes."""
        self.replicas = 0
        self._settle(now_s)

    def replace_hpa(self) -> None:
        """The HPA was deleted and made anew: what the controller remembered of it is gone."""
        self._hpa_state = new_hpa_state()

    def _observe(self, now_s: float) -> Observation:
        pipeline = self._pipeline
        samples_s = pipeline.look(now_s)
        return Observation(
            self.replicas,
            self._floor,
            self.replicas_max,
            pipeline.groups(self._fleet, now_s),
            pipeline.objects(),
            self._failed(now_s) if self._failures else _NOTHING_FAILED,
            self._requests,
            samples_s,
            pipeline.spec.scrape_s,
            self._fleet.pods,
        )

    def _serve(self, start_s: float, end_s: float, demand_per_s: float) -> None:
        spec, duration_s = self.spec, end_s - start_s
        ready = 0 if self._is_out else self._fleet.ready
        carried_per_s = ready * spec.pod_limit_per_s
        served, unserved, queue, response_s, backlog_s = serve_stretch(
            Demand(self.queue, demand_per_s, duration_s),
            carried_per_s,
            spec.patience_s,
            spec.service_time_s,
        )
        self.queue = queue
        self.utilisation = demand_per_s / carried_per_s if carried_per_s else 0.0
        response_p95_s = P95_FACTOR * response_s + backlog_s
        is_late = spec.response_p95_max_s is not None and response_p95_s > spec.response_p95_max_s
        self.in_violation = (
            # A demand of exactly so many pods' limits comes out a hair above by rounding.
            demand_per_s > carried_per_s * (1.0 + 1e-9)
            or queue > _QUEUE_DUST
            or unserved > _QUEUE_DUST
            or (is_late and served > 0.0)
        )
        arrived = demand_per_s * duration_s
        before, share = self._pipeline.totals, 1.0 / ready if ready else 0.0
        self._pipeline.note(
            Totals(
                end_s,
                before.served_per_pod + served * share,
                before.arrived_per_pod + arrived * share,
                before.served + served,
                before.arrived + arrived,
                queue,
                response_p95_s,
            )
        )
        measures = self.measures
        measures.elapsed_s += duration_s
        measures.pod_s += self._fleet.pods * duration_s
        measures.requests += arrived
        measures.served += served
        measures.unserved += unserved
        if self.in_violation:
            measures.violation_s += duration_s
        if served > 0.0:
            measures.response_times.add(served, response_s, backlog_s)

    def _happen(self, now_s: float) -> None:
        """What is due: pods become Ready, incidents begin or end, the Deployment reacts."""
        incidents = self.spec.incidents.all
        while self._incident < len(incidents) and incidents[self._incident].at_s <= now_s:
            incident = incidents[self._incident]
            self._incident += 1
            if isinstance(incident, Deploy):
                self._deployment.begin_rollout()
            elif isinstance(incident, PodFailure):
                self._deployment.lose(now_s, incident.share)
            elif isinstance(incident, RegionOutage):
                end_s = incident.at_s + incident.duration_s
                self._out_until_s = max(self._out_until_s, end_s)
            else:
                self._failures.append(incident)
        was_out, self._is_out = self._is_out, now_s < self._out_until_s
        if was_out and not self._is_out:
            self._pipeline.restart(now_s)
        self._settle(now_s)

    def _settle(self, now_s: float) -> None:
        totals = self._pipeline.totals
        counters = (totals.served_per_pod, totals.arrived_per_pod)
        self._deployment.settle(now_s, self.replicas, counters)
        self._next_event_s = self._next_event()

    def _next_event(self) -> float:
        incidents = self.spec.incidents.all
        next_s = self._fleet.next_ready_s
        if self._incident < len(incidents):
            next_s = min(next_s, incidents[self._incident].at_s)
        return min(next_s, self._out_until_s) if self._is_out else next_s

    def _failed(self, now_s: float) -> frozenset[str]:
        """Metrics whose calls fail now."""
        self._failures = [one for one in self._failures if one.at_s + one.duration_s > now_s]
        every = frozenset(one.metric.key for one in self.metrics)
        return frozenset[str]().union(*(one.metrics or every for one in self._failures))

    def _deployed(self, nodes: NodePool | None, start_s: float) -> Deployment:
        spec = self.spec
        seed = [spec.seed, zlib.crc32("\0".join(spec.key).encode())]
        if nodes is None and spec.nodes is not None:
            nodes = NodePool(spec.nodes, start_s, sum(seed))
        deployment = Deployment(spec.start_up, nodes, np.random.default_rng(seed))
        deployment.start_with(self.replicas, start_s)
        return deployment
