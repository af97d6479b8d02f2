"""What the API server refuses the service and the restorer, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from predictor.core.opt_in import CEILING, EPOCH, FLOOR, MODE, STEP, UNTIL
from rigs.credentials import ADMIN, PREDICTOR, RESTORER
from rigs.kubernetes import ControlPlane
from tests.way_back.guarded_worlds import (
    MERGE,
    NEVER,
    GuardedWorld,
    Json,
    a_floor,
    until,
)

pytestmark = pytest.mark.real

MINE = "state.predictor.mplp.io"
METRIC = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}
METRIC["resource"]["target"]["averageUtilization"] = 1  # type: ignore[index]


@pytest.fixture(scope="module")
def world(control_plane: ControlPlane) -> GuardedWorld:
    made = GuardedWorld(control_plane)
    path = made.hpa("probe")
    for account in (PREDICTOR, RESTORER):
        made.await_guard(path, account)
    return made


@pytest.fixture(scope="module")
def hpa(world: GuardedWorld) -> str:
    """Band 3 to 10, raised to 5 under epoch 5."""
    return world.raised(5)


def with_spec(body: Json, **spec: Any) -> Json:
    return {**body, "spec": {**body["spec"], **spec}}


def with_metadata(body: Json, **metadata: Any) -> Json:
    return {**body, "metadata": {**body["metadata"], **metadata}}


REFUSED = {
    "above the ceiling": (a_floor(11), "outside the owner's band of 3 to 10"),
    "below the floor": (a_floor(2), "outside the owner's band of 3 to 10"),
    "without an epoch": (a_floor(6, epoch=None), "epoch is missing or smaller"),
    "with a smaller epoch": (a_floor(6, epoch=4), "epoch is missing or smaller"),
    "above the floor without an expiry": (a_floor(6, expiry=None), "until must say when"),
    "another maxReplicas": (with_spec(a_floor(6), maxReplicas=30), "only minReplicas may change"),
    "other metrics": (with_spec(a_floor(6), metrics=[METRIC]), "only minReplicas may change"),
    "other behavior": (
        with_spec(a_floor(6), behavior={"scaleDown": {"stabilizationWindowSeconds": 1}}),
        "only minReplicas may change",
    ),
    "the owner's own ceiling": (a_floor(6, more={CEILING: "20"}), f"only those under {MINE}/"),
    "the owner's mode": (a_floor(6, more={MODE: "active"}), f"only those under {MINE}/"),
    "a label": (with_metadata(a_floor(6), labels={"a": "b"}), "only annotations may change"),
    "a finalizer": (with_metadata(a_floor(6), finalizers=["a/b"]), "only annotations may change"),
}
TAKEN = {
    "a raise inside the band": a_floor(8),
    "the ceiling itself": a_floor(10),
    "a renewal": a_floor(5),
    "a larger epoch": a_floor(5, epoch=6),
    "the floor itself without an expiry": a_floor(3, expiry=None),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_worker_is_refused(world: GuardedWorld, hpa: str, case: str) -> None:
    body, words = REFUSED[case]

    assert words in world.apply(hpa, body, dry_run=True)


@pytest.mark.parametrize("case", TAKEN)
def test_the_worker_may_write(world: GuardedWorld, hpa: str, case: str) -> None:
    assert world.apply(hpa, TAKEN[case], dry_run=True) == ""


@pytest.mark.parametrize("case", REFUSED)
def test_a_person_may_do_all_that_the_worker_may_not(
    world: GuardedWorld, hpa: str, case: str
) -> None:
    body, _ = REFUSED[case]

    assert world.apply(hpa, body, as_user=ADMIN, dry_run=True) == ""


def test_another_version_of_the_api_is_no_way_around(world: GuardedWorld, hpa: str) -> None:
    path = hpa.replace("autoscaling/v2", "autoscaling/v1") + "?dryRun=All"

    said = world.send(path, {"spec": {"minReplicas": 15}}, MERGE)

    assert "ValidatingAdmissionPolicy" in said


def test_the_worker_creates_no_hpa(world: GuardedWorld) -> None:
    path = world.hpa("original").replace("/original", "/invented")
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}
    body = with_spec(a_floor(3), maxReplicas=9, scaleTargetRef=target)

    assert "may not create HPAs" in world.apply(path, body, dry_run=True)


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({FLOOR: None}, "has not opted this HPA in"),
        ({CEILING: None}, "has not opted this HPA in"),
        ({FLOOR: "11"}, "has not opted this HPA in"),
        ({FLOOR: "three"}, "ValidatingAdmissionPolicy"),
        ({MODE: "paused"}, "mode is paused: minReplicas may only be lowered"),
        ({MODE: "shadow"}, "mode is shadow: minReplicas may only be lowered"),
        ({MODE: "on"}, "mode is on: minReplicas may only be lowered"),
        ({STEP: "2"}, "too large a step up from 3, which may reach 5"),
        ({CEILING: "15"}, "too large a step up from 3, which may reach 10"),
    ],
    ids=str,
)
def test_what_the_owner_does_not_say_clearly_allows_nothing(
    world: GuardedWorld, annotations: dict[str, str | None], words: str
) -> None:
    path = world.hpa("told", annotations=annotations)

    said = world.apply(path, a_floor(11 if CEILING in annotations else 6), dry_run=True)

    assert words in said
    world.plane.delete(path)


def test_a_paused_floor_can_still_be_lowered(world: GuardedWorld) -> None:
    path = world.raised(8, name="resting", annotations={MODE: "paused"})

    assert world.apply(path, a_floor(6), dry_run=True) == ""


def test_a_floor_that_the_owner_raised_is_followed_at_once(world: GuardedWorld) -> None:
    path = world.hpa("grown", annotations={FLOOR: "15", CEILING: "18"})

    assert world.apply(path, a_floor(15, expiry=None), dry_run=True) == ""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (a_floor(6), "may only lower minReplicas, not set 6 over 5"),
        (a_floor(2), "below the owner's floor of 3"),
        (a_floor(4, epoch=6), "may not change annotation state.predictor.mplp.io/epoch"),
        (with_spec(a_floor(4), maxReplicas=30), "only minReplicas may change"),
        (a_floor(4, more={FLOOR: "1"}), f"only those under {MINE}/"),
        (with_metadata(a_floor(4), labels={"a": "b"}), "only annotations may change"),
    ],
)
def test_the_restorer_may_only_lower(world: GuardedWorld, hpa: str, body: Json, words: str) -> None:
    assert words in world.apply(hpa, body, as_user=RESTORER, dry_run=True)


@pytest.mark.parametrize("floor", [5, 4, 3])
def test_the_restorer_may_lower_to_the_owners_floor(
    world: GuardedWorld, hpa: str, floor: int
) -> None:
    assert world.apply(hpa, a_floor(floor), as_user=RESTORER, dry_run=True) == ""


def test_the_restorer_cannot_lower_what_no_owner_opted_in(world: GuardedWorld) -> None:
    path = world.raised(8, name="stranger", annotations={FLOOR: None})

    assert "has not opted" in world.apply(path, a_floor(4), as_user=RESTORER, dry_run=True)


def test_a_person_may_lower_maxreplicas_below_our_floor(world: GuardedWorld) -> None:
    path = world.raised(8, name="cut")
    cut = {"spec": {"maxReplicas": 4}}

    until(lambda: world.send(path, cut, MERGE, as_user=ADMIN) == "", "the mutating policy")

    assert world.floor(path) == 4


def test_a_person_who_errs_about_their_own_floor_is_still_told(world: GuardedWorld) -> None:
    path = world.hpa("own", floor=8)

    said = world.send(path, {"spec": {"maxReplicas": 4}}, MERGE, as_user=ADMIN)

    assert said.startswith("422")


def test_while_the_switch_is_off_the_worker_may_only_lower(world: GuardedWorld) -> None:
    path = world.raised(8, name="switched")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mplp-predictor"}}
    switch = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "mplp-predictor-switch", "namespace": "mplp-predictor"},
        "data": {"off": "by somebody"},
    }
    world.plane.apply(namespace, switch)
    try:
        until(
            lambda: (
                "switched off (ConfigMap mplp-predictor-switch): by somebody"
                in world.apply(path, a_floor(9), dry_run=True)
            ),
            "the switch's policy",
        )
        assert world.apply(path, a_floor(7), dry_run=True) == ""
    finally:
        world.plane.delete(world.plane.client.path_of(switch))
    until(lambda: world.apply(path, a_floor(9), dry_run=True) == "", "on again")


def test_the_epoch_is_the_owners_to_remove(world: GuardedWorld) -> None:
    path = world.raised(8, name="forgotten", epoch=900)
    gone = {"metadata": {"annotations": {EPOCH: None, UNTIL: None}}}
    assert "epoch is missing or smaller" in world.apply(path, a_floor(8, epoch=1), dry_run=True)

    assert world.send(path, gone, MERGE, as_user=ADMIN) == ""

    assert world.apply(path, a_floor(8, expiry=NEVER, epoch=1), dry_run=True) == ""
