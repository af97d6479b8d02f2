"""Floors on ScaledObjects: what the server refuses there, how it is tried, and how they go back."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from predictor.actuators.cluster_settings import ClusterSettings
from predictor.actuators.connection import Connection
from predictor.actuators.guard_probe import GuardProbe
from predictor.actuators.scaled_object import ScaledObject, floor_of
from predictor.cli import app
from predictor.core.cluster import HpaView, TargetKey
from predictor.core.floor_object import SCALED_OBJECT_KIND
from predictor.core.opt_in import CEILING, EPOCH, FLOOR, MODE, STEP, UNTIL, OptIn
from predictor.core.reasons import Code
from predictor.core.restore_step import Pace
from predictor.way_back.restorer import Restorer, Row, Verdict
from rigs.credentials import ADMIN, PREDICTOR, RESTORER
from rigs.kubernetes import ControlPlane
from tests.actuators.scaled_object_worlds import scaled_object, serve_scaled_objects
from tests.way_back.guarded_worlds import MERGE, NEVER, GuardedWorld, Json, a_floor, until

pytestmark = pytest.mark.real

PAST = "2020-01-01T00:00:00Z"


class ScaledGuardedWorld(GuardedWorld):
    """ScaledObjects with the band 3 to 10 of 20 in place of HPAs."""

    def scaled(self, name: str = "core", floor: int = 3, **changes: Any) -> str:
        """The owner's; returns its path."""
        one = scaled_object(self.namespace, name, minReplicaCount=floor, maxReplicaCount=20)
        annotations = {FLOOR: "3", CEILING: "10"} | changes.pop("annotations", {})
        one["metadata"]["annotations"] = {
            key: value for key, value in annotations.items() if value is not None
        }
        one["spec"] |= changes
        self.plane.apply(one)
        path = f"{SCALED_OBJECT_KIND.path(self.namespace)}/{name}"
        for account in (PREDICTOR, RESTORER):
            self._await_right(account, path)
        return path

    def raised_there(self, floor: int, expiry: str, **scaled: Any) -> str:
        """A ScaledObject whose floor the service has raised."""
        path = self.scaled(**scaled)
        said = self.write(path, a_floor(floor, expiry=expiry), as_user=ADMIN)
        assert said == "", said
        return path

    def write(self, path: str, body: Json, **given: Any) -> str:
        """As `apply`, of a body that says minReplicas."""
        spec = {
            {"minReplicas": "minReplicaCount", "maxReplicas": "maxReplicaCount"}.get(key, key): one
            for key, one in body["spec"].items()
        }
        kind = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject"}
        return self.apply(path, {**body, **kind, "spec": spec}, **given)

    def await_bite(self, path: str, account: str) -> None:
        """Until the policy of this account bites."""
        until(
            lambda: (
                "AdmissionPolicy" in self.write(path, a_floor(11), as_user=account, dry_run=True)
            ),
            f"the policy for {account}",
        )

    def count(self, path: str) -> int:
        found: int = self.read(path)["spec"]["minReplicaCount"]
        return found


@pytest.fixture(scope="module")
def world(control_plane: ControlPlane) -> ScaledGuardedWorld:
    serve_scaled_objects(control_plane)
    made = ScaledGuardedWorld(control_plane)
    path = made.scaled("probe")
    for account in (PREDICTOR, RESTORER):
        made.await_bite(path, account)
    return made


@pytest.fixture(scope="module")
def raised(world: ScaledGuardedWorld) -> str:
    """Raised to 5 under epoch 5."""
    return world.raised_there(5, NEVER, name="raised")


