"""Ends an aiokafka consumer for good, also where its own tasks were cancelled halfway.

`streams/ingest.py` and `streams/whole_topic.py` call it. In aiokafka 0.14 `stop` waits for a fetch
that it has just cancelled: if that one was pausing after an error, `stop` ends with
`CancelledError`, which would end our worker, and leaves its connections open. Must never raise, but
where the caller itself is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from aiokafka.errors import KafkaError

STOP_TIMEOUT_S = 15.0


async def stop_consumer(consumer: Any, timeout_s: float = STOP_TIMEOUT_S) -> None:
    """Leave the group and close all connections."""
    stopping = asyncio.ensure_future(consumer.stop())
    await asyncio.wait({stopping}, timeout=timeout_s)
    if not stopping.done():
        stopping.cancel()
        await asyncio.wait({stopping})
    if not stopping.cancelled() and stopping.exception() is None:
        return
    reader = getattr(consumer, "_fetcher", None)
    left = list(getattr(reader, "_pending_tasks", ()))
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(timeout_s):
            await consumer._client.close()
