"""Ingest against a real broker: whatever is killed, each bucket comes out once and whole."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from rigs.kafka import KafkaBroker
from streams.demand import Progress, decode_demand
from streams.ingest import Ingest, IngestSettings
from streams.topics import demand_partition
from tests.streams.kafka_world import (
    CATALOG,
    MODULES,
    QUICK,
    T0,
    KafkaWorld,
    Sent,
    a_request,
    heartbeats,
    identities,
    some_requests,
    totals_of,
)

pytestmark = pytest.mark.real
FLUSH_S = 1000


@asynccontextmanager
async def running(ingest: Ingest) -> AsyncIterator[None]:
    task = asyncio.create_task(ingest.run())
    try:
        yield
    finally:
        ingest.stop()
        await task


async def end_well(process: subprocess.Popen[str]) -> Counter[str]:
    process.terminate()
    output, _ = await asyncio.to_thread(process.communicate, timeout=15)
    return Counter(json.loads(output.splitlines()[-1]))


async def taken_over(process: subprocess.Popen[str]) -> None:
    """Wait until the worker counts a partition."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while "taken over" not in await asyncio.to_thread(process.stdout.readline):
            assert process.poll() is None, "the worker ended"


def in_thirds(sent: list[Sent]) -> tuple[list[Sent], list[Sent], list[Sent]]:
    third = len(sent) // 3
    return sent[:third], sent[third : 2 * third], sent[2 * third :]


async def test_killed_worker_loses_nothing_and_repeats_nothing(kafka_broker: KafkaBroker) -> None:
    world = KafkaWorld(kafka_broker.bootstrap_servers, "killed")
    await world.create(partitions=3)
    sent, totals = some_requests(3000, partitions=3, until_s=600, seed=1)
    first, second, last = in_thirds(sent)

    for records in (first, second):
        async with world.worker() as process:  # killed on leaving
            await taken_over(process)
            await world.produce(records, pause_s=0.05)
    async with world.worker():
        await world.produce([*last, *heartbeats(3, FLUSH_S)])
        parts = await world.parts_adding_up_to(totals.total())

    assert totals_of(parts) == totals
    assert set(identities(parts).values()) == {1}


async def test_second_worker_joins_and_leaves_without_a_trace(kafka_broker: KafkaBroker) -> None:
    world = KafkaWorld(kafka_broker.bootstrap_servers, "joined")
    await world.create(partitions=4)
    sent, totals = some_requests(3000, partitions=4, until_s=600, seed=2)
    alone, together, alone_again = in_thirds(sent)

    async with world.worker() as one:
        await taken_over(one)
        await world.produce(alone, pause_s=0.05)
        async with world.worker() as two:
            await taken_over(two)
            await world.produce(together, pause_s=0.05)
            of_second = await end_well(two)
        await world.produce([*alone_again, *heartbeats(4, FLUSH_S)])
        parts = await world.parts_adding_up_to(totals.total())

    assert of_second["parts"] > 0, "the second worker should have had its share"
    assert totals_of(parts) == totals
    assert set(identities(parts).values()) == {1}


async def test_worker_that_was_frozen_and_replaced_changes_nothing(
    kafka_broker: KafkaBroker,
) -> None:
    """A zombie wakes up with buckets in hand that its successor has handed over."""
    world = KafkaWorld(kafka_broker.bootstrap_servers, "zombie")
    await world.create(partitions=2)
    sent, totals = some_requests(3000, partitions=2, until_s=600, seed=5)
    first, second, last = in_thirds(sent)

    async with world.worker() as zombie:
        await taken_over(zombie)
        await world.produce(first)
        zombie.send_signal(signal.SIGSTOP)
        async with world.worker() as successor:
            await taken_over(successor)
            await world.produce(second)
            zombie.send_signal(signal.SIGCONT)
            await world.produce([*last, *heartbeats(2, FLUSH_S)], pause_s=0.02)
            parts = await world.parts_adding_up_to(totals.total())

    assert totals_of(parts) == totals
    assert set(identities(parts).values()) == {1}


BAD = {
    "malformed": b"{",
    "invalid_field": b'{"kind":"request","module":"core","count":"1"}',
    "malformed ": b'{"kind":"metric","module":"core","name":"x","value":NaN}',
    "oversize": b'{"kind":"request","module":"' + b"x" * 5_000_000 + b'"}',
    " malformed": b'{"x":' * 10_000,
    "future_time": b'{"kind":"heartbeat","time":"2099-01-01T00:00:00Z"}',
    "tombstone": None,
}