REFUSED: dict[str, tuple[Json, str]] = {
    "above the ceiling": (a_floor(11), "outside the owner's band of 3 to 10"),
    "below the floor": (a_floor(2), "outside the owner's band of 3 to 10"),
    "without an epoch": (a_floor(6, epoch=None), "epoch is missing or smaller"),
    "with a smaller epoch": (a_floor(6, epoch=4), "epoch is missing or smaller"),
    "without an expiry": (a_floor(6, expiry=None), "until must say when"),
    "another maximum": (
        {**a_floor(6), "spec": {"minReplicas": 6, "maxReplicas": 30}},
        "only minReplicaCount may change",
    ),
    "another target": (
        {**a_floor(6), "spec": {"minReplicas": 6, "scaleTargetRef": {"name": "other"}}},
        "only minReplicaCount may change",
    ),
    "the owner's ceiling": (a_floor(6, more={CEILING: "20"}), "only those under state."),
    "a label": (
        {
            "metadata": {**a_floor(6)["metadata"], "labels": {"a": "b"}},
            "spec": {"minReplicas": 6},
        },
        "only annotations may change",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_worker_is_refused_and_a_person_is_not(
    world: ScaledGuardedWorld, raised: str, case: str
) -> None:
    body, words = REFUSED[case]

    assert words in world.write(raised, body, dry_run=True)
    assert world.write(raised, body, as_user=ADMIN, dry_run=True) == ""


@pytest.mark.parametrize(
    "body", [a_floor(8), a_floor(10), a_floor(5, epoch=6), a_floor(3, expiry=None)], ids=str
)
def test_the_worker_may_write_inside_the_band(
    world: ScaledGuardedWorld, raised: str, body: Json
) -> None:
    assert world.write(raised, body, dry_run=True) == ""


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({FLOOR: None}, "has not opted this ScaledObject in"),
        ({MODE: "paused"}, "mode is paused: minReplicaCount may only be lowered"),
        ({STEP: "2"}, "too large a step up from 3, which may reach 5"),
    ],
    ids=str,
)
def test_what_the_owner_does_not_say_clearly_allows_nothing(
    world: ScaledGuardedWorld, annotations: dict[str, str | None], words: str
) -> None:
    path = world.scaled("told", annotations=annotations)

    assert words in world.write(path, a_floor(6), dry_run=True)
    world.plane.delete(path)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (a_floor(6), "may only lower minReplicaCount, not set 6 over 5"),
        (a_floor(2), "below the owner's floor of 3"),
        (a_floor(4, epoch=6), "may not change annotation state.predictor.mplp.io/epoch"),
        ({**a_floor(4), "spec": {"minReplicas": 4, "maxReplicas": 30}}, "only minReplicaCount"),
    ],
    ids=str,
)
def test_the_restorer_may_only_lower(
    world: ScaledGuardedWorld, raised: str, body: Json, words: str
) -> None:
    assert words in world.write(raised, body, as_user=RESTORER, dry_run=True)
    assert world.write(raised, a_floor(4), as_user=RESTORER, dry_run=True) == ""


def test_a_person_may_lower_the_maximum_below_our_floor(world: ScaledGuardedWorld) -> None:
    path = world.raised_there(8, NEVER, name="cut")
    cut = {"spec": {"maxReplicaCount": 4}}

    until(lambda: world.send(path, cut, MERGE, as_user=ADMIN) == "", "the mutating policy")

    assert world.count(path) == 4


def test_while_the_switch_is_off_the_worker_may_only_lower(world: ScaledGuardedWorld) -> None:
    path = world.raised_there(8, NEVER, name="switched")
    switch = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "mplp-predictor-switch", "namespace": "mplp-predictor"},
        "data": {"off": "by somebody"},
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mplp-predictor"}}
    world.plane.apply(namespace, switch)
    try:
        until(
            lambda: "switched off" in world.write(path, a_floor(9), dry_run=True),
            "the switch's policy",
        )
        assert world.write(path, a_floor(7), dry_run=True) == ""
    finally:
        world.plane.delete(world.plane.client.path_of(switch))
    until(lambda: world.write(path, a_floor(9), dry_run=True) == "", "on again")


async def test_the_guard_of_scaled_objects_is_tried_on_one_of_them(
    world: ScaledGuardedWorld, raised: str, tmp_path: Path
) -> None:
    bare = ScaledGuardedWorld(world.plane, is_guarded=False)
    worker = Connection(ClusterSettings(kubeconfig=str(world.kubeconfig(tmp_path, PREDICTOR))))
    probe = GuardProbe(worker)
    before = world.read(raised)["metadata"]["resourceVersion"]

    await probe.look([view(world, raised), view(bare, bare.scaled())])
    await worker.close()

    assert probe.objection(world.namespace, SCALED_OBJECT_KIND) is None
    # what is proven of one kind says nothing of the other
    hpas = probe.objection(world.namespace)
    assert hpas is not None
    assert "no HPA with a band" in hpas.sentence
    unguarded = probe.objection(bare.namespace, SCALED_OBJECT_KIND)
    assert unguarded is not None
    assert "apply the policies of deploy/guard-keda" in unguarded.sentence
    assert world.read(raised)["metadata"]["resourceVersion"] == before


@pytest.fixture
def own(control_plane: ControlPlane, world: ScaledGuardedWorld) -> ScaledGuardedWorld:
    """A namespace of the test's own; the policies bite already."""
    return ScaledGuardedWorld(control_plane)


@pytest.fixture
async def connection(own: ScaledGuardedWorld, tmp_path: Path) -> AsyncIterator[Connection]:
    """The restorer's own account: every write below passes the guard."""
    kubeconfig = own.kubeconfig(tmp_path, RESTORER)
    made = Connection(ClusterSettings(kubeconfig=str(kubeconfig)))
    yield made
    await made.close()


