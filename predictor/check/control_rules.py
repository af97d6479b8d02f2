"""Who else steers the HPAs, and which repository would set a floor back.

What the service itself would say (`predictor/core/other_controllers.py`) is asked of it; what is
only seen in the tools' own objects is read here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from predictor.check.fields import entries, mapping, text, texts, value, whole
from predictor.check.finding import Fault, Finding, Severity
from predictor.check.metric_specs import metric_specs
from predictor.check.patches import patch_of
from predictor.check.scene import Hpa, Scene, SceneObject
from predictor.core.cluster import MetricTarget
from predictor.core.floor_object import HPA_KIND, SCALED_OBJECT_KIND
from predictor.core.opt_in import FIELD_MANAGER
from predictor.core.other_controllers import (
    ControlFacts,
    FloorManager,
    ScaledObjectFacts,
    VerticalAutoscaler,
    foreign_control,
    paused_by,
    scaled_object_name,
)
from predictor.core.reasons import Code, Reason

_MIN_REPLICAS = "/spec/minReplicas"
_MINIMA = {f"f:{kind.minimum}" for kind in (HPA_KIND, SCALED_OBJECT_KIND)}
_RESPECTED = "RespectIgnoreDifferences=true"
_HPA = "HorizontalPodAutoscaler"


def other_controllers(scene: Scene) -> Iterator[Finding]:
    """All that `foreign_control` knows of each HPA; a repository that was told to leave the floor
    alone is not mentioned."""
    settled = {one.name for one in scene.of_kind("Application") if _is_settled_by_argo(one)}
    settled |= {one.name for one in scene.of_kind("Kustomization") if _is_settled_by_flux(one)}
    for hpa in scene.checked:
        verdict = foreign_control(control_facts(hpa, scene))
        if verdict.held_back is not None:
            yield _finding(Severity.ERROR, verdict.held_back, hpa, scene)
        for reason in verdict.notes:
            if reason.code is Code.GIT_OPS_REVERTS and settled & _appliers(hpa):
                continue
            yield _finding(Severity.WARNING, reason, hpa, scene)


def control_facts(hpa: Hpa, scene: Scene) -> ControlFacts:
    """What the scene knows of one HPA, as the core asks for it."""
    kind, name = hpa.target
    workload = scene.workload(hpa)
    whole_labels = {**hpa.of.labels, **hpa.floor.labels}
    metrics = (MetricTarget(one.kind, one.name, one.target_type, 0.0) for one in metric_specs(hpa))
    return ControlFacts(
        namespace=hpa.of.namespace,
        name=hpa.of.name,
        labels=whole_labels,
        annotations=hpa.floor.annotations,
        owners=tuple(dict.fromkeys([*hpa.of.owners, *hpa.floor.owners])),
        floor_managers=tuple(_floor_managers(hpa.floor)),
        target_kind=kind,
        target_name=name,
        target_replicas=None if workload is None else whole(workload.body, "spec", "replicas"),
        replicas_min=1 if hpa.replicas_min is None else hpa.replicas_min,
        siblings=scene.siblings(hpa),
        vertical_autoscalers=tuple(_vertical(one) for one in scene.vertical_autoscalers(hpa)),
        metrics=tuple(metrics),
        patches_scaled_objects=scene.patches_scaled_objects,
        scaled_object=_scaled_object(hpa, scene),
    )


def _scaled_object(hpa: Hpa, scene: Scene) -> ScaledObjectFacts | None:
    """The ScaledObject to which the floor is written, if that is so."""
    name = scaled_object_name(hpa.of.owners, hpa.of.labels)
    if name is None or not scene.patches_scaled_objects:
        return None
    if hpa.made_from is None:
        return ScaledObjectFacts(name, "which was not read; read it too")
    count = whole(hpa.made_from.body, "spec", "minReplicaCount")
    return ScaledObjectFacts(name, "", count or 0, paused_by(hpa.made_from.annotations))


def vertical_mode(one: SceneObject) -> str:
    """Its updateMode; without one the API's default."""
    return text(one.body, "spec", "updatePolicy", "updateMode") or "Auto"


def applications(scene: Scene) -> Iterator[Finding]:
    """Argo CD Applications that set a floor back; live, only those that apply a checked HPA."""
    applied = {name for hpa in scene.checked for name in _appliers(hpa)}
    for one in scene.of_kind("Application"):
        if one.group != "argoproj.io" or _is_settled_by_argo(one):
            continue
        if not one.place and one.name not in applied:
            continue
        heals = value(one.body, "spec", "syncPolicy", "automated", "selfHeal") is True
        when = "at once (selfHeal)" if heals else "when it syncs"
        yield Finding(
            Severity.WARNING,
            Code.GIT_OPS_REVERTS,
            one.title,
            f"sets minReplicas of the HPAs it applies back {when}",
            "ignoreDifferences for minReplicas of our manager, and the syncOption "
            "RespectIgnoreDifferences=true",
            one.place,
            _argo_patch(one),
        )


