"""One module's target and route, simulated or on a real control plane, for the contract tests.

A world offers what the contract needs beside the port: the owner's hand, and a picture of
everything that the service must leave as it is.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path
from typing import Any, Protocol

import yaml

from predictor.actuators.cluster_settings import ClusterSettings, HpaTarget, RouteTarget
from predictor.actuators.kubernetes import KubernetesCluster
from predictor.actuators.port import Cluster
from predictor.actuators.simulated import SimulatedCluster, SimulatedRoute
from predictor.cluster_model.workload_spec import WorkloadSpec, requests_hpa
from predictor.core.cluster import (
    ClusterView,
    FloorIntent,
    HpaView,
    NotApplied,
    Outcome,
    RouteView,
    TargetKey,
    WeightIntent,
)
from predictor.core.opt_in import SHIFT, STATE_DOMAIN
from predictor.core.reasons import Code
from rigs.artifacts import istio_crds
from rigs.kubernetes import ControlPlane

DEPLOY = Path(__file__).parents[2] / "deploy"
HOME_WEIGHTS = {"us-east-1": 50, "eu-west-1": 30, "ap-southeast-1": 20}
FLOOR, REPLICAS_MAX = 3, 20

# What the API server and the controllers themselves keep writing.
_SERVERS_OWN = ("managedFields", "resourceVersion", "generation")


class World(Protocol):
    """A cluster with one target and one route, and its owner."""

    cluster: Cluster
    key: TargetKey

    def picture(self) -> str:
        """Everything of the HPA and the route but minReplicas and default-route weights."""
        ...

    def owner_edits(self, replicas_min: int) -> None:
        """The owner declares another minReplicas."""
        ...

    def recreate(self) -> None:
        """The owner deletes the HPA and makes the same one anew."""
        ...

    def remove(self) -> None:
        """The owner deletes the HPA."""
        ...

    def forbid_shift(self) -> None:
        """The owner takes back that weights may move."""
        ...

    async def seen(self) -> ClusterView:
        """What is observed once what the owner did last has been heard of."""
        ...


class SimulatedWorld:
    """The simulated cluster; its owner is a method call."""

    def __init__(self) -> None:
        self.key = TargetKey("core", "us-east-1")
        self._simulated = SimulatedCluster(
            [
                WorkloadSpec(
                    self.key, requests_hpa(FLOOR, REPLICAS_MAX, 100.0), pod_limit_per_s=143.0
                )
            ],
            start_s=0.0,
            routes=[SimulatedRoute("core", HOME_WEIGHTS)],
        )
        self.cluster: Cluster = self._simulated

    def picture(self) -> str:
        hosts = list(self._simulated.weights("core"))
        workload = self._simulated.workload(self.key)
        return f"{workload.spec} {workload.replicas_max} {hosts}"

    def owner_edits(self, replicas_min: int) -> None:
        self._simulated.owner_edits(self.key, replicas_min, REPLICAS_MAX)

    def recreate(self) -> None:
        self._simulated.recreate(self.key)

    def remove(self) -> None:
        self._simulated.remove(self.key)

    def forbid_shift(self) -> None:
        self._simulated.owner_lets_shift("core", False)

    async def seen(self) -> ClusterView:
        return await self.cluster.observe()


class KubernetesWorld:
    """The guide's Core in a namespace of its own on a real API server."""

    def __init__(self, plane: ControlPlane, kubeconfig: Path | None = None) -> None:
        self.plane = plane
        self.key = TargetKey("core", "us-east-1")
        self.namespace = f"contract-{secrets.token_hex(4)}"
        serve_virtual_services(plane)
        plane.apply(_namespace(self.namespace))
        self._hpa = self._document("us-east-1/core_hpa.yaml", "HorizontalPodAutoscaler")
        self._route = self._document("virtual_service.yaml", "VirtualService")
        plane.apply(self._document("modules/core.yaml", "Deployment"), self._hpa, self._route)
        self.settings = self._settings(kubeconfig or plane.kubeconfig)
        self.cluster: Cluster = KubernetesCluster(self.settings)

    @property
    def hpa_path(self) -> str:
        return _path("autoscaling/v2", self.namespace, "horizontalpodautoscalers/mplp-core-hpa")

    @property
    def route_path(self) -> str:
        name = "virtualservices/mplp-global-traffic"
        return _path("networking.istio.io/v1", self.namespace, name)

    def read(self, path: str) -> dict[str, Any]:
        status, answer = self.plane.request("GET", path)
        assert status == 200, answer
        return answer

    def picture(self) -> str:
        hpa, route = self.read(self.hpa_path), self.read(self.route_path)
        hpa["spec"].pop("minReplicas")
        hpa.pop("status")
        for destination in route["spec"]["http"][-1]["route"]:
            destination.pop("weight")
        for one in (hpa, route):
            for name in _SERVERS_OWN:
                one["metadata"].pop(name, None)
            annotations = one["metadata"].pop("annotations", {})
            kept = {name: value for name, value in annotations.items() if STATE_DOMAIN not in name}
            one["metadata"]["annotations"] = kept
        return json.dumps([hpa, route], indent=1)

    def owner_edits(self, replicas_min: int) -> None:
        self._hpa["spec"]["minReplicas"] = replicas_min
        self.plane.apply(self._hpa)

    def recreate(self) -> None:
        self.remove()
        self.plane.apply(self._hpa)

    def remove(self) -> None:
        self.plane.delete(self.hpa_path)

    def forbid_shift(self) -> None:
        self._route["metadata"]["annotations"][SHIFT] = "not now"
        self.plane.apply(self._route)

    async def seen(self, cluster: Cluster | None = None) -> ClusterView:
        return await caught_up(cluster or self.cluster, self.plane, self.hpa_path)

    def _document(self, file: str, kind: str) -> dict[str, Any]:
        documents = yaml.safe_load_all((DEPLOY / "mplp" / file).read_text())
        document: dict[str, Any] = next(one for one in documents if one["kind"] == kind)
        document["metadata"]["namespace"] = self.namespace
        return document

    def _settings(self, kubeconfig: Path) -> ClusterSettings:
        hosts = {one: f"mplp-core-service.{one}.svc.cluster.local" for one in HOME_WEIGHTS}
        return ClusterSettings(
            targets=(HpaTarget(*self.key, self.namespace, "mplp-core-hpa"),),
            routes=(RouteTarget("core", self.namespace, "mplp-global-traffic", hosts),),
            kubeconfig=str(kubeconfig),
        )


