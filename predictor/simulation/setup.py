"""Puts a load, HPAs and a policy together into what is played.

`simulate.py`, `tune.py` and the control benchmark call `set_up`. What nobody said is assumed and
told in a sentence: nothing may be assumed silently that could turn a result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from models.series import ALL_REGIONS, SeriesKey
from predictor.actuators.simulated import SimulatedCluster, SimulatedRoute
from predictor.arms.arm import Sizing
from predictor.cluster_model.delays import Delay, FixedDelay
from predictor.cluster_model.incidents import IncidentRates, Incidents, drawn_incidents
from predictor.cluster_model.metric_signals import rate_at_target
from predictor.cluster_model.nodes import NodeSpec
from predictor.cluster_model.workload_spec import (
    SERVICE_TIME_S,
    OwnerHpa,
    WorkloadSpec,
    requests_hpa,
)
from predictor.core.cluster import TargetKey
from predictor.core.hpa_twin.floor_conditions import floor_condition_notes
from predictor.core.hpa_twin.scale_up_budget import scale_up_budget_notes
from predictor.core.hpa_twin.spec import DEFAULT_FLAGS, TargetType
from predictor.core.policy import Policy
from predictor.simulation.load import SYNC_S, Load
from predictor.simulation.manifests import Manifest

PEAK_PODS = 20
"""Where nothing says what a pod carries: what the load's busiest moments need, in pods."""
PEAK_QUANTILE = 0.995
MAX_SHARE = 0.7
"""Of the owner's maxReplicas, for the same where it is less."""
UTILISATION_AT_TARGET = 0.7
"""A pod's load at the HPA's target, of what it can carry, where no CPU target says it."""


