"""confluent-kafka's `consume`, with msgspec and a `Counter`; or nothing decoded at all.

Run by `race.py` in an environment of its own. With `{"decode": false}` it is the bare fetch: what
librdkafka takes to hand the messages over.
"""

from __future__ import annotations

import json
from collections import Counter

import msgspec
from confluent_kafka import (  # type: ignore[import-not-found]
    OFFSET_BEGINNING,
    Consumer,
    TopicPartition,
)

from scripts.bench_streams.job import Job, Meter, report
from scripts.bench_streams.peers.wire import WireEvent

_PARTITIONS = 4
_MESSAGES_AT_ONCE = 10_000


def count(job: Job) -> None:
    """Read the topic from its beginning and report."""
    is_decoded = json.loads(job.more).get("decode", True)
    decode = msgspec.json.Decoder(WireEvent).decode
    totals: Counter[tuple[str, str, str]] = Counter()
    seen = 0
    meter = Meter()
    consumer = Consumer(
        {
            "bootstrap.servers": job.bootstrap_servers,
            "group.id": "bench-confluent",
            "enable.auto.commit": False,
            "fetch.message.max.bytes": 4 << 20,
            "queued.max.messages.kbytes": 65_536,
            "queued.min.messages": 100_000,
            "fetch.wait.max.ms": 100,
            "fetch.queue.backoff.ms": 10,
        }
    )
    partitions = range(_PARTITIONS)
    consumer.assign([TopicPartition(job.topic, number, OFFSET_BEGINNING) for number in partitions])
    while seen < job.events:
        messages = consumer.consume(_MESSAGES_AT_ONCE, 1.0)
        seen += len(messages)
        if is_decoded:
            for message in messages:
                event = decode(message.value())
                totals[event.module, event.region, event.time[:16]] += 1
    spent = meter.read()
    consumer.close()
    counted = {"|".join(key): events for key, events in totals.items()}
    report(job, spent, seen, counted if is_decoded else None)


if __name__ == "__main__":
    count(Job.from_arguments())
