"""A cluster in event time behind the same port as the real one, for demos, tests and simulations.

`advance` steps the world under a given demand; `observe`, `set_floor` and `set_weights` are the
port; the world itself is `predictor/cluster_model`. Chance is drawn from the specs' seeds alone. It
must never read a clock, and never know what the service forecasts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from predictor.actuators.expectations import FloorSeen, floor_objection, weight_objection
from predictor.actuators.virtual_service import written_annotations
from predictor.cluster_model.measures import Measures
from predictor.cluster_model.nodes import NodePool, NodeSpec
from predictor.cluster_model.readings import metric_targets
from predictor.cluster_model.workload import Workload
from predictor.cluster_model.workload_spec import OwnerHpa, WorkloadSpec
from predictor.core.cluster import (
    Applied,
    ClusterView,
    DestinationView,
    FloorIntent,
    HpaView,
    NotApplied,
    Outcome,
    RouteView,
    TargetKey,
    WeightIntent,
)
from predictor.core.hpa_twin.spec import DEFAULT_FLAGS
from predictor.core.opt_in import (
    FIELD_MANAGER,
    KeptState,
    KeptWeights,
    Mode,
    OptIn,
    read_kept_weights,
)
from predictor.core.reasons import Code, Reason

SYNC_S = DEFAULT_FLAGS.sync_s
OWNER = "owner"
"""The manager that declared the simulated HPAs."""

_ROUTE_NAMESPACE = "mplp-production"
_NO_TARGET = "no such HPA in the simulated cluster"


@dataclass(frozen=True, slots=True)
class SimulatedRoute:
    """One module's default route: integer weights by region that sum to 100."""

    module: str
    weights: Mapping[str, int]

    def __post_init__(self) -> None:
        if sum(self.weights.values()) != 100 or min(self.weights.values()) < 0:
            raise ValueError(f"{self.module}: weights {dict(self.weights)} do not sum to 100")


@dataclass(slots=True)
class _Record:
    """What the API server would keep of an object beside its spec."""

    uid: str
    version: int = 1
    owner: str = OWNER
    was_ours: bool = False
    kept: KeptState = field(default_factory=KeptState)


