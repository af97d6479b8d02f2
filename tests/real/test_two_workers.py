"""Two workers of `mplp-predictor run` in one group: one count, and one decider for each module."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
import yaml
from aiokafka import AIOKafkaProducer

from predictor.core.audit import decode_record
from rigs.kafka import KafkaBroker
from rigs.kubernetes import ControlPlane
from tests.streams.kafka_world import (
    MODULES,
    REGIONS,
    T0,
    KafkaWorld,
    Sent,
    heartbeats,
    identities,
    some_requests,
    totals_of,
)

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

PARTITIONS = 4


def a_config(world: KafkaWorld, plane: ControlPlane, folder: Path) -> Path:
    path = folder / "config.yaml"
    settings = {
        "clock": "event",
        "tick_s": 10,
        "regions": {name: {"namespace": name, "weight": 100 // len(REGIONS)} for name in REGIONS},
        "modules": {name: {"hpa": f"mplp-{name}-hpa"} for name in MODULES},
        "routes": {},
        "windows": {"commit_interval_s": 0.1, "lateness_s": 20, "idle_after_s": 600},
        "kafka": world.section(),
        "kubernetes": {"kubeconfig": str(plane.kubeconfig)},
        "http": {"port": 0},
    }
    path.write_text(yaml.safe_dump(settings))
    return path


@contextlib.asynccontextmanager
async def a_worker(config: Path, name: str) -> AsyncIterator[Path]:
    """A `run` process; gives the file that it writes after its first decision."""
    ready, log = config.parent / f"{name}.ready", config.parent / f"{name}.log"
    command = [sys.executable, "-m", "predictor.cli", "run", "--config", str(config)]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, "--ready-file", str(ready), stdout=output, stderr=output
        )
        try:
            yield ready
        finally:
            process.terminate()
            code = await asyncio.wait_for(process.wait(), 20)
    assert code == 0, log.read_text()[-3000:]


async def deciders(world: KafkaWorld) -> list[frozenset[str]]:
    """The modules of each decision, in the order of the audit topic's newest last."""
    records = await world.read_all(world.topics.decisions)
    records.sort(key=lambda record: int(record.timestamp))
    return [
        frozenset(row.key.module for row in decode_record(record.value).decision.floors)
        for record in records
    ]


def both_decide(second: Path | None) -> bool:
    return second is not None and second.exists()


async def send(world: KafkaWorld, producer: AIOKafkaProducer, records: Iterable[Sent]) -> None:
    for partition, value, _ in records:
        await producer.send(world.topics.requests, value, None, partition)
    await producer.flush()


async def test_totals_are_what_was_sent_and_each_module_has_exactly_one_decider(
    kafka_broker: KafkaBroker, control_plane: ControlPlane, tmp_path: Path
) -> None:
    world = KafkaWorld(kafka_broker.bootstrap_servers, f"two-{secrets.token_hex(3)}")
    await world.create(partitions=PARTITIONS, demand_partitions=4)
    config = a_config(world, control_plane, tmp_path)
    sent, totals = some_requests(4_000, PARTITIONS, until_s=6_000, seed=7)
    rounds = [sent[start : start + 20] for start in range(0, len(sent), 20)]

    async with (
        AIOKafkaProducer(**world.connection.options()) as producer,
        a_worker(config, "first") as first,
        contextlib.AsyncExitStack() as later,
    ):
        second: Path | None = None
        for number, records in enumerate(rounds):
            await send(world, producer, records)
            await asyncio.sleep(0.15 if both_decide(second) else 0.5)  # some machines start slowly
            if second is None and first.exists():
                second = await later.enter_async_context(a_worker(config, "second"))
                joined_at = number
        assert second is not None
        assert second.exists(), "the second worker decides too"
        assert joined_at < len(rounds) - 20
        await send(world, producer, heartbeats(PARTITIONS, 9_000))
        parts = await world.parts_adding_up_to(sum(totals.values()), within_s=30)
        newest = (await deciders(world))[-4:]

    assert totals_of(parts) == totals
    assert set(identities(parts).values()) == {1}
    assert min(part.bucket_start_s for part in parts) == T0
    seen = set(newest)
    assert len(seen) == 2, f"two workers decide for {[sorted(one) for one in seen]}"
    assert not frozenset.intersection(*seen)
    assert frozenset.union(*seen) == set(MODULES)
