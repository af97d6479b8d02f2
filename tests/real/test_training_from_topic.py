"""`mplp-predictor train --from-topic`: what the live ingest counted is learned from."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from aiokafka import AIOKafkaProducer

from models.series import SeriesKey
from models.store import load_model
from rigs.kafka import KafkaBroker
from streams.demand import DemandCell, DemandPart, Progress, encode_demand
from tests.streams.kafka_world import T0, KafkaWorld

pytestmark = pytest.mark.real

HOURS = 5


async def demand_of_some_hours(world: KafkaWorld) -> None:
    """Two input partitions' parts of one module: 40/s together."""
    async with AIOKafkaProducer(**world.connection.options(), linger_ms=20) as producer:
        for start_s in range(T0, T0 + HOURS * 3600, 10):
            for partition in (0, 1):
                cells = (DemandCell("us-east-1", False, 200.0, 5),)
                part = DemandPart("plan", start_s, 10, partition, cells)
                await producer.send(world.topics.demand, encode_demand(part), partition=0)
                progress = Progress(partition, start_s + 10, False, 2)
                await producer.send(world.topics.demand, encode_demand(progress), partition=0)
        await producer.flush()


def train_from_topic(config: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "predictor.cli", "train", "--config", str(config)]
    return subprocess.run(
        [*command, "--from-topic", "--out", str(folder / "model")],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


async def test_a_model_is_learned_from_the_demand_topic(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    world = KafkaWorld(kafka_broker.bootstrap_servers, f"train-{secrets.token_hex(3)}")
    await world.create(partitions=2, demand_partitions=1)
    await demand_of_some_hours(world)
    config = tmp_path / "config.yaml"
    settings = {"bootstrap_servers": kafka_broker.bootstrap_servers}
    settings["demand_topic"] = world.topics.demand
    config.write_text(yaml.safe_dump({"kafka": settings}))

    done = await asyncio.to_thread(train_from_topic, config, tmp_path)

    assert done.returncode == 0, done.stderr
    stored = load_model(tmp_path / "model")
    model = stored.ensemble.cascade.model
    assert model is not None
    row = model.keys.index(SeriesKey("plan", "us-east-1"))
    assert model.usable[row]
    assert stored.manifest.trained_to_s - stored.manifest.trained_from_s == HOURS * 3600


async def test_a_topic_that_is_not_there_is_one_clear_line_and_exit_code_3(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    settings = {"bootstrap_servers": kafka_broker.bootstrap_servers, "demand_topic": "nobody.made"}
    config.write_text(yaml.safe_dump({"kafka": settings}))

    done = await asyncio.to_thread(train_from_topic, config, tmp_path)

    assert done.returncode == 3
    assert done.stderr.strip() == "the topic nobody.made does not exist"
