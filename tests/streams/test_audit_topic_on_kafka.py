"""`replay` and `explain` on the real audit topic."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime

import pytest

from rigs.kafka import KafkaBroker
from rigs.ports import free_ports
from streams.audit_topic import AuditTopic
from tests.service.audit_builders import a_morning, called
from tests.streams.kafka_world import KafkaWorld

pytestmark = pytest.mark.real


async def test_what_the_service_wrote_is_replayed_and_explained_from_the_topic(
    kafka_broker: KafkaBroker,
) -> None:
    world = KafkaWorld(kafka_broker.bootstrap_servers, f"replay-{secrets.token_hex(3)}")
    await world.create(partitions=1)
    audit = AuditTopic(world.connection, world.topics)
    await audit.start()
    began_s = int(time.time()) - 2000
    for body in a_morning(now_s=float(began_s)):
        audit.put("us-east-1", body)
    assert await audit.flush(20)
    await audit.close()
    rise = datetime.fromtimestamp(began_s + 70, UTC).isoformat()

    whole = await on_topic(world, "replay")
    newest_half = await on_topic(world, "replay", "--since", rise)
    newest = await on_topic(world, "explain", "core")
    risen = await on_topic(world, "explain", "core", "--at", rise)
    event_time = await on_topic(world, "explain", "core", "--at", rise, clock="event")

    assert "64 of 64 decisions are the same to the byte" in whole
    assert "59 of 59 decisions are the same to the byte" in newest_half
    assert "decision 64" in newest
    assert "decision 5 " in risen
    assert "The floor was needed" in risen
    assert event_time == risen


async def on_topic(world: KafkaWorld, *arguments: str, clock: str = "wall") -> str:
    environment = {
        "MPLP_PREDICTOR__CLOCK": clock,
        "MPLP_PREDICTOR__KAFKA__BOOTSTRAP_SERVERS": world.connection.bootstrap_servers,
        "MPLP_PREDICTOR__KAFKA__DECISIONS_TOPIC": world.topics.decisions,
    }
    done = await asyncio.to_thread(called, *arguments, "--from-topic", env=environment)
    return str(done.output)


def test_a_broker_that_is_away_ends_with_exit_code_3() -> None:
    (port,) = free_ports(1)
    environment = {"MPLP_PREDICTOR__KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{port}"}

    result = called("replay", "--from-topic", env=environment)

    assert result.exit_code == 3
    assert f"127.0.0.1:{port} does not answer" in result.stderr
