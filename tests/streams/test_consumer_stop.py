"""A consumer whose own tasks were cancelled is closed all the same, and nobody hears of it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from streams.consumer_stop import stop_consumer


class Client:
    def __init__(self) -> None:
        self.is_closed = False

    async def close(self) -> None:
        self.is_closed = True


class Interrupted:
    """As aiokafka's consumer: it waits for a fetch that it has just cancelled."""

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self._client = Client()
        self._fetcher = SimpleNamespace(_pending_tasks={asyncio.ensure_future(asyncio.sleep(60))})

    async def stop(self) -> None:
        raise self._error


class Hanging(Interrupted):
    async def stop(self) -> None:
        await asyncio.sleep(60)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), OSError("gone")])
async def test_what_stops_halfway_is_closed(error: BaseException) -> None:
    consumer = Interrupted(error)

    await stop_consumer(consumer)

    assert consumer._client.is_closed
    assert all(task.cancelled() for task in consumer._fetcher._pending_tasks)


async def test_what_never_stops_is_given_up() -> None:
    consumer = Hanging(OSError())

    await stop_consumer(consumer, timeout_s=0.05)

    assert consumer._client.is_closed
