"""Each rule fires on what it is for, says how to mend it, and is silent on a sound platform."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from predictor.check.finding import Fault, Finding, Severity
from predictor.check.rules import checked
from predictor.check.scene import LiveFacts, Scene, SceneObject
from predictor.core.opt_in import CEILING, FLOOR, MODE
from predictor.core.reasons import Code
from predictor.settings import KubernetesSettings
from tests.check.check_scenes import (
    APPLICATION,
    AUTO,
    CANARY,
    DATABASE,
    DEPLOYMENT,
    HPA,
    KUSTOMIZATION,
    LIVE,
    PODS,
    QUIET,
    ROLLOUT,
    ROUTE,
    RULES_OF_HOSTS,
    SECOND,
    SETTINGS,
    Json,
    an_object_metric,
    annotated,
    changed,
    found_in,
    in_condition,
    instead,
    policies,
    scaled_by,
    with_behavior,
    with_metric,
)

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

# What is changed; the finding; a part of its sentence or mend.
FILES: list[tuple[list[Json], Severity, Fault | Code, str]] = [
    ([DEPLOYMENT], WARNING, Fault.NO_TARGET, "none of 0 HPAs"),
    (instead(annotated(FLOOR, "two")), ERROR, Code.ANNOTATION_UNREADABLE, "'two'"),
    (instead(annotated(CEILING, None)), WARNING, Code.NOT_OPTED_IN, CEILING),
    (instead(annotated(f"{CEILING}s", "8")), WARNING, Fault.ANNOTATION_UNKNOWN, CEILING),
    (instead(annotated(MODE, "paused")), NOTE, Code.PAUSED, "paused"),
    (instead(annotated(CEILING, "12")), WARNING, Fault.ABOVE_MAX_REPLICAS, "maxReplicas 10"),
    (instead(changed(HPA, "spec/maxReplicas", 1)), ERROR, Fault.ABOVE_MAX_REPLICAS, "floor is 2"),
    (
        instead(changed(HPA, "spec/scaleTargetRef/kind", "StatefulSet")),
        ERROR,
        Fault.TARGET_KIND,
        "StatefulSet web",
    ),
    (instead(SECOND), ERROR, Code.AMBIGUOUS_SELECTOR, "web-2"),
    (instead(changed(DEPLOYMENT, "spec/replicas", 0)), ERROR, Code.SCALED_TO_ZERO, "scaled to 0"),
    (instead(AUTO), ERROR, Code.VERTICAL_AUTOSCALER, "web-vpa"),
    (instead(AUTO), WARNING, Fault.VERTICAL_MODE, "Recreate"),
    (
        instead(changed(APPLICATION, "spec/ignoreDifferences", None)),
        WARNING,
        Code.GIT_OPS_REVERTS,
        "selfHeal",
    ),
    (
        instead(changed(APPLICATION, "spec/syncPolicy/syncOptions", [])),
        WARNING,
        Code.GIT_OPS_REVERTS,
        "RespectIgnoreDifferences",
    ),
    (instead(KUSTOMIZATION), WARNING, Code.GIT_OPS_REVERTS, "1.9"),
    (
        instead(changed(APPLICATION, "spec/source/targetRevision", "HEAD")),
        NOTE,
        Fault.NOT_REPRODUCIBLE,
        "HEAD",
    ),
    (instead(changed(HPA, "spec/minReplicas", "two")), ERROR, Fault.SPEC_REFUSED, "'two'"),
    (
        instead(with_behavior("scaleUp", selectPolicy="Most")),
        ERROR,
        Fault.SPEC_REFUSED,
        "selectPolicy",
    ),
    (
        instead(with_behavior("scaleDown", stabilizationWindowSeconds=600)),
        WARNING,
        Fault.FLOOR_CONDITION,
        "hold_after_raise_s 615",
    ),
    (
        instead(with_behavior("scaleDown", policies=policies(100, 60))),
        NOTE,
        Fault.FLOOR_CONDITION,
        "60 s in scaleDown",
    ),
    (
        instead(with_behavior("scaleUp", policies=policies(4, 60, "Pods"))),
        NOTE,
        Code.SCALE_UP_BUDGET,
        "after a raise of 4 at 2 replicas",
    ),
    (
        instead(with_behavior("scaleDown", selectPolicy="Disabled")),
        WARNING,
        Fault.SCALE_DOWN_DISABLED,
        "never go",
    ),
    (
        instead(with_behavior("scaleUp", selectPolicy="Disabled")),
        WARNING,
        Fault.SCALE_UP_DISABLED,
        "no metric adds a pod",
    ),
    (
        instead(with_behavior("scaleDown", policies=policies(10, 60))),
        NOTE,
        Fault.RELEASE_OUTPACED,
        "1 of 10 pods",
    ),
    (
        instead(
            with_behavior("scaleDown", policies=policies(100, 15), selectPolicy="Min"),
        ),
        NOTE,
        Fault.NO_EFFECT,
        "one policy",
    ),
    (
        instead(in_condition("ScalingActive", "False", "FailedGetPodsMetric")),
        ERROR,
        Code.METRICS_FAILING,
        "FailedGetPodsMetric: said so",
    ),
    (
        instead(in_condition("ScalingActive", "False", "ScalingDisabled")),
        WARNING,
        Code.SCALED_TO_ZERO,
        "switched off",
    ),
    (
        instead(in_condition("ScalingActive", "False", "AmbiguousSelector")),
        ERROR,
        Code.AMBIGUOUS_SELECTOR,
        "said so",
    ),
    (
        instead(in_condition("AbleToScale", "False", "FailedGetScale")),
        ERROR,
        Fault.NOT_ABLE_TO_SCALE,
        "FailedGetScale",
    ),
    (
        instead(in_condition("ScalingLimited", "True", "TooManyReplicas")),
        WARNING,
        Fault.AT_MAX_REPLICAS,
        "maxReplicas 10",
    ),
    (instead(with_metric(PODS)), NOTE, Fault.METRIC_NEEDS_ADAPTER, "web_requests_per_second"),
    (
        instead(with_metric(an_object_metric("queue_length", "Value", "100"))),
        WARNING,
        Fault.OBJECT_VALUE,
        "each sync multiplies",
    ),
    (
        instead(with_metric(an_object_metric("latency_p95", "AverageValue", "500m"))),
        NOTE,
        Fault.METRIC_UNIT,
        "which is 0.5",
    ),
    (
        instead(changed(HPA, "spec/metrics/0/resource/name", "memory")),
        NOTE,
        Fault.MEMORY_METRIC,
        "memory",
    ),
    (
        instead(changed(HPA, "apiVersion", "autoscaling/v2beta2")),
        ERROR,
        Fault.API_VERSION_GONE,
        "Kubernetes 1.26",
    ),
    (
        instead(changed(DATABASE, "spec/monitoring/enabled", True)),
        WARNING,
        Fault.FIELD_UNKNOWN,
        "enablePodMonitor",
    ),
    (
        instead(changed(ROUTE, "spec/http/0/route/0/weight", 50)),
        ERROR,
        Fault.WEIGHTS_SUM,
        "together 90",
    ),
    (
        instead(changed(ROUTE, "spec/http/0/route/0/weight", None)),
        WARNING,
        Fault.WEIGHTS_ABSENT,
        "1 of 2",
    ),
    (
        [*QUIET, scaled_by("ScaledObject", "keda.sh/v1alpha1")],
        ERROR,
        Code.AMBIGUOUS_SELECTOR,
        "KEDA makes a second HPA",
    ),
    ([*QUIET, CANARY], WARNING, Code.OTHER_CONTROLLER, "web-primary does the scaling"),
    ([*QUIET, ROLLOUT], ERROR, Code.OTHER_CONTROLLER, "Rollout web"),
    (
        instead(
            changed(
                ROUTE,
                "metadata/ownerReferences",
                [{"kind": "Canary", "name": "theirs", "apiVersion": "flagger.app/v1beta1"}],
            ),
        ),
        ERROR,
        Code.OTHER_CONTROLLER,
        "Canary theirs",
    ),
    (
        instead(changed(ROUTE, "spec/http/0/match", [{"headers": {}}])),
        NOTE,
        Fault.PINNED_ROUTE,
        "1 routes with a match",
    ),
    (
        [one for one in QUIET if one != RULES_OF_HOSTS[0]],
        WARNING,
        Fault.NO_OUTLIER_DETECTION,
        "web.us-east-1",
    ),
    (
        instead(
            changed(ROUTE, "spec/http/0/route/0/destination/host", "web.nowhere.svc.cluster.local"),
        ),
        WARNING,
        Fault.HOST_UNKNOWN,
        "namespaces nowhere",
    ),
    (instead(changed(HPA, "spec/maxReplicas", 11)), WARNING, Code.SHARED_RESOURCE, "open 220"),
]


def test_a_sound_platform_hears_nothing_of_its_files_nor_of_its_cluster() -> None:
    assert found_in(QUIET) == []
    assert found_in(QUIET, LIVE) == []


@pytest.mark.parametrize(
    ("objects", "severity", "code", "part"), FILES, ids=[f"{one[2]}-{one[1]}" for one in FILES]
)
def test_what_is_wrong_in_a_manifest_is_found(
    objects: list[Json], severity: Severity, code: Fault | Code, part: str
) -> None:
    matching = [one for one in found_in(objects) if (one.severity, one.code) == (severity, code)]

    assert any(part in one.sentence or part in one.mend for one in matching), found_in(objects)


def test_a_metric_of_another_module_is_said_to_scale_the_wrong_pods() -> None:
    other = changed(with_metric(PODS), "metadata/name", "mplp-core-hpa")
    other = changed(other, "spec/scaleTargetRef/name", "mplp-core")
    other = changed(other, "spec/metrics/0/pods/metric/name", "mplp_plan_execution_backlog")
    found = checked(Scene((SceneObject(other, "core.yaml"),)))

    told = [one.sentence for one in found if one.code is Fault.WORK_OF_ANOTHER]
    assert told == ["mplp_plan_execution_backlog counts the work of plan, and core is scaled by it"]


def test_the_hpa_that_keda_made_is_no_rival_of_its_own_scaled_object() -> None:
    owner = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "theirs"}
    made = changed(HPA, "metadata/ownerReferences", [{**owner, "controller": True}])

    found = found_in([*instead(made), scaled_by("ScaledObject", "keda.sh/v1alpha1")])

    assert [one.code for one in found] == [Code.SCALED_OBJECT]


def made_by_keda(theirs: Json | None, live: LiveFacts | None = None) -> list[Finding]:
    """Of an HPA whose annotations say nothing of use, with floors written to ScaledObjects."""
    owner = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "theirs"}
    made = changed(HPA, "metadata/ownerReferences", [{**owner, "controller": True}])
    made = changed(made, "metadata/annotations", {MODE: "odd"})
    objects = [*instead(made), *([] if theirs is None else [theirs])]
    patching = msgspec.structs.replace(SETTINGS, kubernetes=KubernetesSettings(keda="patch"))
    return checked(Scene(tuple(SceneObject(one, "all.yaml") for one in objects), patching, live))


THEIRS = changed(scaled_by("ScaledObject", "keda.sh/v1alpha1"), "spec/minReplicaCount", 2)
THEIRS = changed(THEIRS, "metadata/annotations", HPA["metadata"]["annotations"])


def test_where_floors_go_to_scaled_objects_the_owners_word_is_read_there() -> None:
    assert made_by_keda(THEIRS) == []

    (found,) = made_by_keda(changed(THEIRS, "metadata/annotations", None))

    assert (found.code, found.object) == (Code.NOT_OPTED_IN, "ScaledObject us-east-1/theirs")
    assert found.patch is not None
    assert (found.patch["kind"], found.patch["metadata"]["name"]) == ("ScaledObject", "theirs")


def test_a_cluster_that_guards_hpas_alone_is_told_of_its_scaled_objects() -> None:
    live = dataclasses.replace(LIVE, has_keda_guard=False)

    mends = {one.code: one.mend for one in made_by_keda(THEIRS, live)}

    assert mends[Code.NOT_GUARDED] == "kubectl apply -k deploy/guard-keda"
    assert found_in(QUIET, live) == []


def test_a_scaled_object_that_scales_to_zero_or_is_not_there_is_told() -> None:
    at_zero, missing = (
        {one.code: one.mend for one in made_by_keda(theirs)}
        for theirs in (changed(THEIRS, "spec/minReplicaCount", None), None)
    )

    assert at_zero == {Code.SCALED_OBJECT: "set spec.minReplicaCount to 1 or more"}
    assert missing[Code.SCALED_OBJECT] == "read it too"


def test_every_fault_has_a_case_here() -> None:
    of_clusters = {Fault.METRIC_NOT_SERVED, Fault.RIGHT_MISSING, Fault.CLOCK_SKEW}
    of_clusters |= {Fault.NOT_RESTORED}
    alone = {Fault.COULD_NOT_LOOK, Fault.WORK_OF_ANOTHER, Fault.NOT_COVERED}

    assert set(Fault) - {one[2] for one in FILES} == of_clusters | alone


def test_every_patch_makes_its_finding_go_away() -> None:
    patched = [
        (objects, one)
        for objects, _, code, _ in FILES
        for one in found_in(objects)
        if one.patch is not None and one.code is code
    ]
    for objects, one in patched:
        mended = [laid_over(each, one.patch or {}) for each in objects]
        assert (one.code, one.object) not in [(each.code, each.object) for each in found_in(mended)]
    assert {one.code for _, one in patched} == {
        Code.NOT_OPTED_IN, Code.VERTICAL_AUTOSCALER, Code.GIT_OPS_REVERTS, Fault.ABOVE_MAX_REPLICAS,
    }  # fmt: skip


def laid_over(one: Json, patch: Json) -> Json:
    if (one["kind"], one["metadata"]["name"]) != (patch["kind"], patch["metadata"]["name"]):
        return one
    return {**one, **_merged(one, patch)}


def _merged(under: Any, over: Any) -> Any:
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    return {**under, **{key: _merged(under.get(key), one) for key, one in over.items()}}
