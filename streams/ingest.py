"""Reads raw events in batches, counts them in event-time buckets and hands the demand over.

The ingest role runs one `Ingest`; the demo and the worker run one beside the deciding part. Kafka
batches -> `streams/events.py` -> `streams/windows.py` -> demand records, dead letters and offsets
in one transaction (`streams/handover.py`). Each input partition is counted by exactly one worker;
who that is, the consumer group says, and the transactions enforce it.

The position is ours, not the group's: a partition that stays with us through a rebalance keeps its
windows, one that comes to us starts paused until its checkpoint was read and held against the
records that are still there. The client never moves a position on its own: what it would pass over
must become a gap, not a drop in demand. A broker that is away is waited for; only what no waiting
mends (`IngestError`) ends `run`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    OffsetOutOfRangeError,
    ProducerFenced,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedCodecError,
    UnsupportedVersionError,
)

from streams.backoff import Backoff
from streams.broker_problem import broker_problem, tell_problem
from streams.consumer_stop import stop_consumer
from streams.event_columns import Cells
from streams.events import Catalog
from streams.handover import HANDOVER_ERRORS, Handover
from streams.input_topics import InputTopic, InputTopics
from streams.owned_partition import OwnedPartition
from streams.read_to_end import read_to_end_at_s
from streams.takeover import take_over
from streams.topics import KafkaConnection, Topics
from streams.whole_batches import give_whole_batches, widen_read_buffers

_log = structlog.get_logger(__name__)

_HOPELESS = (
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedCodecError,
    UnsupportedVersionError,
)
_TAKEOVERS_AT_ONCE = 8


class IngestError(Exception):
    """Waiting will not help: the sentence says what an operator has to change."""


class IngestSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How events become buckets, and how often what has been counted goes out."""

    bucket_s: int = 10
    lateness_s: float = 30.0
    amend_s: int = 60
    silence_max_s: int = 120
    idle_after_s: float = 30.0
    commit_interval_s: float = 1.0
    progress_every_s: float = 5.0
    duplicate_events: int = 100_000
    auto_offset_reset: Literal["earliest", "latest"] = "earliest"
    # Live, many tiny fetches cost six times the CPU; next to ten-second buckets 200 ms are nothing.
    fetch_min_bytes: int = 512 * 1024
    fetch_max_wait_ms: int = 200
    # No stall on a larger record: a fetch always holds at least one whole batch (KIP-74).
    max_partition_fetch_bytes: int = 1 << 20
    # About 15 ms of work at a time, so that whoever shares the event loop gets its turn. It counts
    # where records come one by one; whole batches are joined to blocks of a size of their own.
    max_poll_records: int = 5_000
    whole_batches: bool = True
    session_timeout_ms: int = 10_000
    open_buckets_max: int = 120
    dead_letters_max: int = 500
    dead_letter_bytes_max: int = 16 * 1024
    handover_timeout_s: float = 15.0


class MetricsInput(NamedTuple):
    """The topic of metric samples, the catalog it is read with, and its own lateness.

    A difference of two samples lies as far back as these are apart.
    """

    topic: str
    catalog: Catalog
    lateness_s: float = 120.0


