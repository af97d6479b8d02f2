"""A floor on one real object: what is written, who else may write, and what is said of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from predictor.actuators.kubernetes import KubernetesCluster
from predictor.core.cluster import Applied
from predictor.core.opt_in import EPOCH, REASON, UNTIL
from predictor.core.reasons import Code
from rigs.kubernetes import ControlPlane
from tests.actuators.cluster_worlds import a_floor_intent
from tests.actuators.target_world import BASELINE, TargetWorld, reason_of, until

pytestmark = pytest.mark.real

KEPT = (UNTIL, EPOCH, REASON)
_APPLY = "application/apply-patch+yaml"


@pytest.fixture
async def world(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[TargetWorld]:
    made = TargetWorld(control_plane, tmp_path)
    yield made
    await made.end()


def kept(world: TargetWorld) -> dict[str, str]:
    annotations = world.held()["metadata"]["annotations"]
    return {name: annotations[name] for name in KEPT if name in annotations}


def apply_as(world: TargetWorld, manager: str, *, force: bool, replicas_min: int) -> int:
    manifest = world.manifest()
    manifest["spec"]["minReplicas"] = replicas_min
    path = f"{world.path()}?fieldManager={manager}&force={str(force).lower()}"
    return world.plane.request("PATCH", path, manifest, _APPLY)[0]


def replaced_by(world: TargetWorld, manager: str) -> int:
    """`kubectl replace` with the manifest of the repository."""
    path = f"{world.path()}?fieldManager={manager}"
    return world.plane.request("PUT", path, world.manifest())[0]


async def test_a_floor_carries_when_it_ends_its_epoch_and_why(world: TargetWorld) -> None:
    before = world.held()

    assert isinstance(await world.raise_to(8), Applied)

    after = world.held()
    owners_own = {
        name: before["metadata"]["annotations"][name] for name in before["metadata"]["annotations"]
    }
    assert after["spec"] == before["spec"] | {"minReplicas": 8}
    assert kept(world) == {UNTIL: "2030-03-17T17:46:40Z", EPOCH: "7", REASON: "a peak"}
    assert owners_own.items() <= after["metadata"]["annotations"].items()


async def test_at_the_baseline_the_expiry_goes_and_the_epoch_stays(world: TargetWorld) -> None:
    await world.raise_to(8)

    await world.raise_to(BASELINE, until_s=None, epoch=9)

    assert (world.floor(), kept(world)) == (BASELINE, {EPOCH: "9"})


async def test_a_renewal_moves_the_expiry_alone(world: TargetWorld) -> None:
    await world.raise_to(8)
    generation = world.held()["metadata"]["generation"]

    assert isinstance(await world.raise_to(8, until_s=2_000_000_000.0), Applied)

    assert kept(world)[UNTIL] == "2033-05-18T03:33:20Z"
    assert world.held()["metadata"]["generation"] == generation


async def test_what_was_written_is_seen_at_once(world: TargetWorld) -> None:
    outcome = await world.raise_to(8)

    (seen,) = (await world.cluster.observe()).hpas

    assert isinstance(outcome, Applied)
    assert int(seen.resource_version) >= int(outcome.resource_version)
    assert (seen.min_replicas, seen.kept.epoch, seen.held_back) == (8, 7, None)


async def test_a_floor_edited_by_hand_stays_the_persons_also_after_a_restart(
    world: TargetWorld,
) -> None:
    await world.raise_to(8)
    assert world.edit({"spec": {"minReplicas": 5}}) == 200
    restarted = KubernetesCluster(world.settings)

    refused = [
        reason_of(await world.raise_to(9, cluster=one)) for one in (world.cluster, restarted)
    ]
    view = await world.view(cluster=restarted)
    await restarted.close()

    assert {one.code for one in refused} == {Code.CONFLICT}
    assert "a-person set minReplicas to 5 after us" in refused[1].sentence
    assert view.held_back == refused[1]
    assert world.floor() == 5


async def test_the_mend_that_is_named_lets_us_adopt_it_anew(world: TargetWorld) -> None:
    await world.raise_to(8)
    world.edit({"spec": {"minReplicas": 5}})
    said = reason_of(await world.raise_to(9)).sentence

    named = [one.removesuffix("-") for one in said.split() if one.endswith("-")]
    world.edit({"metadata": {"annotations": dict.fromkeys(named)}})

    assert set(named) == set(KEPT)
    assert isinstance(await world.raise_to(9), Applied)
    assert world.floor() == 9


async def test_a_manifest_put_in_place_of_the_whole_object_is_left_alone_for_a_while(
    world: TargetWorld,
) -> None:
    await world.raise_to(8)
    await world.view()
    assert replaced_by(world, "kubectl-replace") == 200

    view = await world.view()

    assert (view.min_replicas, kept(world)) == (BASELINE, {})
    assert view.held_back is not None
    assert view.held_back.code is Code.REPLACED
    assert "kubectl-replace (Update, " in view.held_back.sentence


async def test_an_unchanged_manifest_applied_again_after_a_hand_back_takes_nothing(
    world: TargetWorld,
) -> None:
    await world.raise_to(8)
    await world.raise_to(BASELINE, until_s=None)
    assert apply_as(world, "rigs", force=False, replicas_min=BASELINE) == 200

    assert isinstance(await world.raise_to(8), Applied)
    assert world.floor() == 8


async def test_a_manifest_that_declares_our_floor_is_not_overruled(world: TargetWorld) -> None:
    await world.raise_to(8)
    assert apply_as(world, "argocd-controller", force=False, replicas_min=8) == 200

    said = reason_of(await world.raise_to(6))

    assert (said.code, world.floor()) == (Code.CONFLICT, 8)
    assert "argocd-controller" in said.sentence


async def test_an_hpa_that_is_deleted_is_not_made_again(world: TargetWorld) -> None:
    old = await world.view()
    world.plane.delete(world.path())

    outcome = await world.cluster.set_floor(a_floor_intent(old, 8))
    problem = await world.problem()

    assert reason_of(outcome).code is Code.TARGET_MISSING
    assert problem.sentence.endswith("a-hpa does not exist")
    assert world.plane.request("GET", world.path())[0] == 404


async def test_an_hpa_that_was_recreated_is_decided_on_anew(world: TargetWorld) -> None:
    await world.raise_to(8)
    old = await world.view()
    world.plane.delete(world.path())
    world.plane.apply(world.manifest())

    outcome = await world.cluster.set_floor(a_floor_intent(old, 9))

    assert reason_of(outcome).code is Code.MOVED_ON
    assert world.floor() == BASELINE
    assert isinstance(await world.raise_to(9), Applied)


async def test_an_hpa_under_another_name_is_not_taken_for_ours(world: TargetWorld) -> None:
    await world.view()
    renamed = world.manifest()
    renamed["metadata"]["name"] = "renamed-hpa"
    world.plane.delete(world.path())
    world.plane.apply(renamed)

    assert (await world.problem()).code is Code.TARGET_MISSING
    status, answer = world.plane.request("GET", world.path().replace("a-hpa", "renamed-hpa"))
    assert (status, answer["spec"]["minReplicas"]) == (200, BASELINE)


async def test_whoever_writes_in_the_last_moment_is_named(world: TargetWorld) -> None:
    await world.raise_to(8)
    old = await world.view()
    world.edit({"spec": {"minReplicas": 5}})

    said = reason_of(await world.cluster.set_floor(a_floor_intent(old, 9)))
    seen = await world.view()
    while seen.held_back is None:
        await asyncio.sleep(0.05)
        seen = await world.view()

    # the watch may or may not have told of the edit before the write
    assert said.code in (Code.MOVED_ON, Code.CONFLICT)
    assert "a-person set minReplicas to 5 after us" in seen.held_back.sentence
    assert world.floor() == 5


async def test_our_own_annotation_in_somebodys_hand_locks_nothing(world: TargetWorld) -> None:
    await world.raise_to(8)
    world.edit({"metadata": {"annotations": {UNTIL: "2020-01-01T00:00:00Z"}}})

    assert isinstance(await world.raise_to(9), Applied)
    assert world.floor() == 9


async def test_a_floor_above_a_lowered_maximum_is_not_sent(world: TargetWorld) -> None:
    await world.raise_to(8)
    # the server refuses a maximum below the floor, so a person lowers both
    assert world.edit({"spec": {"maxReplicas": 6}}) == 422
    world.edit({"spec": {"maxReplicas": 6, "minReplicas": 6}})

    said = reason_of(await world.raise_to(9))

    assert (said.code, world.floor()) == (Code.CONFLICT, 6)


async def test_a_lowered_maximum_bounds_the_next_floor(world: TargetWorld) -> None:
    await world.raise_to(4)
    assert world.edit({"spec": {"maxReplicas": 6}}) == 200

    said = reason_of(await world.raise_to(9))

    assert said.code is Code.REFUSED
    assert "a floor of 9 is outside 1 to maxReplicas 6" in said.sentence
    assert isinstance(await world.raise_to(6), Applied)


async def test_a_quota_that_keeps_pods_away_is_told(world: TargetWorld) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few", "namespace": world.namespace},
        "spec": {"hard": {"pods": "3"}},
    }
    world.plane.apply(quota)
    await world.raise_to(6)

    async def blocked() -> Any:
        view = (await world.cluster.observe()).hpas[0]
        return view if view.blocked else None

    view = await until(blocked)

    assert (view.spec_replicas, view.ready_replicas <= 3) == (6, True)
    assert "not Ready: FailedCreate" in view.blocked
    assert "quota" in view.blocked


async def test_metrics_that_nobody_serves_are_told(world: TargetWorld) -> None:
    async def failing() -> str | None:
        return (await world.cluster.observe()).hpas[0].metrics_failing or None

    said = await until(failing)

    assert said.startswith("FailedGetPodsMetric: ")


async def test_a_target_at_zero_is_left_there(world: TargetWorld) -> None:
    assert world.edit({"spec": {"replicas": 0}}, deployment=True) == 200

    async def at_zero() -> Any:
        view = (await world.cluster.observe()).hpas[0]
        return view if view.spec_replicas == 0 else None

    view = await until(at_zero)

    assert view.held_back is not None
    assert view.held_back.code is Code.SCALED_TO_ZERO


async def test_another_image_or_request_is_another_template(world: TargetWorld) -> None:
    before = (await world.view()).template
    container = {"name": "app", "image": "none", "resources": {"requests": {"cpu": "2"}}}
    body = {"spec": {"template": {"spec": {"containers": [container]}}}}
    world.edit(body, deployment=True)

    async def other() -> str | None:
        seen = (await world.cluster.observe()).hpas[0].template
        return seen if seen != before else None

    assert len(await until(other)) == len(before) == 12


async def test_a_vertical_autoscaler_that_moves_the_scaled_resource_holds_a_floor_back(
    world: TargetWorld,
) -> None:
    manifest = world.manifest()
    target = {"type": "Utilization", "averageUtilization": 70}
    resource = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    manifest["spec"]["metrics"] = [resource]
    world.plane.apply(manifest, VERTICAL_AUTOSCALERS)
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}
    metadata = {"name": "a-vpa", "namespace": world.namespace}
    kind = {"apiVersion": "autoscaling.k8s.io/v1", "kind": "VerticalPodAutoscaler"}
    try:
        world.plane.apply({**kind, "metadata": metadata, "spec": {"targetRef": reference}})
        view = await world.view()
    finally:
        world.plane.delete(world.plane.client.path_of(VERTICAL_AUTOSCALERS))

    assert view.held_back is not None
    assert view.held_back.code is Code.VERTICAL_AUTOSCALER
    assert "a-vpa (mode Auto) changes the cpu request" in view.held_back.sentence


VERTICAL_AUTOSCALERS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "verticalpodautoscalers.autoscaling.k8s.io",
        "annotations": {
            "api-approved.kubernetes.io": "https://github.com/kubernetes/kubernetes/pull/63797"
        },
    },
    "spec": {
        "group": "autoscaling.k8s.io",
        "scope": "Namespaced",
        "names": {
            "kind": "VerticalPodAutoscaler",
            "plural": "verticalpodautoscalers",
            "singular": "verticalpodautoscaler",
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}
