"""An HPA that KEDA makes, put together with its ScaledObject."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from predictor.actuators.cluster_settings import ClusterSettings, HpaTarget
from predictor.actuators.connection import Answer, Connection
from predictor.actuators.floor_write import floor_body, floor_refusal
from predictor.actuators.hpa_reader import NamespaceScene, read_hpa
from predictor.actuators.objects import Deployment, Hpa
from predictor.actuators.ownership import Holding, holding
from predictor.actuators.scaled_object import ScaledHpas, ScaledObject
from predictor.actuators.watched_scenes import WatchedScenes
from predictor.core.cluster import FloorIntent, HpaView, TargetKey
from predictor.core.floor_object import SCALED_OBJECT_KIND, FloorObject
from predictor.core.opt_in import CEILING, EPOCH, FIELD_MANAGER, FLOOR, UNTIL
from predictor.core.reasons import Code
from predictor.settings import KubernetesSettings, Settings
from predictor.wiring import cluster_settings

TARGET = HpaTarget("core", "us-east-1", "mplp", "keda-hpa-core")
OWNER = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "core", "uid": "s-1"}
COPIED = {FLOOR: "9", CEILING: "9", EPOCH: "99"}


def an_hpa(**metadata: Any) -> Hpa:
    given = {
        "name": "keda-hpa-core",
        "namespace": "mplp",
        "uid": "h-1",
        "resourceVersion": "70",
        "annotations": COPIED,
        "ownerReferences": [OWNER | {"controller": True}],
        "managedFields": [{"manager": "keda", "fieldsV1": {"f:spec": {"f:minReplicas": {}}}}],
    }
    target = {"kind": "Deployment", "name": "core"}
    spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 10}
    return msgspec.convert({"metadata": given | metadata, "spec": spec}, type=Hpa)


def a_scaled_object(*managers: str, **changes: Any) -> ScaledObject:
    """`changes` of the spec; `annotations` beside the band of 2 to 8, `kept` as our own entry."""
    annotations = {FLOOR: "2", CEILING: "8"} | changes.pop("annotations", {})
    field: dict[str, Any] = {"f:spec": {"f:minReplicaCount": {}}}
    managed = [{"manager": one, "fieldsV1": field} for one in managers or ("helm",)]
    managed += [changes.pop("kept")] if "kept" in changes else []
    metadata = {
        "name": "core",
        "namespace": "mplp",
        "uid": "s-1",
        "resourceVersion": "42",
        "annotations": annotations,
        "ownerReferences": changes.pop("ownerReferences", []),
        "managedFields": managed,
    }
    spec = {"minReplicaCount": 3, "maxReplicaCount": 10, "scaleTargetRef": {"name": "core"}}
    return msgspec.convert({"metadata": metadata, "spec": spec | changes}, type=ScaledObject)


def whole(found: ScaledObject | None, unread: str = "", hpa: Hpa | None = None) -> Hpa:
    return ScaledHpas(lambda namespace, name: found).of(hpa or an_hpa(), unread)


def view(found: ScaledObject | None, unread: str = "") -> HpaView:
    deployment = {
        "metadata": {"name": "core", "uid": "d-1", "resourceVersion": "7"},
        "spec": {"replicas": 3},
    }
    scene = NamespaceScene.of(
        [whole(found, unread)], [msgspec.json.decode(json.dumps(deployment), type=Deployment)]
    )
    seen = read_hpa(TARGET, scene)
    assert isinstance(seen, HpaView)
    return seen


def test_all_that_is_decided_on_is_the_scaled_objects() -> None:
    seen = view(a_scaled_object())

    assert (seen.uid, seen.resource_version, seen.scaled_object) == ("s-1", "42", "core")
    assert (seen.min_replicas, seen.max_replicas, seen.baseline_replicas) == (3, 10, 2)
    assert (seen.opt_in.floor, seen.opt_in.ceiling, seen.kept.epoch) == (2, 8, None)
    assert (seen.floor_manager, seen.held_back) == ("helm", None)


def test_a_field_that_was_taken_there_is_told_of_there() -> None:
    kept: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{EPOCH}": {}}}}
    seen = view(a_scaled_object("a-person", kept={"manager": FIELD_MANAGER, "fieldsV1": kept}))

    assert seen.held_back is not None
    assert seen.held_back.code is Code.CONFLICT
    assert "ScaledObject mplp/core: a-person set minReplicaCount to 3" in seen.held_back.sentence
    assert "kubectl annotate scaledobject core -n mplp" in seen.held_back.sentence


@pytest.mark.parametrize(
    ("changes", "code", "part"),
    [
        ({"minReplicaCount": 0}, Code.SCALED_OBJECT, "set spec.minReplicaCount to 1 or more"),
        ({"minReplicaCount": None}, Code.SCALED_OBJECT, "lets KEDA scale to 0"),
        (
            {"annotations": {"autoscaling.keda.sh/paused": "true"}},
            Code.PAUSED,
            "remove its annotation autoscaling.keda.sh/paused",
        ),
        (
            {"annotations": {"autoscaling.keda.sh/paused-replicas": "4"}},
            Code.PAUSED,
            "autoscaling.keda.sh/paused-replicas",
        ),
        (
            {"ownerReferences": [{**OWNER, "kind": "Canary", "apiVersion": "flagger.app/v1beta1"}]},
            Code.OTHER_CONTROLLER,
            "Flagger",
        ),
    ],
    ids=["at zero", "at KEDA's default", "paused", "paused at a number", "of a Canary"],
)
def test_what_a_floor_there_would_not_do_holds_it_back(
    changes: dict[str, Any], code: Code, part: str
) -> None:
    held_back = view(a_scaled_object(**changes)).held_back

    assert held_back is not None
    assert held_back.code is code
    assert part in held_back.sentence


def test_a_scaled_object_that_cannot_be_had_holds_the_hpa_back() -> None:
    gone, unread = view(None), view(None, "which cannot be read: 403")

    for seen, part in ((gone, "which does not exist"), (unread, "which cannot be read: 403")):
        assert seen.held_back is not None
        assert seen.held_back.code is Code.SCALED_OBJECT
        assert f"made by KEDA from ScaledObject mplp/core, {part}" in seen.held_back.sentence


def test_an_hpa_that_keda_has_not_brought_up_to_it_is_told_and_stops_nothing() -> None:
    behind, level = view(a_scaled_object()), view(a_scaled_object(minReplicaCount=2))

    assert (behind.held_back, level.notes) == (None, ())
    (note,) = behind.notes
    assert "minReplicaCount 3, and HPA mplp/keda-hpa-core still minReplicas 2" in note.sentence


def test_where_keda_made_nothing_the_hpa_is_as_it_was() -> None:
    hpa = an_hpa(ownerReferences=[])

    assert whole(a_scaled_object(), hpa=hpa) is hpa


def test_what_did_not_change_is_the_same_object_again() -> None:
    hpa, found = an_hpa(), [a_scaled_object()]
    made = ScaledHpas(lambda namespace, name: found[0])
    first = made.of(hpa, "")

    assert made.of(hpa, "") is first
    found[0] = a_scaled_object(minReplicaCount=5)
    assert made.of(hpa, "").spec.min_replicas == 5
    assert made.of(hpa, "unread") is not first


def test_what_the_server_answered_about_either_is_seen_at_once() -> None:
    settings = ClusterSettings(targets=(TARGET,), patches_scaled_objects=True)
    scenes = WatchedScenes(settings, Connection(settings))
    scenes._places = {"mplp": scenes._place("mplp")}
    there = FloorObject("mplp", "core", SCALED_OBJECT_KIND)
    scenes.heard_of(FloorObject("mplp", "keda-hpa-core"), msgspec.json.encode(an_hpa()))

    for count in (3, 7):
        newer = msgspec.json.encode(a_scaled_object(minReplicaCount=count))
        scenes.heard_of(there, newer)

        seen = scenes.hpa("mplp", "keda-hpa-core")
        assert seen is not None
        assert (seen.spec.min_replicas, seen.metadata.uid) == (count, "s-1")


def test_a_floor_there_is_that_field_and_our_annotations() -> None:
    hpa = whole(a_scaled_object())
    at = hpa.floor_object
    intent = FloorIntent(
        TargetKey("core", "us-east-1"), "mplp", "keda-hpa-core", "s-1", "42", 3, 8, 1,
        until_s=1_900_000_000.0, epoch=4,
    )  # fmt: skip

    body = floor_body(intent, at)

    assert at.path == "/apis/keda.sh/v1alpha1/namespaces/mplp/scaledobjects/core"
    assert (body["apiVersion"], body["kind"]) == ("keda.sh/v1alpha1", "ScaledObject")
    assert body["spec"] == {"minReplicaCount": 8}
    assert (body["metadata"]["name"], body["metadata"]["uid"]) == ("core", "s-1")
    assert {UNTIL, EPOCH} <= set(body["metadata"]["annotations"])
    refused = floor_refusal(Answer(422, b"{}"), intent, at)
    assert refused.sentence.startswith("ScaledObject mplp/core: ")


def test_keda_that_copies_our_annotations_to_the_hpa_makes_no_floor_of_ours_there() -> None:
    assert holding(an_hpa().metadata.managed_fields) is Holding.NEVER


def test_the_setting_reaches_the_cluster_and_is_refusing_by_default() -> None:
    patching = Settings(kubernetes=KubernetesSettings(keda="patch"))

    assert cluster_settings(patching).patches_scaled_objects
    assert not cluster_settings(Settings()).patches_scaled_objects
    assert not ClusterSettings().patches_scaled_objects
