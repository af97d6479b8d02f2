"""A VirtualService's default route, and the patch of its weights."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from predictor.actuators.cluster_settings import RouteTarget
from predictor.actuators.virtual_service import VirtualService, read_route, weight_patch
from predictor.core.cluster import RouteView
from predictor.core.reasons import Code, Reason

TARGET = RouteTarget("core", "mplp", "traffic", {"east": "core.east", "west": "core.west"})
PINNED = {"headers": {"region": {"exact": "east"}}}


def http(*weights: tuple[str, int | None], **more: Any) -> dict[str, Any]:
    shares = [
        {"destination": {"host": host}} | ({} if weight is None else {"weight": weight})
        for host, weight in weights
    ]
    return {"route": shares, **more}


def a_virtual_service(*routes: dict[str, Any]) -> VirtualService:
    metadata = {"name": "traffic", "uid": "u-1", "resourceVersion": "9"}
    document = json.dumps({"metadata": metadata, "spec": {"http": routes}})
    return msgspec.json.decode(document, type=VirtualService)


DEFAULT = http(("core.east", 60), ("core.west", 40))


@pytest.mark.parametrize(
    ("routes", "index"),
    [
        ([DEFAULT], 0),
        ([http(("core.east", 100), match=[PINNED]), DEFAULT], 1),
        ([http(("core.east", 50), ("core.west", 50), match=[PINNED]), DEFAULT], 1),
        ([http(("other.east", 100)), DEFAULT], 1),
    ],
    ids=["alone", "after a pinned one", "after a pinned one alike", "after another module's"],
)
def test_the_default_route_is_found_by_its_destinations(
    routes: list[dict[str, Any]], index: int
) -> None:
    found = read_route(TARGET, a_virtual_service(*routes))

    assert isinstance(found, RouteView)
    assert found.route_index == index
    assert [(one.region, one.weight) for one in found.destinations] == [("east", 60), ("west", 40)]


@pytest.mark.parametrize(
    "routes",
    [
        [http(("core.east", 60), ("core.west", 40), match=[PINNED])],
        [http(("core.east", 100))],
        [http(("core.east", 50), ("core.west", 30), ("core.east", 20))],
        [DEFAULT, DEFAULT],
        [],
    ],
    ids=["pinned only", "a destination less", "a canary of a region", "two alike", "no route"],
)
def test_a_route_that_is_not_surely_ours_is_not_found(routes: list[dict[str, Any]]) -> None:
    found = read_route(TARGET, a_virtual_service(*routes))

    assert isinstance(found, Reason)
    assert found.code is Code.ROUTE_NOT_FOUND


def test_an_absent_weight_is_what_istio_makes_of_it() -> None:
    alone = RouteTarget("core", "mplp", "traffic", {"east": "core.east"})

    one = read_route(alone, a_virtual_service(http(("core.east", None))))
    two = read_route(TARGET, a_virtual_service(http(("core.east", None), ("core.west", 1))))

    assert isinstance(one, RouteView)
    assert isinstance(two, RouteView)
    assert one.destinations[0].weight == 100
    assert two.destinations[0].weight == 0


def test_the_patch_tests_all_that_it_relies_on_and_writes_weights_alone() -> None:
    found = a_virtual_service(http(("core.east", 100), match=[PINNED]), DEFAULT)
    view = read_route(TARGET, found)
    assert isinstance(view, RouteView)

    patch = weight_patch(found, view, (55, 45))

    tested = {one["path"]: one["value"] for one in patch if one["op"] == "test"}
    written = {one["path"]: one["value"] for one in patch if one["op"] != "test"}
    assert written == {"/spec/http/1/route/0/weight": 55, "/spec/http/1/route/1/weight": 45}
    assert tested == {
        "/metadata/uid": "u-1",
        "/metadata/resourceVersion": "9",
        "/spec/http/1/route/0/destination/host": "core.east",
        "/spec/http/1/route/0/weight": 60,
        "/spec/http/1/route/1/destination/host": "core.west",
        "/spec/http/1/route/1/weight": 40,
    }