async def test_poisoned_topic_costs_only_the_poison(kafka_broker: KafkaBroker) -> None:
    world = KafkaWorld(kafka_broker.bootstrap_servers, "poisoned")
    await world.create(partitions=2)
    sent, totals = some_requests(80 * len(BAD), partitions=2, until_s=300, seed=3)
    bad = [value for value in BAD.values() for _ in range(8)]
    for place, value in enumerate(bad):
        sent.insert(place * 10, Sent(place % 2, value, [("sender", b"test")]))
    ingest = an_ingest(world)

    async with running(ingest):
        await world.produce([*sent, *heartbeats(2, FLUSH_S)])
        parts = await world.parts_adding_up_to(totals.total())
    letters = await world.read_all(world.topics.dead_letter)

    assert totals_of(parts) == totals
    expected = Counter(reason.strip() for reason in BAD for _ in range(8))
    assert {reason: ingest.counts[reason] for reason in expected} == expected
    headers = [dict(letter.headers) for letter in letters]
    assert Counter(one["mplp.reason"].decode() for one in headers) == expected
    assert all(one["sender"] == b"test" for one in headers)
    assert {one["__connect.errors.topic"].decode() for one in headers} == {world.topics.requests}
    assert max(len(letter.value or b"") for letter in letters) == 16 * 1024
    assert {one["mplp.truncated"] for one in headers if "mplp.truncated" in one} >= {
        str(len(BAD["oversize"] or b"")).encode()
    }


@pytest.mark.parametrize("whole_batches", [True, False])
async def test_every_compression_of_kafka_is_readable(
    kafka_broker: KafkaBroker, whole_batches: bool
) -> None:
    codecs = (None, "gzip", "snappy", "lz4", "zstd")
    world = KafkaWorld(kafka_broker.bootstrap_servers, f"codecs-{whole_batches}".lower())
    await world.create(partitions=len(codecs))
    sent, totals = some_requests(1000, partitions=len(codecs), until_s=300, seed=4)
    sent += heartbeats(len(codecs), FLUSH_S)

    async with running(an_ingest(world, whole_batches=whole_batches)):
        for partition, codec in enumerate(codecs):
            of_partition = [record for record in sent if record.partition == partition]
            await world.produce(of_partition, codec=codec)
        parts = await world.parts_adding_up_to(totals.total())

    assert totals_of(parts) == totals


async def test_parts_of_a_module_meet_and_progress_goes_everywhere(
    kafka_broker: KafkaBroker,
) -> None:
    world = KafkaWorld(kafka_broker.bootstrap_servers, "meeting")
    await world.create(partitions=2, demand_partitions=3)
    ingest = an_ingest(world, idle_after_s=0.5, progress_every_s=0.2)

    async with running(ingest):
        await world.produce(
            [Sent(0, a_request(module, 5, module, "us-east-1")) for module in MODULES]
        )
        await asyncio.sleep(2.5)

    records = await world.read_all(world.topics.demand)
    told = [(record.partition, json.loads(record.value)) for record in records]
    where = {one["module"]: partition for partition, one in told if one["kind"] == "demand"}
    assert where == {module: demand_partition(module, 3) for module in MODULES}
    silent = {
        (partition, one["partition"])
        for partition, one in told
        if one["kind"] == "progress" and one["idle"] and one["partitions"] == 2
    }
    assert silent == {(demand, source) for demand in range(3) for source in range(2)}


async def test_broker_that_comes_back_is_read_on(kafka_broker: KafkaBroker) -> None:
    world = KafkaWorld(kafka_broker.bootstrap_servers, "restarted")
    await world.create(partitions=2)
    sent, totals = some_requests(1000, partitions=2, until_s=300, seed=4)
    ingest = an_ingest(world)

    async with running(ingest):
        await world.produce(sent[:500])
        await asyncio.to_thread(kafka_broker.kill)
        await asyncio.sleep(1.5)
        await asyncio.to_thread(kafka_broker.start)
        await world.produce([*sent[500:], *heartbeats(2, FLUSH_S)])
        parts = await world.parts_adding_up_to(totals.total())

    assert totals_of(parts) == totals
    assert set(identities(parts).values()) == {1}


