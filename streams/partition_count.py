"""How many partitions a topic has, asked of the broker.

The deciding worker needs it once before its tables start, because a module's partition follows from
it. It must never create the topic.
"""

from __future__ import annotations

import asyncio

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.topics import KafkaConnection

ASK_TIMEOUT_S = 15.0


async def partition_count(connection: KafkaConnection, topic: str) -> int:
    """How many partitions, 0 for a topic that is not there; raises `OSError` if none answers."""
    admin = AIOKafkaAdminClient(**connection.options())
    try:
        async with asyncio.timeout(ASK_TIMEOUT_S):
            await admin.start()
            (described,) = await admin.describe_topics([topic])
        return len(described["partitions"])
    except (KafkaError, TimeoutError) as error:
        raise ConnectionError(f"{connection.bootstrap_servers}: {error or 'no answer'}") from error
    finally:
        await admin.close()
