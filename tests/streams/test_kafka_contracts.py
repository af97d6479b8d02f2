"""What we lean on in aiokafka beyond its documentation, and the audit topic, on a real broker."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import OffsetAndMetadata

from rigs.kafka import KafkaBroker
from streams.audit_topic import AuditTopic
from streams.catalog import Catalog
from streams.checkpoint import Checkpoint
from streams.committed import committed_checkpoint
from streams.event_columns import Cells
from streams.handover import HANDOVER_ERRORS, Handover, Package
from streams.partition_count import partition_count
from streams.topics import TopicPlan, ensure_topics
from streams.whole_batches import Batches, KeptRecords, give_whole_batches
from streams.windows import PartitionWindows
from tests.streams.kafka_world import KafkaWorld

pytestmark = pytest.mark.real


async def a_world(broker: KafkaBroker, prefix: str) -> KafkaWorld:
    world = KafkaWorld(broker.bootstrap_servers, prefix)
    await world.create(partitions=2)
    return world


async def test_metadata_of_an_offset_comes_back_from_a_transaction(
    kafka_broker: KafkaBroker,
) -> None:
    world = await a_world(kafka_broker, "metadata")
    source = TopicPartition(world.topics.requests, 1)
    options: dict[str, Any] = {**world.connection.options(), "transactional_id": "metadata"}
    async with AIOKafkaProducer(**options) as producer:
        await producer.begin_transaction()
        await producer.send_offsets_to_transaction(
            {source: OffsetAndMetadata(42, '{"said":"before"}')}, "metadata.group"
        )
        await producer.commit_transaction()

    consumer = AIOKafkaConsumer(
        **world.connection.options(), group_id="metadata.group", enable_auto_commit=False
    )
    # Only a successor of the same id is sure to see it: opening it waits for the commit's end.
    async with AIOKafkaProducer(**options), consumer:
        found = await committed_checkpoint(consumer, source)
        never = await committed_checkpoint(consumer, TopicPartition(world.topics.requests, 0))

    assert found == Checkpoint(42, '{"said":"before"}')
    assert never is None


async def test_opening_a_handover_fences_the_one_before(kafka_broker: KafkaBroker) -> None:
    world = await a_world(kafka_broker, "fenced")
    source = TopicPartition(world.topics.requests, 0)
    windows = PartitionWindows(0, Cells(Catalog(["core"], ["us-east-1"])))
    package = Package([], windows.progress(2, idle=False), [], windows.checkpoint())
    old, new = (
        Handover(world.connection, world.topics, "fenced.group", source, timeout_s=10)
        for _ in range(2)
    )
    try:
        await old.open()
        await old.commit(package)
        await new.open()
        with pytest.raises(HANDOVER_ERRORS):
            await old.commit(package)
        await new.commit(package)
    finally:
        await old.close()
        await new.close()

    assert len(await world.progress()) == 2 * 2


async def test_topics_that_are_there_are_left_as_they_are(kafka_broker: KafkaBroker) -> None:
    world = await a_world(kafka_broker, "ensured")

    await ensure_topics(world.connection, [TopicPlan(world.topics.requests, 7)])

    assert await partition_count(world.connection, world.topics.requests) == 2
    assert await partition_count(world.connection, "nobody.made.this") == 0


async def test_audit_records_arrive_in_the_order_of_their_key(kafka_broker: KafkaBroker) -> None:
    world = await a_world(kafka_broker, "audited")
    audit = AuditTopic(world.connection, world.topics)
    await audit.start()

    for number in range(1200):
        audit.put(f"module-{number % 3}", b"%d" % number)
    flushed = await audit.flush(10)
    await audit.close()

    assert flushed
    records = await world.read_all(world.topics.decisions)
    for key in {record.key for record in records}:
        numbers = [int(record.value) for record in records if record.key == key]
        assert numbers == sorted(numbers)
    assert len(records) == audit.counts["written"] == 1200


async def test_audit_keeps_the_newest_while_the_broker_is_away(kafka_broker: KafkaBroker) -> None:
    world = await a_world(kafka_broker, "unaudited")
    audit = AuditTopic(world.connection, world.topics, queue_max=10)
    kafka_broker.pause()
    try:
        await audit.start()
        for number in range(25):
            audit.put("core", b"%d" % number)
            await asyncio.sleep(0)
        assert not await audit.flush(0.2)
    finally:
        kafka_broker.resume()
    assert await audit.flush(20)
    await audit.close()

    records = await world.read_all(world.topics.decisions)
    assert [int(record.value) for record in records][-10:] == list(range(15, 25))
    assert audit.counts["dropped"] == 15


async def test_whole_batches_are_the_records_that_getmany_gives_and_no_others(
    kafka_broker: KafkaBroker,
) -> None:
    world = await a_world(kafka_broker, "batches")
    topic = world.topics.requests
    async with AIOKafkaProducer(
        **world.connection.options(), transactional_id=f"{topic}-writer", compression_type="zstd"
    ) as producer:
        for number, is_kept in enumerate((True, False, True, False, True)):
            await producer.begin_transaction()
            for value in range(300):
                headers = [("place", str(value).encode())]
                body = f"{number} {value}".encode()
                await producer.send(topic, body, b"key", 0, number * 1000 + value, headers)
            await (producer.commit_transaction() if is_kept else producer.abort_transaction())
    async with AIOKafkaProducer(**world.connection.options()) as producer:
        await producer.send_and_wait(topic, None, b"gone", 0)

    singly, by_batch = [
        await some_records(world, TopicPartition(topic, 0), first=7, whole=whole)
        for whole in (False, True)
    ]

    assert by_batch == singly
    assert len(singly) == 3 * 300 - 7 + 1


async def some_records(
    world: KafkaWorld, source: TopicPartition, *, first: int, whole: bool
) -> list[tuple[object, ...]]:
    """All records from an offset on, as one reader or the other gives them."""
    consumer = AIOKafkaConsumer(
        **world.connection.options(), isolation_level="read_committed", enable_auto_commit=False
    )
    await consumer.start()
    try:
        assert not whole or give_whole_batches(consumer)
        consumer.assign([source])
        consumer.seek(source, first)
        end = (await consumer.end_offsets([source]))[source]
        found: list[tuple[object, ...]] = []
        while await consumer.position(source) < end:
            for items in (await consumer.getmany(timeout_ms=200)).values():
                records = [one for batch in items for one in batch] if whole else items
                found += [
                    (
                        one.offset, one.timestamp, one.timestamp_type, one.key, one.value,
                        tuple(one.headers),
                    )
                    for one in records
                ]  # fmt: skip
        return found
    finally:
        await consumer.stop()


def test_without_the_private_parts_records_come_one_by_one() -> None:
    another_release = SimpleNamespace(_fetcher=SimpleNamespace(_records={}))

    assert not give_whole_batches(another_release)
    assert not give_whole_batches(SimpleNamespace())


def test_a_batch_with_a_wrong_checksum_is_never_counted() -> None:
    batch = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 4096)
    batch.append(0, 1, b"key", b"value", [])
    good = bytes(batch.build())
    bad = good[:-3] + b"\0" + good[-2:]
    source = TopicPartition("t", 0)

    def read(data: bytes) -> list[Any]:
        kept = KeptRecords(data)
        return list(Batches(PartitionRecords(source, kept, None, 0, None, None, True, 0)))

    assert [[one.value for one in records] for records in read(good)] == [[b"value"]]
    with pytest.raises(CorruptRecordException):
        read(bad)
