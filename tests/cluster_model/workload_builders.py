"""Whole workloads for the tests of the cluster model, and a hand that lets their time pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from predictor.cluster_model.delays import FixedDelay
from predictor.cluster_model.workload import Workload
from predictor.cluster_model.workload_spec import WorkloadSpec, owner_hpa, requests_hpa
from predictor.core.cluster import TargetKey

KEY = TargetKey("core", "us-east-1")
SYNC_S = 15.0


def a_spec(replicas_min: int = 4, replicas_max: int = 40, **changes: Any) -> WorkloadSpec:
    """Pods that carry 100/s at target and 150/s at most, and start in a minute."""
    given: dict[str, Any] = {
        "key": KEY,
        "hpa": requests_hpa(replicas_min, replicas_max, 100.0),
        "pod_limit_per_s": 150.0,
        "start_up": FixedDelay(60.0),
    }
    return WorkloadSpec(**(given | changes))


def a_workload(replicas_min: int = 4, replicas_max: int = 40, **changes: Any) -> Workload:
    return Workload(a_spec(replicas_min, replicas_max, **changes), 0.0)


def a_metric(kind: str, name: str, **target: Any) -> dict[str, Any]:
    """One entry of `spec.metrics`, by type, name and the fields of its target."""
    field = kind[0].lower() + kind[1:]
    source: dict[str, Any] = {"target": target}
    if kind in ("Resource", "ContainerResource"):
        source |= {"name": name, "container": "app"}
    else:
        source |= {"metric": {"name": name}}
    return {"type": kind, field: source}


def an_hpa_of(*metrics: dict[str, Any], replicas_min: int = 4, replicas_max: int = 40) -> Any:
    return owner_hpa(
        {"minReplicas": replicas_min, "maxReplicas": replicas_max, "metrics": list(metrics)}
    )


def play(
    workload: Workload,
    start_s: float,
    end_s: float,
    demand_per_s: float,
    each_sync: Callable[[float], None] = lambda now_s: None,
) -> Workload:
    """Serve and sync on the grid until `end_s`."""
    while start_s < end_s:
        workload.serve(start_s, start_s + SYNC_S, demand_per_s)
        start_s += SYNC_S
        workload.sync(start_s)
        each_sync(start_s)
    return workload
