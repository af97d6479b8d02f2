"""The base that all ratios refer to: aiokafka's `getmany`, msgspec for each event, a `Counter`.

Run by `race.py` in a process of its own. What one writes first in asyncio; Python's own defaults
for the garbage collector, no duplicates, no time check, no closing.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from scripts.bench_streams.job import Job, Meter, report
from scripts.bench_streams.peers.wire import WireEvent

_PARTITIONS = 4


async def count(job: Job) -> None:
    """Read the topic from its beginning and report."""
    decode = msgspec.json.Decoder(WireEvent).decode
    totals: Counter[tuple[str, str, str]] = Counter()
    seen = 0
    meter = Meter()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=job.bootstrap_servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=100,
    )
    await consumer.start()
    consumer.assign([TopicPartition(job.topic, number) for number in range(_PARTITIONS)])
    while seen < job.events:
        for records in (await consumer.getmany(timeout_ms=500)).values():
            seen += len(records)
            for record in records:
                event = decode(record.value)
                totals[event.module, event.region, event.time[:16]] += 1
    spent = meter.read()
    await consumer.stop()
    report(job, spent, seen, {"|".join(key): events for key, events in totals.items()})


if __name__ == "__main__":
    asyncio.run(count(Job.from_arguments()))
