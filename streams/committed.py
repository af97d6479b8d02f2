"""Reads what a group committed for a partition: the offset and the metadata next to it.

`streams/ingest.py` calls it when it takes a partition over. aiokafka's public `committed()` drops
the metadata, so this is the one place that asks its group coordinator; `tests/streams` holds the
contract that a new release of aiokafka must keep.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import GroupLoadInProgressError, NotCoordinatorForGroupError

from streams.checkpoint import Checkpoint

_ATTEMPTS = 20
_PAUSE_S = 0.1


async def committed_checkpoint(consumer: Any, partition: TopicPartition) -> Checkpoint | None:
    """The group's checkpoint of a partition, None if it never committed one.

    Only what a producer committed before the caller's own producer of the same transactional id
    was initialised is sure to be seen. Raises a `KafkaError` after a few seconds of trying.
    """
    coordinator = consumer._coordinator
    for attempt in range(_ATTEMPTS):
        try:
            found = await coordinator.fetch_committed_offsets([partition])
            break
        except (GroupLoadInProgressError, NotCoordinatorForGroupError):
            if attempt == _ATTEMPTS - 1:
                raise
            await asyncio.sleep(_PAUSE_S)
    if partition not in found:
        return None
    return Checkpoint(found[partition].offset, found[partition].metadata or "")
