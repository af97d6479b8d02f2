"""Writes what one input partition gave, together with its offset, in one Kafka transaction.

`streams/ingest.py` keeps one `Handover` for each partition that it counts. The transactional id
belongs to the input partition (`streams/topics.py`), so opening a handover fences every earlier
owner and rolls back what that one left unfinished: two workers can never both hand a bucket over.
Whoever opens last must read the committed checkpoint after opening, and only its transactions go
through. Must never write outside of a transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalOperation, KafkaError
from aiokafka.structs import OffsetAndMetadata

from streams.checkpoint import Checkpoint
from streams.dead_letter import DeadLetter
from streams.demand import DemandPart, Progress, encode_demand
from streams.topics import KafkaConnection, Topics, demand_partition, transactional_id

HANDOVER_ERRORS = (KafkaError, IllegalOperation, TimeoutError, OSError)
"""What a failed handover raises; the partition is then taken over again from its checkpoint."""

_CLOSE_TIMEOUT_S = 3.0


class Package(NamedTuple):
    """Everything that one transaction holds."""

    parts: Sequence[DemandPart]
    progress: Progress
    dead_letters: Sequence[DeadLetter]
    checkpoint: Checkpoint


class Handover:
    """The transactional producer of one input partition."""

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Topics,
        group: str,
        source: TopicPartition,
        *,
        timeout_s: float = 15.0,
    ) -> None:
        self._topics = topics
        self._group = group
        self.source = source
        self._timeout_s = timeout_s
        self._demand_partitions = 0
        self._producer: Any = AIOKafkaProducer(
            **connection.options(),
            transactional_id=transactional_id(group, source.topic, source.partition),
            # The broker ends a dead worker's transaction after this; a successor does at once.
            transaction_timeout_ms=int(timeout_s * 1000),
            request_timeout_ms=int(timeout_s * 1000),
            acks="all",
            compression_type="lz4",
        )

    async def open(self) -> None:
        """Fence earlier owners; raises one of `HANDOVER_ERRORS`."""
        async with asyncio.timeout(self._timeout_s):
            await self._producer.start()
            partitions = await self._producer.partitions_for(self._topics.demand)
            await self._producer.partitions_for(self._topics.dead_letter)
        self._demand_partitions = len(partitions)

    async def commit(self, package: Package) -> None:
        """All of it or nothing; raises one of `HANDOVER_ERRORS`, and is then of no further use."""
        async with asyncio.timeout(self._timeout_s):
            await self._producer.begin_transaction()
            sent = [await self._send_part(part) for part in package.parts]
            sent += [await self._send_dead_letter(letter) for letter in package.dead_letters]
            sent += await self._send_progress(package.progress)
            await asyncio.gather(*sent)
            offset, metadata = package.checkpoint
            offsets = {self.source: OffsetAndMetadata(offset, metadata)}
            await self._producer.send_offsets_to_transaction(offsets, self._group)
            await self._producer.commit_transaction()

    async def close(self) -> None:
        """Let go of the connections, also of a producer that hangs; never raises."""
        with contextlib.suppress(*HANDOVER_ERRORS):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._producer.stop()
                return
        with contextlib.suppress(*HANDOVER_ERRORS):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                # `stop` waits for a delivery that will never come, and leaves the sender running.
                await self._producer._sender.close()
                await self._producer.client.close()

    async def _send(self, topic: str, **record: Any) -> Any:
        """The delivery's future; after the first failure nobody asks for the others' errors."""
        future = await self._producer.send(topic, **record)
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return future

    async def _send_progress(self, progress: Progress) -> list[Any]:
        """To every partition: every deciding worker needs to know how far each input has come."""
        value, topic = encode_demand(progress), self._topics.demand
        return [
            await self._send(topic, value=value, partition=partition)
            for partition in range(self._demand_partitions)
        ]

    async def _send_part(self, part: DemandPart) -> Any:
        return await self._send(
            self._topics.demand,
            key=part.module.encode(),
            value=encode_demand(part),
            partition=demand_partition(part.module, self._demand_partitions),
        )

    async def _send_dead_letter(self, letter: DeadLetter) -> Any:
        return await self._send(
            self._topics.dead_letter,
            key=letter.key,
            value=letter.value,
            headers=letter.headers,
        )
