"""`mplp-predictor events replay`: the events of a file into a topic, as fast as they once came.

`predictor/events_cli.py` calls it. Lines are sent in the file's order, due by their event time over
the speed. The producer is idempotent: a retry repeats nothing. It must never create a topic, nor
hold more than a batch for each partition.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from predictor.events.progress_line import ProgressLine
from predictor.events.replay_records import NotMovable, ReplayRecord, replay_record
from streams.broker_problem import BrokerAwayError, broker_problem
from streams.events import Catalog
from streams.partition_count import partition_count
from streams.topics import KafkaConnection

Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]

BATCH_BYTES = 256 * 1024
VALUE_BYTES_MAX = 1_000_000
"""A broker takes a megabyte unless told otherwise, the batch's own header included."""
REQUEST_TIMEOUT_MS = 30_000
PATIENCE_S = 0.02
"""Records that are due this soon are sent now: a sleep each would cost more than it gains."""
SLEEP_MAX_S = 1.0


class ReplayFailedError(ConnectionError):
    """The topic is not there, or the broker did not take what was sent."""


@dataclass(slots=True)
class Pace:
    """`speed` times as fast as the events came, inf: at once; never more than `rate_max_per_s`."""

    speed: float = 1.0
    rate_max_per_s: float | None = None
    _began_s: float = 0.0
    _first_s: float | None = None
    _newest_s: float = float("-inf")
    _sent: int = 0

    def begin(self, now_s: float) -> None:
        """The first record is due now."""
        self._began_s = now_s

    def wait_s(self, event_time_s: float | None, now_s: float) -> float:
        """How long the next record has to wait; a time before an earlier one's adds nothing."""
        due_s = 0.0
        if event_time_s is not None:
            self._newest_s = max(self._newest_s, event_time_s)
            self._first_s = event_time_s if self._first_s is None else self._first_s
            due_s = (self._newest_s - self._first_s) / self.speed
        if self.rate_max_per_s is not None:
            due_s = max(due_s, self._sent / self.rate_max_per_s)
        self._sent += 1
        return max(0.0, self._began_s + due_s - now_s)


@dataclass(slots=True)
class Replayed:
    """What became of the lines; heartbeats count once for each partition in `records`."""

    lines: int = 0
    records: int = 0
    delivered: int = 0
    wall_s: float = 0.0
    set_aside: Counter[str] = field(default_factory=Counter)
    """Lines that were not sent, by why."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Lines that were sent and that the service will set aside, by its reason."""


