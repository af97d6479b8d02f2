"""Core in three regions on the real control plane, and a service in front of it, for tests.

Demand is given, not read from Kafka: these tests are about what reaches the cluster. Each fleet has
namespaces of its own, so that tests do not meet.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from predictor.actuators.cluster_settings import ClusterSettings, HpaTarget, RouteTarget
from predictor.actuators.kubernetes import KubernetesCluster
from predictor.core.history import History
from predictor.core.opt_in import Mode
from predictor.core.policy import ModulePolicy, Policy, RegionPolicy, RoutePolicy
from predictor.current_model import CurrentModel
from predictor.gather import Gatherer
from predictor.live_manifests import live_objects
from predictor.service import Service
from rigs.api_proxy import ApiProxy
from rigs.artifacts import istio_crds
from rigs.credentials import write_kubeconfig
from rigs.kubernetes import ControlPlane
from streams.demand import DemandCell, DemandPart, Progress

MODULE = "core"
HOME = {"us-east-1": 50, "eu-west-1": 30, "ap-southeast-1": 20}
GUIDES_ROUTE = Path(__file__).parents[2] / "deploy" / "mplp" / "virtual_service.yaml"
BUCKET_S = 10


def kubeconfig_through(proxy: ApiProxy, plane: ControlPlane, folder: Path) -> Path:
    """The administrator's access, on which a test counts requests and faults them."""
    file = folder / "proxied.kubeconfig"
    write_kubeconfig(file, proxy.url, plane.ca_file, plane.token)
    return file


class Fleet:
    """Objects on the cluster, and the service that looks after them."""

    def __init__(
        self,
        plane: ControlPlane,
        replicas_max: Mapping[str, int],
        *,
        step: int,
        mode: Literal["shadow", "active"] = "active",
        kubeconfig: Path | None = None,
        expiry_s: float = 900.0,
        new_cluster: Callable[[ClusterSettings], KubernetesCluster] = KubernetesCluster,
    ) -> None:
        self.plane = plane
        prefix = f"fleet-{secrets.token_hex(3)}"
        self.namespaces = {region: f"{prefix}-{region}" for region in replicas_max}
        self.regions = list(replicas_max)
        self.now_s = 1_750_000_000
        route = self._apply(prefix, replicas_max)
        settings = ClusterSettings(
            targets=tuple(
                HpaTarget(MODULE, region, space, f"mplp-{MODULE}-hpa", 3)
                for region, space in self.namespaces.items()
            ),
            routes=(route,) if route else (),
            kubeconfig=str(kubeconfig or plane.kubeconfig),
            request_timeout_s=2.0,
        )
        self.cluster = new_cluster(settings)
        policy = Policy(
            defaults=ModulePolicy(lead_time_default_s=60, step_up_replicas_max=20, hold_s=300),
            regions=RegionPolicy(weight_step_max=step, weight_step_interval_s=0),
            routes={MODULE: RoutePolicy(home_weights=dict(HOME))} if route else {},
            warm_up_s=0,
            modes={MODULE: Mode.ACTIVE},
            band_required=False,
            expiry_s=expiry_s,
        )
        self.history = History([MODULE], self.regions, [MODULE] if route else [])
        self.records: list[bytes] = []
        gatherer = Gatherer(
            cluster=self.cluster,
            history=self.history,
            model=CurrentModel(refit_s=3600, wait=True),
            policy=policy,
        )
        self.service = Service(
            cluster=self.cluster,
            gatherer=gatherer,
            policy=policy,
            mode=mode,
            record=self.records.append,
        )

    def _apply(self, prefix: str, replicas_max: Mapping[str, int]) -> RouteTarget | None:
        for region, highest in replicas_max.items():
            for one in live_objects(pod_delay_s=1, namespaces=[self.namespaces[region]]):
                if one["kind"] == "HorizontalPodAutoscaler":
                    one["spec"]["maxReplicas"] = highest
                self.plane.apply(one)
        if len(replicas_max) == 1:
            return None
        self.plane.apply(istio_crds())
        route = yaml.safe_load(GUIDES_ROUTE.read_text())
        route["metadata"]["namespace"] = self.namespaces[self.regions[0]]
        self.plane.apply(route)
        hosts = {region: f"mplp-core-service.{region}.svc.cluster.local" for region in HOME}
        return RouteTarget(MODULE, route["metadata"]["namespace"], route["metadata"]["name"], hosts)

    def serve(self, seconds: int, weighted_per_s: float) -> None:
        """Let event time pass under a constant demand, all of it unpinned and evenly measured."""
        for _ in range(seconds // BUCKET_S):
            cells = tuple(
                DemandCell(region, False, weighted_per_s * BUCKET_S / len(self.regions), 1)
                for region in self.regions
            )
            self.history.add(DemandPart(MODULE, self.now_s, BUCKET_S, 0, cells))
            self.now_s += BUCKET_S
        self.history.advance(Progress(0, self.now_s, False, 1))

    def hpa(self, region: str) -> dict[str, Any]:
        path = f"/apis/autoscaling/v2/namespaces/{self.namespaces[region]}/horizontalpodautoscalers"
        return self.plane.request("GET", f"{path}/mplp-{MODULE}-hpa")[1]

    def ready(self, region: str) -> int:
        path = f"/apis/apps/v1/namespaces/{self.namespaces[region]}/deployments/mplp-{MODULE}"
        return int(self.plane.request("GET", path)[1]["status"].get("readyReplicas", 0))

    def route(self) -> dict[str, Any]:
        space = self.namespaces[self.regions[0]]
        path = f"/apis/networking.istio.io/v1/namespaces/{space}/virtualservices"
        return self.plane.request("GET", f"{path}/mplp-global-traffic")[1]

    def weights(self) -> dict[str, int]:
        (default,) = [one for one in self.route()["spec"]["http"] if "match" not in one]
        return {one["destination"]["host"].split(".")[1]: one["weight"] for one in default["route"]}

    def header_routes(self) -> str:
        routes = [one for one in self.route()["spec"]["http"] if "match" in one]
        return json.dumps(routes, sort_keys=True)