async def a_pass(
    own: ScaledGuardedWorld, connection: Connection, pace: Pace = Pace.EXPIRED
) -> list[Row]:
    done = await Restorer(connection, [own.namespace], now_s=time.time).run_pass(pace)
    assert done.problems == ()
    return list(done.rows)


async def test_a_floor_there_that_ran_out_goes_back_in_steps(
    own: ScaledGuardedWorld, connection: Connection
) -> None:
    path = own.raised_there(10, PAST)

    first = await a_pass(own, connection)
    second = await a_pass(own, connection)

    assert [(row.verdict, row.floor) for row in first] == [(Verdict.LOWERED, 7)]
    assert [row.verdict for row in second] == [Verdict.WAITS]
    assert (own.count(path), own.kept(path)[EPOCH]) == (7, "5")


async def test_a_floor_there_that_somebody_took_is_theirs(
    own: ScaledGuardedWorld, connection: Connection
) -> None:
    path = own.raised_there(10, PAST)
    own.send(path, {"spec": {"minReplicaCount": 9}}, MERGE, as_user=ADMIN)

    (row,) = await a_pass(own, connection, Pace.AT_ONCE)

    assert (row.verdict, row.reason.code, own.count(path)) == (Verdict.LEFT, Code.CONFLICT, 9)
    assert "kubectl annotate scaledobject core" in row.reason.sentence


def test_off_hands_back_what_lies_on_hpas_and_on_scaled_objects(
    own: ScaledGuardedWorld, tmp_path: Path
) -> None:
    there, here = own.raised_there(10, NEVER), own.raised(8, NEVER, name="plain")

    done = off(own, own.kubeconfig(tmp_path))

    assert done.exit_code == 0, done.stderr
    assert f"ScaledObject {own.namespace}/core" in done.stdout
    assert (own.count(there), own.floor(here)) == (3, 3)
    assert own.kept(there) == {EPOCH: "5"}


async def test_a_pass_without_rights_on_scaled_objects_misses_them_only_where_floors_are(
    own: ScaledGuardedWorld, connection: Connection
) -> None:
    own.raised_there(10, PAST)
    hpa = own.hpa("made", annotations={UNTIL: None})
    label = {"metadata": {"labels": {"scaledobject.keda.sh/name": "core"}}}
    own.send(hpa, label, MERGE, as_user=ADMIN)
    only_hpas(own)
    restorer = Restorer(connection, [own.namespace], now_s=time.time)
    without = await restorer.run_pass(Pace.EXPIRED)

    # KEDA copies the ScaledObject's annotations
    own.send(hpa, {"metadata": {"annotations": {UNTIL: PAST}}}, MERGE, as_user=ADMIN)
    copied = await restorer.run_pass(Pace.EXPIRED)

    assert (without.problems, without.rows) == ((), ())
    assert not copied.is_whole
    assert "scaledobjects" in copied.problems[0].sentence


def only_hpas(world: GuardedWorld) -> None:
    name = RESTORER.rsplit(":", 1)[1]
    metadata = {"name": name, "namespace": world.namespace}
    rule = {"apiGroups": ["autoscaling"], "resources": ["*"], "verbs": ["*"]}
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}
    world.plane.apply({**kind, "metadata": metadata, "rules": [rule]})
    client, path = world.plane.client_for(RESTORER), SCALED_OBJECT_KIND.path(world.namespace)
    until(lambda: client.request("GET", path)[0] == 403, "the right to be gone")


def off(world: GuardedWorld, kubeconfig: Path) -> Any:
    places = ["--namespace", world.namespace, "--service-namespace", world.namespace]
    arguments = ["off", "--settled-after", "0", *places]
    return CliRunner().invoke(app, arguments, env={"KUBECONFIG": str(kubeconfig)})


def view(world: GuardedWorld, path: str) -> HpaView:
    """As it is read for a decision."""
    held = floor_of(msgspec.convert(world.read(path), type=ScaledObject))
    return HpaView(
        key=TargetKey("core", "us-east-1"),
        namespace=world.namespace,
        name="keda-hpa-core",
        uid=held.metadata.uid,
        resource_version=held.metadata.resource_version,
        deployment="core",
        min_replicas=held.spec.min_replicas,
        max_replicas=held.spec.max_replicas,
        spec_replicas=3,
        ready_replicas=3,
        baseline_replicas=3,
        floor_manager=None,
        metrics=(),
        opt_in=OptIn(floor=3, ceiling=10),
        scaled_object=held.floor_object.name,
    )
