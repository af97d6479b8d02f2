"""A worker that is stopped as a whole, its place taken, and then goes on as if nothing had been."""

from __future__ import annotations

import asyncio
import secrets
import signal
from pathlib import Path

import pytest

from rigs.kafka import KafkaBroker
from rigs.kubernetes import ControlPlane
from tests.real.deployed_worker import BASELINE, CEILING_REPLICAS, DeployedWorld, a_worker
from tests.real.flowing_load import Load
from tests.real.test_worker_killed import BUSY_PER_S, NEEDED, PARTITIONS, lives_until
from tests.streams.kafka_world import KafkaWorld

pytestmark = [pytest.mark.real, pytest.mark.timeout(360)]

AWAKE_S = 15.0
"""Many times what a worker that wakes needs to write what it had decided."""


async def test_the_first_worker_wakes_after_its_place_was_taken_and_changes_nothing(
    control_plane: ControlPlane, kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    kafka = KafkaWorld(kafka_broker.bootstrap_servers, f"stopped-{secrets.token_hex(3)}")
    await kafka.create(PARTITIONS)
    world = DeployedWorld(control_plane, kafka, tmp_path, ("core",))
    load = Load(kafka, {"core": BUSY_PER_S}, PARTITIONS)
    second_config = tmp_path / "second" / "config.yaml"
    second_config.parent.mkdir()
    second_config.write_text(world.config.read_text())
    floors, epochs = [BASELINE], [0]

    def sampled() -> None:
        floors.append(world.floor("core"))
        epochs.append(world.epoch("core"))

    def is_raised() -> bool:
        sampled()
        return floors[-1] >= NEEDED

    async with a_worker(world.config) as first, load.flowing():
        await lives_until(first, is_raised)
        first.send_signal(signal.SIGSTOP)
        stopped_under = world.epoch("core")

        def has_taken_over() -> bool:
            sampled()
            return epochs[-1] > stopped_under

        async with a_worker(second_config) as second:
            await lives_until(second, has_taken_over, within_s=150.0)
            first.send_signal(signal.SIGCONT)
            ends_at_s = asyncio.get_running_loop().time() + AWAKE_S
            while asyncio.get_running_loop().time() < ends_at_s:
                await asyncio.sleep(0.1)
                sampled()
            assert (first.returncode, second.returncode) == (None, None)

    raised_at = next(at for at, floor in enumerate(floors) if floor >= NEEDED)
    assert min(floors[raised_at:]) >= NEEDED, "no floor dips when owners change"
    assert max(floors) <= CEILING_REPLICAS
    assert epochs == sorted(epochs), "a former owner wrote"
