"""`mplp-predictor events inspect`: reads a topic or a file once and says what is on it.

`predictor/events_cli.py` calls it. There is no consumer group and nothing is committed, so nobody
else's reading is touched. It must never write to the broker, nor keep a record.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from predictor.events.findings import judge
from predictor.events.progress_line import ProgressLine
from predictor.events.topic_report import TopicReport
from predictor.events.topic_survey import TopicSurvey
from predictor.settings import Settings
from predictor.wiring import event_catalog
from streams.broker_problem import BrokerAwayError, broker_problem
from streams.consumer_stop import stop_consumer
from streams.event_types import Headers
from streams.partition_count import partition_count
from streams.source_file import read_values
from streams.topics import KafkaConnection

FETCH_TIMEOUT_MS = 500
RECORDS_AT_ONCE = 5_000
STALLED_AFTER_S = 20.0
"""So long without a record before the end: an open transaction, or a broker in trouble."""


class Stretch(NamedTuple):
    """Which part of a topic to read.

    From `last_s` ago, None: from its beginning, 0: from its end. Up to where it ended at the start;
    with `seconds` for so long instead, whatever comes.
    """

    last_s: float | None
    seconds: float | None = None


class Line(NamedTuple):
    """A line of a file as a record: it has no headers and no timestamp."""

    offset: int
    value: bytes
    headers: Headers = ()
    timestamp: int = -1
    timestamp_type: int = 0


class NoSuchTopicError(ConnectionError):
    """The topic is not there."""


def inspect_file(path: Path, settings: Settings, progress: ProgressLine) -> TopicReport:
    """Every line of the file; raises `OSError`, `EOFError`."""
    survey = _survey(str(path), settings, 1)
    lines = (Line(number, body) for number, body in read_values(path))
    for block in _blocks(lines):
        survey.add(0, block)
        progress.say(f"{survey.counts['records']:,} lines")
    return judge(survey.report(), settings)


async def inspect_topic(
    connection: KafkaConnection,
    topic: str,
    settings: Settings,
    stretch: Stretch,
    progress: ProgressLine,
) -> TopicReport:
    """That stretch of the topic; raises `BrokerAwayError`, `NoSuchTopicError`."""
    count = await partition_count(connection, topic)
    if not count:
        raise NoSuchTopicError(f"the topic {topic} does not exist")
    survey = _survey(topic, settings, count)
    consumer = AIOKafkaConsumer(
        **connection.options(),
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    partitions = [TopicPartition(topic, number) for number in range(count)]
    try:
        await consumer.start()
        is_complete = await _read(consumer, partitions, survey, stretch, progress)
    except (KafkaError, TimeoutError) as error:
        raise BrokerAwayError(await broker_problem(connection), error) from error
    finally:
        await stop_consumer(consumer)
    return judge(survey.report(is_complete=is_complete), settings)


async def _read(
    consumer: Any,
    partitions: list[TopicPartition],
    survey: TopicSurvey,
    stretch: Stretch,
    progress: ProgressLine,
) -> bool:
    """Whether the end was reached."""
    ends = await consumer.end_offsets(partitions)
    begins = await _begins(consumer, partitions, ends, stretch.last_s)
    consumer.assign(partitions)
    for partition in partitions:
        consumer.seek(partition, begins[partition])  # at once: aiokafka would reset it otherwise
    began_s = last_s = time.monotonic()
    while True:
        now_s = time.monotonic()
        if stretch.seconds is not None:
            if now_s - began_s >= stretch.seconds:
                return True
        elif not [one for one in partitions if await consumer.position(one) < ends[one]]:
            return True
        elif now_s - last_s > STALLED_AFTER_S:
            return False
        batches = await consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS, max_records=RECORDS_AT_ONCE)
        for partition, records in batches.items():
            last_s = time.monotonic()
            if stretch.seconds is None:
                records = [one for one in records if one.offset < ends[partition]]  # noqa: PLW2901
            survey.add(partition.partition, records)
        await asyncio.sleep(0)
        progress.say(f"{survey.counts['records']:,} records")


async def _begins(
    consumer: Any,
    partitions: list[TopicPartition],
    ends: dict[TopicPartition, int],
    last_s: float | None,
) -> dict[TopicPartition, int]:
    """The first offset to read of each partition."""
    if last_s is None:
        return dict(await consumer.beginning_offsets(partitions))
    if not last_s:
        return dict(ends)
    since_ms = int((time.time() - last_s) * 1000)
    found = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
    return {one: ends[one] if found.get(one) is None else found[one].offset for one in partitions}


def _survey(source: str, settings: Settings, partitions: int) -> TopicSurvey:
    metrics = settings.metrics
    is_metrics = source == metrics.topic
    return TopicSurvey(
        source,
        event_catalog(settings, metrics.format if is_metrics else None),
        partitions,
        bucket_s=settings.windows.bucket_s,
        lateness_s=metrics.lateness_s if is_metrics else settings.windows.lateness_s,
    )


def _blocks(lines: Iterator[Line]) -> Iterator[list[Line]]:
    while block := list(islice(lines, RECORDS_AT_ONCE)):
        yield block
