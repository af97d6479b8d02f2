"""How many partitions a topic has, asked of the broker.

The deciding worker needs it once before its tables start, because a module's partition follows from
it. It must never create the topic.
"""

from __future__ import annotations

import asyncio

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.broker_problem import BrokerAwayError, broker_problem
from streams.topics import KafkaConnection

ASK_TIMEOUT_S = 15.0


async def partition_count(connection: KafkaConnection, topic: str) -> int:
    """How many partitions, 0 for a topic that is not there; raises `BrokerAwayError`."""
    try:
        return await _asked(connection, topic)
    except (KafkaError, TimeoutError, OSError) as error:
        raise BrokerAwayError(await broker_problem(connection), error) from error


async def _asked(connection: KafkaConnection, topic: str) -> int:
    admin = AIOKafkaAdminClient(**connection.options())
    try:
        async with asyncio.timeout(ASK_TIMEOUT_S):
            await admin.start()
            (described,) = await admin.describe_topics([topic])
        return len(described["partitions"])
    finally:
        await admin.close()
