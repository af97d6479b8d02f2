"""What every cluster behind the port promises, asked of the simulated and of the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from predictor.core.cluster import Applied, NotApplied, WeightIntent
from predictor.core.reasons import Code
from tests.actuators.cluster_worlds import (
    FLOOR,
    REPLICAS_MAX,
    KubernetesWorld,
    SimulatedWorld,
    World,
    a_floor_intent,
    code_of,
    move_weights,
    raise_floor,
    the_hpa,
    the_route,
)

NOW_S = 1_800_000_000.0


@pytest.fixture(params=["simulated", pytest.param("kubernetes", marks=pytest.mark.real)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    made: World
    if request.param == "simulated":
        made = SimulatedWorld()
    else:
        made = KubernetesWorld(request.getfixturevalue("control_plane"))
    yield made
    await made.cluster.close()


async def test_a_floor_is_set_and_nothing_else_changes(world: World) -> None:
    before = world.picture()

    outcome = await raise_floor(world.cluster, 8)

    seen = await the_hpa(world.cluster)
    assert isinstance(outcome, Applied)
    assert seen.min_replicas == 8
    assert world.picture() == before


async def test_what_was_applied_is_the_version_that_is_seen_next(world: World) -> None:
    before = await the_hpa(world.cluster)

    outcome = await raise_floor(world.cluster, 5)

    assert isinstance(outcome, Applied)
    assert outcome.resource_version != before.resource_version


async def test_the_owners_baseline_is_known_while_the_field_is_ours(world: World) -> None:
    outcome = await raise_floor(world.cluster, 8)

    seen = await the_hpa(world.cluster)

    assert isinstance(outcome, Applied), outcome
    assert (seen.baseline_replicas, seen.floor_manager) == (FLOOR, "mplp-predictor")


async def test_a_decision_on_an_older_version_writes_nothing(world: World) -> None:
    old = await the_hpa(world.cluster)
    await raise_floor(world.cluster, 4)

    outcome = await world.cluster.set_floor(a_floor_intent(old, 9))

    assert code_of(outcome) is Code.MOVED_ON
    assert (await the_hpa(world.cluster)).min_replicas == 4


async def test_a_decision_on_another_floor_writes_nothing(world: World) -> None:
    seen = await the_hpa(world.cluster)

    outcome = await world.cluster.set_floor(a_floor_intent(seen, 9, floor_now=7))

    assert code_of(outcome) is Code.MOVED_ON
    assert (await the_hpa(world.cluster)).min_replicas == FLOOR


async def test_a_recreated_hpa_is_another_hpa(world: World) -> None:
    old = await the_hpa(world.cluster)
    world.recreate()

    outcome = await world.cluster.set_floor(a_floor_intent(old, 9))

    assert code_of(outcome) is Code.MOVED_ON
    assert (await world.seen()).hpas[0].min_replicas == FLOOR


@pytest.mark.parametrize("floor", [0, REPLICAS_MAX + 1], ids=["no replica", "above maxReplicas"])
async def test_a_floor_outside_the_bounds_is_refused(world: World, floor: int) -> None:
    outcome = await raise_floor(world.cluster, floor)

    assert code_of(outcome) is Code.REFUSED
    assert (await the_hpa(world.cluster)).min_replicas == FLOOR


async def test_a_missing_hpa_is_a_problem_with_its_reason(world: World) -> None:
    gone = await the_hpa(world.cluster)
    world.remove()

    view = await world.seen()
    outcome = await world.cluster.set_floor(a_floor_intent(gone, 9))

    assert view.hpas == ()
    assert [(key, reason.code) for key, reason in view.problems] == [
        (world.key, Code.TARGET_MISSING)
    ]
    assert code_of(outcome) is Code.TARGET_MISSING


async def test_a_floor_that_its_owner_took_back_is_left_to_them(world: World) -> None:
    await raise_floor(world.cluster, 8)
    world.owner_edits(5)
    await world.seen()

    outcome = await raise_floor(world.cluster, 9)

    seen = await the_hpa(world.cluster)
    assert code_of(outcome) is Code.CONFLICT
    assert isinstance(outcome, NotApplied)
    assert str(seen.floor_manager) in outcome.reason.sentence
    assert seen.min_replicas == 5


async def test_weights_move_and_nothing_else_changes(world: World) -> None:
    before = world.picture()

    outcome = await move_weights(world.cluster, 40, 40, 20)

    route = await the_route(world.cluster)
    assert isinstance(outcome, Applied)
    assert outcome.resource_version == route.resource_version
    assert [one.weight for one in route.destinations] == [40, 40, 20]
    assert world.picture() == before


async def test_weights_decided_on_an_older_version_are_not_written(world: World) -> None:
    old = await the_route(world.cluster)
    await move_weights(world.cluster, 40, 40, 20)

    outcome = await world.cluster.set_weights(WeightIntent(old, (60, 20, 20), 2))

    assert code_of(outcome) is Code.MOVED_ON
    weights = [one.weight for one in (await the_route(world.cluster)).destinations]
    assert weights == [40, 40, 20]


@pytest.mark.parametrize(
    "weights",
    [(40, 40, 19), (120, -40, 20), (50, 50)],
    ids=["sum below 100", "a negative weight", "a destination left out"],
)
async def test_weights_that_are_no_shares_are_refused(
    world: World, weights: tuple[int, ...]
) -> None:
    outcome = await move_weights(world.cluster, *weights)

    assert code_of(outcome) is Code.REFUSED
    assert [one.weight for one in (await the_route(world.cluster)).destinations] == [50, 30, 20]


async def test_what_is_kept_beside_the_weights_is_seen_next(world: World) -> None:
    away = {"home": (50, 30, 20), "until_s": NOW_S + 900.0, "epoch": 3}
    await move_weights(world.cluster, 40, 40, 20, **away)
    moved = (await the_route(world.cluster)).kept

    await move_weights(world.cluster, 50, 30, 20, home=(50, 30, 20), epoch=3)

    assert (moved.until_s, moved.epoch) == (NOW_S + 900.0, 3)
    assert [*moved.home.values()] == [50, 30, 20]
    assert [*moved.written.values()] == [40, 40, 20]
    at_home = (await the_route(world.cluster)).kept
    assert (at_home.stands, at_home.epoch) == (False, 3)


async def test_weights_that_their_owner_does_not_let_move_are_not_written(world: World) -> None:
    world.forbid_shift()

    outcome = await move_weights(world.cluster, 40, 40, 20)

    assert code_of(outcome) is Code.NOT_OPTED_IN
    assert [one.weight for one in (await the_route(world.cluster)).destinations] == [50, 30, 20]
