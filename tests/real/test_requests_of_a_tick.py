"""What the service asks of a real API server: nothing where nothing changes, and never too much."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from predictor.actuators.cluster_settings import ClusterSettings, HpaTarget
from predictor.actuators.connection import Answer, Connection
from predictor.actuators.kubernetes import KubernetesCluster
from predictor.core.cluster import Applied, FloorIntent, NotApplied, Outcome, TargetKey
from predictor.core.opt_in import CEILING, FIELD_MANAGER
from predictor.core.reasons import Code
from predictor.service import WRITES_AT_ONCE_MAX
from rigs.api_proxy import ApiProxy
from rigs.components import CONTROLLERS
from rigs.kubernetes import ControlPlane
from tests.actuators.target_world import until
from tests.real.real_fleet import Fleet, kubeconfig_through

pytestmark = pytest.mark.real

REGIONS = {"us-east-1": 20, "eu-west-1": 20, "ap-southeast-1": 20}
DEMAND_PER_S = 2_200
"""More than the owner's three pods carry in the smallest region, too."""
NOT_OF_TARGETS = ("virtualservices", "verticalpodautoscalers")
"""Read at each tick and once a minute, however many targets there are."""


async def test_a_tick_in_which_nothing_changes_asks_nothing_about_any_target(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    with ApiProxy(control_plane.server, control_plane.ca_file) as proxy:
        kubeconfig = kubeconfig_through(proxy, control_plane, tmp_path)
        # However long it takes to come to rest, no renewal falls into the ticks that are counted.
        fleet = Fleet(control_plane, REGIONS, step=10, kubeconfig=kubeconfig, expiry_s=86_400.0)
        fleet.serve(3600, weighted_per_s=DEMAND_PER_S)
        await until(lambda: came_to_rest(fleet))
        asked_before = len(proxy.seen)

        outcomes = [await a_tick(fleet) for _ in range(12)]
        asked = proxy.seen[asked_before:]
        await fleet.cluster.close()

    assert all(floor(fleet, region) > 3 for region in REGIONS)
    assert outcomes == [{}] * 12
    assert [one for one in asked if not any(name in one[1] for name in NOT_OF_TARGETS)] == []


async def came_to_rest(fleet: Fleet) -> bool:
    """Every floor was raised, its pods are Ready, and two ticks had nothing to write."""
    written = await a_tick(fleet) or await a_tick(fleet)
    return not written and all(fleet.ready(one) >= floor(fleet, one) > 3 for one in REGIONS)


async def a_tick(fleet: Fleet) -> dict[TargetKey, Outcome]:
    fleet.serve(10, weighted_per_s=DEMAND_PER_S)
    return dict((await fleet.service.tick(fleet.now_s)).outcomes)


def floor(fleet: Fleet, region: str) -> int:
    return int(fleet.hpa(region)["spec"]["minReplicas"])


class RacedConnection(Connection):
    """An owner lowers the ceiling right before our first floor arrives."""

    def __init__(self, settings: ClusterSettings, plane: ControlPlane) -> None:
        super().__init__(settings)
        self.plane = plane
        self.sent: list[int] = []

    async def patch(self, path: str, body: Any, *more: Any, **named: Any) -> Answer:
        if not self.sent:
            edit = {"metadata": {"annotations": {CEILING: "6"}}}
            self.plane.request("PATCH", path, edit, "application/merge-patch+json")
        self.sent.append(body["spec"]["minReplicas"])
        return await super().patch(path, body, *more, **named)


async def test_a_floor_that_lost_a_race_is_decided_anew_and_not_sent_again(
    control_plane: ControlPlane,
) -> None:
    raced: list[RacedConnection] = []

    def new_cluster(settings: ClusterSettings) -> KubernetesCluster:
        raced.append(RacedConnection(settings, control_plane))
        return KubernetesCluster(settings, raced[-1])

    fleet = Fleet(control_plane, {"us-east-1": 20}, step=10, new_cluster=new_cluster)
    fleet.serve(3600, weighted_per_s=DEMAND_PER_S)
    outcomes: list[Outcome] = []
    while not outcomes or not isinstance(outcomes[-1], Applied):
        outcomes += (await a_tick(fleet)).values()
        await asyncio.sleep(0.05)
    await fleet.cluster.close()

    refused = [one.reason.code for one in outcomes if isinstance(one, NotApplied)]
    assert set(refused) == {Code.MOVED_ON}
    assert raced[0].sent[0] > 6
    assert set(raced[0].sent[1:]) == {floor(fleet, "us-east-1")} == {6}


HPAS = 300
PER_S, BURST = 50, 50


async def test_three_hundred_floors_that_change_at_once_take_their_time(
    control_plane: ControlPlane,
) -> None:
    # the controllers would look for 300 Deployments that are not there
    controllers = control_plane.pids[CONTROLLERS]
    os.kill(controllers, signal.SIGSTOP)
    namespace = f"many-{secrets.token_hex(3)}"
    path = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"
    control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    for number in range(HPAS):
        assert control_plane.request("POST", path, an_hpa(number))[0] == 201
    try:
        held = control_plane.request("GET", path)[1]["items"]
        cluster = KubernetesCluster(settings_for(control_plane, held))
        await cluster.observe()
        started_s = time.monotonic()

        outcomes = await all_raised(cluster, held)
        took_s = time.monotonic() - started_s

        await cluster.close()
        held = control_plane.request("GET", path)[1]["items"]
    finally:
        control_plane.request("DELETE", path)
        os.kill(controllers, signal.SIGCONT)
    assert Counter(type(one) for one in outcomes) == {Applied: HPAS}
    assert took_s >= (HPAS - BURST) / PER_S
    seconds = Counter(written_at(one) for one in held)
    assert max(seconds.values()) <= BURST + PER_S + WRITES_AT_ONCE_MAX
    pairs = itertools.pairwise(sorted(seconds))
    assert max(seconds[a] + seconds[b] for a, b in pairs) <= BURST + 2 * PER_S + WRITES_AT_ONCE_MAX


def settings_for(plane: ControlPlane, held: list[dict[str, Any]]) -> ClusterSettings:
    """The defaults."""
    targets = (
        HpaTarget(one["metadata"]["name"], "us-east-1", one["metadata"]["namespace"],
                  one["metadata"]["name"])
        for one in held
    )  # fmt: skip
    return ClusterSettings(targets=tuple(targets), kubeconfig=str(plane.kubeconfig))


async def all_raised(cluster: KubernetesCluster, held: list[dict[str, Any]]) -> list[Outcome]:
    """As many at once as the service writes."""
    at_once = asyncio.Semaphore(WRITES_AT_ONCE_MAX)

    async def one(hpa: dict[str, Any]) -> Outcome:
        async with at_once:
            return await cluster.set_floor(raised(hpa))

    return await asyncio.gather(*(one(hpa) for hpa in held))


def raised(hpa: dict[str, Any]) -> FloorIntent:
    metadata = hpa["metadata"]
    return FloorIntent(
        key=TargetKey(metadata["name"], "us-east-1"),
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        floor_now=1,
        floor=2,
        decision_number=1,
        until_s=1_900_000_000.0,
    )


def written_at(hpa: dict[str, Any]) -> str:
    """The second in which the server took our write."""
    fields = hpa["metadata"]["managedFields"]
    return next(str(one["time"]) for one in fields if one["manager"] == FIELD_MANAGER)


def an_hpa(number: int) -> dict[str, Any]:
    name = f"hpa-{number}"
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {"scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 5},
    }