class Ingest:
    """One member of the ingest group; `counts` holds verdicts and reject reasons so far."""

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Topics,
        group: str,
        catalog: Catalog,
        settings: IngestSettings | None = None,
        *,
        metrics: MetricsInput | None = None,
    ) -> None:
        """`metrics`: the topic of metric samples and how it is read, if there is one."""
        self.counts: Counter[str] = Counter()
        self.settings = settings or IngestSettings()
        self._connection = connection
        self._topics = topics
        self._group = group
        self._inputs = _inputs(topics, catalog, self.settings, metrics)
        self._whole_batches = False
        self._owned: dict[int, OwnedPartition] = {}
        self._assigned: frozenset[int] = frozenset()
        self._stopping = asyncio.Event()
        self._takeover_backoff = Backoff()
        self._takeover_after_s = 0.0

    @property
    def owned_partitions(self) -> frozenset[int]:
        """The numbers of the input partitions that this worker counts now."""
        return frozenset(self._owned)

    @property
    def watermarks_s(self) -> dict[int, float | None]:
        """The newest event time of each owned partition."""
        return {partition: owned.windows.newest_s for partition, owned in self._owned.items()}

    def stop(self) -> None:
        """Let `run` hand over what is closed and return."""
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop`; raises `IngestError` for what needs an operator."""
        backoff = Backoff()
        while not self._stopping.is_set():
            try:
                await self._consume(backoff)
            except _HOPELESS as error:
                raise IngestError(f"{type(error).__name__}: {error}") from error
            except HANDOVER_ERRORS as error:
                self.counts["retry"] += 1
                delay_s = backoff.next_delay_s()
                problem = await broker_problem(self._connection)
                tell_problem(_log, problem, error, retry_in_s=round(delay_s, 2))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), delay_s)

    async def _consume(self, backoff: Backoff) -> None:
        consumer = self._consumer()
        try:
            await consumer.start()
            self._whole_batches = self.settings.whole_batches and give_whole_batches(consumer)
            consumer.subscribe(self._inputs.names, listener=_Assignment(self, consumer))
            while not self._stopping.is_set():
                await self._follow_assignment(consumer)
                self._take(await self._fetch(consumer))
                await self._hand_over(consumer)
                backoff.reset()
            await self._hand_over(consumer)
        finally:
            owned, self._owned, self._assigned = self._owned, {}, frozenset()
            await asyncio.gather(*(one.handover.close() for one in owned.values()))
            await stop_consumer(consumer, self.settings.handover_timeout_s)

    def _consumer(self) -> Any:
        settings = self.settings
        return AIOKafkaConsumer(
            **self._connection.options(),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_min_bytes=settings.fetch_min_bytes,
            fetch_max_wait_ms=settings.fetch_max_wait_ms,
            max_partition_fetch_bytes=settings.max_partition_fetch_bytes,
            max_poll_records=settings.max_poll_records,
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.session_timeout_ms // 4,
        )

    async def _fetch(self, consumer: Any) -> dict[TopicPartition, list[Any]]:
        """The next records; a partition whose next ones expired meanwhile is taken over again."""
        try:
            found = await consumer.getmany(
                timeout_ms=self.settings.fetch_max_wait_ms,
                max_records=1 if self._whole_batches else None,
            )
        except OffsetOutOfRangeError as error:
            for source in error.args[0]:
                await self._give_up(consumer, self._inputs.number(source), error)
            return {}
        if self._whole_batches:
            return {source: records for source, (records,) in found.items()}
        return dict(found)

    def _take(self, batches: dict[TopicPartition, list[Any]]) -> None:
        now_s = time.monotonic()
        for source, records in batches.items():
            number = self._inputs.number(source)
            owned = self._owned.get(number)
            if owned is not None:
                topic = self._inputs.of(number)
                owned.take(records, topic.cells, self.counts)
                owned.last_record_s = now_s

    async def _hand_over(self, consumer: Any) -> None:
        """Commit every partition that has news; one that fails is let go and taken over again."""
        now_s = time.monotonic()
        due = []
        for number, owned in self._owned.items():
            source = self._inputs.source(number)
            empty_at_s = await self._found_empty_at_s(consumer, source, owned, now_s)
            idle = empty_at_s is not None
            if owned.is_due(now_s, idle=idle):
                partitions = len(consumer.partitions_for_topic(source.topic) or ())
                work = owned.hand_over(partitions, now_s, idle=idle, wall_s=empty_at_s)
                due.append((number, work))
        outcomes = await asyncio.gather(*(work for _, work in due), return_exceptions=True)
        failed = []
        for (number, _), outcome in zip(due, outcomes, strict=True):
            if isinstance(outcome, int):
                self.counts["parts"] += outcome
                continue
            if isinstance(outcome, _HOPELESS) or not isinstance(outcome, HANDOVER_ERRORS):
                raise outcome
            failed.append((number, outcome))
        # At once: closing what hangs takes seconds for each, and a broker is away for all of them.
        await asyncio.gather(*(self._give_up(consumer, *one) for one in failed))

    async def _give_up(self, consumer: Any, number: int, error: BaseException) -> None:
        if isinstance(error, OffsetOutOfRangeError):
            self.counts["out_of_range"] += 1
        else:
            fenced = isinstance(error, ProducerFenced)
            self.counts["fenced" if fenced else "handover_failed"] += 1
        source = self._inputs.source(number)
        _log.warning(
            "partition given up", topic=source.topic, partition=source.partition, error=repr(error)
        )
        owned = self._owned.pop(number, None)
        if owned is not None:
            await owned.handover.close()
        with contextlib.suppress(KafkaError):
            consumer.pause(source)
        self._takeover_after_s = time.monotonic() + self._takeover_backoff.next_delay_s()

    async def _found_empty_at_s(
        self, consumer: Any, source: TopicPartition, owned: OwnedPartition, now_s: float
    ) -> float | None:
        """When it was last found read to its end, epoch seconds, if it has been silent for long."""
        idle_after_s = self.settings.idle_after_s
        if now_s - owned.last_record_s < idle_after_s:
            return None
        return await read_to_end_at_s(consumer, source, idle_after_s)

    async def _follow_assignment(self, consumer: Any) -> None:
        """Let go of partitions that went elsewhere and take over those that came."""
        gone = [self._owned.pop(one) for one in list(self._owned) if one not in self._assigned]
        await asyncio.gather(*(one.handover.close() for one in gone))
        missing = sorted(self._assigned - self._owned.keys())[:_TAKEOVERS_AT_ONCE]
        if not missing or time.monotonic() < self._takeover_after_s:
            return
        found = await asyncio.gather(
            *(self._take_over(consumer, number) for number in missing),
            return_exceptions=True,
        )
        failures = []
        for number, outcome in zip(missing, found, strict=True):
            if isinstance(outcome, OwnedPartition):
                await self._adopt(consumer, number, outcome)
            else:
                failures.append(outcome)
                _log.warning("takeover failed", partition=number, error=repr(outcome))
        for failure in failures:
            if isinstance(failure, _HOPELESS) or not isinstance(failure, HANDOVER_ERRORS):
                raise failure
        if failures:
            self._takeover_after_s = time.monotonic() + self._takeover_backoff.next_delay_s()
        else:
            self._takeover_backoff.reset()

    async def _take_over(self, consumer: Any, number: int) -> OwnedPartition:
        """Fence whoever had the partition, then read how far that one came."""
        handover = Handover(
            self._connection,
            self._topics,
            self._group,
            self._inputs.source(number),
            timeout_s=self.settings.handover_timeout_s,
        )
        return await take_over(
            consumer,
            handover,
            topic=self._inputs.of(number),
            number=number,
            settings=self.settings,
            counts=self.counts,
        )

    async def _adopt(self, consumer: Any, number: int, owned: OwnedPartition) -> None:
        source = self._inputs.source(number)
        if number not in self._assigned or source not in consumer.assignment():
            await owned.handover.close()  # it went elsewhere meanwhile
            return
        self._owned[number] = owned
        consumer.seek(source, owned.windows.position)
        consumer.resume(source)
        offset = owned.windows.position
        _log.info(
            "partition taken over", topic=source.topic, partition=source.partition, offset=offset
        )

    def _assign(self, consumer: Any, assigned: Iterable[TopicPartition]) -> None:
        sources = {self._inputs.number(source): source for source in assigned}
        for number, source in sources.items():
            owned = self._owned.get(number)
            if owned is None:
                consumer.pause(source)
                consumer.seek(source, 0)  # some position, or the client asks the group for one
            else:
                consumer.seek(source, owned.windows.position)
        self._assigned = frozenset(sources)


def _inputs(
    topics: Topics, catalog: Catalog, settings: IngestSettings, metrics: MetricsInput | None
) -> InputTopics:
    silence_max_s, lateness_s = settings.silence_max_s, settings.lateness_s
    found = [InputTopic(topics.requests, Cells(catalog), lateness_s, silence_max_s)]
    if metrics is not None:
        # Samples that come every five minutes are no silence: the lateness is longer than that.
        silence_max_s = max(silence_max_s, math.ceil(metrics.lateness_s))
        cells, lateness_s = Cells(metrics.catalog), metrics.lateness_s
        found.append(InputTopic(metrics.topic, cells, lateness_s, silence_max_s))
    return InputTopics(found)


def prepare_process() -> None:
    """Set the process up for a stream of events; composition roots call it once at the start.

    What lives by then lives for good, and a block of records makes thousands of short-lived
    objects: the default collector would look through all of them, again and again, for a fifth of
    the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
    widen_read_buffers()


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells the ingest what it may count. A revocation alone changes nothing: see the module."""

    def __init__(self, ingest: Ingest, consumer: Any) -> None:
        self._ingest = ingest
        self._consumer = consumer

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Nothing is let go before the new assignment says what went elsewhere."""

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._ingest._assign(self._consumer, assigned)
