"""Which HPAs are targets beside the configured ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from predictor.actuators.cluster_settings import ClusterSettings, HpaTarget
from predictor.actuators.discovery import discovered
from predictor.actuators.kubernetes import KubernetesCluster
from predictor.actuators.objects import Hpa
from predictor.core.cluster import TargetKey
from predictor.core.opt_in import DOMAIN, EPOCH, MODE, MODULE, REGION
from predictor.core.reasons import Code
from rigs.kubernetes import ControlPlane
from tests.actuators.target_world import TargetWorld, until

SETTINGS = ClusterSettings(
    targets=(
        HpaTarget("core", "us-east-1", "us", "core-hpa"),
        HpaTarget("core", "eu-west-1", "eu", "core-hpa"),
        HpaTarget("plan", "us-east-1", "us", "plan-hpa"),
    ),
    discovery=True,
)


def an_hpa(namespace: str, name: str, annotations: Mapping[str, str]) -> Hpa:
    metadata = {"name": name, "uid": f"{namespace}-{name}", "resourceVersion": "1"}
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "app"}, "maxReplicas": 3}
    whole = {
        "metadata": {**metadata, "namespace": namespace, "annotations": dict(annotations)},
        "spec": spec,
    }
    return msgspec.convert(whole, type=Hpa)


PRESENT = [an_hpa(one.namespace, one.hpa, {}) for one in SETTINGS.targets]


def found(*hpas: Hpa) -> tuple[list[tuple[str, str, str]], dict[TargetKey, str]]:
    targets, problems = discovered(SETTINGS, [*hpas, *PRESENT])
    further = [one for one in targets if one not in SETTINGS.targets]
    assert [one for one in targets if one in SETTINGS.targets] == list(SETTINGS.targets)
    places = [(one.module, one.region, f"{one.namespace}/{one.hpa}") for one in further]
    assert {reason.code for _, reason in problems} <= {Code.ANNOTATION_UNREADABLE}
    return places, {key: reason.sentence for key, reason in problems}


def test_an_annotated_hpa_is_placed_by_what_is_configured() -> None:
    places, problems = found(an_hpa("eu", "plan-hpa", {MODE: "shadow"}))

    assert (places, problems) == ([("plan", "eu-west-1", "eu/plan-hpa")], {})


def test_an_annotation_goes_before_the_name() -> None:
    placed = {MODULE: "plan", REGION: "eu-west-1"}

    places, problems = found(an_hpa("elsewhere", "any", placed))

    assert (places, problems) == ([("plan", "eu-west-1", "elsewhere/any")], {})


@pytest.mark.parametrize("annotations", [{}, {EPOCH: "3"}, {"example.com/mode": "active"}])
def test_an_hpa_that_does_not_ask_for_us_is_nobodys(annotations: dict[str, str]) -> None:
    assert found(an_hpa("eu", "plan-hpa", annotations)) == ([], {})


def test_what_is_configured_is_not_discovered_again() -> None:
    assert found(an_hpa("us", "core-hpa", {MODE: "active"})) == ([], {})


@pytest.mark.parametrize(
    ("namespace", "name", "annotations", "said"),
    [
        ("us", "other", {MODE: "active"}, f"no annotation {MODULE}, and 'other' is not configured"),
        ("far", "core-hpa", {MODE: "active"}, f"no annotation {REGION}, and 'far' is not"),
        ("us", "other", {MODULE: "cor"}, f"{MODULE} is 'cor', not one of core, plan"),
        ("eu", "plan-hpa", {REGION: "mars"}, f"{REGION} is 'mars', not one of eu-west-1, us-"),
        ("us", "second", {MODULE: "core"}, "us/second and us/core-hpa are both core in us-east-1"),
    ],
    ids=["no module", "no region", "another module", "another region", "a configured one's place"],
)
def test_what_cannot_be_placed_is_a_problem_with_the_mend(
    namespace: str, name: str, annotations: dict[str, str], said: str
) -> None:
    places, problems = found(an_hpa(namespace, name, annotations))

    assert places == []
    assert said in problems[TargetKey(name, namespace)]


def test_a_configured_hpa_that_does_not_exist_leaves_its_place_to_an_annotated_one() -> None:
    elsewhere = an_hpa("new", "core", {MODULE: "core", REGION: "us-east-1"})

    targets, problems = discovered(SETTINGS, [elsewhere, *PRESENT[1:]])

    assert problems == []
    assert {one.key: one.namespace for one in targets} == {
        TargetKey("core", "us-east-1"): "new",
        TargetKey("core", "eu-west-1"): "eu",
        TargetKey("plan", "us-east-1"): "us",
    }


def test_of_two_that_claim_one_place_neither_is_taken() -> None:
    places, problems = found(
        an_hpa("eu", "one", {MODULE: "plan"}), an_hpa("eu", "two", {MODULE: "plan"})
    )

    assert places == []
    assert {key.module for key in problems} == {"one", "two"}


@pytest.mark.real
async def test_an_hpa_is_watched_from_the_moment_it_asks(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    world = TargetWorld(control_plane, tmp_path, modules="a")
    settings = world.settings
    discovering = KubernetesCluster(
        ClusterSettings(
            targets=settings.targets,
            kubeconfig=settings.kubeconfig,
            discovery=True,
            namespaces=(world.namespace,),
        )
    )
    before = [one.name for one in (await discovering.observe()).hpas]
    second = world.manifest("b", **{MODULE: "a", REGION: "us-east-1"})
    second["metadata"]["name"] = "b-hpa"
    world.plane.apply(world.deployment("b"), second)

    async def told() -> str | None:
        problems = dict((await discovering.observe()).problems)
        return getattr(problems.get(TargetKey("b-hpa", world.namespace)), "sentence", None)

    said = await until(told)
    await discovering.close()
    await world.end()

    assert before == ["a-hpa"]
    assert "are both a in us-east-1" in said
    assert DOMAIN in said
