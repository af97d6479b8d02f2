"""The audit topic on the real broker: one record that nobody takes holds up no other."""

from __future__ import annotations

import os
import secrets

import pytest

from rigs.kafka import KafkaBroker
from streams.audit_topic import REQUEST_BYTES_MAX, AuditTopic
from tests.streams.kafka_world import KafkaWorld

pytestmark = pytest.mark.real


async def test_a_record_too_large_for_any_broker_is_counted_and_let_go(
    kafka_broker: KafkaBroker,
) -> None:
    world = KafkaWorld(kafka_broker.bootstrap_servers, f"audit-{secrets.token_hex(3)}")
    await world.create(partitions=1)
    audit = AuditTopic(world.connection, world.topics)
    await audit.start()

    audit.put("core", b"before")
    audit.put("core", os.urandom(REQUEST_BYTES_MAX + 1))
    audit.put("core", b"after")
    flushed = await audit.flush(20)
    await audit.close()

    assert flushed
    bodies = [record.value for record in await world.read_all(world.topics.decisions)]
    assert bodies == [b"before", b"after"]
    assert (audit.counts["written"], audit.counts["too_large"]) == (2, 1)
