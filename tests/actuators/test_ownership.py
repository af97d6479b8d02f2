"""Our part in a floor, read off what the server recorded of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from predictor.actuators.floor_write import floor_body, floor_query
from predictor.actuators.objects import Hpa
from predictor.actuators.ownership import Holding, ManagedFields, holding
from predictor.core.cluster import FloorIntent, TargetKey
from predictor.core.floor_object import FloorObject
from predictor.core.opt_in import EPOCH, FIELD_MANAGER, FLOOR, REASON, UNTIL

FIELD: Mapping[str, object] = {"f:spec": {"f:minReplicas": {}}}
KEPT: Mapping[str, object] = {"f:metadata": {"f:annotations": {f"f:{EPOCH}": {}}}}


def entry(manager: str, *fields: Mapping[str, object]) -> dict[str, object]:
    both: dict[str, object] = {}
    for one in fields:
        both |= one
    return {"manager": manager, "operation": "Apply", "fieldsV1": both}


@pytest.mark.parametrize(
    ("entries", "part"),
    [
        ([entry("helm", FIELD)], Holding.NEVER),
        ([], Holding.NEVER),
        ([entry(FIELD_MANAGER, FIELD, KEPT)], Holding.OURS),
        ([entry(FIELD_MANAGER, FIELD)], Holding.OURS),
        ([entry(FIELD_MANAGER, FIELD, KEPT), entry("helm", FIELD)], Holding.SHARED),
        ([entry(FIELD_MANAGER, KEPT), entry("kubectl-edit", FIELD)], Holding.TAKEN),
        ([entry(FIELD_MANAGER, KEPT)], Holding.TAKEN),
        ([entry(FIELD_MANAGER), entry("helm", FIELD)], Holding.NEVER),
        ([entry("helm", FIELD, KEPT)], Holding.NEVER),
    ],
    ids=[
        "never held",
        "nobody recorded",
        "ours",
        "ours from before it was annotated",
        "another declared the same value",
        "taken",
        "taken away altogether",
        "forgotten by the owner's word",
        "annotations that somebody copied",
    ],
)
def test_our_part_is_what_the_server_recorded(
    entries: list[dict[str, object]], part: Holding
) -> None:
    assert holding(msgspec.convert(entries, type=list[ManagedFields])) is part


def an_intent(floor_now: int, floor: int, **changes: Any) -> FloorIntent:
    key = TargetKey("core", "us-east-1")
    intent = FloorIntent(key, "mplp", "core-hpa", "u-1", "42", floor_now, floor, 1)
    return msgspec.structs.replace(intent, **changes)


def force(intent: FloorIntent, *entries: dict[str, object]) -> str:
    metadata = {
        "name": "core-hpa",
        "uid": "u-1",
        "resourceVersion": "42",
        "annotations": {FLOOR: "3"},
        "managedFields": entries,
    }
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "core"}, "maxReplicas": 20}
    hpa = msgspec.convert({"metadata": metadata, "spec": spec}, type=Hpa)
    return dict(floor_query(intent, hpa))["force"]


OURS, SHARED = entry(FIELD_MANAGER, FIELD, KEPT), entry("argocd-controller", FIELD)


def test_force_is_for_adoption_and_for_what_is_ours_alone() -> None:
    raised = an_intent(3, 8)

    assert force(raised, entry("helm", FIELD)) == "true"
    assert force(raised, OURS) == "true", "only our own annotations can be in dispute"
    assert force(raised, OURS, SHARED) == "true", "shared at the baseline: adopted anew"
    assert force(an_intent(8, 6), OURS, SHARED) == "false", "shared above it: a conflict"
    assert force(an_intent(8, 10), OURS, SHARED) == "false"


def test_all_that_is_applied_is_the_floor_and_what_we_keep_with_it() -> None:
    intent = an_intent(3, 8, until_s=1_900_000_000.0, epoch=4, reason="a peak")

    body = floor_body(intent, FloorObject(intent.namespace, intent.name))

    assert body["spec"] == {"minReplicas": 8}
    assert body["metadata"] == {
        "name": "core-hpa",
        "namespace": "mplp",
        "uid": "u-1",
        "resourceVersion": "42",
        "annotations": {UNTIL: "2030-03-17T17:46:40Z", EPOCH: "4", REASON: "a peak"},
    }
