"""Seconds that one simulated day of ten modules in three regions takes, everything switched on.

    python -m scripts.bench_cluster_model [--days 1] [--pods 20]

Each workload has the scaling guide's three metrics and behavior, start-up times that vary, shared
nodes, deploys and failures; arrivals change each minute. Prints the seconds and writes them to
`build/bench/cluster-model.json`. Times are of the process, not of the wall.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np

from predictor.cluster_model.delays import LogNormalDelay
from predictor.cluster_model.incidents import IncidentRates, drawn_incidents
from predictor.cluster_model.nodes import NodePool, NodeSpec
from predictor.cluster_model.workload import Workload
from predictor.cluster_model.workload_spec import WorkloadSpec, owner_hpa
from predictor.core.cluster import TargetKey

OUT = Path("build/bench/cluster-model.json")
DAY_S = 86_400
SYNC_S = 15
MODULES = ("context", "plan", "confirm", "trace", "role", "extension", "dialog", "collab", "core",
           "network")  # fmt: skip
REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-1")
RATE_PER_S = 100.0
SECONDS_MAX = 15.0


def main() -> None:
    """Play the days once and say how long they took."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--days", type=int, default=1)
    options.add_argument("--pods", type=int, default=20, help="pods of a workload at its peak")
    given = options.parse_args()
    workloads = _workloads(given.days, given.pods)
    began_s = time.process_time()
    syncs = _play(workloads, given.days, given.pods)
    spent_s = time.process_time() - began_s
    result = {
        "days": given.days,
        "workloads": len(workloads),
        "pods_at_peak": given.pods,
        "seconds_per_day": spent_s / given.days,
        "seconds_per_day_max": SECONDS_MAX,
        "microseconds_per_sync": spent_s / syncs * 1e6,
        "violation_minutes": sum(one.measures.violation_minutes for one in workloads),
        "pod_hours": sum(one.measures.pod_hours for one in workloads),
        "scale_actions": sum(one.measures.scale_actions for one in workloads),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    print(
        f"one simulated day of {len(workloads)} workloads: {result['seconds_per_day']:.2f} s "
        f"(at most {SECONDS_MAX:.0f}), {result['microseconds_per_sync']:.1f} us per workload and "
        f"sync; {result['violation_minutes']:.0f} violation minutes, "
        f"{result['pod_hours']:.0f} pod-hours, {result['scale_actions']} scale actions"
    )


def _workloads(days: int, pods: int) -> list[Workload]:
    pools = {
        region: NodePool(NodeSpec(10, provisioning=LogNormalDelay(120.0, 240.0)), 0.0, place)
        for place, region in enumerate(REGIONS)
    }
    keys = [TargetKey(module, region) for module in MODULES for region in REGIONS]
    return [
        Workload(_spec(key, seed, days, pods), 0.0, pools[key.region])
        for seed, key in enumerate(keys)
    ]


def _spec(key: TargetKey, seed: int, days: int, pods: int) -> WorkloadSpec:
    rates = IncidentRates(
        deploys_per_day=2.0, failures_per_day=4.0, outages_per_day=0.1, metric_failures_per_day=2.0
    )
    return WorkloadSpec(
        key,
        owner_hpa(_guide_hpa(pods)),
        pod_limit_per_s=RATE_PER_S / 0.7,
        start_up=LogNormalDelay(60.0, 100.0),
        response_p95_max_s=1.0,
        incidents=drawn_incidents(rates, 0.0, days * DAY_S, np.random.default_rng(seed)),
        seed=seed,
    )


def _guide_hpa(pods: int) -> dict[str, object]:
    def resource(name: str, percent: int) -> dict[str, object]:
        target = {"type": "Utilization", "averageUtilization": percent}
        return {"type": "Resource", "resource": {"name": name, "target": target}}

    requests = {
        "metric": {"name": "mplp_requests_per_second"},
        "target": {"type": "AverageValue", "averageValue": "100"},
    }
    return {
        "minReplicas": 3,
        "maxReplicas": max(2 * pods, 4),
        "metrics": [
            resource("cpu", 70),
            resource("memory", 80),
            {"type": "Pods", "pods": requests},
        ],
        "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": 60},
            "scaleDown": {
                "policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}],
                "selectPolicy": "Min",
            },
        },
    }


def _play(workloads: list[Workload], days: int, pods: int) -> int:
    noise = np.random.default_rng(0).lognormal(0.0, 0.15, (days * 1440, len(workloads))).tolist()
    for minute, row in enumerate(noise):
        day = 0.55 - 0.45 * math.cos(2 * math.pi * minute / 1440)
        for quarter in range(4):
            start_s = minute * 60.0 + quarter * SYNC_S
            end_s = start_s + SYNC_S
            for workload, factor in zip(workloads, row, strict=True):
                workload.serve(start_s, end_s, RATE_PER_S * pods * day * factor)
                workload.sync(end_s)
    return days * 1440 * 4 * len(workloads)


if __name__ == "__main__":
    main()
