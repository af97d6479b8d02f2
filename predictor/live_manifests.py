"""The objects and the configuration of the live demo: one module, its HPA, and the same left alone.

`predictor/live_demo.py` applies them to the rig. Values only; it must never reach a cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from predictor.core.opt_in import CEILING, FLOOR

MODULE = "core"
REGION = "us-east-1"
ALONE_NAMESPACE = "left-alone"
REPLICAS_MIN, REPLICAS_MAX = 3, 20
TARGET_PER_POD_PER_S = 100.0
POD_LIMIT_PER_S = TARGET_PER_POD_PER_S / 0.7
METRIC = "mplp_requests_per_second"
POD_DELAY_S = 1
"""Wall seconds until a pod is Ready: twelve minutes of the played day."""


def live_objects(
    *, pod_delay_s: int, namespaces: Sequence[str] = (REGION, ALONE_NAMESPACE)
) -> list[dict[str, Any]]:
    """In each namespace the same Deployment and the same HPA of an owner."""
    objects: list[dict[str, Any]] = []
    for namespace in namespaces:
        objects += [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
            _deployment(namespace, pod_delay_s),
            owners_hpa(namespace),
        ]
    return objects


def _deployment(namespace: str, pod_delay_s: int) -> dict[str, Any]:
    labels = {"app": f"mplp-{MODULE}"}
    # kwok's own annotation: how long a pod takes to become Ready.
    stage = "pod-ready.stage.kwok.x-k8s.io"
    annotations = {f"{stage}/delay": f"{pod_delay_s}s", f"{stage}/jitter-delay": f"{pod_delay_s}s"}
    container = {"name": MODULE, "image": f"mplp/mplp-{MODULE}:1.0.0"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"mplp-{MODULE}", "namespace": namespace, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
            },
        },
    }


def owners_hpa(namespace: str) -> dict[str, Any]:
    """The guide's HPA of Core, with the one metric that a cluster without cgroups can serve."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": f"mplp-{MODULE}-hpa",
            "namespace": namespace,
            "labels": {"app": f"mplp-{MODULE}", "team": "platform"},
            "annotations": {FLOOR: str(REPLICAS_MIN), CEILING: str(REPLICAS_MAX)},
        },
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": f"mplp-{MODULE}",
            },
            "minReplicas": REPLICAS_MIN,
            "maxReplicas": REPLICAS_MAX,
            "metrics": [
                {
                    "type": "Pods",
                    "pods": {
                        "metric": {"name": METRIC},
                        "target": {"type": "AverageValue", "averageValue": "100"},
                    },
                }
            ],
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": 0,
                    "policies": [
                        {"type": "Percent", "value": 100, "periodSeconds": 15},
                        {"type": "Pods", "value": 4, "periodSeconds": 15},
                    ],
                    "selectPolicy": "Max",
                },
                "scaleDown": {
                    "stabilizationWindowSeconds": 1,
                    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 1}],
                },
            },
        },
    }


def live_config(bootstrap_servers: str, kubeconfig: Path, *, lead_time_s: float, port: int) -> str:
    """The worker's configuration: event time, and waits shortened as the day is."""
    settings = {
        "apiVersion": "predictor.mplp.io/v1alpha1",
        "mode": "active",
        "clock": "event",
        "tick_s": 60,
        "warm_up_s": 0,
        "telemetry_stale_after_s": 3600,
        "telemetry_handback_after_s": 14400,
        "region": REGION,
        "regions": {REGION: {"namespace": REGION, "weight": 100}},
        "modules": {
            MODULE: {"hpa": f"mplp-{MODULE}-hpa", "policy": {"replicas_min": REPLICAS_MIN}}
        },
        "routes": {},
        "defaults": {"lead_time_default_s": lead_time_s, "lead_time_max_s": 7200, "hold_s": 1800},
        "windows": {"commit_interval_s": 0.2, "idle_after_s": 5},
        "kafka": {"bootstrap_servers": bootstrap_servers, "replication_factor": 1},
        "kubernetes": {"kubeconfig": str(kubeconfig)},
        "http": {"port": port},
    }
    return yaml.safe_dump(settings, sort_keys=False)