def serve_virtual_services(plane: ControlPlane) -> None:
    """Define Istio's VirtualService once for each control plane; all of Istio takes seconds."""
    if plane.request("GET", "/apis/networking.istio.io/v1")[0] == 200:
        return
    documents = istio_crds().read_text().split("\n---\n")
    plane.apply(*(one for one in documents if "\n    kind: VirtualService\n" in one))


async def caught_up(cluster: Cluster, plane: ControlPlane, hpa_path: str) -> ClusterView:
    """Observe until the one HPA is seen as the server holds it, or seen to be gone."""
    for _ in range(500):
        view = await cluster.observe()
        status, held = plane.request("GET", hpa_path)
        seen = view.hpas[0].resource_version if view.hpas else ""
        if seen == ("" if status == 404 else held["metadata"]["resourceVersion"]):
            return view
        await asyncio.sleep(0.02)
    raise AssertionError(f"never caught up with {hpa_path}: {view}")


def a_floor_intent(hpa: HpaView, floor: int, **changes: Any) -> FloorIntent:
    given: dict[str, Any] = {
        "key": hpa.key,
        "namespace": hpa.namespace,
        "name": hpa.name,
        "uid": hpa.uid,
        "resource_version": hpa.resource_version,
        "floor_now": hpa.min_replicas,
        "floor": floor,
        "decision_number": 1,
    }
    return FloorIntent(**(given | changes))


async def the_hpa(cluster: Cluster) -> HpaView:
    return (await cluster.observe()).hpas[0]


async def the_route(cluster: Cluster) -> RouteView:
    return (await cluster.observe()).routes[0]


async def raise_floor(cluster: Cluster, floor: int) -> Outcome:
    """As the service does: when the HPA's status moved on meanwhile, decide again."""
    for _ in range(100):
        outcome = await cluster.set_floor(a_floor_intent(await the_hpa(cluster), floor))
        if not isinstance(outcome, NotApplied) or outcome.reason.code is not Code.MOVED_ON:
            break
        await asyncio.sleep(0.02)
    return outcome


async def move_weights(cluster: Cluster, *weights: int, **changes: Any) -> Outcome:
    intent = WeightIntent(await the_route(cluster), weights, 1, **changes)
    return await cluster.set_weights(intent)


def code_of(outcome: Outcome) -> Code:
    assert isinstance(outcome, NotApplied), outcome
    return outcome.reason.code


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _path(version: str, namespace: str, rest: str) -> str:
    return f"/apis/{version}/namespaces/{namespace}/{rest}"
