"""A worker as it is deployed dies after a raise, or is started again: what becomes of its floor."""

from __future__ import annotations

import asyncio
import math
import secrets
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from predictor.core.opt_in import EPOCH, FIELD_MANAGER
from predictor.core.restore_step import Pace
from predictor.way_back.restorer import Restorer, Verdict
from rigs.kafka import KafkaBroker
from rigs.kubernetes import ControlPlane
from tests.actuators.target_world import until
from tests.real.deployed_worker import (
    BASELINE,
    CEILING_REPLICAS,
    DECIDED,
    DeployedWorld,
    a_worker,
)
from tests.real.flowing_load import Load
from tests.streams.kafka_world import KafkaWorld

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

PARTITIONS = 2
MODULES = ("core", "plan")
QUIET_PER_S, BUSY_PER_S = 100, 900
"""A third of what the owner's three pods carry at their target, and three times as much."""
NEEDED = 8
"""Pods at 120 requests/s each: the owner's target of 100 times the default `pod_load_ratio`."""
FORGED_PER_S, FIVE_MINUTES_S = 1_000_000 // 60, 300
PERIOD_S = 60.0
"""Of the restorer's CronJob."""


@pytest.fixture
async def kafka(kafka_broker: KafkaBroker) -> KafkaWorld:
    made = KafkaWorld(kafka_broker.bootstrap_servers, f"deployed-{secrets.token_hex(3)}")
    await made.create(PARTITIONS)
    return made


@pytest.fixture
def load(kafka: KafkaWorld) -> Load:
    return Load(kafka, {"core": BUSY_PER_S, "plan": QUIET_PER_S}, PARTITIONS)


@pytest.fixture
def world(control_plane: ControlPlane, kafka: KafkaWorld, tmp_path: Path) -> DeployedWorld:
    return DeployedWorld(control_plane, kafka, tmp_path, MODULES)


async def lives_until(
    worker: asyncio.subprocess.Process, holds: Callable[[], bool], within_s: float = 90.0
) -> None:
    """Look again and again, while the worker is there to bring it about."""

    async def so() -> bool:
        assert worker.returncode is None, "the worker ended by itself"
        return holds()

    await until(so, within_s=within_s)


def steps_home(floor: int) -> list[int]:
    """A quarter at a time, rounded up, never below the owner's floor."""
    steps = [floor]
    while steps[-1] > BASELINE:
        steps.append(max(BASELINE, steps[-1] - math.ceil(steps[-1] / 4)))
    return steps


async def test_the_floor_of_a_killed_worker_goes_home_by_the_restorer_alone(
    world: DeployedWorld, load: Load
) -> None:
    before = world.owners_words("core")
    async with a_worker(world.config) as worker, load.flowing():
        await lives_until(worker, lambda: world.floor("core") >= NEEDED)
        worker.kill()
        assert await worker.wait() == -signal.SIGKILL
    seen, until_s = [world.floor("core")], world.until_s("core")
    clock_s = [until_s - 1]
    connection = world.restorers_connection()
    restorer = Restorer(connection, [world.namespace], now_s=lambda: clock_s[-1])

    early = await restorer.run_pass(Pace.EXPIRED)
    for _ in steps_home(seen[0])[1:]:
        clock_s.append(clock_s[-1] + PERIOD_S)
        assert (await restorer.run_pass(Pace.EXPIRED)).is_whole
        seen.append(world.floor("core"))
    await connection.close()

    assert [row.verdict for row in early.rows] == [Verdict.WAITS]
    assert seen == steps_home(seen[0])
    assert set(world.kept("core")) == {EPOCH}
    assert world.owners_words("core") == before


async def test_two_restarts_in_a_row_let_no_floor_dip(world: DeployedWorld, load: Load) -> None:
    floors, epochs = [BASELINE], [0]

    def is_held() -> bool:
        floors.append(world.floor("core"))
        return floors[-1] >= NEEDED

    def has_decided() -> bool:
        return is_held() and world.config.with_name(DECIDED).exists()

    def has_written() -> bool:
        """Which is a renewal, under an epoch of its own."""
        return has_decided() and world.epoch("core") > epochs[-1]

    async with load.flowing():
        # the second one ends before there is anything to renew
        for holds in (has_written, has_decided, has_written):
            async with a_worker(world.config) as worker:
                await lives_until(worker, holds)
                worker.terminate()
                assert await asyncio.wait_for(worker.wait(), 20) == 0
            epochs.append(world.epoch("core"))

    raised_at = next(at for at, floor in enumerate(floors) if floor >= NEEDED)
    assert min(floors[raised_at:]) >= NEEDED, floors


async def test_a_million_forged_requests_a_minute_stay_in_the_band_and_move_nobody_else(
    world: DeployedWorld, load: Load
) -> None:
    load.rates_per_s["core"] = FORGED_PER_S
    other = world.hpa("plan")
    seen: list[int] = []

    def five_minutes_at_the_ceiling() -> bool:
        seen.extend((world.floor("core"), world.replicas("core")))
        is_over = load.until_s > raised_at_s + FIVE_MINUTES_S
        return is_over and seen[-2:] == [CEILING_REPLICAS] * 2

    async with a_worker(world.config) as worker, load.flowing():
        await lives_until(worker, lambda: world.floor("core") > BASELINE)
        raised_at_s = load.until_s
        await lives_until(worker, five_minutes_at_the_ceiling)

    assert max(seen) == CEILING_REPLICAS
    after = world.hpa("plan")
    assert after["metadata"]["generation"] == other["metadata"]["generation"]
    assert FIELD_MANAGER not in {one["manager"] for one in after["metadata"]["managedFields"]}
