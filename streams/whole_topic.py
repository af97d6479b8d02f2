"""Reads a topic once, from its beginning to its present end.

`predictor/history_topic.py` learns from the demand topic with it, `predictor/live_demo.py` reads
decisions. Committed records only, and no group, so nothing is taken from the live workers. It must
never wait for records that are not there yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.consumer_stop import stop_consumer
from streams.partition_count import partition_count
from streams.topics import KafkaConnection

START_TIMEOUT_S = 30.0
FETCH_TIMEOUT_MS = 1_000
RECORDS_AT_ONCE = 5_000


async def whole_topic(connection: KafkaConnection, topic: str) -> AsyncIterator[list[bytes | None]]:
    """The values, in batches; raises `OSError` where the broker or the topic is not there."""
    count = await partition_count(connection, topic)
    if not count:
        raise ConnectionError(f"the topic {topic} does not exist")
    consumer = AIOKafkaConsumer(
        **connection.options(),
        isolation_level="read_committed",
        enable_auto_commit=False,
        # Not a seek after assign: aiokafka 0.14 can lose it against its own reset.
        auto_offset_reset="earliest",
    )
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await consumer.start()
        async for values in _until_end(consumer, topic, count):
            yield values
    except (KafkaError, TimeoutError) as error:
        raise ConnectionError(f"{connection.bootstrap_servers}: {error or 'no answer'}") from error
    finally:
        await stop_consumer(consumer)


async def _until_end(consumer: Any, topic: str, count: int) -> AsyncIterator[list[bytes | None]]:
    partitions = [TopicPartition(topic, number) for number in range(count)]
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    while any([await consumer.position(one) < ends[one] for one in partitions]):
        batches = await consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS, max_records=RECORDS_AT_ONCE)
        yield [record.value for records in batches.values() for record in records]