async def replay(
    bodies: Iterable[bytes],
    connection: KafkaConnection,
    topic: str,
    catalog: Catalog,
    pace: Pace,
    *,
    shift_s: float = 0.0,
    compression: Compression = "lz4",
    progress: ProgressLine | None = None,
) -> Replayed:
    """Send them all; raises `ReplayFailedError`, `BrokerAwayError`, `OSError`."""
    partitions = await partition_count(connection, topic)
    if not partitions:
        raise ReplayFailedError(
            f"the topic {topic} does not exist; its owner creates it, e.g. with"
            f" kafka-topics.sh --create --topic {topic} --partitions 12"
        )
    producer = AIOKafkaProducer(
        **connection.options(),
        enable_idempotence=True,
        compression_type=None if compression == "none" else compression,
        max_batch_size=BATCH_BYTES,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    done = Replayed()
    try:
        await producer.start()
        outbox = _Outbox(producer, topic, partitions, done)
        await _send_all(_records(bodies, catalog, shift_s, done), pace, outbox, progress)
    except (KafkaError, TimeoutError) as error:
        raise BrokerAwayError(await broker_problem(connection), error) from error
    finally:
        await producer.stop()
    return done


def replayed_lines(done: Replayed) -> Iterator[str]:
    """For a person: what was not sent and why, what the service will refuse, the sum."""
    for counts, what in ((done.set_aside, "not sent"), (done.rejected, "sent, will be set aside")):
        for reason, count in counts.most_common():
            yield f"{count:>12,} {what}: {reason}"
    rate = done.delivered / max(done.wall_s, 1e-3)
    yield (
        f"{done.lines:,} lines became {done.delivered:,} records in {done.wall_s:,.1f} s "
        f"({rate:,.0f}/s)"
    )


async def _send_all(
    records: Iterable[ReplayRecord],
    pace: Pace,
    outbox: _Outbox,
    progress: ProgressLine | None,
) -> None:
    done = outbox.done
    began_s = time.monotonic()
    pace.begin(began_s)
    for record in records:
        now_s = time.monotonic()
        if (wait_s := pace.wait_s(record.time_s, now_s)) > PATIENCE_S:
            await outbox.flush()
            while wait_s > 0:
                await asyncio.sleep(min(wait_s, SLEEP_MAX_S))
                _tell(progress, done, record, began_s)
                wait_s -= SLEEP_MAX_S
        await outbox.put(record)
        if done.lines % 1000 == 0:
            _tell(progress, done, record, began_s)
    await outbox.flush()
    await outbox.delivered()
    done.wall_s = time.monotonic() - began_s


def _records(
    bodies: Iterable[bytes], catalog: Catalog, shift_s: float, done: Replayed
) -> Iterator[ReplayRecord]:
    for body in bodies:
        done.lines += 1
        if len(body) > VALUE_BYTES_MAX:
            done.set_aside[f"longer than {VALUE_BYTES_MAX:,} bytes"] += 1
            continue
        try:
            record = replay_record(body, catalog, shift_s)
        except NotMovable as error:
            done.set_aside[str(error)] += 1
            continue
        if record.rejected is not None:
            done.rejected[record.rejected] += 1
        yield record


def _tell(
    progress: ProgressLine | None, done: Replayed, record: ReplayRecord, began_s: float
) -> None:
    if progress is None or not progress.is_due:
        return
    rate = done.records / max(time.monotonic() - began_s, 1e-3)
    at = "" if record.time_s is None else f", at {datetime.fromtimestamp(record.time_s, UTC):%F %T}"
    progress.say(f"{done.records:,} records sent, {rate:,.0f}/s{at}")


class _Outbox:
    """A batch for each partition, filled here because a send for each record costs ten times it."""

    def __init__(self, producer: Any, topic: str, partitions: int, done: Replayed) -> None:
        self.done = done
        self._producer = producer
        self._topic = topic
        self._partitions = partitions
        self._batches: dict[int, Any] = {}
        self._on_their_way: set[asyncio.Future[Any]] = set()
        self._failure: BaseException | None = None
        self._any = itertools.cycle(range(partitions))

    async def put(self, record: ReplayRecord) -> None:
        if record.for_every_partition:
            for partition in range(self._partitions):
                await self._put(record, partition)
        elif record.key is None:
            await self._put(record, next(self._any))
        else:
            await self._put(record, _partition(record.key, self._partitions))

    async def flush(self) -> None:
        """Hand over every batch that holds something; raises what a delivery failed with."""
        for partition in list(self._batches):
            await self._send(partition)
        if self._failure is not None:
            raise ReplayFailedError(f"the broker did not take the records: {self._failure}")

    async def delivered(self) -> None:
        """Wait until the broker has all of it."""
        if self._on_their_way:
            await asyncio.wait(self._on_their_way)
        await asyncio.sleep(0)  # lets the last outcomes be noted
        await self.flush()

    async def _put(self, record: ReplayRecord, partition: int) -> None:
        key = None if record.key is None else record.key.encode()
        message = {
            "timestamp": None, "key": key, "value": record.value, "headers": list(record.headers),
        }  # fmt: skip
        batch = self._batches.get(partition)
        if batch is None:
            batch = self._batches[partition] = self._producer.create_batch()
        if batch.append(**message) is None:
            await self._send(partition)
            batch = self._batches[partition] = self._producer.create_batch()
            taken = batch.append(**message)
            assert taken is not None, "an empty batch takes one record of any length"
        self.done.records += 1

    async def _send(self, partition: int) -> None:
        batch = self._batches.pop(partition)
        records = batch.record_count()
        if not records:
            return
        batch.close()
        future = await self._producer.send_batch(batch, self._topic, partition=partition)
        self._on_their_way.add(future)
        future.add_done_callback(lambda done: self._note(done, records))
        if self._failure is not None:
            raise ReplayFailedError(f"the broker did not take the records: {self._failure}")

    def _note(self, future: asyncio.Future[Any], records: int) -> None:
        self._on_their_way.discard(future)
        if future.cancelled():
            return
        if (error := future.exception()) is None:
            self.done.delivered += records
        else:
            self._failure = self._failure or error


@lru_cache(maxsize=4096)
def _partition(key: str, partitions: int) -> int:
    """Where Kafka's own clients put a record of this key."""
    hashed: int = murmur2(key.encode())
    return (hashed & 0x7FFFFFFF) % partitions
