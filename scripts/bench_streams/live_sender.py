"""Sends events at a steady rate, each with the time at which it is sent.

`live.py` starts it in a process of its own, with four arguments: servers, topic, events per second
and seconds. A real sender's batches: whatever 5 ms bring together. Prints the rate it reached.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Awaitable
from typing import Any

from aiokafka import AIOKafkaProducer

from scripts.bench_streams.events import MODULES, PARTITIONS, REGIONS, Event, request_body

_LINGER_MS = 5
_STEP_S = 0.005
_SEED = 7


async def send(servers: str, topic: str, rate_per_s: int, duration_s: int) -> None:
    """Send `rate_per_s * duration_s` events and wait for all acknowledgements."""
    drawn = random.Random(_SEED)
    producer: Any = AIOKafkaProducer(bootstrap_servers=servers, acks=1, linger_ms=_LINGER_MS)
    last: dict[int, Awaitable[Any]] = {}
    sent, total = 0, rate_per_s * duration_s
    async with producer:
        began_s = time.monotonic()
        while sent < total:
            due = min(int((time.monotonic() - began_s) * rate_per_s), total)
            for _ in range(due - sent):
                event = _event_now(drawn)
                body = request_body(event, 200, 12.5)
                last[event.partition] = await producer.send(topic, body, event.key, event.partition)
            sent = due
            await asyncio.sleep(_STEP_S)
        took_s = time.monotonic() - began_s
        await asyncio.gather(*last.values())
    print(f"{sent / took_s:.0f}", flush=True)


def _event_now(drawn: random.Random) -> Event:
    module, region = drawn.randrange(len(MODULES)), drawn.randrange(len(REGIONS))
    return Event(
        (module * len(REGIONS) + region) % PARTITIONS,
        MODULES[module],
        REGIONS[region],
        drawn.random() < 0.1,
        int(time.time() * 1000),
        drawn.randbytes(16).hex(),
        b"",
    )


if __name__ == "__main__":
    asyncio.run(send(sys.argv[1], sys.argv[2], *(int(text) for text in sys.argv[3:5])))
