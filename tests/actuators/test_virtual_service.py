"""A VirtualService's default route, and the patch of its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from predictor.actuators.cluster_settings import RouteTarget
from predictor.actuators.virtual_service import (
    VirtualService,
    read_route,
    weight_patch,
    written_annotations,
)
from predictor.core.cluster import RouteView, WeightIntent
from predictor.core.opt_in import EPOCH, HOME, REASON, SHIFT, UNTIL, WEIGHTS
from predictor.core.reasons import Code, Reason

TARGET = RouteTarget("core", "mplp", "traffic", {"east": "core.east", "west": "core.west"})
PINNED = {"headers": {"region": {"exact": "east"}}}


def http(*weights: tuple[str, int | None], **more: Any) -> dict[str, Any]:
    shares = [
        {"destination": {"host": host}} | ({} if weight is None else {"weight": weight})
        for host, weight in weights
    ]
    return {"route": shares, **more}


def a_virtual_service(
    *routes: dict[str, Any], annotations: Mapping[str, str] | None = None
) -> VirtualService:
    metadata: dict[str, Any] = {"name": "traffic", "uid": "u-1", "resourceVersion": "9"}
    metadata |= {} if annotations is None else {"annotations": dict(annotations)}
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
    owners = {SHIFT: "enabled"}
    found = a_virtual_service(http(("core.east", 100), match=[PINNED]), DEFAULT, annotations=owners)
    view = read_route(TARGET, found)
    assert isinstance(view, RouteView)

    patch = weight_patch(found, view, (55, 45), {})

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


def patched(annotations: dict[str, str], patch: list[dict[str, Any]]) -> dict[str, str]:
    """The annotations after the patch, as RFC 6902 has it."""
    done = dict(annotations)
    for one in patch:
        place, _, name = one["path"].rpartition("/annotations/")
        name = name.replace("~1", "/")
        if place and one["op"] == "add":
            done[name] = one["value"]
        elif place and one["op"] == "remove":
            del done[name]
    return done


OWNERS = {SHIFT: "enabled", "team": "checkout"}
KEPT = {
    EPOCH: "7",
    UNTIL: "2026-11-29T02:14:07Z",
    REASON: "east is full",
    HOME: "core.east=60,core.west=40",
    WEIGHTS: "core.east=50,core.west=50",
}


def an_intent(view: RouteView, until_s: float | None) -> WeightIntent:
    return WeightIntent(view, (50, 50), 1, (60, 40), until_s, "east is full", 7)


def test_away_from_home_the_patch_says_until_when_why_and_what_home_is() -> None:
    found = a_virtual_service(DEFAULT, annotations=OWNERS)
    view = read_route(TARGET, found)
    assert isinstance(view, RouteView)
    assert view.is_shift_enabled

    wanted = written_annotations(an_intent(view, until_s=1_795_918_447.0))

    patch = weight_patch(found, view, (50, 50), wanted)
    assert patched(OWNERS, patch) == OWNERS | KEPT
    seen = a_virtual_service(DEFAULT, annotations=OWNERS | KEPT)
    again = read_route(TARGET, seen)
    assert isinstance(again, RouteView)
    assert again.kept.home == {"core.east": 60, "core.west": 40}
    assert (again.kept.until_s, again.kept.epoch) == (1_795_918_447.0, 7)


def test_at_home_all_of_it_goes_but_the_epoch() -> None:
    there = OWNERS | KEPT
    found = a_virtual_service(DEFAULT, annotations=there)
    view = read_route(TARGET, found)
    assert isinstance(view, RouteView)

    patch = weight_patch(found, view, (60, 40), written_annotations(an_intent(view, None)))

    assert patched(there, patch) == OWNERS | {EPOCH: "7"}


def test_where_no_annotation_is_at_all_there_is_a_place_for_them_first() -> None:
    found = a_virtual_service(DEFAULT)
    view = read_route(TARGET, found)
    assert isinstance(view, RouteView)
    assert not view.is_shift_enabled

    patch = weight_patch(found, view, (60, 40), {EPOCH: "1"})

    assert [one["path"] for one in patch[-2:]] == [
        "/metadata/annotations",
        f"/metadata/annotations/{EPOCH.replace('/', '~1')}",
    ]


@pytest.mark.parametrize(
    "annotations",
    [
        {HOME: "core.east=60", WEIGHTS: KEPT[WEIGHTS]},
        {HOME: "core.east=60,core.west=forty", WEIGHTS: KEPT[WEIGHTS]},
        {HOME: "core.east=60,core.east=40", WEIGHTS: KEPT[WEIGHTS]},
        {HOME: KEPT[HOME]},
        {HOME: "a=100", WEIGHTS: "b=100"},
        {UNTIL: "soon"},
        {EPOCH: "-1"},
        {HOME: "a=1," * 100_000},
    ],
    ids=["no whole", "no number", "twice", "alone", "other hosts", "no time", "no count", "long"],
)
def test_an_annotation_that_we_did_not_write_is_a_fault(annotations: dict[str, str]) -> None:
    view = read_route(TARGET, a_virtual_service(DEFAULT, annotations=annotations))

    assert isinstance(view, RouteView)
    assert view.kept.faults
    assert len(view.kept.faults[0]) < 200