def kustomizations(scene: Scene) -> Iterator[Finding]:
    """Flux Kustomizations that set a floor back at each interval."""
    applied = {name for hpa in scene.checked for name in _appliers(hpa)}
    for one in scene.of_kind("Kustomization"):
        if one.group != "kustomize.toolkit.fluxcd.io" or _is_settled_by_flux(one):
            continue
        if not one.place and one.name not in applied:
            continue
        ignored = [*entries(one.body, "spec", "ignore")]
        ours = {"paths": [_MIN_REPLICAS], "target": {"kind": _HPA}}
        yield Finding(
            Severity.WARNING,
            Code.GIT_OPS_REVERTS,
            one.title,
            "sets minReplicas of the HPAs it applies back at each interval",
            "spec.ignore for /spec/minReplicas; needs kustomize-controller 1.9 or newer",
            one.place,
            patch_of(one, spec={"ignore": [*ignored, ours]}),
        )


def vertical_modes(scene: Scene) -> Iterator[Finding]:
    """The mode Auto, deprecated and the same as Recreate: it evicts pods to change them."""
    ours = {one.title for hpa in scene.checked for one in scene.vertical_autoscalers(hpa)}
    for one in scene.of_kind("VerticalPodAutoscaler"):
        if vertical_mode(one) != "Auto" or not (one.place or one.title in ours):
            continue
        yield Finding(
            Severity.WARNING,
            Fault.VERTICAL_MODE,
            one.title,
            "updateMode Auto is deprecated and means Recreate: pods are evicted to change their "
            "requests, and the dip in capacity is no load",
            "updateMode InPlaceOrRecreate, or Off for recommendations only",
            one.place,
        )


def _finding(severity: Severity, reason: Reason, hpa: Hpa, scene: Scene) -> Finding:
    fact, _, mend = reason.sentence.rpartition("; ")
    patch = None
    if reason.code is Code.VERTICAL_AUTOSCALER:
        for one in scene.vertical_autoscalers(hpa):
            if f" {one.name} " in reason.sentence:
                patch = patch_of(one, spec={"updatePolicy": {"updateMode": "Off"}})
    return Finding(severity, reason.code, hpa.of.title, fact, mend, hpa.of.place, patch)


def _floor_managers(one: SceneObject) -> Iterator[FloorManager]:
    for entry in entries(one.body, "metadata", "managedFields"):
        if not _MINIMA.isdisjoint(mapping(entry, "fieldsV1", "f:spec")):
            yield FloorManager(text(entry, "manager"), text(entry, "operation"))


def floor_managers(one: SceneObject) -> tuple[str, ...]:
    """Who holds minReplicas, in the object's own order."""
    return tuple(manager.manager for manager in _floor_managers(one))


def _vertical(one: SceneObject) -> VerticalAutoscaler:
    policies = [*entries(one.body, "spec", "resourcePolicy", "containerPolicies")]
    acting = [policy for policy in policies if policy.get("mode") != "Off"]
    resources = {
        resource
        for policy in acting
        for resource in texts(policy, "controlledResources") or ("cpu", "memory")
    }
    both = ("cpu", "memory")
    listed = tuple(sorted(resources)) if policies else both
    return VerticalAutoscaler(one.name, vertical_mode(one), listed)


def _appliers(hpa: Hpa) -> set[str]:
    """The names of the Applications and Kustomizations that say they apply it."""
    labels, tracked = hpa.of.labels, hpa.of.annotations.get("argocd.argoproj.io/tracking-id", "")
    names = {
        tracked.partition(":")[0],
        labels.get("argocd.argoproj.io/instance", ""),
        labels.get("kustomize.toolkit.fluxcd.io/name", ""),
    }
    return names - {""}


def _is_settled_by_argo(one: SceneObject) -> bool:
    if _RESPECTED not in texts(one.body, "spec", "syncPolicy", "syncOptions"):
        return False
    return any(
        text(entry, "kind") in (_HPA, "*")
        and (
            FIELD_MANAGER in texts(entry, "managedFieldsManagers")
            or _MIN_REPLICAS in texts(entry, "jsonPointers")
        )
        for entry in entries(one.body, "spec", "ignoreDifferences")
    )


def _is_settled_by_flux(one: SceneObject) -> bool:
    ignored = entries(one.body, "spec", "ignore")
    return any(_MIN_REPLICAS in texts(entry, "paths") for entry in ignored)


def _argo_patch(one: SceneObject) -> dict[str, Any]:
    ours: Mapping[str, Any] = {
        "group": "autoscaling",
        "kind": _HPA,
        "managedFieldsManagers": [FIELD_MANAGER],
    }
    options = [*texts(one.body, "spec", "syncPolicy", "syncOptions")]
    spec = {
        "ignoreDifferences": [*entries(one.body, "spec", "ignoreDifferences"), ours],
        "syncPolicy": {"syncOptions": [*dict.fromkeys([*options, _RESPECTED])]},
    }
    return patch_of(one, spec=spec)
