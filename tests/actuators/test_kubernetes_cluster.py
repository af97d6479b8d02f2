"""The real cluster where it differs from any simulation: races, silence, rights, other owners."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from predictor.actuators.cluster_settings import ClusterSettings, HpaTarget
from predictor.actuators.connection import Answer, Connection
from predictor.actuators.kubernetes import KubernetesCluster
from predictor.actuators.port import ClusterUnreachable
from predictor.core.cluster import Applied, WeightIntent
from predictor.core.reasons import Code
from rigs.kubernetes import ControlPlane
from rigs.ports import free_ports
from tests.actuators.cluster_worlds import (
    KubernetesWorld,
    a_floor_intent,
    code_of,
    move_weights,
    raise_floor,
    the_hpa,
    the_route,
)

real = pytest.mark.real


class RacedConnection(Connection):
    """Lets somebody else write between our last look and our write."""

    def __init__(self, settings: ClusterSettings, race: Callable[[], object]) -> None:
        super().__init__(settings)
        self.race = race

    async def patch(
        self, path: str, body: Any, content_type: str, query: Sequence[tuple[str, str]] = ()
    ) -> Answer:
        self.race()
        return await super().patch(path, body, content_type, query)


@pytest.fixture
async def world(control_plane: ControlPlane) -> AsyncIterator[KubernetesWorld]:
    made = KubernetesWorld(control_plane)
    yield made
    await made.cluster.close()


@real
async def test_whoever_writes_in_the_last_moment_wins(world: KubernetesWorld) -> None:
    edits: list[int] = []

    def race() -> None:
        edits.append(5)
        world.owner_edits(5)

    raced = KubernetesCluster(world.settings, RacedConnection(world.settings, race))

    while not edits:  # the HPA's status may have moved on before the race is run
        outcome = await raced.set_floor(a_floor_intent(await the_hpa(raced), 9))
    seen = await the_hpa(raced)
    await raced.close()

    assert code_of(outcome) is Code.MOVED_ON
    assert seen.min_replicas == 5


@real
async def test_weights_that_change_in_the_last_moment_are_kept(world: KubernetesWorld) -> None:
    def race() -> None:
        patch = [{"op": "replace", "path": "/spec/http/2/route/0/weight", "value": 51}]
        kind = "application/json-patch+json"
        assert world.plane.request("PATCH", world.route_path, patch, kind)[0] == 200

    raced = KubernetesCluster(world.settings, RacedConnection(world.settings, race))

    outcome = await move_weights(raced, 40, 40, 20)
    route = await the_route(raced)
    await raced.close()

    assert code_of(outcome) is Code.MOVED_ON
    assert [one.weight for one in route.destinations] == [51, 30, 20]


@real
async def test_the_default_route_is_found_wherever_it_stands(world: KubernetesWorld) -> None:
    spec = world.read(world.route_path)["spec"]
    spec["http"].reverse()
    pinned = json.dumps(spec["http"][1:])
    body = {"spec": {"http": spec["http"]}}
    world.plane.request("PATCH", world.route_path, body, "application/merge-patch+json")

    outcome = await move_weights(world.cluster, 20, 30, 50)

    http = world.read(world.route_path)["spec"]["http"]
    assert isinstance(outcome, Applied)
    assert [one["weight"] for one in http[0]["route"]] == [20, 30, 50]
    assert json.dumps(http[1:]) == pinned


@real
async def test_a_route_that_lost_a_destination_is_not_guessed(world: KubernetesWorld) -> None:
    old = await the_route(world.cluster)
    patch = [{"op": "remove", "path": "/spec/http/2/route/1"}]
    world.plane.request("PATCH", world.route_path, patch, "application/json-patch+json")

    view = await world.cluster.observe()
    outcome = await world.cluster.set_weights(WeightIntent(old, (40, 40, 20), 1))

    assert [reason.code for _, reason in view.problems] == [Code.ROUTE_NOT_FOUND]
    assert code_of(outcome) is Code.ROUTE_NOT_FOUND


@real
async def test_two_hpas_on_one_deployment_are_seen_as_ambiguous(world: KubernetesWorld) -> None:
    assert not (await the_hpa(world.cluster)).ambiguous
    second = world.read(world.hpa_path)
    second["metadata"] = {"name": "mplp-custom-metrics-hpa", "namespace": world.namespace}

    world.plane.apply({key: second[key] for key in ("apiVersion", "kind", "metadata", "spec")})

    for _ in range(250):
        seen = await the_hpa(world.cluster)
        if seen.ambiguous:
            break
        await asyncio.sleep(0.02)
    assert seen.ambiguous


@real
async def test_a_floor_we_hold_is_left_to_whoever_takes_it_also_after_a_restart(
    world: KubernetesWorld,
) -> None:
    await raise_floor(world.cluster, 8)
    restarted = KubernetesCluster(world.settings)
    world.owner_edits(5)
    await world.seen(restarted)

    outcome = await raise_floor(restarted, 9)
    await restarted.close()

    assert code_of(outcome) is Code.CONFLICT


@real
async def test_a_raised_floor_becomes_ready_pods(world: KubernetesWorld) -> None:
    await raise_floor(world.cluster, 6)

    for _ in range(100):
        seen = await the_hpa(world.cluster)
        if seen.ready_replicas == 6:
            break
        await asyncio.sleep(0.2)

    assert (seen.spec_replicas, seen.ready_replicas) == (6, 6)


async def test_a_server_that_is_away_is_not_asked_again_at_once(tmp_path: Any) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(_KUBECONFIG.replace("PORT", str(free_ports(1)[0])))
    target = HpaTarget("core", "us-east-1", "us-east-1", "mplp-core-hpa")
    settings = ClusterSettings(
        targets=(target,),
        kubeconfig=str(kubeconfig),
        retry_delay_s=20.0,
        retry_delay_max_s=20.0,
    )
    cluster = KubernetesCluster(settings)

    with pytest.raises(ClusterUnreachable, match="got no answer"):
        await cluster.observe()
    with pytest.raises(ClusterUnreachable, match=r"asked again in [12]"):
        await cluster.observe()
    await cluster.close()


async def test_an_access_that_cannot_work_says_so() -> None:
    target = HpaTarget("core", "us-east-1", "us-east-1", "mplp-core-hpa")
    cluster = KubernetesCluster(ClusterSettings(targets=(target,), kubeconfig="/nowhere/at/all"))

    with pytest.raises(ClusterUnreachable, match="/nowhere/at/all"):
        await cluster.observe()
    await cluster.close()


_KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: away, cluster: {server: "http://127.0.0.1:PORT"}}]
users: [{name: away, user: {token: none}}]
contexts: [{name: away, context: {cluster: away, user: away}}]
current-context: away
"""
