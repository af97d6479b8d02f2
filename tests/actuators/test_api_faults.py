"""A real API server that is busy, broken, slow, silent or behind: what is said and what is sent."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from predictor.actuators.cluster_settings import HpaTarget
from predictor.actuators.port import ClusterUnreachable
from predictor.core.cluster import Applied, HpaView
from predictor.core.reasons import Code
from rigs.api_proxy import ApiProxy, BlackHole, HangBody, LoseAnswer, Replay, Respond
from rigs.components import CONTROLLERS
from rigs.kubernetes import ControlPlane
from tests.actuators.cluster_worlds import a_floor_intent
from tests.actuators.target_world import BASELINE, REGION, UNTIL_S, TargetWorld, reason_of, until

pytestmark = pytest.mark.real

HPA_LIST = r"horizontalpodautoscalers\?limit=500"
HPA_WATCH = r"horizontalpodautoscalers\?watch"
LISTS = r"\?limit=500"


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[ApiProxy]:
    with ApiProxy(control_plane.server, control_plane.ca_file) as made:
        yield made


@pytest.fixture
async def new_world(
    control_plane: ControlPlane, proxy: ApiProxy, tmp_path: Path
) -> AsyncIterator[Callable[..., TargetWorld]]:
    made: list[TargetWorld] = []

    def new(**options: Any) -> TargetWorld:
        made.append(TargetWorld(control_plane, tmp_path, proxy=proxy, **options))
        return made[-1]

    yield new
    for world in made:
        await world.end()


@pytest.fixture
def world(new_world: Callable[..., TargetWorld]) -> TargetWorld:
    return new_world(modules="ab")


async def test_a_tick_asks_the_server_for_nothing_that_a_watch_tells(
    world: TargetWorld, proxy: ApiProxy
) -> None:
    for _ in range(20):
        await world.cluster.observe()

    assert (proxy.requests("GET", r"/apps.*\?limit"), proxy.requests("GET", HPA_LIST)) == (1, 1)
    assert proxy.requests("GET", "watch=true") == 2
    # the fifth is a look for vertical autoscalers, which is repeated after a minute
    assert len(proxy.seen) == 5


async def test_a_busy_server_is_spared_as_long_as_it_asks_and_other_targets_go_on(
    world: TargetWorld, proxy: ApiProxy
) -> None:
    proxy.fail("PATCH", "a-hpa", Respond(429, {"Retry-After": "2"}))

    said = [reason_of(await world.raise_to(8, "a")) for _ in range(3)]
    other = await world.raise_to(8, "b")
    sent = proxy.requests("PATCH", "a-hpa")
    proxy.heal()

    async def applied() -> bool:
        return isinstance(await world.raise_to(8, "a"), Applied)

    assert {one.code for one in said} == {Code.UNREACHABLE}
    assert "answered 429" in said[0].sentence
    assert "asked for patience; asked again in " in said[1].sentence
    assert (sent, isinstance(other, Applied)) == (1, True)
    assert await until(applied)


async def test_a_server_that_is_busy_for_everybody_is_asked_by_nobody(
    new_world: Callable[..., TargetWorld], proxy: ApiProxy
) -> None:
    world = new_world(modules="abcd")
    views = {one: await world.view(one) for one in "abcd"}
    proxy.fail("PATCH", ".", Respond(429, {"Retry-After": "2"}))

    said = [
        reason_of(await world.cluster.set_floor(a_floor_intent(view, 8))) for view in views.values()
    ]

    assert {one.code for one in said} == {Code.UNREACHABLE}
    assert proxy.requests("PATCH", ".") == 3


async def test_a_broken_answer_is_told_and_the_next_tick_writes(
    world: TargetWorld, proxy: ApiProxy
) -> None:
    proxy.fail("PATCH", "a-hpa", Respond(500), times=1)

    said = reason_of(await world.raise_to(8))

    assert (said.code, world.floor()) == (Code.UNREACHABLE, BASELINE)
    assert "the API server answered 500: as the test wants it" in said.sentence
    assert isinstance(await world.raise_to(8), Applied)


@pytest.mark.parametrize("act", [HangBody(), LoseAnswer()], ids=["half a body", "no answer"])
async def test_a_write_whose_answer_is_lost_is_not_repeated(
    world: TargetWorld, proxy: ApiProxy, act: HangBody | LoseAnswer
) -> None:
    proxy.fail("PATCH", "a-hpa", act)

    said = reason_of(await world.raise_to(8))

    async def seen() -> HpaView | None:
        view = (await world.cluster.observe()).hpas[0]
        return view if view.min_replicas == 8 else None

    assert said.code is Code.UNREACHABLE
    assert "got no answer within 1 s" in said.sentence
    assert (await until(seen)).kept.epoch == 7
    assert proxy.requests("PATCH", "a-hpa") == 1


async def test_a_silent_network_bounds_a_write_and_then_the_whole_view(
    new_world: Callable[..., TargetWorld], proxy: ApiProxy
) -> None:
    world = new_world(silence_max_s=1.0, watch_read_timeout_s=1.0)
    old = await world.view()
    proxy.fail("PATCH", ".", BlackHole())
    proxy.fail("GET", ".", BlackHole())
    proxy.drop_watches()

    said = reason_of(await world.cluster.set_floor(a_floor_intent(old, 8)))

    async def silent() -> str | None:
        try:
            await world.cluster.observe()
        except ClusterUnreachable as error:
            return str(error)
        return None

    assert said.code is Code.UNREACHABLE
    assert "was last heard of" in await until(silent)
    assert proxy.requests("PATCH", ".") <= 1
    proxy.heal()
    assert (await world.view()).min_replicas == BASELINE


async def test_a_namespace_that_cannot_be_read_hides_no_other(
    new_world: Callable[..., TargetWorld], proxy: ApiProxy
) -> None:
    other = new_world()
    targets = (
        HpaTarget("a", REGION, "forbidden", "a-hpa"),
        HpaTarget("b", REGION, other.namespace, "a-hpa"),
    )
    world = new_world(modules="", targets=targets)
    proxy.fail("GET", "namespaces/forbidden/", Respond(403))

    view = await world.cluster.observe()

    assert [one.key.module for one in view.hpas] == ["b"]
    ((key, reason),) = view.problems
    assert (key.module, reason.code) == ("a", Code.FORBIDDEN)
    assert "asked again in" in reason.sentence


async def test_a_watch_that_ends_in_time_goes_on_without_a_list(
    new_world: Callable[..., TargetWorld], proxy: ApiProxy
) -> None:
    world = new_world(watch_s=1.0)

    async def three_watches() -> bool:
        await world.cluster.observe()
        return proxy.requests("GET", HPA_WATCH) >= 3

    await until(three_watches)
    world.edit({"spec": {"minReplicas": 5}})

    assert (await world.view()).min_replicas == 5
    assert proxy.requests("GET", HPA_LIST) == 1


async def test_a_watch_that_is_forbidden_is_told_at_once(
    world: TargetWorld, proxy: ApiProxy
) -> None:
    proxy.fail("GET", HPA_WATCH, Respond(403))

    view = await world.cluster.observe()

    assert view.hpas == ()
    assert {reason.code for _, reason in view.problems} == {Code.FORBIDDEN}


async def test_a_read_older_than_our_own_write_is_not_decided_on(
    world: TargetWorld, proxy: ApiProxy
) -> None:
    await world.view()
    proxy.fail("GET", HPA_WATCH, Respond(410), times=1)
    proxy.fail("GET", HPA_WATCH, BlackHole())
    proxy.fail("GET", HPA_LIST, Replay())
    await world.raise_to(8)
    proxy.drop_watches()

    async def held_back() -> HpaView | None:
        view = (await world.cluster.observe()).hpas[0]
        return view if view.held_back else None

    stale = await until(held_back)
    assert stale.held_back is not None
    assert (stale.held_back.code, stale.min_replicas) == (Code.STALE_READ, BASELINE)
    assert reason_of(await world.cluster.set_floor(a_floor_intent(stale, 5))).code in (
        Code.MOVED_ON,
        Code.CONFLICT,
    )
    proxy.heal()
    view = await world.view()
    assert (view.held_back, view.min_replicas, world.floor()) == (None, 8, 8)


async def test_a_watch_that_breaks_off_misses_nothing_and_lists_nothing(
    world: TargetWorld, proxy: ApiProxy
) -> None:
    await world.view()
    lists = proxy.requests("GET", LISTS)
    proxy.fail("GET", HPA_WATCH, Respond(503), times=1)
    proxy.drop_watches()
    world.edit({"spec": {"minReplicas": 5}})

    assert (await world.view()).min_replicas == 5
    # the 503 makes the version doubtful, and one list of that kind settles it
    assert proxy.requests("GET", LISTS) <= lists + 1


@pytest.mark.parametrize(
    "gone",
    [
        Respond(410),
        Respond(200, body=b'{"type": "ERROR", "object": {"kind": "Status", "code": 410}}\n'),
        Respond(200, body=b'{"type": "MODIFIED", "object": {"kind": "Half'),
        Respond(200, body=b"no event at all\n"),
    ],
    ids=["refused", "as an event", "cut in the middle", "no JSON"],
)
async def test_a_watch_that_cannot_go_on_is_made_up_for(
    world: TargetWorld, proxy: ApiProxy, gone: Respond
) -> None:
    await world.view()
    proxy.fail("GET", HPA_WATCH, gone, times=1)
    proxy.drop_watches()
    world.plane.delete(world.path("b"))
    world.edit({"spec": {"minReplicas": 5}})

    assert (await world.view()).min_replicas == 5
    assert (await world.problem("b")).code is Code.TARGET_MISSING


async def test_a_paused_server_gets_the_newest_intent_and_no_burst(
    world: TargetWorld, proxy: ApiProxy
) -> None:
    await world.view()
    generation, codes, floors = world.held()["metadata"]["generation"], set(), range(3, 13)
    world.plane.pause_api()
    try:
        for floor in floors:
            (hpa, _) = (await world.cluster.observe()).hpas
            intent = a_floor_intent(hpa, floor, until_s=UNTIL_S)
            codes.add(reason_of(await world.cluster.set_floor(intent)).code)
            await asyncio.sleep(0.2)
        sent = proxy.requests("PATCH", ".")
    finally:
        world.plane.resume_api()

    async def newest() -> bool:
        return isinstance(await world.raise_to(floors[-1]), Applied)

    assert await until(newest)
    assert (codes, sent) == ({Code.UNREACHABLE}, 1)
    assert world.floor() == floors[-1]
    # the one that was under way when the server froze may come out first
    assert world.held()["metadata"]["generation"] <= generation + 2


async def test_without_the_hpa_controller_floors_are_kept_and_take_effect_later(
    world: TargetWorld,
) -> None:
    controllers = world.plane.pids[CONTROLLERS]
    os.kill(controllers, signal.SIGSTOP)
    try:
        # The highest last: a controller that wakes may pass by each of them, and without a metric
        # it does not come down again.
        outcomes = [await world.raise_to(floor) for floor in (4, 3, 5)]
        view = await world.view()
    finally:
        os.kill(controllers, signal.SIGCONT)

    async def scaled() -> bool:
        return bool(world.held(deployment=True)["spec"]["replicas"] == 5)

    assert all(isinstance(one, Applied) for one in outcomes)
    assert (view.min_replicas, view.spec_replicas) == (5, BASELINE)
    assert await until(scaled)


async def test_pods_that_no_node_takes_are_told(new_world: Callable[..., TargetWorld]) -> None:
    world = new_world(pods_late_s=0.5)
    selector = {"spec": {"template": {"spec": {"nodeSelector": {"room": "none"}}}}}
    world.edit(selector, deployment=True)
    world.edit({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}, deployment=True)

    async def blocked() -> Any:
        view = (await world.cluster.observe()).hpas[0]
        return view.blocked or None

    said = await until(blocked)

    assert "not Ready: Unschedulable: 0/" in said


async def test_rights_that_are_taken_away_are_told_and_each_tick_tries_but_once(
    control_plane: ControlPlane, new_world: Callable[..., TargetWorld], proxy: ApiProxy
) -> None:
    world = new_world(token=control_plane.predictor_token, modules="ab")
    grant(world, ["a-hpa", "b-hpa"])
    assert isinstance(await until_allowed(world), Applied)
    grant(world, ["b-hpa"])

    async def forbidden() -> str | None:
        said = reason_of(await world.raise_to(world.floor() % 10 + 2))
        return said.sentence if said.code is Code.FORBIDDEN else None

    assert "the API server answered 403" in await until(forbidden)
    sent = proxy.requests("PATCH", "a-hpa")
    assert await forbidden()
    assert proxy.requests("PATCH", "a-hpa") == sent + 1
    assert isinstance(await world.raise_to(8, "b"), Applied)


async def until_allowed(world: TargetWorld) -> Applied:
    """Rights reach the authoriser a moment after they were written."""

    async def applied() -> Applied | None:
        if not (await world.cluster.observe()).hpas:
            return None
        outcome = await world.raise_to(8)
        return outcome if isinstance(outcome, Applied) else None

    return await until(applied)


def grant(world: TargetWorld, names: list[str]) -> None:
    """What the service needs in the namespace, for the HPAs of these names."""
    api, name = "rbac.authorization.k8s.io", "predictor"
    metadata = {"name": name, "namespace": world.namespace}
    kind = {"apiVersion": f"{api}/v1", "metadata": metadata}
    hpas = {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"]}
    rules = [
        {**hpas, "verbs": ["list", "watch"]},
        {**hpas, "verbs": ["get", "patch"], "resourceNames": names},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list", "watch"]},
    ]
    subject = {"kind": "User", "name": "system:serviceaccount:mplp-predictor:mplp-predictor"}
    role = {"kind": "Role", "name": name, "apiGroup": api}
    bound = {"subjects": [{**subject, "apiGroup": api}], "roleRef": role}
    world.plane.apply({**kind, "kind": "Role", "rules": rules})
    world.plane.apply({**kind, "kind": "RoleBinding", **bound})
