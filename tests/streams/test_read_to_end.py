"""A partition is idle only when every record that is there was read, wherever it waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from rigs.kafka import KafkaBroker
from streams.read_to_end import read_to_end_at_s
from streams.whole_batches import give_whole_batches
from tests.streams.kafka_world import KafkaWorld, Sent

pytestmark = pytest.mark.real
WITHIN_S = 60


@pytest.mark.parametrize("whole_batches", [False, True])
async def test_records_that_were_fetched_and_wait_for_their_turn_are_not_the_end(
    kafka_broker: KafkaBroker, whole_batches: bool
) -> None:
    world = await a_world(kafka_broker, f"turns-{whole_batches}".lower())
    await world.produce([Sent(partition, b"{}") for partition in (0, 1) for _ in range(3)])

    async with reading(world) as (consumer, sources):
        if whole_batches:
            assert give_whole_batches(consumer)
        first = await read_one(consumer)
        async with asyncio.timeout(10):
            while None in [consumer.highwater(one) for one in sources]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        waiting = [one for one in sources if one not in first]
        found_early = [await read_to_end_at_s(consumer, one, WITHIN_S) for one in waiting]
        while await read_one(consumer):
            pass
        found = [await read_to_end_at_s(consumer, one, WITHIN_S) for one in sources]

    assert waiting
    assert found_early == [None] * len(waiting)
    assert None not in found


async def test_an_open_transaction_hides_the_end_and_its_marker_does_not(
    kafka_broker: KafkaBroker,
) -> None:
    world = await a_world(kafka_broker, "marker")
    options: dict[str, Any] = {**world.connection.options(), "transactional_id": "marker"}

    async with reading(world) as (consumer, sources), AIOKafkaProducer(**options) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(world.topics.requests, b"{}", partition=0)
        await read_one(consumer)
        found_open = await read_to_end_at_s(consumer, sources[0], WITHIN_S)
        await producer.commit_transaction()
        while await read_one(consumer):
            pass
        found = await read_to_end_at_s(consumer, sources[0], WITHIN_S)

    assert found_open is None
    assert found is not None


async def a_world(broker: KafkaBroker, prefix: str) -> KafkaWorld:
    world = KafkaWorld(broker.bootstrap_servers, prefix)
    await world.create(partitions=2)
    return world


@asynccontextmanager
async def reading(world: KafkaWorld) -> AsyncIterator[tuple[Any, list[TopicPartition]]]:
    """A consumer as ingest's, of both input partitions from their first records on."""
    consumer = AIOKafkaConsumer(
        **world.connection.options(),
        isolation_level="read_committed",
        enable_auto_commit=False,
        fetch_max_wait_ms=50,
    )
    async with consumer:
        sources = [TopicPartition(world.topics.requests, number) for number in (0, 1)]
        consumer.assign(sources)
        for source in sources:
            consumer.seek(source, 0)
        yield consumer, sources


async def read_one(consumer: Any) -> Any:
    """One record, or one list of them; empty after many fetches without any."""
    return await consumer.getmany(timeout_ms=1000, max_records=1)
