"""The rights in the service's own namespace, and the restorer's: enough, and each one needed."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from predictor.actuators.cluster_settings import ClusterSettings
from predictor.actuators.connection import Connection
from predictor.actuators.leases import PartitionLeases
from predictor.actuators.switch import SwitchState, read_switch
from predictor.actuators.virtual_service import Routing
from predictor.core.floor_object import FloorObject
from predictor.core.reasons import Reason
from predictor.core.restore_step import Pace
from predictor.way_back.held_floors import HeldFloor, held_floor
from predictor.way_back.held_weights import RouteObject, held_again
from predictor.way_back.restorer import Restorer
from predictor.way_back.route_restorer import RouteRestorer
from rigs.credentials import PREDICTOR, RESTORER
from rigs.kubernetes import ControlPlane
from tests.actuators.cluster_worlds import serve_virtual_services
from tests.deploy.kustomized import rules_of
from tests.way_back.guarded_worlds import GuardedWorld, until
from tests.way_back.moved_routes import PAST, moved_route

pytestmark = pytest.mark.real

Json = dict[str, Any]
HPA = "mplp-core-hpa"
RULES = {
    PREDICTOR: rules_of(PREDICTOR, "mplp-predictor"),
    RESTORER: rules_of(RESTORER, "us-east-1", "mplp-production", "mplp-predictor"),
}


class Right(NamedTuple):
    """One verb of one rule of an account."""

    account: str
    rule: int
    verb: str


RIGHTS = [
    Right(account, index, verb)
    for account, rules in RULES.items()
    for index, rule in enumerate(rules)
    for verb in rule["verbs"]
]


@pytest.fixture
def world(control_plane: ControlPlane) -> GuardedWorld:
    serve_virtual_services(control_plane)
    made = GuardedWorld(control_plane, is_guarded=False)
    made.raised(10, "2020-01-01T00:00:00Z", name=HPA)
    moved_route(made, (5, 75, 20), PAST)
    return made


async def worker_does_all(connection: Connection, namespace: str) -> bool:
    """Create a lease, look at it and renew it, and read the switch."""
    leases = PartitionLeases(connection, namespace=namespace, group="eu", identity="one")
    leases.hold([0])
    await leases.renew()
    await leases.renew()
    # Looking at another's is what a second worker does.
    second = PartitionLeases(connection, namespace=namespace, group="eu", identity="two")
    second.hold([0])
    await second.renew()
    held = second.epoch(0)
    assert isinstance(held, Reason)
    renewed = leases.epoch(0) == 1 and "is held by one" in held.sentence
    return renewed and isinstance(await read_switch(connection, namespace), SwitchState)


async def restorer_does_all(connection: Connection, namespace: str) -> bool:
    """List, lower, move home, look again at one of each, and read the switch."""
    moved = await RouteRestorer(connection, [namespace], now_s=time.time, step_gap_s=0).run_pass(
        Pace.STEPS
    )
    routing = Routing(connection)
    at = RouteObject(namespace, "mplp-global-traffic")
    again = await routing.is_served() and await held_again(routing, at)
    if not moved.is_whole or isinstance(again, Reason):
        return False
    done = await Restorer(connection, [namespace], now_s=time.time, step_gap_s=0).run_pass(
        Pace.STEPS
    )
    looked = isinstance(await held_floor(connection, FloorObject(namespace, HPA)), HeldFloor)
    switch = isinstance(await read_switch(connection, namespace), SwitchState)
    return done.is_whole and bool(done.rows) and looked and switch


DOES_ALL: dict[str, Callable[[Connection, str], Awaitable[bool]]] = {
    PREDICTOR: worker_does_all,
    RESTORER: restorer_does_all,
}


def grant(world: GuardedWorld, account: str, without: Right | None = None) -> None:
    """Exactly the manifests' rules, in the world's namespace."""
    rules = copy.deepcopy(RULES[account])
    if without is not None:
        rules[without.rule]["verbs"].remove(without.verb)
    name = account.rsplit(":", 1)[1]
    world.plane.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": name, "namespace": world.namespace},
            "rules": [rule for rule in rules if rule["verbs"]],
        }
    )


async def does_all(world: GuardedWorld, account: str, folder: Path) -> bool:
    """In a namespace whose leases are new."""
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{world.namespace}/leases"
    world.plane.delete(f"{leases}/mplp-predictor-eu-0")
    settings = ClusterSettings(kubeconfig=str(world.kubeconfig(folder, account)))
    connection = Connection(settings)
    try:
        return await DOES_ALL[account](connection, world.namespace)
    finally:
        await connection.close()


@pytest.mark.parametrize("right", RIGHTS, ids=lambda one: f"{one.account[36:]}-{one[1]}-{one[2]}")
async def test_with_the_manifests_rights_all_works_and_each_verb_is_needed(
    world: GuardedWorld, tmp_path: Path, right: Right
) -> None:
    grant(world, right.account)
    await _until(lambda: does_all(world, right.account, tmp_path), is_so=True)

    grant(world, right.account, without=right)

    await _until(lambda: does_all(world, right.account, tmp_path), is_so=False)


def test_the_restorer_may_not_even_read_another_hpa(world: GuardedWorld) -> None:
    path = world.hpa("somebody-elses")
    grant(world, RESTORER)

    reads = world.plane.client_for(RESTORER).request
    until(lambda: reads("GET", path)[0] == 403, "the rights")
    assert reads("GET", path.replace("somebody-elses", HPA))[0] == 200


async def _until(works: Callable[[], Awaitable[bool]], *, is_so: bool) -> None:
    """Rights reach the authoriser's cache a moment after they were written."""
    for _ in range(50):
        if await works() is is_so:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"still {'not ' if is_so else ''}everything works")
