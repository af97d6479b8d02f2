"""Manifests and live facts of a platform on which nothing is to be found, for single rules."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import msgspec
import yaml

from predictor.check.finding import Fault, Finding
from predictor.check.rules import checked
from predictor.check.scene import LiveFacts, MetricsApi, Scene, SceneObject
from predictor.core.opt_in import CEILING, FLOOR
from predictor.core.reasons import Code
from predictor.settings import ModuleSettings, Settings

Json = dict[str, Any]

SETTINGS = msgspec.structs.replace(Settings(), modules={"web": ModuleSettings(hpa="web")})

HPA: Json = yaml.safe_load(f"""
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: web
  namespace: us-east-1
  annotations: {{{FLOOR}: "2", {CEILING}: "8"}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}
  minReplicas: 2
  maxReplicas: 10
  metrics:
  - type: Resource
    resource: {{name: cpu, target: {{type: Utilization, averageUtilization: 70}}}}
""")
DEPLOYMENT: Json = yaml.safe_load("""
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: us-east-1}
spec: {replicas: 2}
""")
ROUTE: Json = yaml.safe_load("""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: traffic, namespace: us-east-1}
spec:
  hosts: [web.example.com]
  http:
  - route:
    - {destination: {host: web.us-east-1.svc.cluster.local}, weight: 60}
    - {destination: {host: other.us-east-1.svc.cluster.local}, weight: 40}
""")
RULES_OF_HOSTS: list[Json] = [
    {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": name, "namespace": "us-east-1"},
        "spec": {
            "host": f"{name}.us-east-1.svc.cluster.local",
            "trafficPolicy": {"outlierDetection": {"interval": "30s"}},
        },
    }
    for name in ("web", "other")
]
VERTICAL: Json = yaml.safe_load("""
apiVersion: autoscaling.k8s.io/v1
kind: VerticalPodAutoscaler
metadata: {name: web-vpa, namespace: us-east-1}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  updatePolicy: {updateMode: "Off"}
""")
APPLICATION: Json = yaml.safe_load("""
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: platform, namespace: argocd}
spec:
  source: {targetRevision: v1.2.3}
  syncPolicy:
    automated: {selfHeal: true}
    syncOptions: [RespectIgnoreDifferences=true]
  ignoreDifferences:
  - {group: autoscaling, kind: HorizontalPodAutoscaler, jsonPointers: [/spec/minReplicas]}
""")
DATABASE: Json = yaml.safe_load("""
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: database, namespace: us-east-1}
spec: {postgresql: {parameters: {max_connections: "200"}}}
""")
QUIET: list[Json] = [
    HPA, DEPLOYMENT, ROUTE, *RULES_OF_HOSTS, VERTICAL, APPLICATION, DATABASE,
]  # fmt: skip
LIVE = LiveFacts(
    served=frozenset({"v1", "apps/v1", "autoscaling/v2"}),
    metrics_apis={"metrics.k8s.io": MetricsApi(True)},
    has_guard=True,
    whose_rights="ServiceAccount mplp-predictor/mplp-predictor",
    clock_ahead_s=0.3,
)


def changed(one: Json, path: str, value: Any) -> Json:
    """A copy with one field set; None takes it away. Numbers in the path are places in lists."""
    made = copy.deepcopy(one)
    *steps, last = path.split("/")
    at: Any = made
    for step in steps:
        at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
    if value is None:
        at.pop(last, None)
    elif isinstance(at, list):
        at[int(last)] = value
    else:
        at[last] = value
    return made


def a_scene(objects: Iterable[Json], live: LiveFacts | None = None) -> Scene:
    """As files hold them, or as a cluster does."""
    place = "" if live is not None else "web.yaml"
    return Scene(tuple(SceneObject(one, place) for one in objects), SETTINGS, live)


def found_in(objects: Iterable[Json], live: LiveFacts | None = None) -> list[Finding]:
    return checked(a_scene(objects, live))


def codes(findings: Iterable[Finding]) -> set[Fault | Code]:
    return {one.code for one in findings}


PODS = {
    "type": "Pods",
    "pods": {
        "metric": {"name": "web_requests_per_second"},
        "target": {"type": "AverageValue", "averageValue": "100"},
    },
}


def an_object_metric(name: str, target: str, amount: str) -> Json:
    written = {"type": target, "value" if target == "Value" else "averageValue": amount}
    described = {"apiVersion": "v1", "kind": "Service", "name": "web"}
    source = {"metric": {"name": name}, "target": written, "describedObject": described}
    return {"type": "Object", "object": source}


def with_metric(metric: Json) -> Json:
    return changed(HPA, "spec/metrics", [metric])


def with_behavior(direction: str, **rules: Any) -> Json:
    return changed(HPA, f"spec/behavior/{direction}", rules)


def policies(value: int, period_s: int, kind: str = "Percent") -> list[Json]:
    return [{"type": kind, "value": value, "periodSeconds": period_s}]


def in_condition(kind: str, status: str, reason: str) -> Json:
    condition = {"type": kind, "status": status, "reason": reason, "message": "said so"}
    return changed(HPA, "status/conditions", [condition])


def annotated(name: str, value: str | None) -> Json:
    notes = dict(HPA["metadata"]["annotations"]) | {name: value}
    kept = {key: one for key, one in notes.items() if one is not None}
    return changed(HPA, "metadata/annotations", kept)


def instead(*objects: Json) -> list[Json]:
    """The sound platform with these objects in place of those of the same kind and name."""
    names = {(one["kind"], one["metadata"]["name"]) for one in objects}
    kept = [one for one in QUIET if (one["kind"], one["metadata"]["name"]) not in names]
    return [*objects, *kept]


ROLLOUT: Json = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "web", "namespace": "us-east-1"},
    "spec": {
        "strategy": {
            "canary": {"trafficRouting": {"istio": {"virtualService": {"name": "traffic"}}}}
        }
    },
}
KUSTOMIZATION: Json = {
    "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
    "kind": "Kustomization",
    "metadata": {"name": "apps", "namespace": "flux-system"},
    "spec": {"interval": "10m"},
}
SECOND = changed(HPA, "metadata/name", "web-2")
AUTO = changed(VERTICAL, "spec/updatePolicy/updateMode", "Auto")
CANARY: Json = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "metadata": {"name": "web", "namespace": "us-east-1"},
    "spec": {"autoscalerRef": {"kind": "HorizontalPodAutoscaler", "name": "web"}},
}


def scaled_by(kind: str, version: str) -> Json:
    """Another tool's scaler of the Deployment."""
    metadata = {"name": "theirs", "namespace": "us-east-1"}
    spec = {"scaleTargetRef": {"name": "web"}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