class SimulatedCluster:
    """Targets and default routes from `start_s` on; see `Cluster` for the port's promises.

    `nodes` by region are shared by the region's workloads; the others have their own, or endless
    room, as their specs say.

    A floor takes effect at once, as an edit of the spec does in Kubernetes 1.37; everything else
    happens at the HPA's sync, on a grid of `SYNC_S`.

    Each owner lets its floor move between its bounds, unless `owner_says` something else. `writes`
    counts what was accepted of us.
    """

    def __init__(
        self,
        workloads: Iterable[WorkloadSpec],
        start_s: float,
        routes: Iterable[SimulatedRoute] = (),
        nodes: Mapping[str, NodeSpec] | None = None,
    ) -> None:
        self.now_s = start_s
        self.writes = 0
        self._start_s = start_s
        self._nodes = {
            region: NodePool(spec, start_s, place)
            for place, (region, spec) in enumerate((nodes or {}).items())
        }
        self._workloads = {
            spec.key: Workload(spec, start_s, self._nodes.get(spec.key.region))
            for spec in workloads
        }
        self._configured = tuple(self._workloads)
        self._records = {key: _Record(f"hpa-{key.module}-{key.region}") for key in self._workloads}
        self._baselines = {key: one.floor for key, one in self._workloads.items()}
        self._opt_ins: dict[TargetKey, OptIn] = {}
        self._routes = {route.module: _route_view(route) for route in routes}

    def advance(self, now_s: float, demand: Mapping[TargetKey, float]) -> None:
        """Let time pass to `now_s` under a constant `demand`, requests per second.

        A target without an entry has no demand. Raises `ValueError` where time would run backwards
        or a demand is negative or not a number.
        """
        if now_s < self.now_s:
            raise ValueError(f"time runs from {self.now_s} to {now_s}")
        for key, rate in demand.items():
            if not 0.0 <= rate < float("inf"):
                raise ValueError(f"a demand of {rate} requests/s for {key} cannot be")
        pairs = [(one, demand.get(key, 0.0)) for key, one in self._workloads.items()]
        while self.now_s < now_s:
            syncs_done = (self.now_s - self._start_s) // SYNC_S
            sync_s = self._start_s + (syncs_done + 1) * SYNC_S
            end_s = min(sync_s, now_s)
            for workload, rate in pairs:
                workload.serve(self.now_s, end_s, rate)
                if end_s == sync_s:
                    workload.sync(end_s)
            self.now_s = end_s

    def workload(self, key: TargetKey) -> Workload:
        """The target's state as it is: pods, queue, utilisation, whether it is in violation."""
        return self._workloads[key]

    def measures(self, key: TargetKey) -> Measures:
        """A copy of what has been counted for the target so far."""
        return self._workloads[key].measures.copy()

    def nodes(self, region: str) -> NodePool:
        """The nodes that the region's workloads share."""
        return self._nodes[region]

    def weights(self, module: str) -> dict[str, int]:
        """The module's default-route weights by region."""
        return {one.region: one.weight for one in self._routes[module].destinations}

    def owner_edits(self, key: TargetKey, replicas_min: int, replicas_max: int) -> None:
        """The owner declares other bounds, as a person or a repository would at any time."""
        workload, record = self._workloads[key], self._records[key]
        bounds = OwnerHpa(replicas_min, replicas_max, workload.spec.hpa.spec)
        self._baselines[key] = workload.floor = bounds.replicas_min
        workload.replicas_max = bounds.replicas_max
        record.version += 1
        record.owner = OWNER
        workload.sync(self.now_s)

    def owner_says(self, key: TargetKey, opt_in: OptIn) -> None:
        """The owner annotates the HPA; it stays what it is."""
        self._opt_ins[key] = opt_in
        self._records[key].version += 1

    def recreate(self, key: TargetKey) -> None:
        """The owner deletes the HPA and makes the same one anew; the pods go on."""
        workload, record = self._workloads[key], self._records[key]
        version = record.version + 1
        self._records[key] = _Record(f"{record.uid}-{version}", version)
        workload.floor = self._baselines[key]
        workload.replace_hpa()
        workload.sync(self.now_s)

    def remove(self, key: TargetKey) -> None:
        """The owner deletes the HPA and its Deployment; the target stays configured."""
        self._workloads.pop(key).delete(self.now_s)

    def owner_weighs(self, module: str, weights: Mapping[str, int]) -> None:
        """The owner sets the default route's weights by hand."""
        route = self._routes[module]
        wanted = [weights[one.region] for one in route.destinations]
        self._routes[module] = _next_version(route, wanted, route.kept)

    def owner_lets_shift(self, module: str, is_enabled: bool) -> None:
        """The owner annotates the VirtualService that its weights may move, or may not."""
        route = self._routes[module]
        self._routes[module] = msgspec.structs.replace(route, is_shift_enabled=is_enabled)

    async def observe(self) -> ClusterView:
        """All targets and routes; a removed target is a problem."""
        missing = Reason(Code.TARGET_MISSING, _NO_TARGET)
        problems = tuple((key, missing) for key in self._configured if key not in self._workloads)
        hpas = tuple(self._view(key, one) for key, one in self._workloads.items())
        return ClusterView(hpas, tuple(self._routes.values()), problems)

    async def set_floor(self, intent: FloorIntent) -> Outcome:
        """Set the floor and let the HPA act on it at once."""
        seen = self._seen(intent.key)
        objection = floor_objection(intent, seen)
        if objection is not None:
            return NotApplied(objection)
        workload, record = self._workloads[intent.key], self._records[intent.key]
        workload.floor = intent.floor
        record.version += 1
        record.owner = FIELD_MANAGER
        record.kept = KeptState(intent.until_s, intent.epoch)
        self.writes += 1
        record.was_ours = True
        workload.sync(self.now_s)
        return Applied(str(record.version))

    async def set_weights(self, intent: WeightIntent) -> Outcome:
        """Set the route's weights, and keep beside them what a cluster would."""
        seen = self._routes.get(intent.route.module)
        objection = weight_objection(intent, seen)
        if seen is None or objection is not None:
            return NotApplied(objection or Reason(Code.ROUTE_NOT_FOUND, intent.route.module))
        self.writes += 1
        kept = read_kept_weights(written_annotations(intent))
        self._routes[seen.module] = _next_version(seen, intent.weights, kept)
        return Applied(self._routes[seen.module].resource_version)

    async def close(self) -> None:
        """Nothing to let go of."""

    def _seen(self, key: TargetKey) -> FloorSeen | None:
        workload = self._workloads.get(key)
        if workload is None:
            return None
        record = self._records[key]
        is_taken = record.was_ours and record.owner != FIELD_MANAGER
        return FloorSeen(
            uid=record.uid,
            resource_version=str(record.version),
            replicas_min=workload.floor,
            replicas_max=workload.replicas_max,
            taken_by=record.owner if is_taken else None,
        )

    def _view(self, key: TargetKey, workload: Workload) -> HpaView:
        record, baseline = self._records[key], self._baselines[key]
        return HpaView(
            key=key,
            namespace=key.region,
            name=f"mplp-{key.module}-hpa",
            uid=record.uid,
            resource_version=str(record.version),
            deployment=f"mplp-{key.module}",
            min_replicas=workload.floor,
            max_replicas=workload.replicas_max,
            spec_replicas=workload.replicas,
            ready_replicas=workload.ready,
            baseline_replicas=baseline,
            floor_manager=record.owner,
            metrics=metric_targets(workload.spec.hpa.spec, workload.observation),
            opt_in=self._opt_ins.get(key) or OptIn(Mode.ACTIVE, baseline, workload.replicas_max),
            kept=record.kept,
        )


def _next_version(route: RouteView, weights: Sequence[int], kept: KeptWeights) -> RouteView:
    destinations = tuple(
        DestinationView(one.index, one.region, one.host, weight)
        for one, weight in zip(route.destinations, weights, strict=True)
    )
    version = str(int(route.resource_version) + 1)
    return msgspec.structs.replace(
        route, resource_version=version, destinations=destinations, kept=kept
    )


def _route_view(route: SimulatedRoute) -> RouteView:
    host = f"mplp-{route.module}-service.{{}}.svc.cluster.local"
    return RouteView(
        module=route.module,
        namespace=_ROUTE_NAMESPACE,
        name="mplp-global-traffic",
        uid=f"route-{route.module}",
        resource_version="1",
        route_index=0,
        destinations=tuple(
            DestinationView(index, region, host.format(region), weight)
            for index, (region, weight) in enumerate(route.weights.items())
        ),
        is_shift_enabled=True,
    )
