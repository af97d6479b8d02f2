"""The rights of `deploy/keda` beside those of `deploy/base`: enough, and each one needed."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from predictor.actuators.connection import Connection
from predictor.actuators.kubernetes import KubernetesCluster
from predictor.core.cluster import Applied
from predictor.core.floor_object import SCALED_OBJECT_KIND, FloorObject
from predictor.core.restore_step import Pace
from predictor.way_back.held_floors import HeldFloor, held_floor
from predictor.way_back.restorer import Restorer
from rigs.credentials import PREDICTOR, RESTORER
from rigs.kubernetes import ControlPlane
from tests.actuators.cluster_worlds import a_floor_intent
from tests.actuators.scaled_object_worlds import ScaledWorld
from tests.deploy.kustomized import DEPLOY, kustomized

pytestmark = pytest.mark.real

_ROLES = [
    one
    for folder in ("base", "keda")
    for one in kustomized(DEPLOY / folder)
    if one["kind"] == "Role" and one["metadata"]["namespace"] == "us-east-1"
]


class Right(NamedTuple):
    """One verb of one rule of `deploy/keda`."""

    account: str
    rule: int
    verb: str


def rules_of(account: str, without: Right | None = None) -> list[dict[str, Any]]:
    """Of both folders, for the names of the test's objects."""
    name = account.rsplit(":", 1)[1]
    mine = {one["metadata"]["name"]: one for one in copy.deepcopy(_ROLES)}
    there = mine[f"{name}-keda"]["rules"]
    if without is not None:
        there[without.rule]["verbs"].remove(without.verb)
    rules: list[dict[str, Any]] = [*mine[name]["rules"], *there]
    for rule in rules:
        if "resourceNames" in rule:
            rule["resourceNames"] = ["a"]
    return [rule for rule in rules if rule["verbs"]]


# `get` of the worker only names who took a floor.
RIGHTS = [
    Right(account, index, verb)
    for account in (PREDICTOR, RESTORER)
    for index, rule in enumerate(
        next(
            one["rules"]
            for one in _ROLES
            if one["metadata"]["name"] == f"{account.rsplit(':', 1)[1]}-keda"
        )
    )
    for verb in rule["verbs"]
    if (account, verb) != (PREDICTOR, "get")
]


@pytest.fixture
async def world(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[ScaledWorld]:
    made = ScaledWorld(control_plane, tmp_path)
    yield made
    await made.end()


async def worker_does_all(world: ScaledWorld, folder: Path) -> bool:
    """See the HPA with its ScaledObject, and set the floor there."""
    cluster = KubernetesCluster(world.settings_for(folder, PREDICTOR))
    try:
        hpas = (await cluster.observe()).hpas
        if not hpas or hpas[0].held_back is not None:
            return False
        floor = hpas[0].min_replicas % 9 + 2
        outcome = await cluster.set_floor(a_floor_intent(hpas[0], floor, until_s=4e9, epoch=1))
        # A watch is opened after the list: a right that it lacks is told a moment later.
        for _ in range(20):
            await asyncio.sleep(0.01)
            if any(one.held_back is not None for one in (await cluster.observe()).hpas):
                return False
        return isinstance(outcome, Applied)
    finally:
        await cluster.close()


async def restorer_does_all(world: ScaledWorld, folder: Path) -> bool:
    """List, lower, and look again at one."""
    await world.raise_to(10, until_s=1.0)
    connection = Connection(world.settings_for(folder, RESTORER))
    try:
        restorer = Restorer(connection, [world.namespace], now_s=time.time, step_gap_s=0)
        done = await restorer.run_pass(Pace.EXPIRED)
        at = FloorObject(world.namespace, "a", SCALED_OBJECT_KIND)
        looked = isinstance(await held_floor(connection, at), HeldFloor)
        return done.is_whole and bool(done.rows) and looked
    finally:
        await connection.close()


DOES_ALL: dict[str, Callable[[ScaledWorld, Path], Awaitable[bool]]] = {
    PREDICTOR: worker_does_all,
    RESTORER: restorer_does_all,
}


@pytest.mark.parametrize("right", RIGHTS, ids=lambda one: f"{one.account[36:]}-{one[1]}-{one[2]}")
async def test_with_both_manifests_rights_all_works_and_each_verb_is_needed(
    world: ScaledWorld, tmp_path: Path, right: Right
) -> None:
    grant(world, right.account, rules_of(right.account))
    await _until(lambda: DOES_ALL[right.account](world, tmp_path), is_so=True)

    grant(world, right.account, rules_of(right.account, without=right))

    await _until(lambda: DOES_ALL[right.account](world, tmp_path), is_so=False)


def grant(world: ScaledWorld, account: str, rules: list[dict[str, Any]]) -> None:
    rbac = "rbac.authorization.k8s.io"
    name = account.rsplit(":", 1)[1]
    kind = {"apiVersion": f"{rbac}/v1", "metadata": {"name": name, "namespace": world.namespace}}
    role = {"apiGroup": rbac, "kind": "Role", "name": name}
    subjects = [{"kind": "User", "apiGroup": rbac, "name": account}]
    world.plane.apply(
        {**kind, "kind": "Role", "rules": rules},
        {**kind, "kind": "RoleBinding", "roleRef": role, "subjects": subjects},
    )


async def _until(works: Callable[[], Awaitable[bool]], *, is_so: bool) -> None:
    """Rights reach the authoriser's cache a moment after they were written."""
    for _ in range(50):
        if await works() is is_so:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"still {'not ' if is_so else ''}everything works")
