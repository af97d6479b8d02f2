"""Who else steers an HPA: each is told apart, and told with the mend."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from predictor.core.cluster import MetricTarget
from predictor.core.other_controllers import (
    ControlFacts,
    FloorManager,
    OwnerReference,
    ScaledObjectFacts,
    VerticalAutoscaler,
    foreign_control,
)
from predictor.core.reasons import Code

CPU = MetricTarget("Resource", "cpu", "Utilization", 70.0)
REQUESTS = MetricTarget("Pods", "requests", "AverageValue", 100.0)


def facts(**given: Any) -> ControlFacts:
    usual = {"namespace": "shop", "name": "web", "target_name": "web", "metrics": (CPU,)}
    return ControlFacts(**(usual | given))


def owner(kind: str, group: str, *, is_controller: bool = True) -> tuple[OwnerReference, ...]:
    return (OwnerReference(kind, f"{group}/v1", "theirs", is_controller),)


def acting(mode: str, *resources: str) -> tuple[VerticalAutoscaler, ...]:
    return (VerticalAutoscaler("web-vpa", mode, resources or ("cpu", "memory")),)


@pytest.mark.parametrize(
    ("given", "code", "parts"),
    [
        (
            {"owners": owner("ScaledObject", "keda.sh")},
            Code.SCALED_OBJECT,
            ("ScaledObject theirs", "minReplicaCount", "keda: patch"),
        ),
        ({"labels": {"scaledobject.keda.sh/name": "so"}}, Code.SCALED_OBJECT, ("ScaledObject so",)),
        (
            {"owners": owner("Canary", "flagger.app")},
            Code.OTHER_CONTROLLER,
            ("Flagger", "template HPA"),
        ),
        (
            {"owners": owner("EffectiveHorizontalPodAutoscaler", "autoscaling.crane.io")},
            Code.OTHER_CONTROLLER,
            ("Crane", "spec.minReplicas"),
        ),
        (
            {"owners": owner("IntelligentHorizontalPodAutoscaler", "autoscaling.kapacitystack.io")},
            Code.OTHER_CONTROLLER,
            ("Kapacity",),
        ),
        (
            {"owners": owner("FederatedHPA", "autoscaling.karmada.io")},
            Code.OTHER_CONTROLLER,
            ("FederatedHPA",),
        ),
        ({"labels": {"karmada.io/managed": "true"}}, Code.OTHER_CONTROLLER, ("OverridePolicy",)),
        (
            {"owners": owner("PodAutoscaler", "autoscaling.internal.knative.dev")},
            Code.OTHER_CONTROLLER,
            ("PodAutoscaler theirs",),
        ),
        (
            {"siblings": ("web-2",)},
            Code.AMBIGUOUS_SELECTOR,
            ("web and web-2 scale the same Deployment web", "delete"),
        ),
        ({"target_replicas": 0}, Code.SCALED_TO_ZERO, ("scaled to 0", "ScalingDisabled")),
        (
            {"vertical_autoscalers": acting("Auto")},
            Code.VERTICAL_AUTOSCALER,
            ("web-vpa (mode Auto)", "cpu", "Off"),
        ),
    ],
)
def test_who_else_is_in_charge_holds_the_target_back(
    given: dict[str, Any], code: Code, parts: tuple[str, ...]
) -> None:
    held_back = foreign_control(facts(**given)).held_back

    assert held_back is not None
    assert held_back.code is code
    assert all(part in held_back.sentence for part in parts), held_back.sentence


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "shop:autoscaling/HPA:shop/web"}},
            ("Application shop", "managedFieldsManagers: [mplp-predictor]", "RespectIgnore"),
        ),
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, ("Application shop",)),
        ({"floor_managers": (FloorManager("argocd-controller", "Apply"),)}, ("Argo CD",)),
        (
            {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}},
            ("Kustomization apps", "spec.ignore", "1.9"),
        ),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "apps"}}, ("HelmRelease apps",)),
        ({"floor_managers": (FloorManager("helm", "Apply"),)}, ("Helm 4", "--force-conflicts")),
    ],
)
def test_a_tool_that_sets_the_floor_back_is_told_and_stops_nothing(
    given: dict[str, Any], parts: tuple[str, ...]
) -> None:
    verdict = foreign_control(facts(**given))

    assert verdict.held_back is None
    assert [note.code for note in verdict.notes] == [Code.GIT_OPS_REVERTS]
    assert all(part in verdict.notes[0].sentence for part in parts), verdict.notes


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"owners": owner("Whatever", "example.com", is_controller=False)},
        {"owners": owner("ScaledObject", "keda.sh"), "patches_scaled_objects": True},
        {"labels": {"app.kubernetes.io/instance": "shop"}},
        {"floor_managers": (FloorManager("helm", "Update"),)},
        {"target_replicas": 0, "replicas_min": 0},
        {"target_replicas": 1},
        {"vertical_autoscalers": acting("Off")},
        {"vertical_autoscalers": acting("Initial")},
        {"vertical_autoscalers": acting("Recreate", "memory")},
        {"name": "db-primary"},
    ],
)
def test_an_owner_alone_with_the_hpa_hears_nothing(given: dict[str, Any]) -> None:
    assert foreign_control(facts(**given)) == (None, ())


@pytest.mark.parametrize("mode", ["Auto", "Recreate", "InPlaceOrRecreate", "InPlace"])
def test_requests_that_move_do_not_stop_a_floor_that_is_sized_per_pod(mode: str) -> None:
    given = facts(vertical_autoscalers=acting(mode), metrics=(CPU, REQUESTS))

    verdict = foreign_control(given)

    assert verdict.held_back is None
    assert [note.code for note in verdict.notes] == [Code.VERTICAL_AUTOSCALER]


@pytest.mark.parametrize(
    ("there", "part"),
    [
        (ScaledObjectFacts("so", "which is not there; look"), "from ScaledObject shop/so, which"),
        (ScaledObjectFacts("so", "", 3, "autoscaling.keda.sh/paused"), "remove its annotation"),
        (ScaledObjectFacts("so", "", 0), "set spec.minReplicaCount to 1 or more"),
    ],
)
def test_where_floors_are_patched_there_what_keeps_keda_from_them_is_told(
    there: ScaledObjectFacts, part: str
) -> None:
    given = facts(owners=owner("ScaledObject", "keda.sh"), patches_scaled_objects=True)

    held_back = foreign_control(msgspec.structs.replace(given, scaled_object=there)).held_back

    assert held_back is not None
    assert part in held_back.sentence


def test_what_a_repository_is_told_to_leave_alone_is_the_field_that_is_written() -> None:
    given = facts(
        labels={"kustomize.toolkit.fluxcd.io/name": "apps"},
        annotations={"argocd.argoproj.io/tracking-id": "shop:keda.sh/ScaledObject:shop/so"},
        patches_scaled_objects=True,
        scaled_object=ScaledObjectFacts("so", "", 1),
    )

    argo, flux = (note.sentence for note in foreign_control(given).notes)

    assert "group: keda.sh, kind: ScaledObject, managedFieldsManagers: [mplp-predictor]" in argo
    assert "Flux applies ScaledObject shop/so" in flux
    assert "[/spec/minReplicaCount], target: {kind: ScaledObject}" in flux


def test_a_copy_by_name_alone_is_only_mentioned() -> None:
    verdict = foreign_control(facts(name="web-primary", target_name="web-primary"))

    assert verdict.held_back is None
    assert "configure web instead" in verdict.notes[0].sentence


def test_everybody_who_stops_us_is_named_the_first_of_them_first() -> None:
    given = facts(owners=owner("ScaledObject", "keda.sh"), siblings=("b",), target_replicas=0)

    verdict = foreign_control(given)

    assert verdict.held_back is not None
    told = [verdict.held_back.code, *(note.code for note in verdict.notes)]
    assert told == [Code.SCALED_OBJECT, Code.AMBIGUOUS_SELECTOR, Code.SCALED_TO_ZERO]
