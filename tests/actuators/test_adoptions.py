"""Whoever replaces an object under our floor is not fought, and an old state is not awaited for
ever: views of whole objects as the API server hands them out, and a clock of the test's own."""

from __future__ import annotations

from typing import Any

import msgspec

from predictor.actuators.adoptions import PEACE_S, WAIT_MAX_S, WAIT_S
from predictor.actuators.cluster_settings import HpaTarget
from predictor.actuators.hpa_reader import NamespaceScene
from predictor.actuators.hpa_views import STALE_MAX_S, HpaViews
from predictor.actuators.objects import Deployment, Hpa
from predictor.core.cluster import HpaView
from predictor.core.floor_object import HPA_KIND
from predictor.core.opt_in import EPOCH, FIELD_MANAGER
from predictor.core.reasons import Code, Reason

Json = dict[str, Any]
TARGET = HpaTarget("core", "us-east-1", "mplp", "core-hpa")
FIELD: Json = {"f:spec": {"f:minReplicas": {}}}
KEPT: Json = {"f:metadata": {"f:annotations": {f"f:{EPOCH}": {}}}}
AT = "2026-11-29T02:14:07Z"
OURS: list[Json] = [{"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": FIELD | KEPT}]
TAKEN: list[Json] = [
    {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": KEPT},
    {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": FIELD},
]
REPLACED: list[Json] = [
    {"manager": "helm", "operation": "Update", "time": "2026-11-01T00:00:00Z", "fieldsV1": FIELD},
    {"manager": "kubectl-replace", "operation": "Update", "time": AT, "fieldsV1": FIELD},
    {"manager": "kube-controller-manager", "subresource": "status", "time": "2026-11-29T09:00:00Z"},
]
DEPLOYMENT = msgspec.convert(
    {"metadata": {"name": "core", "uid": "d", "resourceVersion": "1"}}, type=Deployment
)


class Watched:
    """One target as the views of one process show it, at a time that the test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.version = 10
        self.views = HpaViews(lambda: self.now_s)

    def view(
        self, owners: list[Json], uid: str = "u-1", version: int | None = None,
        list_number: int = 0,
    ) -> HpaView:  # fmt: skip
        """The object in its newest state, unless a version is named."""
        self.version += 1
        found = {
            "name": "core-hpa",
            "namespace": "mplp",
            "uid": uid,
            "resourceVersion": str(version or self.version),
            "managedFields": owners,
        }
        spec = {"scaleTargetRef": {"kind": "Deployment", "name": "core"}, "maxReplicas": 20}
        hpa = msgspec.convert({"metadata": found, "spec": spec}, type=Hpa)
        scene = NamespaceScene.of([hpa], [DEPLOYMENT])
        scene = msgspec.structs.replace(scene, list_numbers={HPA_KIND: list_number})
        made = self.views.of(TARGET, scene, lambda *_: ())
        assert isinstance(made, HpaView), made
        return made

    def held_back(self, owners: list[Json], uid: str = "u-1") -> Code | None:
        reason = self.view(owners, uid).held_back
        return None if reason is None else reason.code

    def replaced_at_once(self) -> float:
        """We hold it, it is replaced, and we wait; the seconds until it may be adopted."""
        self.view(OURS)
        start_s = self.now_s
        while self.held_back(REPLACED) is Code.REPLACED:
            self.now_s += 60.0
        return self.now_s - start_s


def test_whoever_replaces_an_object_under_our_floor_is_named_and_left_alone_for_a_while() -> None:
    world = Watched()
    world.view(OURS)

    reason = world.view(REPLACED).held_back

    assert reason is not None
    assert reason.code is Code.REPLACED
    assert f"kubectl-replace (Update, {AT}) replaced it as a whole" in reason.sentence
    assert "adopted anew in 15 min" in reason.sentence
    assert "RespectIgnoreDifferences=true" in reason.sentence
    world.now_s += WAIT_S
    assert world.held_back(REPLACED) is None


def test_each_replacement_in_a_row_is_waited_for_twice_as_long_up_to_a_limit() -> None:
    world = Watched()

    waits = [world.replaced_at_once() for _ in range(7)]

    assert waits == [WAIT_S, 2 * WAIT_S, 4 * WAIT_S, 8 * WAIT_S, *[WAIT_MAX_S] * 3]
    world.view(OURS)
    world.now_s += PEACE_S
    assert world.replaced_at_once() == WAIT_S


def test_a_floor_written_and_replaced_between_two_looks_was_ours_too() -> None:
    world = Watched()
    world.view(REPLACED)

    world.views.wrote("u-1", str(world.version))

    assert world.held_back(REPLACED) is Code.REPLACED


def test_a_floor_that_we_never_held_may_be_adopted() -> None:
    assert Watched().held_back(REPLACED) is None


def test_what_an_owner_took_and_then_let_us_forget_is_adopted_at_once() -> None:
    world = Watched()
    world.view(OURS)

    assert world.held_back(TAKEN) is Code.CONFLICT
    assert world.held_back(REPLACED) is None


def test_an_object_that_is_made_anew_again_and_again_is_adopted_and_told() -> None:
    world = Watched()
    notes: list[Reason] = []
    for number in range(4):
        world.now_s += 600.0
        fresh = world.view(REPLACED, f"u-{number}")
        assert fresh.held_back is None
        notes = [one for one in fresh.notes if one.code is Code.GIT_OPS_REVERTS]
        assert bool(notes) is (number == 3)
        world.view(OURS, f"u-{number}")

    assert "deleted and created anew 3 times within an hour" in notes[0].sentence
    world.now_s += 3600.0
    assert world.view(OURS, "u-3").notes == ()


def test_objects_that_others_make_anew_in_shadow_are_nobodys_business() -> None:
    world = Watched()

    assert [world.view(REPLACED, f"u-{number}").notes for number in range(9)] == [()] * 9


def test_a_list_from_before_our_write_blames_nobody() -> None:
    world = Watched()
    world.views.wrote("u-1", "50")

    behind = world.view(REPLACED, version=49).held_back
    caught_up = world.view(OURS, version=50).held_back

    assert behind is not None
    assert behind.code is Code.STALE_READ
    assert caught_up is None


def test_a_server_that_holds_an_older_state_for_good_is_believed_after_a_while() -> None:
    world = Watched()
    world.views.wrote("u-1", "50", lists_begun=1)

    def stale(list_number: int) -> bool:
        reason = world.view(REPLACED, version=30, list_number=list_number).held_back
        return reason is not None and reason.code is Code.STALE_READ

    assert stale(1)
    world.now_s += 2 * STALE_MAX_S
    assert stale(1), "no list began after our write, so nothing is proven"
    assert stale(2)
    world.now_s += STALE_MAX_S + 1.0
    assert not stale(2)
    assert world.held_back(REPLACED) is None, "nobody replaced anything"
