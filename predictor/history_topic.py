"""Reads the whole demand topic once, from its beginning to its present end.

`predictor/training.py` uses it. Committed records only; no group, so nothing is taken from the live
workers. It must never wait for records that are not there yet.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from predictor.core.history import History
from predictor.settings import Settings
from predictor.wiring import kafka_connection
from streams.demand import DemandPart, decode_demand
from streams.partition_count import partition_count

START_TIMEOUT_S = 30.0
_AFTER_EVERYTHING_S = 4e9
SETTLE_EVERY_RECORDS = 5_000
"""Folding whole steps as they come keeps the open buckets few."""


async def read_history(settings: Settings) -> tuple[History, Counter[str]]:
    """All demand there is; raises `OSError` when the broker cannot be reached."""
    connection = kafka_connection(settings)
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
        return await _read(consumer, settings)
    except (KafkaError, TimeoutError) as error:
        raise ConnectionError(
            f"{settings.kafka.bootstrap_servers}: {error or 'no answer'}"
        ) from error
    finally:
        await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, settings: Settings) -> tuple[History, Counter[str]]:
    topic = settings.kafka.demand_topic
    count = await partition_count(kafka_connection(settings), topic)
    if not count:
        raise ConnectionError(f"the topic {topic} does not exist")
    partitions = [TopicPartition(topic, number) for number in range(count)]
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    history, counts = settings.new_history(), Counter[str]()
    while any([await consumer.position(p) < ends[p] for p in partitions]):
        batches = await consumer.getmany(timeout_ms=1_000, max_records=SETTLE_EVERY_RECORDS)
        for records in batches.values():
            for record in records:
                _take(record.value, history, counts)
        history.series(_AFTER_EVERYTHING_S)
    return history, counts


def _take(body: bytes | None, history: History, counts: Counter[str]) -> None:
    try:
        record = decode_demand(body or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        counts["malformed"] += 1
        return
    counts["records"] += 1
    if isinstance(record, DemandPart):
        history.add(record)
    else:
        history.advance(record)
