"""Floors come back to their owners with nothing but the API server, and under its guard."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from predictor.actuators.cluster_settings import ClusterSettings
from predictor.actuators.connection import Connection
from predictor.cli import app
from predictor.core.opt_in import EPOCH, FLOOR, REASON, UNTIL
from predictor.core.reasons import Code
from predictor.core.restore_step import Pace
from predictor.way_back.restorer import Restorer, Row, Verdict
from predictor.way_back.standby import Standby
from rigs.credentials import ADMIN, PREDICTOR, RESTORER
from rigs.kubernetes import ControlPlane
from tests.way_back.guarded_worlds import MERGE, NEVER, GuardedWorld, until

pytestmark = pytest.mark.real

PAST = "2020-01-01T00:00:00Z"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def world(control_plane: ControlPlane) -> GuardedWorld:
    return GuardedWorld(control_plane)


@pytest.fixture
async def connection(world: GuardedWorld, tmp_path: Path) -> AsyncIterator[Connection]:
    """The restorer's own account: every write below passes the guard."""
    kubeconfig = world.kubeconfig(tmp_path, RESTORER)
    made = Connection(ClusterSettings(kubeconfig=str(kubeconfig)))
    yield made
    await made.close()


async def a_pass(
    world: GuardedWorld, connection: Connection, pace: Pace = Pace.EXPIRED, *, gap_s: float = 55.0
) -> list[Row]:
    restorer = Restorer(connection, [world.namespace], now_s=time.time, step_gap_s=gap_s)
    done = await restorer.run_pass(pace)
    assert done.problems == ()
    return list(done.rows)


async def test_a_floor_that_ran_out_takes_one_step_and_not_two_within_a_minute(
    world: GuardedWorld, connection: Connection
) -> None:
    path = world.raised(10, PAST)

    first = await a_pass(world, connection)
    second = await a_pass(world, connection)

    assert [(row.verdict, row.floor) for row in first] == [(Verdict.LOWERED, 7)]
    assert [(row.verdict, row.floor) for row in second] == [(Verdict.WAITS, 7)]
    assert world.floor(path) == 7
    assert world.kept(path)[EPOCH] == "5"
    assert "on the way to the owner's 3" in world.kept(path)[REASON]


async def test_at_the_owners_floor_expiry_and_reason_are_gone_and_the_epoch_stays(
    world: GuardedWorld, connection: Connection
) -> None:
    path = world.raised(4, PAST)

    await a_pass(world, connection)

    assert world.floor(path) == 3
    assert world.kept(path) == {EPOCH: "5"}


async def test_what_did_not_run_out_is_not_even_written(
    world: GuardedWorld, connection: Connection
) -> None:
    path = world.raised(10, NEVER)
    version = world.read(path)["metadata"]["resourceVersion"]

    rows = await a_pass(world, connection)

    assert [row.verdict for row in rows] == [Verdict.WAITS]
    assert world.read(path)["metadata"]["resourceVersion"] == version


async def test_a_floor_that_somebody_took_is_theirs(
    world: GuardedWorld, connection: Connection
) -> None:
    path = world.raised(10, PAST)
    world.send(path, {"spec": {"minReplicas": 9}}, MERGE, as_user=ADMIN)

    (row,) = await a_pass(world, connection, Pace.AT_ONCE)

    assert (row.verdict, row.reason.code) == (Verdict.LEFT, Code.CONFLICT)
    assert "kubectl annotate hpa core" in row.reason.sentence
    assert world.floor(path) == 9


async def test_an_hpa_that_we_never_wrote_to_is_none_of_our_business(
    world: GuardedWorld, connection: Connection
) -> None:
    path = world.hpa(floor=9)

    assert await a_pass(world, connection, Pace.AT_ONCE) == []
    assert world.floor(path) == 9


async def test_without_the_owners_floor_it_is_left_and_said(
    world: GuardedWorld, connection: Connection
) -> None:
    path = world.raised(10, PAST, annotations={FLOOR: None})

    (row,) = await a_pass(world, connection)

    assert (row.verdict, row.reason.code) == (Verdict.LEFT, Code.NOT_OPTED_IN)
    assert world.floor(path) == 10


@pytest.fixture
def killed(world: GuardedWorld, tmp_path: Path) -> str:
    """The path of an HPA whose worker raised it to 10 for two seconds and was killed then."""
    path = world.hpa()
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.way_back.raising_worker"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "HPA": path, "KUBECONFIG": str(world.kubeconfig(tmp_path))},
    )  # fmt: skip
    assert worker.stdout is not None
    said = worker.stdout.readline()
    worker.kill()
    worker.wait(timeout=10)
    worker.stdout.close()
    assert (said, worker.returncode) == ("raised\n", -signal.SIGKILL)
    return path


async def test_a_killed_workers_floor_is_back_by_steps_with_nothing_else_running(
    world: GuardedWorld, connection: Connection, killed: str
) -> None:
    """Steps are a second apart where they are a minute in service."""
    expiry = dt.datetime.fromisoformat(world.kept(killed)[UNTIL])
    seen, started_late_s = [10], 0.0

    while seen[-1] != 3:
        await a_pass(world, connection, gap_s=1.0)
        floor, late_s = world.floor(killed), (dt.datetime.now(dt.UTC) - expiry).total_seconds()
        if floor != seen[-1]:
            started_late_s = started_late_s or late_s
            seen.append(floor)
        assert late_s < 30, seen
        await asyncio.sleep(0.2)

    assert seen == [10, 7, 5, 3]
    assert started_late_s > 0


