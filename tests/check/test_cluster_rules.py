"""What a running cluster tells beyond its objects; where it cannot be asked nothing is said."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from predictor.check.finding import Fault, Severity
from predictor.check.rules import checked
from predictor.check.scene import LiveFacts, MetricsApi, Right, Scene
from predictor.core.opt_in import EPOCH, FLOOR
from predictor.core.reasons import Code
from tests.check.check_scenes import (
    DEPLOYMENT,
    HPA,
    LIVE,
    PODS,
    QUIET,
    Json,
    a_scene,
    annotated,
    changed,
    codes,
    found_in,
    instead,
    with_metric,
)

ERROR = Severity.ERROR
RIGHTS = (Right("autoscaling", "horizontalpodautoscalers", "list", "us-east-1", False),)


def live(**facts: Any) -> LiveFacts:
    return dataclasses.replace(LIVE, **facts)


def taken_by(manager: str) -> Json:
    made = held_by(manager)
    ours: Json = {"f:metadata": {"f:annotations": {f"f:{EPOCH}": {}}}}
    made["metadata"]["managedFields"].append(
        {"manager": "mplp-predictor", "operation": "Apply", "fieldsV1": ours}
    )
    return made


def held_by(*managers: str) -> Json:
    held = [
        {"manager": name, "operation": "Apply", "fieldsV1": {"f:spec": {"f:minReplicas": {}}}}
        for name in managers
    ]
    return changed(annotated(FLOOR, None), "metadata/managedFields", held)


LIVE_CASES: list[tuple[list[Json], LiveFacts, Severity, Fault | Code, str]] = [
    (instead(held_by("mplp-predictor")), LIVE, ERROR, Code.BASELINE_UNKNOWN, "is ours"),
    ([one for one in QUIET if one != DEPLOYMENT], LIVE, ERROR, Code.TARGET_MISSING, "web does not"),
    (
        QUIET,
        live(metrics_apis={}),
        ERROR,
        Fault.METRIC_NOT_SERVED,
        "nothing is registered for metrics.k8s.io",
    ),
    (
        QUIET,
        live(metrics_apis={"metrics.k8s.io": MetricsApi(False, "connection refused")}),
        ERROR,
        Fault.METRIC_NOT_SERVED,
        "connection refused",
    ),
    (
        instead(with_metric(PODS)),
        live(metrics_apis={"custom.metrics.k8s.io": MetricsApi(True, "", frozenset({"other"}))}),
        ERROR,
        Fault.METRIC_NOT_SERVED,
        "does not list it",
    ),
    (QUIET, live(rights=RIGHTS), ERROR, Fault.RIGHT_MISSING, "may not list"),
    (
        QUIET,
        live(switched_off="by night shift"),
        Severity.WARNING,
        Code.SWITCHED_OFF,
        "night shift",
    ),
    (instead(taken_by("kubectl-edit")), LIVE, ERROR, Code.CONFLICT, "kubectl-edit set minReplicas"),
    (QUIET, live(has_guard=False), ERROR, Code.NOT_GUARDED, "ValidatingAdmissionPolicy"),
    (QUIET, live(clock_ahead_s=-7.0), ERROR, Fault.CLOCK_SKEW, "7.0 s behind"),
]


@pytest.mark.parametrize(
    ("objects", "facts", "severity", "code", "part"),
    LIVE_CASES,
    ids=[f"{one[3]}-{one[4][:12]}" for one in LIVE_CASES],
)
def test_what_is_wrong_with_a_cluster_is_found(
    objects: list[Json], facts: LiveFacts, severity: Severity, code: Fault | Code, part: str
) -> None:
    found = [
        one for one in found_in(objects, facts) if (one.severity, one.code) == (severity, code)
    ]

    assert any(part in one.sentence for one in found), found_in(objects, facts)


def test_what_could_not_be_read_is_told_and_nothing_is_made_of_it() -> None:
    unknown = LiveFacts()
    scene = Scene(a_scene(QUIET, LIVE).objects, a_scene([]).settings, unknown, (("/x", "403"),))

    assert codes(checked(scene)) == {Fault.COULD_NOT_LOOK}


def test_somebody_elses_hpa_in_the_cluster_is_not_spoken_of() -> None:
    theirs = changed(changed(HPA, "metadata", {"name": "theirs", "namespace": "us-east-1"}),
                     "spec/scaleTargetRef/name", "theirs")  # fmt: skip

    assert found_in([*QUIET, changed(theirs, "spec/maxReplicas", "many")], LIVE) == []
