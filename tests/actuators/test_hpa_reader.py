"""HPAs and Deployments as the API server writes them, made into views."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from predictor.actuators.cluster_settings import HpaTarget
from predictor.actuators.hpa_reader import NamespaceScene, read_hpa
from predictor.actuators.objects import Deployment, Hpa
from predictor.core.cluster import HpaView, MetricTarget
from predictor.core.reasons import Code, Reason

TARGET = HpaTarget("core", "us-east-1", "mplp", "mplp-core-hpa")


def owned_by(*managers: str) -> list[dict[str, Any]]:
    fields: dict[str, Any] = {"f:spec": {"f:minReplicas": {}, "f:maxReplicas": {}}}
    status: dict[str, Any] = {"f:status": {"f:conditions": {}}}
    controller = {"manager": "kube-controller-manager", "subresource": "status"}
    owners: list[dict[str, Any]] = [{"manager": one, "fieldsV1": fields} for one in managers]
    return [*owners, controller | {"fieldsV1": status}]


def an_hpa(**changes: Any) -> dict[str, Any]:
    hpa: dict[str, Any] = {
        "metadata": {
            "name": "mplp-core-hpa",
            "uid": "u-1",
            "resourceVersion": "42",
            "managedFields": owned_by("helm"),
        },
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "mplp-core"},
            "minReplicas": 4,
            "maxReplicas": 20,
            "metrics": [resource_metric(70), pods_metric("mplp_requests_per_second", "100")],
        },
        "status": {"currentMetrics": None, "conditions": None},
    }
    for path, value in changes.items():
        section, _, name = path.partition("__")
        hpa[section][name] = value
    return hpa


def resource_metric(percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def pods_metric(name: str, value: str) -> dict[str, Any]:
    target = {"type": "AverageValue", "averageValue": value}
    return {"type": "Pods", "pods": {"metric": {"name": name}, "target": target}}


def read(
    *hpas: dict[str, Any],
    target: HpaTarget = TARGET,
    status: dict[str, Any] | None = None,
    remembered: Callable[[str], int | None] = lambda uid: None,
) -> HpaView | Reason:
    deployment = {
        "metadata": {"name": "mplp-core", "uid": "d-1", "resourceVersion": "7"},
        "spec": {"replicas": 6},
        "status": {"readyReplicas": 5} if status is None else status,
    }
    scene = NamespaceScene.of(
        msgspec.json.decode(json.dumps(hpas), type=list[Hpa]),
        msgspec.json.decode(json.dumps([deployment]), type=list[Deployment]),
    )
    return read_hpa(target, scene, remembered)


def view(*hpas: dict[str, Any], target: HpaTarget = TARGET) -> HpaView:
    found = read(*hpas, target=target)
    assert isinstance(found, HpaView), found
    return found


def test_ready_pods_are_the_deployments_word() -> None:
    seen = view(an_hpa(status__currentReplicas=10))

    assert (seen.spec_replicas, seen.ready_replicas) == (6, 5)


def test_a_deployment_without_a_ready_pod_has_none() -> None:
    seen = read(an_hpa(), status={})

    assert isinstance(seen, HpaView)
    assert seen.ready_replicas == 0


def test_metrics_are_numbers_in_their_base_unit_with_their_readings() -> None:
    readings = [
        {"type": ""},
        {"type": "Pods", "pods": {
            "metric": {"name": "mplp_requests_per_second"}, "current": {"averageValue": "62500m"},
        }},
    ]  # fmt: skip

    seen = view(an_hpa(status__currentMetrics=readings))

    assert seen.metrics == (
        MetricTarget("Resource", "cpu", "Utilization", 70.0, None),
        MetricTarget("Pods", "mplp_requests_per_second", "AverageValue", 100.0, 62.5),
    )


def test_a_container_or_whole_value_metric_is_read_too() -> None:
    queue = {
        "type": "Object",
        "object": {
            "metric": {"name": "queue"},
            "describedObject": {"kind": "Service", "name": "mplp-core-service"},
            "target": {"type": "Value", "value": "2k"},
        },
    }
    container = {
        "type": "ContainerResource",
        "containerResource": {
            "name": "cpu",
            "container": "app",
            "target": {"type": "AverageValue", "averageValue": "250m"},
        },
    }

    seen = view(an_hpa(spec__metrics=[queue, container]))

    assert [(one.kind, one.name, one.target) for one in seen.metrics] == [
        ("Object", "queue", 2000.0),
        ("ContainerResource", "cpu", 0.25),
    ]


@pytest.mark.parametrize(
    ("owners", "annotation", "configured", "baseline"),
    [
        (["helm"], None, None, 4),
        ([], None, None, 4),
        (["mplp-predictor"], None, None, None),
        (["mplp-predictor", "helm"], None, None, 4),
        (["mplp-predictor"], None, 3, 3),
        (["helm"], None, 3, 4),
        (["mplp-predictor"], "2", 3, 2),
        (["helm"], "two", 3, None),
        (["helm"], "0", None, None),
    ],
    ids=[
        "the owner's own field says it",
        "a field that nobody recorded is the owner's",
        "a field that is ours alone says nothing",
        "a field that the owner holds with us says it",
        "configuration says it where the field cannot",
        "what the owner declares goes before configuration",
        "the owner's annotation goes before configuration",
        "an annotation that is no number makes it unknown",
        "a baseline of no replica is no baseline",
    ],
)
def test_the_baseline_is_what_the_owner_declared(
    owners: list[str], annotation: str | None, configured: int | None, baseline: int | None
) -> None:
    hpa = an_hpa(metadata__managedFields=owned_by(*owners))
    if annotation is not None:
        hpa["metadata"]["annotations"] = {"predictor.mplp.io/floor": annotation}

    seen = view(hpa, target=HpaTarget(*TARGET.key, "mplp", "mplp-core-hpa", configured))

    assert seen.baseline_replicas == baseline


def test_a_field_that_is_ours_leaves_the_baseline_that_was_seen_before() -> None:
    hpa = an_hpa(metadata__managedFields=owned_by("mplp-predictor"))

    seen = read(hpa, remembered={hpa["metadata"]["uid"]: 2}.get)

    assert isinstance(seen, HpaView)
    assert seen.baseline_replicas == 2


def test_an_hpa_that_the_controller_calls_ambiguous_is() -> None:
    condition = {"type": "ScalingActive", "status": "False", "reason": "AmbiguousSelector"}

    assert view(an_hpa(status__conditions=[condition])).ambiguous
    assert not view(an_hpa(status__conditions=[condition | {"reason": "FailedGet"}])).ambiguous


def test_two_hpas_on_one_deployment_are_ambiguous_before_the_controller_says_so() -> None:
    second = copy.deepcopy(an_hpa())
    second["metadata"]["name"] = "mplp-custom-metrics-hpa"

    assert view(an_hpa(), second).ambiguous


def scaling_active(reason: str) -> dict[str, str]:
    condition = {"type": "ScalingActive", "status": "False", "reason": reason, "message": "none"}
    return condition | {"lastTransitionTime": "2030-03-17T17:46:40Z"}


def test_a_metric_that_cannot_be_read_is_the_controllers_word() -> None:
    failing = view(an_hpa(status__conditions=[scaling_active("FailedGetPodsMetric")]))

    assert failing.metrics_failing == "FailedGetPodsMetric: none"
    assert failing.metrics_failing_since_s == 1_900_000_000.0


@pytest.mark.parametrize("reason", ["ScalingDisabled", "AmbiguousSelector"])
def test_a_person_or_a_second_hpa_is_no_failing_metric(reason: str) -> None:
    assert view(an_hpa(status__conditions=[scaling_active(reason)])).metrics_failing == ""


def test_an_hpa_that_another_controller_made_is_held_back() -> None:
    owner = {"kind": "ScaledObject", "apiVersion": "keda.sh/v1alpha1", "name": "core"}
    made = an_hpa(metadata__ownerReferences=[owner | {"controller": True}])

    held_back = view(made).held_back

    assert held_back is not None
    assert held_back.code is Code.SCALED_OBJECT


def test_a_floor_that_was_taken_from_us_is_held_back_before_all_else() -> None:
    ours = {
        "manager": "mplp-predictor",
        "fieldsV1": {"f:metadata": {"f:annotations": {"f:state.predictor.mplp.io/epoch": {}}}},
    }
    owner = {"kind": "ScaledObject", "apiVersion": "keda.sh/v1alpha1", "name": "core"}
    taken = an_hpa(
        metadata__managedFields=[*owned_by("kubectl-edit"), ours],
        metadata__ownerReferences=[owner],
    )

    seen = view(taken)

    assert seen.held_back is not None
    assert seen.held_back.code is Code.CONFLICT
    assert "kubectl-edit set minReplicas to 4 after us" in seen.held_back.sentence
    assert Code.SCALED_OBJECT in {one.code for one in seen.notes}


@pytest.mark.parametrize(
    ("hpas", "named"),
    [
        ([], "HPA mplp/mplp-core-hpa"),
        ([an_hpa(spec__scaleTargetRef={"kind": "Deployment", "name": "gone"})], "mplp/gone"),
        ([an_hpa(spec__scaleTargetRef={"kind": "StatefulSet", "name": "db"})], "StatefulSet db"),
    ],
    ids=["no HPA", "no Deployment", "an HPA of something else"],
)
def test_what_is_missing_is_named(hpas: list[dict[str, Any]], named: str) -> None:
    found = read(*hpas)

    assert isinstance(found, Reason)
    assert found.code is Code.TARGET_MISSING
    assert named in found.sentence
