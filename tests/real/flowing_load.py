"""Events that keep coming, ten seconds of event time in a tenth of a second, for tests of workers.

Each event stands for many requests (`count`), so that a test of what comes of demand needs no
machine that can produce it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer

from predictor.live_manifests import REGION
from tests.streams.kafka_world import T0, KafkaWorld

ROUND_S = 10


class Load:
    """Requests a second by module, spread over all partitions; `requests` have been sent in all.

    `rates_per_s` may be changed while they flow.
    """

    def __init__(self, world: KafkaWorld, rates_per_s: Mapping[str, int], partitions: int) -> None:
        self.rates_per_s = dict(rates_per_s)
        self.requests = 0
        self.until_s = 0
        self._world = world
        self._partitions = partitions
        self._ended = asyncio.Event()

    @contextlib.asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        sending = asyncio.create_task(self._send())
        try:
            yield
        finally:
            self._ended.set()
            await sending

    async def _send(self) -> None:
        async with AIOKafkaProducer(**self._world.connection.options()) as producer:
            for number in itertools.count():
                if self._ended.is_set():
                    return
                self.until_s = number * ROUND_S + 1
                for partition in range(self._partitions):
                    for module, rate_per_s in self.rates_per_s.items():
                        count = rate_per_s * ROUND_S // self._partitions
                        value = _an_event(f"{number}-{partition}", module, self.until_s, count)
                        self.requests += count
                        await producer.send(self._world.topics.requests, value, partition=partition)
                await producer.flush()
                await asyncio.sleep(0.1)


def _an_event(event_id: str, module: str, at_s: int, count: int) -> bytes:
    fields: dict[str, Any] = {"kind": "request", "id": f"{module}-{event_id}", "count": count}
    return json.dumps({**fields, "module": module, "region": REGION, "time": T0 + at_s}).encode()
