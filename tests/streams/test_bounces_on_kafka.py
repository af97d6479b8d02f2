"""Broker and workers that go away and come back under load, one fault after the other.

Apache Kafka's own system tests do the same to its streams: clean and hard bounces, five of each.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import subprocess
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced

from rigs.kafka import KafkaBroker
from streams.checkpoint import Checkpoint
from streams.dead_letter import DeadLetter
from streams.demand import DemandCell, DemandPart, Progress
from streams.handover import Handover, Package
from streams.ingest import Ingest, IngestSettings
from tests.streams.demand_reader import DemandReader
from tests.streams.kafka_world import (
    CATALOG,
    QUICK,
    REGIONS,
    T0,
    KafkaWorld,
    Sent,
    heartbeats,
    identities,
    some_requests,
    totals_of,
)

pytestmark = pytest.mark.real
PARTITIONS = 4
BOUNCES = 5
FAULT_EVERY_S = 10.0
CAUGHT_UP_WITHIN_S = 60.0
SEND_TIMEOUT_MS = 5_000


class Bouncing:
    """A broker, two workers, and what can be done to them."""

    def __init__(self, broker: KafkaBroker, world: KafkaWorld) -> None:
        self._broker = broker
        self._world = world
        self._next = itertools.count()
        self.workers = [self._start(), self._start()]

    @property
    def faults(self) -> list[Callable[[], Awaitable[None]]]:
        return [
            self.broker_is_restarted,
            self.worker_is_restarted,
            self.broker_crashes,
            self.worker_crashes,
        ]

    async def broker_is_restarted(self) -> None:
        await asyncio.to_thread(self._broker.restart)

    async def broker_crashes(self) -> None:
        await asyncio.to_thread(self._broker.kill)
        await asyncio.to_thread(self._broker.start)

    async def worker_is_restarted(self) -> None:
        at, worker = self._one()
        worker.terminate()
        assert await asyncio.to_thread(worker.wait, 30) == 0, "it should end well"
        self._replace(at)

    async def worker_crashes(self) -> None:
        at, worker = self._one()
        worker.kill()
        await asyncio.to_thread(worker.wait, 30)
        self._replace(at)

    def end(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.communicate()

    def _one(self) -> tuple[int, subprocess.Popen[str]]:
        at = next(self._next) % len(self.workers)
        assert self.workers[at].poll() is None, "a worker ended by itself"
        return at, self.workers[at]

    def _replace(self, at: int) -> None:
        self.workers[at].communicate()
        self.workers[at] = self._start()

    def _start(self) -> subprocess.Popen[str]:
        return self._world.start_worker(session_timeout_ms=6000)


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_bounces_under_load_change_no_total_and_are_caught_up_in_a_minute(
    own_kafka_broker: KafkaBroker,
) -> None:
    world = await a_world(own_kafka_broker, PARTITIONS)
    seconds = 4 * BOUNCES * FAULT_EVERY_S
    sent, totals = some_requests(int(seconds * 100), PARTITIONS, until_s=seconds * 10, seed=31)
    reader = DemandReader(world, totals)
    bouncing = Bouncing(own_kafka_broker, world)
    clock = asyncio.get_running_loop().time

    try:
        async with reader.following():
            load = asyncio.create_task(produce_whatever_happens(world, sent, over_s=seconds))
            for fault in bouncing.faults * BOUNCES:
                due_s = clock() + FAULT_EVERY_S
                await fault()
                last_fault_s = clock()
                await asyncio.sleep(max(0.0, due_s - clock()))
            await load
            await world.produce(heartbeats(PARTITIONS, seconds * 10 + 100))
            await reader.until_known(CAUGHT_UP_WITHIN_S)
            caught_up_s = clock() - last_fault_s
        parts = await world.parts()
    finally:
        await asyncio.to_thread(bouncing.end)

    assert totals_of(parts) == totals
    assert set(identities(parts).values()) == {1}
    assert reader.wrong == {}
    assert reader.told_low == set()
    assert reader.known == totals
    assert caught_up_s <= CAUGHT_UP_WITHIN_S


async def test_fenced_worker_writes_nothing(kafka_broker: KafkaBroker) -> None:
    world = await a_world(kafka_broker, partitions=1)
    source = TopicPartition(world.topics.requests, 0)
    zombie, successor = (
        Handover(world.connection, world.topics, world.prefix, source) for _ in range(2)
    )
    try:
        await zombie.open()
        await zombie.commit(a_package(offset=10))
        await successor.open()
        before = await everything_written(world)
        with pytest.raises(ProducerFenced):
            await zombie.commit(a_package(offset=20))
        after = await everything_written(world)
        await successor.commit(a_package(offset=30))
        written_by_successor = await everything_written(world)
    finally:
        await asyncio.gather(zombie.close(), successor.close())

    assert after == before
    assert after.committed == 10
    assert written_by_successor.committed == 30


@pytest.mark.soak
async def test_ingest_that_is_stopped_while_the_broker_is_away_ends_well(
    kafka_broker: KafkaBroker,
) -> None:
    world = await a_world(kafka_broker, PARTITIONS)
    settings = IngestSettings(**QUICK, handover_timeout_s=2)  # type: ignore[arg-type]
    ingest = Ingest(world.connection, world.topics, world.prefix, CATALOG, settings)
    running = asyncio.create_task(ingest.run())
    while len(ingest.owned_partitions) < PARTITIONS:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await asyncio.to_thread(kafka_broker.kill)
    try:
        await asyncio.sleep(0.5)
        ingest.stop()
        done, _ = await asyncio.wait([running], timeout=15)
    finally:
        await asyncio.to_thread(kafka_broker.start)

    assert done, "it should not wait for the broker"
    assert not running.cancelled(), "a cancellation of the client's own came through"
    assert running.exception() is None


class Written(NamedTuple):
    """Where the topics that ingest writes to end, committed or not, and the committed offset."""

    ends: dict[TopicPartition, int]
    committed: int | None


async def everything_written(world: KafkaWorld) -> Written:
    source = TopicPartition(world.topics.requests, 0)
    topics = [TopicPartition(world.topics.demand, number) for number in range(2)]
    topics.append(TopicPartition(world.topics.dead_letter, 0))
    options = {**world.connection.options(), "enable_auto_commit": False}
    async with AIOKafkaConsumer(group_id=world.prefix, **options) as consumer:
        consumer.assign([source])
        return Written(await consumer.end_offsets(topics), await consumer.committed(source))


def a_package(offset: int) -> Package:
    part = DemandPart("core", T0, 10, 0, (DemandCell(REGIONS[0], False, 1.0, 1),))
    letter = DeadLetter(b"core", b"{", [])
    return Package([part], Progress(0, T0 + 10, False, 1), [letter], Checkpoint(offset, ""))


async def a_world(broker: KafkaBroker, partitions: int) -> KafkaWorld:
    world = KafkaWorld(broker.bootstrap_servers, f"bounces-{secrets.token_hex(3)}")
    await world.create(partitions)
    return world


async def produce_whatever_happens(world: KafkaWorld, sent: list[Sent], over_s: float) -> None:
    """A hundred records at a time, again until the broker has them: ids tell the repeated ones.

    What an outage held up is sent as soon as the broker is back: users do not come later for it.
    """
    clock = asyncio.get_running_loop().time
    begin_s = clock()
    for at in range(0, len(sent), 100):
        due_s = begin_s + over_s * at / len(sent)
        await asyncio.sleep(max(0.0, due_s - clock()))
        while not await _were_sent(world, sent[at : at + 100]):  # noqa: ASYNC110
            await asyncio.sleep(0.5)


async def _were_sent(world: KafkaWorld, records: list[Sent]) -> bool:
    producer = AIOKafkaProducer(
        **world.connection.options(), request_timeout_ms=SEND_TIMEOUT_MS, enable_idempotence=True
    )
    try:
        async with asyncio.timeout(2 * SEND_TIMEOUT_MS / 1000):
            await producer.start()
            sent = [
                await producer.send(world.topics.requests, value, partition=partition)
                for partition, value, _ in records
            ]
            await asyncio.gather(*sent)  # a flush alone says nothing of what failed
    except (KafkaError, TimeoutError, OSError):
        return False
    finally:
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(1):
                await producer.stop()
    return True