@dataclass(frozen=True, slots=True)
class World:
    """What the operator says of pods and nodes; None and empty: what `set_up` assumes.

    `response_p95_max_s` is the objective whose miss is a violation too.
    """

    start_up: Delay = field(default_factory=lambda: FixedDelay(60.0))
    start_up_s: float = 60.0
    """What a careful operator would tell a peer of it."""
    nodes: NodeSpec | None = None
    rate_per_pod_per_s: float | None = None
    utilisation_at_target: float = UTILISATION_AT_TARGET
    service_time_s: float = SERVICE_TIME_S
    response_p95_max_s: float | None = None
    incidents: IncidentRates = field(default_factory=IncidentRates)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Setup:
    """All that is played, but for the lanes."""

    load: Load
    workloads: tuple[WorkloadSpec, ...]
    sizings: Mapping[TargetKey, Sizing]
    policy: Policy
    assumptions: tuple[str, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def new_cluster(self) -> SimulatedCluster:
        """The same cluster each time, as it stands when the play begins."""
        routes = [SimulatedRoute(module, weights) for module, weights in self.load.shares.items()]
        return SimulatedCluster(self.workloads, float(self.load.play_from_s), routes)


def set_up(
    load: Load,
    manifests: Mapping[TargetKey, Manifest | None],
    policy: Policy,
    world: World,
    notes: Sequence[str] = (),
) -> Setup:
    """One workload for each target, with its owner's HPA where a manifest holds it."""
    workloads, sizings, said = [], {}, [f"A pod is Ready {_start_up_words(world)} after its start."]
    if world.nodes is not None:
        said.append(
            f"Nodes have room for {world.nodes.pods_per_node} pods each; a further one comes after "
            "a while."
        )
    guessed: list[str] = []
    warnings: list[str] = []
    for key in load.targets:
        spec, sizing, words = _workload(key, load, manifests.get(key), policy, world)
        workloads.append(spec)
        sizings[key] = sizing
        said.append(words)
        warnings += _warnings(spec, policy)
        guessed += [f"{key.module}/{key.region}: {note}" for note in spec.settled()[2]]
    said.append(
        "Metrics are scraped every 15 s and averaged over 60 s; the HPA controller syncs every "
        "15 s (Kubernetes v1.37, default flags)."
    )
    return Setup(
        load=load,
        workloads=tuple(workloads),
        sizings=sizings,
        policy=policy,
        assumptions=tuple(said),
        notes=(*notes, *load.notes, *guessed),
        warnings=tuple(warnings),
    )


def _warnings(spec: WorkloadSpec, policy: Policy) -> list[str]:
    """Where a raise of ours takes from what `behavior.scaleUp` lets metrics add after it."""
    module = policy.of(*spec.key)
    replicas = spec.hpa.replicas_min
    raised = max(int(replicas * module.step_up_ratio_max), module.step_up_replicas_max)
    interval_s = max(module.step_up_interval_s, DEFAULT_FLAGS.sync_s)
    notes = scale_up_budget_notes(spec.hpa.spec, raised, interval_s, replicas)
    told = [note.sentence for note in notes]
    told += floor_condition_notes(spec.hpa.spec, module.hold_after_raise_s)
    return [f"{spec.key.module}/{spec.key.region}: {sentence}" for sentence in told]


def _start_up_words(world: World) -> str:
    if isinstance(world.start_up, FixedDelay):
        return f"{world.start_up_s:.0f} s"
    return f"about {world.start_up_s:.0f} s (drawn anew for each)"


def _workload(
    key: TargetKey, load: Load, manifest: Manifest | None, policy: Policy, world: World
) -> tuple[WorkloadSpec, Sizing, str]:
    stated = policy.of(*key).rate_per_pod_per_s or world.rate_per_pod_per_s
    if manifest is None:
        rate = stated or _rate_for_peak(load, key, 2 * PEAK_PODS)
        hpa = requests_hpa(2, 2 * PEAK_PODS, rate)
        share = world.utilisation_at_target
        whose = "no manifest holds its HPA: 2 to 40 pods at a target of requests per second"
    else:
        hpa = OwnerHpa(manifest.replicas_min, manifest.replicas_max, manifest.spec)
        share = _cpu_share(hpa) or world.utilisation_at_target
        counted = rate_at_target(hpa.spec, {}, math.inf)
        counted = counted if math.isfinite(counted) else 0.0
        rate = stated or counted or _rate_for_peak(load, key, hpa.replicas_max)
        whose = f"HPA {manifest.name} of {manifest.path}"
    limit = rate / share
    spec = WorkloadSpec(
        key=key,
        hpa=hpa,
        pod_limit_per_s=limit,
        start_up=world.start_up,
        requests={} if manifest is None else manifest.requests,
        rate_at_target_per_s=rate,
        service_time_s=world.service_time_s,
        response_p95_max_s=world.response_p95_max_s,
        nodes=world.nodes,
        incidents=_incidents(key, load, world),
        replicas=_first_replicas(load, key, rate, hpa),
        seed=world.seed,
    )
    module = policy.of(*key)
    sizing = Sizing(
        rate_per_pod_per_s=rate,
        replicas_min=hpa.replicas_min,
        replicas_max=hpa.replicas_max,
        lead_time_s=world.start_up_s,
        hold_s=module.hold_s,
        pod_limit_per_s=limit,
        target_cores=_target_cores(manifest, share),
        stabilisation_s=_stabilisation_s(hpa),
    )
    words = (
        f"{key.module}/{key.region}: {whose}; a pod carries {rate:,.4g}/s at the HPA's target and "
        f"{limit:,.4g}/s at most."
    )
    return spec, sizing, words


def _target_cores(manifest: Manifest | None, share: float) -> float:
    """The CPU of a pod at the HPA's target; of one core where no manifest says what it requests."""
    requested = 1000 if manifest is None else manifest.requests.get("cpu", 1000)
    return share * requested / 1000


def _stabilisation_s(hpa: OwnerHpa) -> float:
    rules = hpa.spec.scale_down
    given = None if rules is None else rules.stabilisation_s
    return float(DEFAULT_FLAGS.downscale_stabilisation_s if given is None else given)


def _rate_for_peak(load: Load, key: TargetKey, replicas_max: int) -> float:
    demand = load.demand_of(key)
    known = demand[np.isfinite(demand)]
    peak = float(np.quantile(known, PEAK_QUANTILE)) if known.size else 0.0
    pods = max(min(PEAK_PODS, int(MAX_SHARE * replicas_max)), 1)
    return max(peak, 1e-3 * pods) / pods


def _cpu_share(hpa: OwnerHpa) -> float | None:
    shares = [
        metric.target.amount / 100
        for metric in hpa.spec.metrics
        if metric.name == "cpu"
        and metric.target.type is TargetType.UTILIZATION
        and 0 < metric.target.amount <= 100
    ]
    return min(shares, default=None)


def _first_replicas(load: Load, key: TargetKey, rate_per_s: float, hpa: OwnerHpa) -> int:
    rows = load.rows
    demand = float(load.served[rows[SeriesKey(*key)], 0])
    if (shared := rows.get(SeriesKey(key.module, ALL_REGIONS))) is not None:
        share = load.shares.get(key.module, {}).get(key.region, 0) / 100
        demand += share * float(load.served[shared, 0])
    needed = math.ceil(demand / rate_per_s)
    return max(hpa.replicas_min, min(hpa.replicas_max, needed))


def _incidents(key: TargetKey, load: Load, world: World) -> Incidents:
    if world.incidents == IncidentRates():
        return Incidents()
    rng = np.random.default_rng([world.seed, *"/".join(key).encode()])
    return drawn_incidents(
        world.incidents, float(load.play_from_s), float(load.stretch.until_s), rng
    )


def simulated_policy(policy: Policy, tick_s: float, start_up_s: float) -> Policy:
    """The operator's policy as it would stand after some days in this world.

    Ticks lie on the simulation's grid, multiples of the HPA's sync. The lead time, which a service
    measures from its first raises on, begins as what pods take here; where ticks are further apart
    than a start-up takes, no raise would show it.
    """
    on_grid_s = float(max(round(tick_s / SYNC_S), 1) * SYNC_S)
    lead_s = min(max(start_up_s, 1.0), policy.defaults.lead_time_max_s)
    defaults = msgspec.structs.replace(policy.defaults, lead_time_default_s=lead_s)
    return msgspec.structs.replace(policy, tick_s=on_grid_s, defaults=defaults)
