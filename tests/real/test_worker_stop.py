"""SIGTERM under load: a worker ends in ten seconds and leaves its count and its floor behind."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiokafka import AIOKafkaConsumer, TopicPartition

from predictor.core.audit import decode_record
from predictor.live_manifests import MODULE, REGION, REPLICAS_MIN, live_objects
from rigs.kafka import KafkaBroker
from rigs.kubernetes import ControlPlane
from streams.checkpoint import CheckpointMetadata, read_metadata
from streams.committed import committed_checkpoint
from streams.ingest import Ingest, IngestSettings
from streams.topics import group_name
from tests.real.deployed_worker import a_worker
from tests.real.flowing_load import Load
from tests.streams.kafka_world import (
    CATALOG,
    QUICK,
    KafkaWorld,
    heartbeats,
    identities,
    totals_of,
)

pytestmark = pytest.mark.real

PARTITIONS = 2
ENDS_WITHIN_S = 10
"""A third of what Kubernetes gives a pod before SIGKILL."""
RATE_PER_S = 900
"""Nine pods at the owner's target, where the owner's own floor is three."""


async def test_a_worker_that_is_told_to_stop_hands_over_in_time_and_keeps_the_floor(
    kafka_broker: KafkaBroker, control_plane: ControlPlane, tmp_path: Path
) -> None:
    name = f"stopped-{secrets.token_hex(3)}"
    world = KafkaWorld(kafka_broker.bootstrap_servers, name)
    await world.create(PARTITIONS)
    control_plane.apply(*live_objects(pod_delay_s=1, namespaces=[name]))
    load = Load(world, {MODULE: RATE_PER_S}, PARTITIONS)

    config = a_config(world, control_plane, name, tmp_path)
    async with a_worker(config) as worker, load.flowing():
        while floor(control_plane, name) <= REPLICAS_MIN:
            assert worker.returncode is None, "the worker ended by itself"
            await asyncio.sleep(0.1)
        before = floor(control_plane, name)
        worker.terminate()
        code = await asyncio.wait_for(worker.wait(), ENDS_WITHIN_S)

    decided = [decode_record(one.value) for one in await world.read_all(world.topics.decisions)]
    assert code == 0
    assert floor(control_plane, name) == decided[-1].decision.floors[0].floor
    assert floor(control_plane, name) >= before > REPLICAS_MIN

    committed = await checkpoints(world)
    told = {one.partition: one.closed_through_s for one in await world.progress()}
    assert {at: one.closed_through_s for at, one in committed.items()} == told
    parts = await next_worker_counts_the_rest(world, load)
    assert totals_of(parts).total() == load.requests
    assert set(identities(parts).values()) == {1}, "a bucket was handed over twice"


def floor(plane: ControlPlane, namespace: str) -> int:
    path = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/mplp-{MODULE}-hpa"
    return int(plane.request("GET", path)[1]["spec"]["minReplicas"])


def a_config(world: KafkaWorld, plane: ControlPlane, namespace: str, folder: Path) -> Path:
    settings = {
        "mode": "active",
        "clock": "event",
        "tick_s": 10,
        "warm_up_s": 0,
        "regions": {REGION: {"namespace": namespace, "weight": 100}},
        "modules": {MODULE: {"hpa": f"mplp-{MODULE}-hpa", "policy": {"replicas_min": 3}}},
        "routes": {},
        "windows": {"commit_interval_s": 0.1, "lateness_s": 20, "idle_after_s": 600},
        "kafka": world.section(),
        "kubernetes": {"kubeconfig": str(plane.kubeconfig), "namespace": namespace},
        "guard": {"required": False},
        "http": {"port": 0},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


async def checkpoints(world: KafkaWorld) -> dict[int, CheckpointMetadata]:
    """What the ingest group committed beside each partition's offset."""
    found = {}
    options = {**world.connection.options(), "enable_auto_commit": False}
    async with AIOKafkaConsumer(group_id=ingest_group(world), **options) as consumer:
        for number in range(PARTITIONS):
            source = TopicPartition(world.topics.requests, number)
            checkpoint = await committed_checkpoint(consumer, source)
            metadata = None if checkpoint is None else read_metadata(checkpoint.metadata)
            assert metadata is not None, f"nothing was committed for partition {number}"
            found[number] = metadata
    return found


async def next_worker_counts_the_rest(world: KafkaWorld, load: Load) -> list[Any]:
    """Go on from what was committed until all is out; gives every part, those before included."""
    settings = IngestSettings(**QUICK)  # type: ignore[arg-type]
    ingest = Ingest(world.connection, world.topics, ingest_group(world), CATALOG, settings)
    running = asyncio.create_task(ingest.run())
    await world.produce(heartbeats(PARTITIONS, load.until_s + 200))
    parts = await world.parts_adding_up_to(load.requests)
    ingest.stop()
    await running
    return parts


def ingest_group(world: KafkaWorld) -> str:
    return group_name(REGION, "ingest", world.prefix)
