"""What the API server lets the worker do to a VirtualService: move weights, a little at a time."""

from __future__ import annotations

import copy

import pytest
import yaml

from predictor.core.opt_in import SHIFT
from rigs.credentials import ADMIN, RESTORER
from rigs.kubernetes import ControlPlane
from tests.actuators.cluster_worlds import serve_virtual_services
from tests.way_back.guarded_worlds import DEPLOY, MERGE, NEVER, GuardedWorld, Json, until

pytestmark = pytest.mark.real

PATCH = "application/json-patch+json"
DEFAULT = "/spec/http/2/route"
HOSTS = [
    f"mplp-core-service.{one}.svc.cluster.local"
    for one in ("us-east-1", "eu-west-1", "ap-southeast-1")
]


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


def shares(*wanted: int) -> str:
    return ",".join(f"{host}={one}" for host, one in zip(HOSTS, wanted, strict=True))


def kept(**said: str) -> list[Json]:
    """Our annotations, by the last part of their names."""
    place = "/metadata/annotations/state.predictor.mplp.io~1"
    return [replaced(f"{place}{name}", value) for name, value in said.items()]


def moved(*wanted: int, home: tuple[int, ...] = (50, 30, 20), **changes: str) -> list[Json]:
    """What the service writes with these weights."""
    said = {"until": NEVER, "epoch": "5", "home": shares(*home), "weights": shares(*wanted)}
    return [*weights(*wanted), *kept(**{**said, **changes})]


def without(patch: list[Json], name: str) -> list[Json]:
    return [one for one in patch if not one["path"].endswith(f"~1{name}")]


