"""Writes a stream of events to topics, in record batches that are filled to their size.

`__main__.py`, `memory.py` and `formats.py` call it before anything is measured. The batches are
built here and not by a producer's timers, so that every run measures the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from scripts.bench_streams.events import PARTITIONS, Event, Stream, Truth, events
from streams.topics import KafkaConnection, TopicPlan, ensure_topics

BATCH_BYTES = 128 * 1024
_REQUEST_BYTES_MAX = 4 * 1024 * 1024


class Form(NamedTuple):
    """How events are written into records: so many into each, with these headers."""

    name: str
    events_per_record: int
    encode: Callable[[Sequence[Event]], bytes]
    headers: tuple[tuple[str, bytes], ...] = ()


BARE_JSON = Form("JSON", 1, lambda group: group[0].body)


class Feed(NamedTuple):
    """A topic, and how its records and batches look."""

    topic: str
    codec: str = "none"
    batch_bytes: int = BATCH_BYTES
    form: Form = BARE_JSON


def codec_feed(topic: str, name: str) -> Feed:
    """The feed of a codec's name: `none`, `zstd`, `gzip`, `lz4`, and `zstd-16k` with 16 KiB."""
    codec, _, size = name.partition("-")
    if codec not in ("none", "gzip", "lz4", "zstd") or size not in ("", "16k"):
        raise ValueError(f"{name!r} is none of none, gzip, lz4, zstd, each also with -16k")
    return Feed(topic, codec, 16 * 1024 if size else BATCH_BYTES)


async def produce(connection: KafkaConnection, feeds: Sequence[Feed], stream: Stream) -> Truth:
    """Create the topics, write the same events to each, and say what they add up to."""
    await ensure_topics(connection, [TopicPlan(feed.topic, PARTITIONS) for feed in feeds])
    writers = [_Writer(connection, feed) for feed in feeds]
    truth = Truth(stream)
    for writer in writers:
        await writer.start()
    try:
        for event in events(stream):
            truth.add(event)
            for writer in writers:
                await writer.add(event)
        for writer in writers:
            await writer.finish()
    finally:
        for writer in writers:
            await writer.stop()
    return truth


class _Writer:
    """Fills the batches of one topic."""

    def __init__(self, connection: KafkaConnection, feed: Feed) -> None:
        self._feed = feed
        self._headers = list(feed.form.headers)
        self._producer: Any = AIOKafkaProducer(
            **connection.options(),
            acks=1,
            compression_type=None if feed.codec == "none" else feed.codec,
            max_batch_size=feed.batch_bytes,
            max_request_size=_REQUEST_BYTES_MAX,
        )
        self._groups: list[list[Event]] = [[] for _ in range(PARTITIONS)]
        self._batches: list[Any] = [None] * PARTITIONS
        self._sent: list[Any] = [None] * PARTITIONS

    async def start(self) -> None:
        await self._producer.start()
        self._batches = [self._producer.create_batch() for _ in range(PARTITIONS)]

    async def add(self, event: Event) -> None:
        group = self._groups[event.partition]
        group.append(event)
        if len(group) == self._feed.form.events_per_record:
            await self._write(event.partition)

    async def finish(self) -> None:
        """Write what is left, and wait for every acknowledgement."""
        for partition in range(PARTITIONS):
            if self._groups[partition]:
                await self._write(partition)
            await self._send(partition)
            await self._sent[partition]

    async def stop(self) -> None:
        await self._producer.stop()

    async def _write(self, partition: int) -> None:
        """One record into the batch, or into the next one where this one is full."""
        group, form = self._groups[partition], self._feed.form
        record = {
            # No event is newer than its record, as where a sender's clock is right.
            "timestamp": max(event.time_ms for event in group),
            "key": group[0].key if form.events_per_record == 1 else None,
            "value": form.encode(group),
            "headers": self._headers,
        }
        if self._batches[partition].append(**record) is None:
            await self._send(partition)
            assert self._batches[partition].append(**record), "a record larger than its batch"
        group.clear()

    async def _send(self, partition: int) -> None:
        batch, self._batches[partition] = self._batches[partition], self._producer.create_batch()
        before = self._sent[partition]
        if before is not None:
            await before
        batch.close()
        self._sent[partition] = await self._producer.send_batch(
            batch, self._feed.topic, partition=partition
        )
