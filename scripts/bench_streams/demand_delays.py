"""Follows a demand topic and notes how late each bucket's parts come.

`live.py` runs it beside the worker. The delay of a part is the time from its bucket's end plus the
lateness, when the event that closes it is made, to the part's arrival here, committed: producing,
reading, counting, the transaction and reading again. All on one machine, so one clock says it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from scripts.bench_streams.events import PARTITIONS
from streams.demand import DemandPart, decode_demand
from streams.topics import KafkaConnection

_POLL_MS = 100


class DemandDelays:
    """A consumer of committed demand records, for as long as the context lasts.

    `delays_s` has the first arrival of each (module, bucket start, input partition).
    """

    def __init__(self, connection: KafkaConnection, topic: str, lateness_s: float) -> None:
        self.delays_s: dict[tuple[str, int, int], float] = {}
        self._topic = topic
        self._lateness_s = lateness_s
        self._consumer: Any = AIOKafkaConsumer(
            **connection.options(),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=_POLL_MS,
        )
        self._following: asyncio.Task[None] | None = None

    @property
    def of_buckets_s(self) -> list[float]:
        """One delay for each bucket of each input partition, in order of time."""
        found = {(start_s, one): delay_s for (_, start_s, one), delay_s in self.delays_s.items()}
        return [found[key] for key in sorted(found)]

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._consumer.assign([TopicPartition(self._topic, one) for one in range(PARTITIONS)])
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._following is not None, "left before it was entered"
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)
        await self._consumer.stop()

    async def _follow(self) -> None:
        while True:
            batches = await self._consumer.getmany(timeout_ms=_POLL_MS)
            now_s = time.time()
            for records in batches.values():
                for record in records:
                    part = decode_demand(record.value)
                    if isinstance(part, DemandPart):
                        self._note(part, now_s)

    def _note(self, part: DemandPart, now_s: float) -> None:
        closes_s = part.bucket_start_s + part.bucket_s + self._lateness_s
        identity = (part.module, part.bucket_start_s, part.partition)
        self.delays_s.setdefault(identity, now_s - closes_s)
