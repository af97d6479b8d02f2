"""Reads a stretch of the audit topic once, up to where it ends now.

`predictor/audit_sources.py` calls it. There is no consumer group and nothing is committed, so
nobody else's reading is touched. It must never write, and never wait for records that are not
there yet.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.broker_problem import BrokerAwayError, broker_problem
from streams.consumer_stop import stop_consumer
from streams.partition_count import partition_count
from streams.topics import KafkaConnection

START_TIMEOUT_S = 30.0
FETCH_TIMEOUT_MS = 500
RECORDS_AT_ONCE = 100
"""Records may be large, and these are held together."""
STALLED_AFTER_S = 20.0
NEWEST_RECORDS = 200
"""Of each partition: workers write a record a tick, and dozens of them may share a partition."""

Offer = Callable[[str, bytes], bool]
"""Called with the place and the bytes of a record; False ends the reading."""
_Offsets = dict[TopicPartition, int]


class TopicStretch(NamedTuple):
    """Which records to read, by the time at which the broker took them, in epoch seconds.

    None: from the beginning, to the end. With `newest`, so many records before `since_s` (None: the
    end) as `NEWEST_RECORDS` says.
    """

    since_s: float | None = None
    until_s: float | None = None
    newest: bool = False


async def read_stretch(
    connection: KafkaConnection, topic: str, stretch: TopicStretch, offer: Offer
) -> None:
    """Offer each record, in order within its partition.

    Raises `ConnectionError` where the broker does not answer, lets nobody in, stalls, or has no
    such topic.
    """
    count = await partition_count(connection, topic)
    if not count:
        raise ConnectionError(f"the topic {topic} does not exist")
    consumer = AIOKafkaConsumer(
        **connection.options(),
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    partitions = [TopicPartition(topic, number) for number in range(count)]
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await consumer.start()
            begins, ends = await _bounds(consumer, partitions, stretch)
        consumer.assign(partitions)
        for one in partitions:
            consumer.seek(one, begins[one])  # at once: aiokafka would reset it otherwise
        await _read(consumer, ends, offer)
    except (KafkaError, TimeoutError) as error:
        raise BrokerAwayError(await broker_problem(connection), error) from error
    finally:
        await stop_consumer(consumer)


async def _bounds(
    consumer: Any, partitions: list[TopicPartition], stretch: TopicStretch
) -> tuple[_Offsets, _Offsets]:
    """The first offset to read of each partition, and the first not to."""
    oldest: _Offsets = dict(await consumer.beginning_offsets(partitions))
    newest: _Offsets = dict(await consumer.end_offsets(partitions))
    ends = newest
    if stretch.until_s is not None:
        ends = await _at(consumer, newest, stretch.until_s)
    begins = oldest if stretch.since_s is None else await _at(consumer, newest, stretch.since_s)
    if stretch.newest:
        last = newest if stretch.since_s is None else begins
        begins = {one: max(last[one] - NEWEST_RECORDS, oldest[one]) for one in partitions}
    return begins, ends


async def _at(consumer: Any, newest: _Offsets, time_s: float) -> _Offsets:
    """The first record that was taken at this time or later, else the end."""
    asked = dict.fromkeys(newest, max(int(time_s * 1000), 0))
    found = await consumer.offsets_for_times(asked)
    return {
        one: end if found.get(one) is None else found[one].offset for one, end in newest.items()
    }


async def _read(consumer: Any, ends: _Offsets, offer: Offer) -> None:
    last_s = time.monotonic()
    while any([await consumer.position(one) < end for one, end in ends.items()]):
        batches = await consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS, max_records=RECORDS_AT_ONCE)
        for partition, records in batches.items():
            last_s = time.monotonic()
            for record in records:
                place = f"partition {partition.partition}, offset {record.offset}"
                is_inside = record.offset < ends[partition]
                if is_inside and not offer(place, record.value or b""):
                    return
        if time.monotonic() - last_s > STALLED_AFTER_S:
            raise ConnectionError(f"no record for {STALLED_AFTER_S:.0f} s before the topic's end")
