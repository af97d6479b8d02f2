"""Writes audit records to the decisions topic; knows their key and their bytes, nothing more.

`predictor/service.py` puts records in, which never waits: a broker that is away must not stop
decisions. What does not fit the bounded queue is dropped, oldest first, and counted. After a failed
delivery the records are sent again: one may appear twice, but never out of the order of its key. A
record that is too large for any broker is counted and let go, so that it holds up no other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Awaitable, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation, KafkaError, MessageSizeTooLargeError

from streams.backoff import Backoff
from streams.topics import KafkaConnection, Topics

_log = structlog.get_logger(__name__)

_ERRORS = (KafkaError, IllegalOperation, TimeoutError, OSError)
_BATCH = 500
REQUEST_BYTES_MAX = 16 * 1024 * 1024
"""Uncompressed; ten targets make about 15 kB. The broker's own limit is for what lz4 leaves."""
_CLOSE_TIMEOUT_S = 3.0


class AuditTopic:
    """`put` from the event loop; `counts` holds written, dropped and retry since the start."""

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Topics,
        *,
        queue_max: int = 10_000,
        delivery_timeout_s: float = 15.0,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._connection = connection
        self._topic = topics.decisions
        self._queue: deque[tuple[bytes, bytes]] = deque()
        self._queue_max = queue_max
        self._delivery_timeout_s = delivery_timeout_s
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many records are not acknowledged yet."""
        return len(self._queue)

    async def start(self) -> None:
        """Begin to write in the background; a broker that is away is waited for."""
        self._task = asyncio.create_task(self._write(), name="audit topic")

    def put(self, key: str, body: bytes) -> None:
        """Queue one record; the oldest gives way when the queue is full. Equal keys keep order."""
        if len(self._queue) >= self._queue_max:
            self._queue.popleft()
            self.counts["dropped"] += 1
        self._queue.append((key.encode(), body))
        self._emptied.clear()
        self._filled.set()

    async def flush(self, timeout_s: float) -> bool:
        """Wait until everything put so far is acknowledged; False when time ran out first."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._emptied.wait(), timeout_s)
        return self._emptied.is_set()

    async def close(self, timeout_s: float = 5.0) -> None:
        """Flush as far as time allows, count what is left as dropped, and stop."""
        if self._task is None:
            return
        await self.flush(timeout_s)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self.counts["dropped"] += len(self._queue)
        self._queue.clear()

    async def _write(self) -> None:
        backoff = Backoff()
        while True:
            await self._filled.wait()
            producer = AIOKafkaProducer(
                **self._connection.options(),
                enable_idempotence=True,
                compression_type="lz4",
                max_request_size=REQUEST_BYTES_MAX,
                request_timeout_ms=int(self._delivery_timeout_s * 1000),
            )
            try:
                await producer.start()
                while True:
                    await self._filled.wait()
                    await self._deliver(producer)
                    backoff.reset()
            except _ERRORS as error:
                self.counts["retry"] += 1
                delay_s = backoff.next_delay_s()
                _log.warning("audit not written", error=repr(error), waiting=self.waiting)
                await asyncio.sleep(delay_s)
            finally:
                await _stop(producer)

    async def _deliver(self, producer: Any) -> None:
        """Send the oldest records; they leave the queue when all are acknowledged."""
        batch = [self._queue[at] for at in range(min(_BATCH, len(self._queue)))]
        dropped_before = self.counts["dropped"]
        async with asyncio.timeout(self._delivery_timeout_s):
            sent = [await self._send(producer, key, body) for key, body in batch]
            answers = await asyncio.gather(*sent, return_exceptions=True)
        self._count(answers)
        # What was dropped meanwhile stood at the head, so it was part of this batch and is written.
        gone = min(len(batch), self.counts["dropped"] - dropped_before)
        self.counts["dropped"] -= gone
        for _ in range(len(batch) - gone):
            self._queue.popleft()
        if not self._queue:
            self._filled.clear()
            self._emptied.set()

    async def _send(self, producer: Any, key: bytes, body: bytes) -> Awaitable[Any]:
        """The delivery to wait for; a record over the client's own limit is one that failed."""
        try:
            delivery: Awaitable[Any] = await producer.send(self._topic, body, key)
        except MessageSizeTooLargeError as error:
            return _failed(error)
        return delivery

    def _count(self, answers: Sequence[object]) -> None:
        """A record that no broker will ever take is let go; anything else is sent again."""
        for answer in answers:
            if isinstance(answer, MessageSizeTooLargeError):
                self.counts["too_large"] += 1
                _log.error("audit record too large", error=str(answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                self.counts["written"] += 1


async def _failed(error: Exception) -> None:
    raise error


async def _stop(producer: Any) -> None:
    """Also a producer that waits for a delivery that will never come."""
    with contextlib.suppress(*_ERRORS):
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await producer.stop()
            return
    with contextlib.suppress(*_ERRORS):
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await producer._sender.close()
            await producer.client.close()