@pytest.mark.parametrize("absence", ["stopped", "frozen"])
async def test_expired_records_are_a_gap_that_every_demand_partition_hears_of(
    kafka_broker: KafkaBroker, absence: str
) -> None:
    # event time    0 ------ 200 --------- 400 ------ 600
    # partition 0   read     | lost        | read
    # partition 1   read     | read late   | read
    world = KafkaWorld(kafka_broker.bootstrap_servers, f"expired-{absence}")
    await world.create(partitions=2, demand_partitions=3)
    sent, totals = some_requests(3000, partitions=2, until_s=600, seed=6)
    first, second, last = in_thirds(sent)

    async with world.worker() as before:
        await taken_over(before)
        await world.produce(first)
        await until_progress(world, 150)
        if absence == "frozen":
            before.send_signal(signal.SIGSTOP)
        else:
            await end_well(before)
        await world.produce(second)
        await world.expire(0)
        await world.produce([*last, *heartbeats(2, FLUSH_S)])
        if absence == "frozen":
            before.send_signal(signal.SIGCONT)
            progress = await until_progress(world, FLUSH_S - 40)
        else:
            async with world.worker():
                progress = await until_progress(world, FLUSH_S - 40)

    told = [
        (record.partition, decode_demand(record.value))
        for record in await world.read_all(world.topics.demand)
    ]
    gaps = {
        (partition, one.partition): one.gaps for partition, one in told if isinstance(one, Progress)
    }
    from_s, until_s = progress[0].gaps[0]
    assert gaps == {
        (partition, source): ((from_s, until_s),) if source == 0 else ()
        for partition in range(3)
        for source in range(2)
    }
    # Who is frozen still finds what the broker had already sent of the second part.
    assert T0 + 150 <= from_s <= T0 + (200 if absence == "stopped" else 300)
    assert T0 + 400 <= until_s <= T0 + 450
    parts = await world.parts()
    outside = Counter({cell: n for cell, n in totals.items() if not from_s <= cell[1] < until_s})
    found = totals_of(parts)
    assert Counter({cell: n for cell, n in found.items() if cell in outside}) == outside
    assert set(identities(parts).values()) == {1}
    assert not any(from_s <= one.bucket_start_s < until_s for one in parts if one.partition == 0)


async def test_first_start_behind_expired_records_tells_of_a_gap_since_nobody_knows_when(
    kafka_broker: KafkaBroker,
) -> None:
    world = KafkaWorld(kafka_broker.bootstrap_servers, "expired-before")
    await world.create(partitions=1)
    sent, _ = some_requests(600, partitions=1, until_s=300, seed=7)
    await world.produce(sent[:300])
    await world.expire(0)

    async with running(an_ingest(world)):
        await world.produce([*sent[300:], *heartbeats(1, FLUSH_S)])
        progress = await until_progress(world, FLUSH_S - 40)

    ((from_s, until_s),) = progress[0].gaps
    assert from_s == 0
    assert T0 + 150 <= until_s <= T0 + 200


async def test_offset_beyond_the_log_is_answered_with_a_gap_and_reading_from_the_start(
    kafka_broker: KafkaBroker,
) -> None:
    """What remains where a broker lost the end of a log and has taken new records since."""
    world = KafkaWorld(kafka_broker.bootstrap_servers, "beyond")
    await world.create(partitions=1)
    sent, _ = some_requests(600, partitions=1, until_s=300, seed=8)
    await world.produce([*sent, *heartbeats(1, FLUSH_S)])
    ingest = an_ingest(world)
    source = TopicPartition(world.topics.requests, 0)
    options: dict[str, Any] = {**world.connection.options(), "transactional_id": "beyond"}
    async with AIOKafkaProducer(**options) as producer:
        await producer.begin_transaction()
        offsets = {source: OffsetAndMetadata(10_000, "")}
        await producer.send_offsets_to_transaction(offsets, f"{world.prefix}.ingest")
        await producer.commit_transaction()

    async with running(ingest):
        progress = await until_progress(world, FLUSH_S - 40)

    assert ingest.counts["other_log"] == 1
    ((from_s, until_s),) = progress[0].gaps
    assert from_s == 0
    assert T0 < until_s <= T0 + 40


async def until_progress(world: KafkaWorld, at_s: int) -> dict[int, Progress]:
    """Wait until every input partition has come there; gives what was told of each last."""
    async with asyncio.timeout(30):
        while True:
            newest = {one.partition: one for one in await world.progress()}
            if newest and all(one.closed_through_s >= T0 + at_s for one in newest.values()):
                partitions = max(one.partitions for one in newest.values())
                if len(newest) == partitions:
                    return newest


def an_ingest(world: KafkaWorld, **changed: object) -> Ingest:
    settings = IngestSettings(**{**QUICK, **changed})  # type: ignore[arg-type]
    group = f"{world.prefix}.ingest"
    return Ingest(world.connection, world.topics, group, CATALOG, settings)
