import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from rigs.kafka import KafkaBroker

pytestmark = pytest.mark.real

FIVE_MEGABYTES = 5 * 1024 * 1024


@pytest.fixture
def broker() -> Iterator[KafkaBroker]:
    """A broker of the test's own, to be hurt."""
    with KafkaBroker() as broker:
        yield broker


@pytest.mark.parametrize("end", [KafkaBroker.restart, KafkaBroker.kill], ids=["restart", "crash"])
async def test_broker_comes_back_with_its_data_at_the_same_address(
    broker: KafkaBroker, end: Callable[[KafkaBroker], None]
) -> None:
    address = broker.bootstrap_servers
    await create_topic(broker, "kept")
    await send(broker, "kept", b"before")

    end(broker)
    if not broker.is_running:
        broker.start()

    assert broker.bootstrap_servers == address
    assert await read(broker, "kept") == [b"before"]


async def test_broker_takes_a_message_far_larger_than_any_event(broker: KafkaBroker) -> None:
    await create_topic(broker, "large")

    await send(broker, "large", b"x" * FIVE_MEGABYTES)

    assert [len(body) for body in await read(broker, "large")] == [FIVE_MEGABYTES]


async def test_paused_broker_answers_nothing_until_it_is_resumed(broker: KafkaBroker) -> None:
    await create_topic(broker, "frozen")
    broker.pause()
    sending = asyncio.create_task(send(broker, "frozen", b"late"))

    done, _ = await asyncio.wait([sending], timeout=1)
    assert not done

    broker.resume()
    await sending
    assert await read(broker, "frozen") == [b"late"]


def test_nothing_is_left_of_a_stopped_broker() -> None:
    broker = KafkaBroker()
    broker.start()
    pid, folder = broker.pid, broker.folder

    broker.stop()

    assert not Path(f"/proc/{pid}").exists()
    assert not folder.exists()


async def create_topic(broker: KafkaBroker, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def send(broker: KafkaBroker, topic: str, body: bytes) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap_servers, max_request_size=2 * FIVE_MEGABYTES
    )
    await producer.start()
    try:
        await producer.send_and_wait(topic, body)
    finally:
        await producer.stop()


async def read(broker: KafkaBroker, topic: str) -> list[bytes]:
    """Every message of the topic's only partition."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap_servers,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=2 * FIVE_MEGABYTES,
    )
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        bodies: list[bytes] = []
        while len(bodies) < end:
            batches = await consumer.getmany(timeout_ms=200)
            bodies += [record.value for batch in batches.values() for record in batch]
        return bodies
    finally:
        await consumer.stop()
