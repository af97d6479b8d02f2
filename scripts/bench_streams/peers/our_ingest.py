"""Our own worker as the live service runs it: `streams.ingest.Ingest` with its default settings.

Run by `race.py` and `live.py` in a process of its own. It does the whole job: checked time,
duplicates, pinned apart, event-time buckets that close, and one Kafka transaction for demand parts
and offsets. It ends when every event was read and the closed buckets are out.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import msgspec
import uvloop

from scripts.bench_streams.job import Job, Meter, report
from streams.events import Catalog, RejectReason
from streams.ingest import Ingest, IngestSettings, prepare_process
from streams.topics import KafkaConnection, Topics

READY = "ready"
"""Printed when the partitions are owned."""

_POLL_S = 0.02
_TIMEOUT_S = 540.0
_READ = ("counted", "amended", "late", "duplicate", "other", *RejectReason)


class OurJob(msgspec.Struct, frozen=True, kw_only=True):
    """Where the parts go, what is configured, and how many parts there will be.

    `from_first_event` starts the meter when something arrives, for a topic that is still empty.
    """

    topics: Topics
    group: str
    modules: tuple[str, ...]
    regions: tuple[str, ...]
    parts: int = 0
    partitions: int = 4
    from_first_event: bool = False
    settings: dict[str, Any] = {}


async def count(job: Job) -> None:
    """Run the worker to the end of the topic and report."""
    ours = msgspec.json.decode(job.more, type=OurJob)
    catalog = Catalog(ours.modules, ours.regions)
    settings = msgspec.convert(ours.settings, IngestSettings)
    connection = KafkaConnection(bootstrap_servers=job.bootstrap_servers)
    prepare_process()
    meter = Meter()
    ingest = Ingest(connection, ours.topics, ours.group, catalog, settings)
    running = asyncio.create_task(ingest.run())
    if ours.from_first_event:
        await _until(running, ingest, lambda: len(ingest.owned_partitions) == ours.partitions)
        print(READY, flush=True)
        await _until(running, ingest, lambda: events_read(ingest.counts) > 0)
        meter = Meter()
    await _until(
        running,
        ingest,
        lambda: events_read(ingest.counts) >= job.events and ingest.counts["parts"] >= ours.parts,
    )
    spent = meter.read()
    report(job, spent, events_read(ingest.counts), ingest.counts)
    ingest.stop()
    await running


def events_read(counts: Counter[str]) -> int:
    """How many events have come to a verdict, whichever it was."""
    return sum(counts[name] for name in _READ)


async def _until(running: asyncio.Task[None], ingest: Ingest, is_done: Any) -> None:
    deadline_s = time.monotonic() + _TIMEOUT_S
    while not is_done():
        if running.done():
            await running
            raise RuntimeError("the worker stopped by itself")
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not done after {_TIMEOUT_S:.0f} s: {dict(ingest.counts)}")
        await asyncio.sleep(_POLL_S)


if __name__ == "__main__":
    uvloop.run(count(Job.from_arguments()))  # as the worker does