def test_off_hands_everything_back_and_says_who_and_why(
    world: GuardedWorld, tmp_path: Path
) -> None:
    ours, theirs = world.raised(10, NEVER), world.raised(8, NEVER, name="taken")
    world.send(theirs, {"spec": {"minReplicas": 9}}, MERGE, as_user=ADMIN)

    done = command(world, tmp_path, "off", "--reason", "incident 4711", "--settled-after", "0.5")

    assert done.exit_code == 0, done.stderr
    assert "incident 4711" in done.stdout
    assert f"lowered  {world.namespace}/core   10 -> 3" in done.stdout
    assert f"left     {world.namespace}/taken" in done.stdout
    assert (world.floor(ours), world.floor(theirs)) == (3, 9)
    switch = f"/api/v1/namespaces/{world.namespace}/configmaps/mplp-predictor-switch"
    assert "incident 4711" in world.read(switch)["data"]["off"]

    assert command(world, tmp_path, "on").exit_code == 0

    assert "off" not in world.read(switch).get("data", {})


def test_floors_go_back_even_where_the_switch_cannot_be_set(
    world: GuardedWorld, tmp_path: Path
) -> None:
    path = world.raised(10, NEVER)
    places = ["--namespace", world.namespace, "--service-namespace", "nowhere"]

    done = run_command(world.kubeconfig(tmp_path), "off", "--settled-after", "0", *places)

    assert done.exit_code == 1
    assert "the switch could not be set: namespace nowhere does not exist" in done.stderr
    assert world.floor(path) == 3


def test_off_in_steps_leaves_the_rest_to_the_restorer(world: GuardedWorld, tmp_path: Path) -> None:
    path = world.raised(10, NEVER)

    done = command(world, tmp_path, "off", "--in-steps")
    again = command(world, tmp_path, "restore")

    assert (done.exit_code, again.exit_code) == (0, 0)
    assert "takes its next step after" in again.stdout
    assert world.floor(path) == 7


def test_a_switch_that_kubectl_made_is_obeyed_by_the_restorers_next_run(
    world: GuardedWorld, tmp_path: Path
) -> None:
    path = world.raised(10, NEVER)
    world.plane.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "mplp-predictor-switch", "namespace": world.namespace},
            "data": {"off": ""},
        }
    )

    done = command(world, tmp_path, "restore")

    assert done.exit_code == 0
    assert world.floor(path) == 3


def test_a_dry_run_shows_what_would_be_and_writes_nothing(
    world: GuardedWorld, tmp_path: Path
) -> None:
    path = world.raised(10, PAST)

    done = command(world, tmp_path, "restore", "--dry-run")

    assert done.exit_code == 0
    assert "10 -> 7" in done.stdout
    assert "dry run, nothing was written: 1 lowered" in done.stdout
    assert world.floor(path) == 10


def test_a_cluster_that_does_not_answer_ends_with_3(world: GuardedWorld, tmp_path: Path) -> None:
    file = world.kubeconfig(tmp_path)
    file.write_text(file.read_text().replace(world.plane.server, "https://127.0.0.1:1"))

    done = run_command(file, "restore", "--namespace", "anywhere")

    assert done.exit_code == 3
    assert "got no answer" in done.stderr


def test_it_runs_again_and_again_until_it_is_told_to_end(
    world: GuardedWorld, tmp_path: Path
) -> None:
    places = ["--namespace", world.namespace, "--service-namespace", world.namespace]
    running = subprocess.Popen(
        [sys.executable, "-m", "predictor.cli", "restore", "--every", "1s", *places],
        cwd=ROOT, stdout=subprocess.DEVNULL,
        env={**os.environ, "KUBECONFIG": str(world.kubeconfig(tmp_path, RESTORER))},
    )  # fmt: skip
    try:
        path = world.raised(10, PAST)
        until(lambda: world.floor(path) == 7, "the first step", wait_s=30)
    finally:
        running.terminate()

    assert running.wait(timeout=20) == 0
    assert world.floor(path) == 7


async def test_a_worker_takes_back_what_another_one_left_behind(
    world: GuardedWorld, tmp_path: Path
) -> None:
    kubeconfig = world.kubeconfig(tmp_path, PREDICTOR)
    path = world.raised(10, PAST)
    settings = ClusterSettings(kubeconfig=str(kubeconfig))
    standby = Standby(settings, [world.namespace], world.namespace, pause_s=0.2)
    running = asyncio.create_task(standby.run())

    await asyncio.to_thread(until, lambda: world.floor(path) == 7, "the first step", wait_s=30)

    standby.stop()
    await running
    await standby.close()
    assert world.floor(path) == 7, "one step a minute, however often it looks"


def command(world: GuardedWorld, folder: Path, name: str, *arguments: str) -> Result:
    places = [] if name == "on" else ["--namespace", world.namespace]
    places += ["--service-namespace", world.namespace]
    return run_command(world.kubeconfig(folder), name, *places, *arguments)


def run_command(kubeconfig: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"KUBECONFIG": str(kubeconfig)})
