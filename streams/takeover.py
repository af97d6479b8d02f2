"""Takes an input partition over from whoever had it: fences that one, then reads how far it came.

`streams/ingest.py` calls `take_over` for each partition that the group gives it. What the records
that are still there cannot tell any more becomes a gap (`streams/windows.py`). Must never read the
checkpoint before the fence stands: the one before could still commit.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any, Literal, Protocol

import structlog
from aiokafka import TopicPartition

from streams.checkpoint import Checkpoint
from streams.committed import committed_checkpoint
from streams.counters import SERIES_GAP_MAX_S, SOURCE_HOLD_S, CounterDemand
from streams.handover import Handover
from streams.input_topics import InputTopic
from streams.owned_partition import CommitPolicy, OwnedPartition
from streams.windows import PartitionWindows

_log = structlog.get_logger(__name__)

_END_ATTEMPTS = 10
_END_PAUSE_S = 0.5


class WindowPolicy(CommitPolicy, Protocol):
    """The settings of `IngestSettings` that matter here."""

    @property
    def bucket_s(self) -> int: ...
    @property
    def amend_s(self) -> int: ...
    @property
    def duplicate_events(self) -> int: ...
    @property
    def auto_offset_reset(self) -> Literal["earliest", "latest"]: ...


async def take_over(
    consumer: Any,
    handover: Handover,
    *,
    topic: InputTopic,
    number: int,
    settings: WindowPolicy,
    counts: Counter[str],
) -> OwnedPartition:
    """Raises one of `HANDOVER_ERRORS`; the handover is closed then."""
    try:
        await handover.open()
        begin = await _begin(consumer, handover.source, settings, counts)
    except BaseException:
        await handover.close()
        raise
    windows = PartitionWindows(
        number,
        topic.cells,
        bucket_s=settings.bucket_s,
        lateness_s=topic.lateness_s,
        amend_s=settings.amend_s,
        silence_max_s=topic.silence_max_s,
        duplicate_events=settings.duplicate_events,
        checkpoint=begin[0],
        first_offset=begin[1],
    )
    windows.lost_before(time.time())
    counters = new_counters(topic, settings)
    # Known before the first record is read: a restart must judge samples without a key as before.
    partitions = len(consumer.partitions_for_topic(topic.name) or ())
    return OwnedPartition(
        windows, counters, handover, settings, time.monotonic(), partitions=partitions
    )


def new_counters(topic: InputTopic, settings: WindowPolicy) -> CounterDemand:
    """Counters that look back as far as the windows do, and wait as long for the next sample."""
    return CounterDemand(
        topic.cells.catalog.metric_names,
        bucket_s=settings.bucket_s,
        # The lateness is longer than two samples are apart, so both have to be that long as well.
        series_gap_max_s=max(SERIES_GAP_MAX_S, topic.lateness_s),
        source_hold_s=max(SOURCE_HOLD_S, topic.lateness_s),
        kept_back_s=topic.lateness_s + settings.amend_s + settings.bucket_s,
    )


async def _begin(
    consumer: Any, source: TopicPartition, settings: WindowPolicy, counts: Counter[str]
) -> tuple[Checkpoint, int]:
    """The checkpoint, and the first record that is left after it."""
    checkpoint = await committed_checkpoint(consumer, source)
    first, end = await _offsets_there(consumer, source, checkpoint)
    begin = end if settings.auto_offset_reset == "latest" else first
    if checkpoint is None:
        return Checkpoint(begin, ""), begin
    if checkpoint.offset < first:
        lost = first - checkpoint.offset
        counts["lost"] += lost
        _log.error("records expired unread", partition=source.partition, records=lost)
        return checkpoint, first
    if checkpoint.offset > end:
        counts["other_log"] += 1
        _log.error("log ends before what was read", partition=source.partition, offset=end)
        return checkpoint, begin
    return checkpoint, checkpoint.offset


async def _offsets_there(
    consumer: Any, source: TopicPartition, checkpoint: Checkpoint | None
) -> tuple[int, int]:
    """The first offset that is left and the one after the last; asks again before it says less.

    A new leader may know less of the end than the old one for as long as its followers need.
    """
    wanted = 0 if checkpoint is None else checkpoint.offset
    for attempt in range(_END_ATTEMPTS):
        end = (await consumer.end_offsets([source]))[source]
        if end >= wanted:
            break
        if attempt < _END_ATTEMPTS - 1:
            await asyncio.sleep(_END_PAUSE_S)
    return (await consumer.beginning_offsets([source]))[source], end
