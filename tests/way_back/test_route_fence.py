"""Who may write weights, and what a worker that starts anew makes of those that stand there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from models.series import ALL_REGIONS
from predictor.actuators.cluster_settings import ClusterSettings, RouteTarget
from predictor.actuators.connection import Connection
from predictor.actuators.gate import ClusterGate
from predictor.actuators.guard_proofs import TRIED_AGAIN_S
from predictor.actuators.kubernetes import KubernetesCluster
from predictor.actuators.leases import PartitionLeases
from predictor.actuators.route_probe import RouteProbe
from predictor.actuators.switch import Switch
from predictor.core.cluster import Applied, Outcome, RouteView, TargetKey, WeightIntent
from predictor.core.decide import decide
from predictor.core.policy import RoutePolicy
from predictor.core.reasons import Code, Reason
from predictor.core.state import new_state
from rigs.credentials import PREDICTOR
from rigs.kubernetes import ControlPlane
from tests.actuators.cluster_worlds import code_of, serve_virtual_services
from tests.core.core_values import NOW_S, a_policy, an_hpa, some_inputs, three_regions
from tests.way_back.guarded_worlds import GuardedWorld, until
from tests.way_back.moved_routes import HOSTS, REGIONS, moved_route, set_by_hand, weights_of

pytestmark = pytest.mark.real

KEY = TargetKey("core", ALL_REGIONS)


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(params=[True])
def world(control_plane: ControlPlane, request: pytest.FixtureRequest) -> GuardedWorld:
    serve_virtual_services(control_plane)
    return GuardedWorld(control_plane, is_guarded=request.param)


@pytest.fixture
def settings(world: GuardedWorld, tmp_path: Path) -> ClusterSettings:
    """The worker's own account, once it has its rights."""
    path = moved_route(world, (50, 30, 20), name="probe")
    reads = world.plane.client_for(PREDICTOR).request
    until(lambda: reads("GET", path)[0] == 200, "the rights of the worker")
    world.plane.delete(path)
    target = RouteTarget(
        "core", world.namespace, "mplp-global-traffic", dict(zip(REGIONS, HOSTS, strict=True))
    )
    kubeconfig = world.kubeconfig(tmp_path, PREDICTOR)
    return ClusterSettings(routes=(target,), kubeconfig=str(kubeconfig))


@pytest.fixture
async def cluster(settings: ClusterSettings) -> AsyncIterator[KubernetesCluster]:
    made = KubernetesCluster(settings)
    yield made
    await made.close()


@pytest.fixture
async def connection(settings: ClusterSettings) -> AsyncIterator[Connection]:
    made = Connection(settings)
    yield made
    await made.close()


async def seen_route(cluster: KubernetesCluster) -> RouteView:
    (route,) = (await cluster.observe()).routes
    return route


async def written(cluster: KubernetesCluster, *weights: int, epoch: int) -> Outcome:
    route = await seen_route(cluster)
    intent = WeightIntent(route, weights, 1, (50, 30, 20), NOW_S, "a region is full", epoch)
    return await cluster.set_weights(intent)


async def test_the_server_refuses_weights_of_a_worker_that_was_taken_over_from(
    world: GuardedWorld, cluster: KubernetesCluster
) -> None:
    path = moved_route(world, (40, 40, 20))

    stale = await written(cluster, 35, 45, 20, epoch=4)
    fresh = await written(cluster, 45, 35, 20, epoch=6)

    assert code_of(stale) is Code.REFUSED
    assert "epoch is missing or smaller" in str(stale)
    assert isinstance(fresh, Applied), fresh
    assert weights_of(world, path) == (45, 35, 20)


async def test_a_worker_that_starts_in_mid_move_knows_where_home_is(
    world: GuardedWorld, cluster: KubernetesCluster
) -> None:
    moved_route(world, (40, 40, 20))

    home, reasons = await decided_home(cluster)

    assert home == (50, 30, 20)
    assert "as it was before the weights were moved" in reasons


async def test_weights_set_by_hand_while_nobody_looked_are_home(
    world: GuardedWorld, cluster: KubernetesCluster
) -> None:
    path = moved_route(world, (40, 40, 20))
    set_by_hand(world, path, 20, 60, 20)

    home, reasons = await decided_home(cluster)

    assert home == (20, 60, 20)
    assert "somebody set us-east-1 20, eu-west-1 60" in reasons


async def decided_home(cluster: KubernetesCluster) -> tuple[tuple[int, ...], str]:
    """Home of the first decision where no home is configured, and what was said."""
    hpas = [an_hpa(TargetKey("core", region)) for region in REGIONS]
    inputs = some_inputs(hpas, keys=three_regions(), routes=[await seen_route(cluster)])
    decision, _ = decide(inputs, a_policy(routes={"core": RoutePolicy()}), new_state(), NOW_S)
    (made,) = decision.weights
    return made.weights_home, " ".join(reason.sentence for reason in made.reasons)


def a_gate(world: GuardedWorld, connection: Connection, clock: Hand) -> ClusterGate:
    leases = PartitionLeases(
        connection, namespace=world.namespace, group="eu", identity="ours", monotonic=clock
    )
    leases.hold([0])
    return ClusterGate(
        switch=Switch(connection, world.namespace),
        guard=None,
        leases=leases,
        partition_of=lambda module: 0,
        route_guard=RouteProbe(connection, clock),
    )


async def test_weights_are_permitted_once_the_guard_refused_too_large_a_step(
    world: GuardedWorld, cluster: KubernetesCluster, connection: Connection
) -> None:
    path, clock = moved_route(world, (40, 40, 20)), Hand()
    gate = a_gate(world, connection, clock)
    for _ in range(100):
        await gate.look([], [await seen_route(cluster)])
        await gate._leases.renew()
        permitted = await gate.permit(KEY)
        if not isinstance(permitted, Reason):
            break
        clock.now_s += TRIED_AGAIN_S

    assert permitted == 6, "above the epoch that the route carries"
    assert weights_of(world, path) == (40, 40, 20)


@pytest.mark.parametrize("world", [False], indirect=True)
async def test_where_the_server_would_take_any_step_no_weight_is_written(
    world: GuardedWorld, cluster: KubernetesCluster, connection: Connection
) -> None:
    path = moved_route(world, (40, 40, 20))
    gate = a_gate(world, connection, Hand())

    await gate.look([], [await seen_route(cluster)])
    await gate._leases.renew()
    permitted = await gate.permit(KEY)

    assert isinstance(permitted, Reason)
    assert permitted.code is Code.NOT_GUARDED
    assert "would take too large a step of the weights" in permitted.sentence
    assert weights_of(world, path) == (40, 40, 20)


async def test_without_the_owners_word_the_guard_is_not_tried_and_nothing_permitted(
    world: GuardedWorld, cluster: KubernetesCluster, connection: Connection
) -> None:
    moved_route(world, (40, 40, 20))
    gate = a_gate(world, connection, Hand())
    route = msgspec.structs.replace(await seen_route(cluster), is_shift_enabled=False)

    await gate.look([], [route])

    permitted = await gate.permit(KEY)
    assert isinstance(permitted, Reason)
    assert "no VirtualService whose weights may move" in permitted.sentence
