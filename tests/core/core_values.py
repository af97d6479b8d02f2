"""Whole valid values for the core's tests; a test names only what matters to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from models.forecast import QUANTILE_LEVELS
from models.series import ALL_REGIONS, SeriesKey
from predictor.core.cluster import (
    ClusterView,
    DestinationView,
    HpaView,
    MetricTarget,
    RouteView,
    TargetKey,
)
from predictor.core.decide import decide
from predictor.core.decision import Decision
from predictor.core.inputs import Inputs
from predictor.core.opt_in import KeptWeights
from predictor.core.policy import ModulePolicy, Policy
from predictor.core.state import State, new_state
from streams.demand import DemandCell, DemandPart, Progress
from streams.gaps import Gaps

NOW_S = 1_800_000_000.0
US, EU, AP = "us-east-1", "eu-west-1", "ap-southeast-1"
Demand = Mapping[Any, float] | float
"""One number for all series, or a number by key and 0 for the others."""
CORE = TargetKey("core", US)
ROLE = TargetKey("role", US)


def an_hpa(key: TargetKey = CORE, **changes: Any) -> HpaView:
    """An HPA of the scaling guide: 3 to 20 replicas, 100 requests/s per pod."""
    floor = changes.get("min_replicas", 3)
    values: dict[str, Any] = {
        "key": key,
        "namespace": key.region,
        "name": f"mplp-{key.module}-hpa",
        "uid": f"uid-{key.module}-{key.region}",
        "resource_version": "1",
        "deployment": f"mplp-{key.module}",
        "min_replicas": floor,
        "max_replicas": 20,
        "spec_replicas": floor,
        "ready_replicas": changes.get("spec_replicas", floor),
        "baseline_replicas": 3,
        "floor_manager": None,
        "metrics": (
            MetricTarget("Resource", "cpu", "Utilization", 70.0),
            MetricTarget("Pods", "mplp_requests_per_second", "AverageValue", 100.0),
        ),
    }
    return HpaView(**{**values, **changes})


def a_route(
    weights: Mapping[str, int],
    module: str = "core",
    home: Mapping[str, int] | None = None,
    until_s: float | None = NOW_S + 900.0,
    **changes: Any,
) -> RouteView:
    """A default route with these weights; with a `home`, we have moved them from there."""
    host = f"mplp-{module}-service.{{}}.svc.cluster.local"
    kept = KeptWeights()
    if home is not None:
        at_home = {host.format(name): one for name, one in home.items()}
        written = {host.format(name): one for name, one in weights.items()}
        kept = KeptWeights(until_s, 1, at_home, written)
    route = RouteView(
        module=module,
        namespace="mplp-production",
        name="mplp-global-traffic",
        uid="uid-vs",
        resource_version="1",
        route_index=2,
        destinations=tuple(
            DestinationView(i, region, host.format(region), weight)
            for i, (region, weight) in enumerate(weights.items())
        ),
        is_shift_enabled=True,
        kept=kept,
    )
    return msgspec.structs.replace(route, **changes)


def some_inputs(
    hpas: Iterable[HpaView] = (an_hpa(),),
    *,
    peak: Demand = 100.0,
    path: Demand | None = None,
    demand: Demand = 100.0,
    provisional: float | None = None,
    usual_peak: Demand | None = None,
    routes: Sequence[RouteView] = (),
    keys: Sequence[SeriesKey] = (),
    age_s: float | None = 10.0,
    lag_s: float | None = None,
    incomplete: str = "",
) -> Inputs:
    """Inputs whose forecast is the same at every quantile level, and no more than is usual."""
    hpas = tuple(hpas)
    keys = tuple(keys) or tuple(SeriesKey(*hpa.key) for hpa in hpas)
    levels = QUANTILE_LEVELS

    def column(values: Mapping[Any, float] | float) -> np.ndarray[Any, Any]:
        if isinstance(values, Mapping):
            return np.array([values.get(key, 0.0) for key in keys], dtype=float)
        return np.full(len(keys), values, dtype=float)

    peaks = column(peak)
    paths = peaks if path is None else column(path)
    complete = column(demand)
    return Inputs(
        cluster=ClusterView(hpas=hpas, routes=tuple(routes)),
        keys=keys,
        levels=levels,
        forecast_at_s=int(NOW_S),
        peak=np.repeat(peaks[:, None], len(levels), axis=1),
        path=np.repeat(paths[:, None], len(levels), axis=1),
        forecast_reasons=tuple(("LastValue", "level 100/s") for _ in keys),
        complete_per_s=complete,
        provisional_per_s=complete if provisional is None else column(provisional),
        served_per_s=np.zeros((0, 1)),
        telemetry_age_s=age_s,
        incomplete=incomplete,
        series_digest="0" * 64,
        model_name="test",
        model_digest="",
        lag_s=age_s if lag_s is None else lag_s,
        usual_peak_per_s=np.fmax(peaks, paths) if usual_peak is None else column(usual_peak),
    )


def a_policy(**changes: Any) -> Policy:
    """The default policy without a warm-up, a pod planned for the HPA's own target."""
    defaults = ModulePolicy(pod_load_ratio=1.0)
    return Policy(**{"warm_up_s": 0.0, "defaults": defaults, **changes})


def warm_state(inputs: Inputs, policy: Policy, now_s: float = NOW_S - 3600.0) -> State:
    """The state after a first decision an hour ago, in which nothing was changed."""
    _, state = decide(inputs, policy, new_state(), now_s)
    return state


def decided(inputs: Inputs, policy: Policy | None = None, now_s: float = NOW_S) -> Decision:
    """What a warm service decides."""
    policy = a_policy() if policy is None else policy
    decision, _ = decide(inputs, policy, warm_state(inputs, policy), now_s)
    return decision


def codes(reasons: Iterable[Any]) -> list[str]:
    """The codes alone, in order."""
    return [str(reason.code) for reason in reasons]


def three_regions(module: str = "core") -> tuple[SeriesKey, ...]:
    """The series of a routed module in the guide's regions."""
    return tuple(SeriesKey(module, region) for region in (US, EU, AP, ALL_REGIONS))


def a_part(
    start_s: int,
    requests: float,
    *,
    partition: int = 0,
    module: str = "core",
    region: str = US,
    pinned: bool = False,
    revision: int = 0,
    variance: float = 0.0,
) -> DemandPart:
    """One partition's part of a 10 s bucket with one cell."""
    cells = (DemandCell(region, pinned, requests, 1, variance),)
    return DemandPart(module, start_s, 10, partition, cells, revision=revision)


def a_progress(
    closed_s: int,
    partition: int = 0,
    partitions: int = 1,
    idle: bool = False,
    gaps: Gaps = (),
    quiet_s: int | None = None,
    silences: Gaps = (),
) -> Progress:
    """A partition that has come this far, lost the records of these stretches or was silent."""
    return Progress(
        partition,
        closed_s,
        idle,
        partitions,
        gaps=gaps,
        quiet_through_s=quiet_s,
        silences=silences,
    )
