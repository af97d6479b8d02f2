"""A floor for an HPA that KEDA makes: its ScaledObject's, read there and yielded there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from predictor.actuators.kubernetes import KubernetesCluster
from predictor.core.cluster import Applied, HpaView
from predictor.core.opt_in import CEILING, EPOCH, MODE, REASON, UNTIL, Mode
from predictor.core.reasons import Code
from rigs.credentials import PREDICTOR
from rigs.kubernetes import ControlPlane
from tests.actuators.cluster_worlds import a_floor_intent
from tests.actuators.scaled_object_worlds import ScaledWorld, scaled_object
from tests.actuators.target_world import BASELINE, REPLICAS_MAX, reason_of, until

pytestmark = pytest.mark.real

_APPLY = "application/apply-patch+yaml"


@pytest.fixture
async def world(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[ScaledWorld]:
    made = ScaledWorld(control_plane, tmp_path)
    yield made
    await made.end()


async def test_a_floor_is_written_to_the_scaled_object_and_never_to_the_hpa(
    world: ScaledWorld,
) -> None:
    before, hpa_before = world.held(), world.hpa()["spec"]

    assert isinstance(await world.raise_to(8), Applied)

    after = world.held()
    kept = {UNTIL: "2030-03-17T17:46:40Z", EPOCH: "7", REASON: "a peak"}
    assert after["spec"] == before["spec"] | {"minReplicaCount": 8}
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"] | kept
    assert world.hpa()["spec"] == hpa_before
    writers = {one["manager"] for one in world.hpa()["metadata"]["managedFields"]}
    assert "mplp-predictor" not in writers


async def test_keda_brings_the_floor_to_the_hpa_and_its_pods(world: ScaledWorld) -> None:
    await world.raise_to(6)
    world.play_keda()

    async def ready() -> HpaView | None:
        view = await world.view()
        return view if view.ready_replicas == 6 else None

    view = await until(ready)

    assert (view.min_replicas, view.spec_replicas, view.held_back) == (6, 6, None)


async def test_the_view_says_from_which_object_it_was_read(world: ScaledWorld) -> None:
    world.edit({"metadata": {"annotations": {MODE: "active", CEILING: "9"}}})
    stale = {"metadata": {"annotations": {MODE: "paused", CEILING: "5", EPOCH: "99"}}}
    world.plane.request("PATCH", world.hpa_path, stale, "application/merge-patch+json")

    view = await world.view()

    assert view.floor_object.title == f"ScaledObject {world.namespace}/a"
    assert (view.name, view.scaled_object, view.uid) == ("a-hpa", "a", _uid(world))
    assert (view.opt_in.mode, view.opt_in.ceiling, view.kept.epoch) == (Mode.ACTIVE, 9, None)
    assert (view.baseline_replicas, view.max_replicas) == (BASELINE, REPLICAS_MAX)


async def test_the_owner_of_the_scaled_object_takes_the_floor_also_after_a_restart(
    world: ScaledWorld,
) -> None:
    await world.raise_to(8)
    world.play_keda()
    assert world.edit({"spec": {"minReplicaCount": 5}}) == 200
    restarted = KubernetesCluster(world.settings)

    said = [reason_of(await world.raise_to(9, cluster=one)) for one in (world.cluster, restarted)]
    view = await world.view(cluster=restarted)
    await restarted.close()

    assert {one.code for one in said} == {Code.CONFLICT}
    assert "a-person set minReplicaCount to 5 after us" in said[1].sentence
    assert f"kubectl annotate scaledobject a -n {world.namespace}" in said[1].sentence
    assert (view.held_back, world.floor()) == (said[1], 5)


async def test_whoever_takes_it_in_the_last_moment_is_named(world: ScaledWorld) -> None:
    await world.raise_to(8)
    old = await world.view()
    world.edit({"spec": {"minReplicaCount": 5}})

    said = reason_of(await world.cluster.set_floor(a_floor_intent(old, 9)))
    seen = await world.view()
    while seen.held_back is None:
        await asyncio.sleep(0.05)
        seen = await world.view()

    # the watch may or may not have told of the edit before the write
    assert said.code in (Code.MOVED_ON, Code.CONFLICT)
    assert "a-person set minReplicaCount to 5 after us" in seen.held_back.sentence
    assert world.floor() == 5


async def test_the_mend_that_is_named_lets_us_adopt_it_anew(world: ScaledWorld) -> None:
    await world.raise_to(8)
    world.edit({"spec": {"minReplicaCount": 5}})
    said = reason_of(await world.raise_to(9)).sentence

    named = [one.removesuffix("-") for one in said.split() if one.endswith("-")]
    world.edit({"metadata": {"annotations": dict.fromkeys(named)}})

    assert isinstance(await world.raise_to(9), Applied)
    assert world.floor() == 9


async def test_a_manifest_that_declares_our_floor_is_not_overruled(world: ScaledWorld) -> None:
    await world.raise_to(8)
    manifest = scaled_object(world.namespace, minReplicaCount=8)
    path = f"{world.path()}?fieldManager=argocd-controller"
    assert world.plane.request("PATCH", path, manifest, _APPLY)[0] == 200

    said = reason_of(await world.raise_to(6))

    assert (said.code, world.floor()) == (Code.CONFLICT, 8)
    assert "argocd-controller" in said.sentence


async def test_at_the_baseline_the_expiry_goes_and_the_epoch_stays(world: ScaledWorld) -> None:
    await world.raise_to(8)

    await world.raise_to(BASELINE, until_s=None, epoch=9)

    ours = {key for key in world.held()["metadata"]["annotations"] if key.startswith("state.")}
    assert (world.floor(), ours) == (BASELINE, {EPOCH})


async def test_a_scaled_object_that_was_recreated_is_decided_on_anew(world: ScaledWorld) -> None:
    await world.raise_to(8)
    old = await world.view()
    world.plane.delete(world.path())
    # What it owned is deleted with it. The garbage collector does that when it comes to it, which
    # may be between the two writes below.
    world.plane.delete(world.hpa_path)
    world.plane.apply(scaled_object(world.namespace))

    # so KEDA makes the HPA again
    world.plane.apply(world.manifest())
    world.play_keda()
    await world.view()

    said = reason_of(await world.cluster.set_floor(a_floor_intent(old, 9)))

    assert (said.code, world.floor()) == (Code.MOVED_ON, BASELINE)
    assert "ScaledObject" in said.sentence
    assert isinstance(await world.raise_to(9), Applied)


async def test_a_scaled_object_that_is_gone_is_not_made_again(world: ScaledWorld) -> None:
    old = await world.view()
    world.plane.delete(world.path())

    said = reason_of(await world.cluster.set_floor(a_floor_intent(old, 8)))

    assert said.code in (Code.SCALED_OBJECT, Code.TARGET_MISSING)
    assert "does not exist" in said.sentence
    assert world.plane.request("GET", world.path())[0] == 404


async def test_without_the_right_to_read_them_the_hpa_is_left_alone_and_others_are_not(
    world: ScaledWorld, tmp_path: Path
) -> None:
    folder = tmp_path / "worker"
    folder.mkdir()
    token = world.plane.tokens[PREDICTOR]
    both = ScaledWorld(world.plane, folder, modules="ab", token=token)
    grant_reading(both)

    async def seen() -> tuple[HpaView, ...]:
        return (await both.cluster.observe()).hpas

    view, other = await until(seen)
    await both.end()

    assert (other.name, other.held_back) == ("b-hpa", None)
    assert view.held_back is not None
    assert view.held_back.code is Code.SCALED_OBJECT
    assert "ScaledObject" in view.held_back.sentence
    assert "answered 403" in view.held_back.sentence
    assert "apply deploy/keda" in view.held_back.sentence


async def test_in_refusing_no_scaled_object_is_even_asked_for(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    refusing = ScaledWorld(control_plane, tmp_path, patches_scaled_objects=False)

    (view,) = (await refusing.cluster.observe()).hpas
    watches = [one.get_name() for one in refusing.cluster._scenes._tasks]
    await refusing.end()

    assert view.held_back is not None
    assert "configure `keda: patch`" in view.held_back.sentence
    assert (view.scaled_object, len(watches)) == ("", 2)


def grant_reading(world: ScaledWorld) -> None:
    """HPAs and Deployments, and nothing of KEDA's."""
    rbac, metadata = "rbac.authorization.k8s.io", {"name": "reading", "namespace": world.namespace}
    rules = [
        {"apiGroups": [group], "resources": [kind], "verbs": ["list", "watch"]}
        for group, kind in (("autoscaling", "horizontalpodautoscalers"), ("apps", "deployments"))
    ]
    role = {"apiGroup": rbac, "kind": "Role", "name": "reading"}
    subjects = [{"kind": "User", "apiGroup": rbac, "name": PREDICTOR}]
    kind = {"apiVersion": f"{rbac}/v1", "metadata": metadata}
    world.plane.apply(
        {**kind, "kind": "Role", "rules": rules},
        {**kind, "kind": "RoleBinding", "roleRef": role, "subjects": subjects},
    )


def _uid(world: ScaledWorld) -> str:
    found: str = world.held()["metadata"]["uid"]
    return found
