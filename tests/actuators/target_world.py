"""Small targets in a namespace of their own on the real control plane, for tests of one object.

A test can put the misbehaving proxy between the service and the API server; it looks at the objects
itself, past the proxy, as their owner does.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from predictor.actuators.cluster_settings import ClusterSettings, HpaTarget
from predictor.actuators.kubernetes import KubernetesCluster
from predictor.actuators.port import Cluster, ClusterUnreachable
from predictor.core.cluster import HpaView, NotApplied, Outcome, TargetKey
from predictor.core.opt_in import CEILING, FLOOR
from predictor.core.reasons import Code, Reason
from rigs.api_proxy import ApiProxy
from rigs.credentials import write_kubeconfig
from rigs.kubernetes import ControlPlane
from tests.actuators.cluster_worlds import a_floor_intent

REGION = "us-east-1"
UNTIL_S = 1_900_000_000.0
BASELINE, REPLICAS_MAX = 2, 20
_MERGE = "application/merge-patch+json"
_T = TypeVar("_T")


class TargetWorld:
    """Modules `a`, `b`, … with a Deployment and an HPA each; `cluster` is the service's view."""

    def __init__(
        self,
        plane: ControlPlane,
        folder: Path,
        *,
        modules: str = "a",
        proxy: ApiProxy | None = None,
        token: str = "",
        **settings: Any,
    ) -> None:
        self.plane = plane
        self.namespace = f"target-{secrets.token_hex(4)}"
        plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        self._modules = modules
        for module in modules:
            plane.apply(self.deployment(module), self.manifest(module))
        kubeconfig = folder / "kubeconfig"
        server = proxy.url if proxy else plane.server
        write_kubeconfig(kubeconfig, server, plane.ca_file, token or plane.token)
        targets = (HpaTarget(one, REGION, self.namespace, f"{one}-hpa") for one in modules)
        given = {"request_timeout_s": 1.0, "retry_delay_s": 0.2, "retry_delay_max_s": 2.0}
        self.settings = ClusterSettings(
            **{"targets": tuple(targets), "kubeconfig": str(kubeconfig), **given, **settings}
        )
        self.cluster = KubernetesCluster(self.settings)

    async def end(self) -> None:
        """Stop watching, and leave nothing that the controllers would go on to look after."""
        await self.cluster.close()
        for module in self._modules:
            self.plane.delete(self.path(module))
            self.plane.delete(self.path(module, deployment=True))

    def path(self, module: str = "a", *, deployment: bool = False) -> str:
        kind = "apps/v1", "deployments", module
        group, plural, name = (
            kind if deployment else ("autoscaling/v2", "horizontalpodautoscalers", f"{module}-hpa")
        )
        return f"/apis/{group}/namespaces/{self.namespace}/{plural}/{name}"

    def held(self, module: str = "a", *, deployment: bool = False) -> dict[str, Any]:
        """The object as the server holds it."""
        status, answer = self.plane.request("GET", self.path(module, deployment=deployment))
        assert status == 200, answer
        return answer

    def floor(self, module: str = "a") -> int:
        return int(self.held(module)["spec"]["minReplicas"])

    def edit(self, body: dict[str, Any], *, deployment: bool = False, by: str = "a-person") -> int:
        """Somebody changes it by hand; the server's status."""
        path = f"{self.path(deployment=deployment)}?fieldManager={by}"
        return self.plane.request("PATCH", path, body, _MERGE)[0]

    def manifest(self, module: str = "a", **annotations: str) -> dict[str, Any]:
        """The HPA as its owner keeps it in a repository."""
        band = {FLOOR: str(BASELINE), CEILING: str(REPLICAS_MAX)}
        target = {"type": "AverageValue", "averageValue": "100"}
        metric = {"type": "Pods", "pods": {"metric": {"name": "requests"}, "target": target}}
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": module}
        return {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {
                "name": f"{module}-hpa",
                "namespace": self.namespace,
                "annotations": {**band, **annotations},
            },
            "spec": {
                "scaleTargetRef": reference,
                "minReplicas": BASELINE,
                "maxReplicas": REPLICAS_MAX,
                "metrics": [metric],
            },
        }

    def deployment(self, module: str = "a") -> dict[str, Any]:
        labels = {"app": module}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": module, "namespace": self.namespace},
            "spec": {
                "replicas": BASELINE,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "app", "image": "none"}]},
                },
            },
        }

    async def view(self, module: str = "a", cluster: Cluster | None = None) -> HpaView:
        """The target as the service sees it once it has heard of what the server holds."""
        key = TargetKey(module, REGION)

        async def seen() -> HpaView | None:
            try:
                views = (await (cluster or self.cluster).observe()).hpas
            except ClusterUnreachable:
                return None
            version = self.held(module)["metadata"]["resourceVersion"]
            return next(
                (one for one in views if (one.key, one.resource_version) == (key, version)), None
            )

        return await until(seen)

    async def raise_to(
        self, floor: int, module: str = "a", cluster: Cluster | None = None, **changes: Any
    ) -> Outcome:
        """As the service does it: when the object moved on meanwhile, decide again."""
        for _ in range(100):
            view = await self.view(module, cluster)
            given = {"until_s": UNTIL_S, "reason": "a peak", "epoch": 7, **changes}
            intent = a_floor_intent(view, floor, **given)
            outcome = await (cluster or self.cluster).set_floor(intent)
            if not isinstance(outcome, NotApplied) or outcome.reason.code is not Code.MOVED_ON:
                return outcome
        raise AssertionError(f"moved on all the time: {outcome}")

    async def problem(self, module: str = "a") -> Reason:
        """Why the target cannot be seen, once that is so."""
        key = TargetKey(module, REGION)

        async def told() -> Reason | None:
            return dict((await self.cluster.observe()).problems).get(key)

        return await until(told)


async def until(asked: Callable[[], Awaitable[_T | None]], within_s: float = 40.0) -> _T:
    """The first answer that is one; polled, with a bound that only a defect reaches."""
    async with asyncio.timeout(within_s):
        while True:
            answer = await asked()
            if answer:
                return answer
            await asyncio.sleep(0.05)


def reason_of(outcome: Outcome) -> Reason:
    assert isinstance(outcome, NotApplied), outcome
    return outcome.reason
