"""Tells whether an input partition was read to its end, so that its silence means something.

`streams/ingest.py` asks before it calls a partition idle. Deciding workers count the buckets of an
idle partition as whole, so this must never pass over a record that is there and was not read: one
behind an open transaction, or one that was fetched and waits while other partitions' backlog is
read.
"""

from __future__ import annotations

import time
from typing import Any

from aiokafka import TopicPartition


async def read_to_end_at_s(consumer: Any, source: TopicPartition, within_s: float) -> float | None:
    """When it was last found read to its end, epoch seconds; None if not within that time.

    What may have come since that fetch, nobody here knows.
    """
    if source not in consumer.assignment():
        return None
    fetched_ms = consumer.last_poll_timestamp(source)
    if fetched_ms is None or time.time() - fetched_ms / 1000 > within_s:
        return None
    end = consumer.highwater(source)
    # Records behind an open transaction are there, only not yet to be seen.
    if end is None or consumer.last_stable_offset(source) != end:
        return None
    # So are those that the client holds already: a fetch brings those of many partitions, and
    # `getmany` gives one partition's after the other's.
    if await consumer.position(source) < end:
        return None
    return float(fetched_ms / 1000)
