"""A deciding worker's tables in a process of their own; prints what its sink is told.

Arguments: bootstrap servers, topic prefix, demand partitions, seconds after which a take-over that
stands still is begun anew, and a fault: "stale" for metadata that do not show the new changelog at
first, "hangs" for a recovery that does not go on the first time, "slow" for one that takes a while
between placing the changelogs and reading them. Ends well on SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import Any

from faust.tables.recovery import Recovery
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from streams.demand import DemandPart, Progress
from streams.demand_blocks import DemandBlock
from streams.faust_app import DemandTables, DemandTableSettings
from streams.topics import KafkaConnection
from tests.streams.kafka_world import topics_of


def say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


class PrintingSink:
    def on_part(self, part: DemandPart, demand_partition: int) -> None:
        say(
            event="part",
            module=part.module,
            bucket=part.bucket_start_s,
            source=part.partition,
            requests=sum(cell.requests for cell in part.cells),
            partition=demand_partition,
        )

    def on_block(self, block: DemandBlock, demand_partition: int) -> None:
        for part in block.parts():
            self.on_part(part, demand_partition)

    def on_progress(self, progress: Progress, demand_partition: int) -> None:
        say(
            event="progress",
            source=progress.partition,
            through=progress.closed_through_s,
            gaps=progress.gaps,
            partition=demand_partition,
        )

    def on_assigned(self, partitions: set[int]) -> None:
        say(event="assigned", partitions=sorted(partitions))

    def on_revoked(self, partitions: set[int]) -> None:
        say(event="revoked", partitions=sorted(partitions))


def show_stale_metadata_once() -> None:
    """As a broker does that answered while the changelog was being made."""
    known, stale = AIOKafkaConsumerThread.topic_partitions, {"progress"}

    def seen(self: AIOKafkaConsumerThread, topic: str) -> int | None:
        if topic.endswith("-progress-changelog") and stale:
            stale.clear()
            return 0
        found: int | None = known(self, topic)
        return found

    AIOKafkaConsumerThread.topic_partitions = seen  # type: ignore[method-assign]  # a fault


def hang_in_recovery_once() -> None:
    """As seen twice after another worker was killed: revoked, and then nothing."""
    known, hangs = Recovery.on_recovery_completed, {"once"}

    async def resumed(self: Recovery, *arguments: int, **named: int) -> None:
        if hangs:
            hangs.clear()
            await asyncio.Event().wait()
        await known(self, *arguments, **named)

    Recovery.on_recovery_completed = resumed  # type: ignore[method-assign]  # a fault


def place_changelogs_slowly() -> None:
    """A question for records that was put before the partitions changed hands is answered then."""
    known: Any = Recovery._seek_offsets

    async def seek(self: Recovery, *arguments: Any) -> None:
        await known(self, *arguments)
        await asyncio.sleep(1.5)

    Recovery._seek_offsets = seek  # type: ignore[method-assign,assignment]  # a fault


FAULTS = {
    "stale": show_stale_metadata_once,
    "hangs": hang_in_recovery_once,
    "slow": place_changelogs_slowly,
}


async def main(
    bootstrap_servers: str, prefix: str, partitions: str, standstill_max_s: str, fault: str
) -> None:
    if fault in FAULTS:
        FAULTS[fault]()
    tables = DemandTables(
        KafkaConnection(bootstrap_servers=bootstrap_servers),
        topics_of(prefix).demand,
        f"{prefix}.decide",
        PrintingSink(),
        DemandTableSettings(
            partitions=int(partitions),
            session_timeout_s=3,
            standstill_max_s=float(standstill_max_s),
        ),
    )
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await tables.start()
    while not tables.recovered and not stopping.is_set():  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    say(event="recovered", partitions=sorted(tables.owned_partitions))
    await stopping.wait()
    await tables.stop()
    say(event="stopped", **tables.counts)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:6]))