REFUSED = {
    "more than 20 points": (moved(29, 41, 30), "at most 20 points at once"),
    "not 100 together": (moved(50, 30, 25), "must add up to 100"),
    "a negative weight": (moved(50, 55, -5), "must add up to 100"),
    "weights alone": (weights(40, 40, 20), "epoch is missing or smaller"),
    "without an expiry": (without(moved(40, 40, 20), "until"), "until must say when"),
    "with no time for one": (moved(40, 40, 20, until="soon"), "Timestamp"),
    "without the home": (without(moved(40, 40, 20), "home"), "home must say what"),
    "with half a home": (moved(40, 40, 20, home=(50, 30, 0)), "home must add up to 100"),
    "with other weights": (moved(40, 40, 20, weights=shares(50, 30, 20)), "must say the weights"),
    "another host": ([replaced(f"{DEFAULT}/0/destination/host", "else")], "only the weights of"),
    "a route less": ([{"op": "remove", "path": f"{DEFAULT}/2"}], "only the weights of"),
    "a timeout": ([replaced("/spec/http/2/timeout", "9s")], "only the weights of"),
    "a route with a match": ([replaced("/spec/http/0/route/0/weight", 90)], "without a match"),
    "the hosts": ([replaced("/spec/hosts/0", "else.example.com")], "only route weights"),
    "a whole route": ([{"op": "remove", "path": "/spec/http/1"}], "only route weights"),
    "a label": ([replaced("/metadata/labels/a", "b")], "only annotations may change"),
    "its own opt-in": (
        [replaced("/metadata/annotations/predictor.mplp.io~1shift", "no")],
        "only those under state.",
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
    assert patched(world, route, moved(*wanted)) == ""


def test_a_weight_is_not_moved_out_of_its_bounds(world: GuardedWorld, route: str) -> None:
    document = yaml.safe_load((DEPLOY / "mplp" / "virtual_service.yaml").read_text())
    document["metadata"]["name"] = "nearly-all"
    for one, weight in zip(document["spec"]["http"][-1]["route"], (90, 5, 5), strict=True):
        one["weight"] = weight
    path = applied(world, document)

    assert "out of 5 to 95" in patched(world, path, moved(96, 2, 2, home=(90, 5, 5)))
    outside = kept(home=shares(96, 2, 2), weights=shares(90, 5, 5), until=NEVER, epoch="5")
    assert world.send(path, outside, PATCH, as_user=ADMIN) == ""
    assert patched(world, path, moved(96, 2, 2, home=(96, 2, 2))) == ""


def test_another_version_of_the_api_is_no_way_around(world: GuardedWorld, route: str) -> None:
    path = route.replace("networking.istio.io/v1/", "networking.istio.io/v1beta1/")

    assert "at most 20 points" in patched(world, path, moved(29, 41, 30))


def test_without_the_owners_word_no_weight_moves(world: GuardedWorld, route: str) -> None:
    said = {"metadata": {"annotations": {SHIFT: "not now"}}}
    assert world.send(route, said, MERGE, as_user=ADMIN) == ""
    try:
        assert "has not opted this VirtualService in" in patched(world, route, moved(40, 40, 20))
    finally:
        back = {"metadata": {"annotations": {SHIFT: "enabled"}}}
        world.send(route, back, MERGE, as_user=ADMIN)


@pytest.fixture(scope="module")
def away(world: GuardedWorld) -> str:
    """Moved from 50, 30 and 20 under epoch 5."""
    document = yaml.safe_load((DEPLOY / "mplp" / "virtual_service.yaml").read_text())
    document["metadata"]["name"] = "away"
    path = applied(world, document)
    until(lambda: "restorer" in patched(world, path, weights(0, 0, 0), as_user=RESTORER), "guard")
    assert world.send(path, moved(30, 40, 30), PATCH, as_user=ADMIN) == ""
    return path


def test_a_worker_that_another_one_has_taken_over_from_moves_no_weight(
    world: GuardedWorld, away: str
) -> None:
    assert "another worker has taken over" in patched(world, away, moved(40, 35, 25, epoch="4"))
    assert patched(world, away, moved(40, 35, 25, epoch="6")) == ""


def gone(*names: str) -> list[Json]:
    said = kept(**dict.fromkeys(names, ""))
    return [{"op": "remove", "path": one["path"]} for one in said]


ALL_GONE = gone("until", "home", "weights")


def test_at_home_and_only_there_what_says_so_may_go(world: GuardedWorld, away: str) -> None:
    home = [*weights(50, 30, 20), *ALL_GONE]
    assert patched(world, away, home) == ""
    assert "home must say what" in patched(world, away, [*weights(45, 32, 23), *ALL_GONE])
    assert patched(world, away, home, as_user=RESTORER) == ""
    short = [*weights(45, 32, 23), *ALL_GONE]
    assert "only when the weights are home" in patched(world, away, short, as_user=RESTORER)


def test_an_expiry_of_an_earlier_century_is_one_too(world: GuardedWorld, away: str) -> None:
    assert patched(world, away, moved(40, 35, 25, until="1995-07-01T00:00:00Z")) == ""


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        (moved(25, 42, 33), "only towards those of annotation"),
        (moved(51, 29, 20), "only towards those of annotation"),
        (moved(50, 30, 25), "must add up to 100"),
        (moved(45, 32, 23, epoch="6"), "may not change annotations"),
        (moved(45, 32, 23, home=(40, 40, 20)), "may not change annotations"),
        ([*moved(45, 32, 23), replaced("/metadata/labels/a", "b")], "only annotations may change"),
        ([*moved(45, 32, 23), replaced("/spec/http/2/timeout", "9s")], "only the weights of"),
    ],
    ids=["away", "beyond", "no whole", "epoch", "home", "label", "timeout"],
)
def test_the_restorer_may_move_weights_only_home(
    world: GuardedWorld, away: str, patch: list[Json], words: str
) -> None:
    assert words in patched(world, away, patch, as_user=RESTORER)
    assert patched(world, away, moved(45, 32, 23), as_user=RESTORER) == ""


def test_the_restorer_too_takes_20_points_at_once_at_most(world: GuardedWorld, away: str) -> None:
    document = yaml.safe_load((DEPLOY / "mplp" / "virtual_service.yaml").read_text())
    document["metadata"]["name"] = "far-away"
    path = applied(world, document)
    assert world.send(path, moved(5, 75, 20), PATCH, as_user=ADMIN) == ""

    assert "at most 20 points" in patched(world, path, moved(26, 54, 20), as_user=RESTORER)
    assert patched(world, path, moved(25, 55, 20), as_user=RESTORER) == ""


def test_while_the_service_is_off_the_worker_may_only_take_weights_home(
    world: GuardedWorld, away: str
) -> None:
    switch = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "mplp-predictor-switch", "namespace": "mplp-predictor"},
        "data": {"off": "by somebody"},
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mplp-predictor"}}
    world.plane.apply(namespace, switch)
    try:
        until(lambda: "by somebody" in patched(world, away, moved(25, 42, 33)), "the switch")
        assert patched(world, away, moved(40, 35, 25)) == ""
    finally:
        world.plane.delete("/api/v1/namespaces/mplp-predictor/configmaps/mplp-predictor-switch")
        until(lambda: patched(world, away, moved(25, 42, 33)) == "", "the switch is on again")


@pytest.mark.parametrize("case", REFUSED)
def test_a_person_may_do_all_that_the_worker_may_not(
    world: GuardedWorld, route: str, case: str
) -> None:
    assert patched(world, route, REFUSED[case][0], as_user=ADMIN) == ""
