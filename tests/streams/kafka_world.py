"""Topics of one test on the real broker: what was produced, and what came out of it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from streams.demand import DemandPart, Progress, decode_demand
from streams.events import Catalog
from streams.topics import KafkaConnection, TopicPlan, Topics, ensure_topics

MODULES = ("context", "plan", "core", "trace")
REGIONS = ("us-east-1", "eu-west-1")
CATALOG = Catalog(MODULES, REGIONS)
T0 = 1_764_000_000
WORKER = Path(__file__).with_name("ingest_worker.py")
QUICK = {
    "lateness_s": 20,
    "idle_after_s": 600,
    "commit_interval_s": 0.05,
    "session_timeout_ms": 2000,
    "fetch_min_bytes": 1,
    "fetch_max_wait_ms": 50,
    "max_poll_records": 50,
}

Cell = tuple[str, int, str]
"""Module, bucket start, region."""


class Sent(NamedTuple):
    """A record to be produced."""

    partition: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


def topics_of(prefix: str) -> Topics:
    return Topics(
        requests=f"{prefix}.requests",
        metrics=f"{prefix}.metrics",
        demand=f"{prefix}.demand.v1",
        decisions=f"{prefix}.decisions.v1",
        dead_letter=f"{prefix}.requests.dlq",
    )


def a_request(event_id: str, at_s: float, module: str, region: str) -> bytes:
    fields = {"kind": "request", "id": event_id, "module": module, "region": region}
    return json.dumps({**fields, "time": T0 + at_s}).encode()


def heartbeats(partitions: int, at_s: float) -> list[Sent]:
    """Two in each partition: one that lies far ahead of everything is not believed alone."""
    bodies = [
        json.dumps({"kind": "heartbeat", "time": T0 + time_s}).encode()
        for time_s in (at_s - 60, at_s)
    ]
    return [Sent(partition, body) for body in bodies for partition in range(partitions)]


def some_requests(
    count: int, partitions: int, until_s: float, seed: int
) -> tuple[list[Sent], Counter[Cell]]:
    """Requests out of order by up to 15 s, one in twenty twice; and what they add up to."""
    drawn = random.Random(seed)
    sent: list[Sent] = []
    totals: Counter[Cell] = Counter()
    for number in range(count):
        at_s = max(0.0, until_s * number / count - drawn.uniform(0, 15))
        module, region = drawn.choice(MODULES), drawn.choice(REGIONS)
        record = Sent(
            drawn.randrange(partitions), a_request(f"{seed}-{number}", at_s, module, region)
        )
        sent += [record] * (2 if drawn.random() < 0.05 else 1)
        totals[module, T0 + int(at_s // 10) * 10, region] += 1
    return sent, totals


class KafkaWorld:
    """Topics under a prefix of their own."""

    def __init__(self, bootstrap_servers: str, prefix: str) -> None:
        self.connection = KafkaConnection(bootstrap_servers=bootstrap_servers)
        self.prefix = prefix
        self.topics = topics_of(prefix)

    def section(self) -> dict[str, object]:
        """The section `kafka` of a worker's configuration."""
        return {
            "bootstrap_servers": self.connection.bootstrap_servers,
            "requests_topic": self.topics.requests,
            "demand_topic": self.topics.demand,
            "decisions_topic": self.topics.decisions,
            "dead_letter_topic": self.topics.dead_letter,
            "group_prefix": self.prefix,
            "replication_factor": 1,
        }

    async def create(
        self, partitions: int, demand_partitions: int = 2, metric_partitions: int = 0
    ) -> None:
        """The topic of metrics only where it is to have partitions."""
        topics = self.topics
        metrics = [TopicPlan(topics.metrics, metric_partitions)] if metric_partitions else []
        await ensure_topics(
            self.connection,
            [
                TopicPlan(topics.requests, partitions),
                TopicPlan(topics.demand, demand_partitions),
                TopicPlan(topics.dead_letter, 1),
                TopicPlan(topics.decisions, 2),
                *metrics,
            ],
        )

    async def produce(
        self, records: Iterable[Sent], pause_s: float = 0.0, codec: str | None = None
    ) -> None:
        """Send in order; `pause_s` after each hundred."""
        producer = AIOKafkaProducer(
            **self.connection.options(), max_request_size=9_000_000, compression_type=codec
        )
        async with producer:
            for number, (partition, value, headers) in enumerate(records):
                key = b"key" if value is None else None
                await producer.send(
                    self.topics.requests, value, key, partition, headers=list(headers)
                )
                if number % 100 == 99:
                    await producer.flush()
                    await asyncio.sleep(pause_s)
            await producer.flush()

    async def expire(self, partition: int) -> int:
        """Delete all records of an input partition, as retention does; gives their number."""
        source = TopicPartition(self.topics.requests, partition)
        admin = AIOKafkaAdminClient(**self.connection.options())
        await admin.start()
        try:
            deleted = await admin.delete_records({source: RecordsToDelete(-1)})
        finally:
            await admin.close()
        return int(deleted[source])

    async def read_all(self, topic: str) -> list[Any]:
        """Every committed record that the topic holds now."""
        consumer = AIOKafkaConsumer(
            **self.connection.options(), isolation_level="read_committed", enable_auto_commit=False
        )
        async with consumer:
            sources = [
                TopicPartition(topic, partition)
                for partition in await consumer._client._wait_on_metadata(topic)
            ]
            consumer.assign(sources)
            await consumer.seek_to_beginning(*sources)
            found: list[Any] = []
            while True:
                batches = await consumer.getmany(timeout_ms=300)
                found += [record for records in batches.values() for record in records]
                if not batches:
                    return found

    async def parts(self) -> list[DemandPart]:
        return [one for one in await self.demand() if isinstance(one, DemandPart)]

    async def progress(self) -> list[Progress]:
        return [one for one in await self.demand() if isinstance(one, Progress)]

    async def demand(self) -> list[DemandPart | Progress]:
        return [decode_demand(record.value) for record in await self.read_all(self.topics.demand)]

    async def parts_adding_up_to(self, total: int, within_s: float = 20.0) -> list[DemandPart]:
        """Wait until the parts hold so many requests, or give what there is."""
        deadline = asyncio.get_running_loop().time() + within_s
        while True:
            parts = await self.parts()
            if sum(totals_of(parts).values()) >= total:
                return parts
            if asyncio.get_running_loop().time() > deadline:
                return parts

    def start_worker(self, **settings: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                sys.executable,
                str(WORKER),
                self.connection.bootstrap_servers,
                self.prefix,
                json.dumps({**QUICK, **settings}),
            ],
            env={**os.environ, "PYTHONPATH": str(WORKER.parents[2])},
            stdout=subprocess.PIPE,
            text=True,
        )

    @asynccontextmanager
    async def worker(self, **settings: object) -> AsyncIterator[subprocess.Popen[str]]:
        process = self.start_worker(**settings)
        try:
            yield process
        finally:
            process.kill()
            await asyncio.to_thread(process.communicate)


def totals_of(parts: Iterable[DemandPart]) -> Counter[Cell]:
    totals: Counter[Cell] = Counter()
    for part in parts:
        for cell in part.cells:
            totals[part.module, part.bucket_start_s, cell.region] += int(cell.requests)
    return totals


def identities(parts: Iterable[DemandPart]) -> Counter[tuple[str, int, int]]:
    return Counter((part.module, part.bucket_start_s, part.partition) for part in parts)
