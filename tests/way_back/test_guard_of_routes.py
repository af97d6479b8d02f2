"""What the API server lets the worker do to a VirtualService: move weights, a little at a time."""

from __future__ import annotations

import copy

import pytest
import yaml

from predictor.core.opt_in import SHIFT
from rigs.credentials import ADMIN
from rigs.kubernetes import ControlPlane
from tests.actuators.cluster_worlds import serve_virtual_services
from tests.way_back.guarded_worlds import DEPLOY, MERGE, GuardedWorld, Json, until

pytestmark = pytest.mark.real

PATCH = "application/json-patch+json"
DEFAULT = "/spec/http/2/route"


@pytest.fixture(scope="module")
def world(control_plane: ControlPlane) -> GuardedWorld:
    serve_virtual_services(control_plane)
    return GuardedWorld(control_plane)


@pytest.fixture(scope="module")
def route(world: GuardedWorld) -> str:
    """The manifests' own VirtualService with home weights 50, 30 and 20."""
    document = yaml.safe_load((DEPLOY / "mplp" / "virtual_service.yaml").read_text())
    return applied(world, document)


def applied(world: GuardedWorld, document: Json) -> str:
    whole = copy.deepcopy(document)
    whole["metadata"]["namespace"] = world.namespace
    world.plane.apply(whole)
    path = world.plane.client.path_of(whole)
    until(lambda: "Policy" in patched(world, path, weights(0, 0, 0)), "the guard of routes")
    return path


def patched(world: GuardedWorld, path: str, patch: list[Json], **how: str) -> str:
    return world.send(f"{path}?dryRun=All", patch, PATCH, **how)


def replaced(path: str, value: object) -> Json:
    return {"op": "add", "path": path, "value": value}


def weights(*wanted: int) -> list[Json]:
    return [replaced(f"{DEFAULT}/{place}/weight", one) for place, one in enumerate(wanted)]


REFUSED = {
    "more than 20 points": (weights(29, 41, 30), "at most 20 points at once"),
    "not 100 together": (weights(50, 30, 25), "must add up to 100"),
    "a negative weight": (weights(50, 55, -5), "must add up to 100"),
    "another host": ([replaced(f"{DEFAULT}/0/destination/host", "else")], "only the weights of"),
    "a route less": ([{"op": "remove", "path": f"{DEFAULT}/2"}], "only the weights of"),
    "a timeout": ([replaced("/spec/http/2/timeout", "9s")], "only the weights of"),
    "a route with a match": ([replaced("/spec/http/0/route/0/weight", 90)], "without a match"),
    "the hosts": ([replaced("/spec/hosts/0", "else.example.com")], "only route weights"),
    "a whole route": ([{"op": "remove", "path": "/spec/http/1"}], "only route weights"),
    "a label": ([replaced("/metadata/labels/a", "b")], "metadata may not change"),
    "its own opt-in": (
        [replaced("/metadata/annotations/predictor.mplp.io~1shift", "no")],
        "metadata may not change",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_worker_is_refused(world: GuardedWorld, route: str, case: str) -> None:
    patch, words = REFUSED[case]

    assert words in patched(world, route, patch)


@pytest.mark.parametrize("wanted", [(30, 50, 20), (40, 40, 20), (65, 30, 5)])
def test_the_worker_may_move_weights_in_steps(
    world: GuardedWorld, route: str, wanted: tuple[int, ...]
) -> None:
    assert patched(world, route, weights(*wanted)) == ""


def test_a_weight_is_not_moved_out_of_its_bounds(world: GuardedWorld, route: str) -> None:
    document = yaml.safe_load((DEPLOY / "mplp" / "virtual_service.yaml").read_text())
    document["metadata"]["name"] = "nearly-all"
    for one, weight in zip(document["spec"]["http"][-1]["route"], (90, 5, 5), strict=True):
        one["weight"] = weight
    path = applied(world, document)

    assert "out of 5 to 95" in patched(world, path, weights(96, 2, 2))


def test_another_version_of_the_api_is_no_way_around(world: GuardedWorld, route: str) -> None:
    path = route.replace("networking.istio.io/v1/", "networking.istio.io/v1beta1/")

    assert "at most 20 points" in patched(world, path, weights(29, 41, 30))


def test_without_the_owners_word_no_weight_moves(world: GuardedWorld, route: str) -> None:
    assert (
        world.send(route, {"metadata": {"annotations": {SHIFT: None}}}, MERGE, as_user=ADMIN) == ""
    )
    try:
        assert "has not opted this VirtualService in" in patched(world, route, weights(40, 40, 20))
    finally:
        back = {"metadata": {"annotations": {SHIFT: "enabled"}}}
        world.send(route, back, MERGE, as_user=ADMIN)


@pytest.mark.parametrize("case", REFUSED)
def test_a_person_may_do_all_that_the_worker_may_not(
    world: GuardedWorld, route: str, case: str
) -> None:
    assert patched(world, route, REFUSED[case][0], as_user=ADMIN) == ""
