"""Weights go home with nothing but the API server, and under its guard."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from predictor.actuators.cluster_settings import ClusterSettings
from predictor.actuators.connection import Connection
from predictor.cli import app
from predictor.core.opt_in import EPOCH, HOME, REASON, WEIGHTS
from predictor.core.reasons import Code
from predictor.core.restore_step import Pace
from predictor.way_back.restorer import Verdict
from predictor.way_back.route_restorer import RouteRestorer, WeightsRow
from predictor.way_back.standby import Standby
from rigs.credentials import ADMIN, PREDICTOR, RESTORER
from rigs.kubernetes import ControlPlane
from tests.actuators.cluster_worlds import serve_virtual_services
from tests.way_back.guarded_worlds import MERGE, NEVER, GuardedWorld, until
from tests.way_back.moved_routes import PAST, moved_route, set_by_hand, shares, weights_of

pytestmark = pytest.mark.real


@pytest.fixture
def world(control_plane: ControlPlane) -> GuardedWorld:
    serve_virtual_services(control_plane)
    return GuardedWorld(control_plane)


@pytest.fixture
async def connection(world: GuardedWorld, tmp_path: Path) -> AsyncIterator[Connection]:
    """The restorer's own account: every write below passes the guard."""
    path = moved_route(world, (50, 30, 20), name="probe")
    reads = world.plane.client_for(RESTORER).request
    until(lambda: reads("GET", path)[0] == 200, "the rights of the restorer")
    world.plane.delete(path)
    made = Connection(ClusterSettings(kubeconfig=str(world.kubeconfig(tmp_path, RESTORER))))
    yield made
    await made.close()


async def a_pass(
    world: GuardedWorld, connection: Connection, pace: Pace = Pace.EXPIRED
) -> list[WeightsRow]:
    done = await RouteRestorer(connection, [world.namespace], now_s=time.time).run_pass(pace)
    assert done.problems == ()
    return list(done.rows)


async def test_weights_that_ran_out_take_one_step_home_and_not_two_within_a_minute(
    world: GuardedWorld, connection: Connection
) -> None:
    path = moved_route(world, (5, 75, 20), PAST)

    first = await a_pass(world, connection)
    second = await a_pass(world, connection)

    assert [(row.verdict, [*row.weights.values()]) for row in first] == [
        (Verdict.MOVED, [25, 55, 20])
    ]
    assert [row.verdict for row in second] == [Verdict.WAITS]
    assert weights_of(world, path) == (25, 55, 20)
    kept = world.kept(path)
    assert kept[WEIGHTS] == shares(25, 55, 20)
    assert (kept[HOME], kept[EPOCH]) == (shares(50, 30, 20), "5")
    assert "on the way home to" in kept[REASON]


async def test_at_home_only_the_epoch_stays(world: GuardedWorld, connection: Connection) -> None:
    path = moved_route(world, (40, 40, 20), PAST)

    await a_pass(world, connection)

    assert weights_of(world, path) == (50, 30, 20)
    assert world.kept(path) == {EPOCH: "5"}


async def test_weights_that_are_renewed_are_not_even_written(
    world: GuardedWorld, connection: Connection
) -> None:
    path = moved_route(world, (40, 40, 20), NEVER)
    version = world.read(path)["metadata"]["resourceVersion"]

    rows = await a_pass(world, connection)

    assert [row.verdict for row in rows] == [Verdict.WAITS]
    assert world.read(path)["metadata"]["resourceVersion"] == version


async def test_weights_that_a_person_set_after_us_are_theirs(
    world: GuardedWorld, connection: Connection
) -> None:
    path = moved_route(world, (40, 40, 20), PAST)
    set_by_hand(world, path, 10, 80, 10)

    (row,) = await a_pass(world, connection, Pace.AT_ONCE)

    assert (row.verdict, row.reason.code) == (Verdict.LEFT, Code.CONFLICT)
    assert "kubectl annotate virtualservice" in row.reason.sentence
    assert weights_of(world, path) == (10, 80, 10)


async def test_an_annotation_that_cannot_be_read_keeps_us_from_the_route(
    world: GuardedWorld, connection: Connection
) -> None:
    path = moved_route(world, (40, 40, 20), PAST, annotations={HOME: "east=many"})

    (row,) = await a_pass(world, connection)

    assert (row.verdict, row.reason.code) == (Verdict.LEFT, Code.ANNOTATION_UNREADABLE)
    assert weights_of(world, path) == (40, 40, 20)


async def test_a_route_that_we_never_moved_is_none_of_our_business(
    world: GuardedWorld, connection: Connection
) -> None:
    path = moved_route(world, (10, 80, 10))
    gone = {"metadata": {"annotations": dict.fromkeys(world.kept(path))}}
    assert world.send(path, gone, MERGE, as_user=ADMIN) == ""

    assert await a_pass(world, connection, Pace.AT_ONCE) == []
    assert weights_of(world, path) == (10, 80, 10)


def test_off_takes_weights_home_at_once(world: GuardedWorld, tmp_path: Path) -> None:
    ours, theirs = moved_route(world, (5, 75, 20)), moved_route(world, (40, 40, 20), name="theirs")
    set_by_hand(world, theirs, 10, 80, 10)

    done = command(world, tmp_path, "off", "--settled-after", "0")

    assert done.exit_code == 0, done.stderr
    assert "5/75/20 -> 50/30/20" in done.stdout
    assert weights_of(world, ours) == (50, 30, 20)
    assert weights_of(world, theirs) == (10, 80, 10)


def test_off_in_steps_takes_one_step_and_leaves_the_rest_to_the_restorer(
    world: GuardedWorld, tmp_path: Path
) -> None:
    path = moved_route(world, (5, 75, 20))

    done = command(world, tmp_path, "off", "--in-steps")
    again = command(world, tmp_path, "restore")

    assert (done.exit_code, again.exit_code) == (0, 0)
    assert "take their next step after" in again.stdout
    assert weights_of(world, path) == (25, 55, 20)


def test_a_dry_run_shows_what_would_be_and_writes_nothing(
    world: GuardedWorld, tmp_path: Path
) -> None:
    path = moved_route(world, (40, 40, 20), PAST)

    done = command(world, tmp_path, "restore", "--dry-run")

    assert "40/40/20 -> 50/30/20" in done.stdout
    assert weights_of(world, path) == (40, 40, 20)


async def test_a_worker_takes_home_what_another_one_left_behind(
    world: GuardedWorld, tmp_path: Path
) -> None:
    path = moved_route(world, (40, 40, 20), PAST)
    reads = world.plane.client_for(PREDICTOR).request
    until(lambda: reads("GET", path)[0] == 200, "the rights of the worker")
    settings = ClusterSettings(kubeconfig=str(world.kubeconfig(tmp_path, PREDICTOR)))
    standby = Standby(settings, [world.namespace], world.namespace, pause_s=0.2)

    await standby._rounds.once()
    await standby.close()

    assert weights_of(world, path) == (50, 30, 20)


def command(world: GuardedWorld, folder: Path, name: str, *arguments: str) -> Result:
    places = ["--namespace", world.namespace, "--service-namespace", world.namespace]
    environment = {"KUBECONFIG": str(world.kubeconfig(folder))}
    return CliRunner().invoke(app, [name, *places, *arguments], env=environment)
