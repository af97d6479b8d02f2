"""Faust tables against a real broker: one owner for each module, and its history at hand."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from rigs.kafka import KafkaBroker
from streams.demand import DemandCell, DemandPart, Progress, encode_demand
from streams.topics import demand_partition
from tests.streams.kafka_world import T0, KafkaWorld

pytestmark = pytest.mark.real
WORKER = Path(__file__).with_name("tables_worker.py")
PARTITIONS = 3
STANDSTILL_MAX_S = 15.0
"""Well above a session's time, for which a group waits for a member that was killed."""
MODULES = ("context", "plan", "role", "confirm", "trace", "extension", "dialog", "core")


class TablesWorker:
    """A worker process and what its sink was told."""

    def __init__(
        self, world: KafkaWorld, fault: str, partitions: int, standstill_max_s: float
    ) -> None:
        self.told: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [
                sys.executable,
                str(WORKER),
                world.connection.bootstrap_servers,
                world.prefix,
                str(partitions),
                str(standstill_max_s),
                fault,
            ],
            env={**os.environ, "PYTHONPATH": str(WORKER.parents[2])},
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    async def until(self, what: Callable[[TablesWorker], bool], most_s: float = 30.0) -> None:
        for _ in range(round(most_s / 0.05)):
            if what(self):
                return
            await asyncio.sleep(0.05)
        pytest.fail(f"still not so after {most_s:g} s; the last that was told: {self.told[-20:]}")

    async def end(self, *, kill: bool = False) -> None:
        (self.process.kill if kill else self.process.terminate)()
        await asyncio.to_thread(self.process.wait, 20)
        await asyncio.to_thread(self._reader.join)
        assert self.process.stdout is not None
        self.process.stdout.close()

    @property
    def owned(self) -> set[int]:
        named = [one["partitions"] for one in self.told if one["event"] == "assigned"]
        return set(named[-1]) if named else set()

    def parts(self, since: int = 0) -> list[tuple[str, int]]:
        told = [one for one in self.told[since:] if one["event"] == "part"]
        return [(one["module"], one["bucket"] - T0) for one in told]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                self.told.append(json.loads(line))


@asynccontextmanager
async def workers(
    world: KafkaWorld,
    count: int,
    fault: str = "none",
    *,
    partitions: int = PARTITIONS,
    standstill_max_s: float = STANDSTILL_MAX_S,
) -> AsyncIterator[list[TablesWorker]]:
    started = [TablesWorker(world, fault, partitions, standstill_max_s) for _ in range(count)]
    try:
        yield started
    finally:
        for worker in started:
            await worker.end(kill=True)


def parts_at(*starts_s: int) -> list[DemandPart]:
    cells = (DemandCell("us-east-1", pinned=False, requests=1.0, events=1),)
    return [
        DemandPart(module, T0 + start_s, 10, 0, cells) for start_s in starts_s for module in MODULES
    ]


async def hand_over(
    world: KafkaWorld, records: Iterable[DemandPart | Progress], *, abort: bool = False
) -> None:
    producer = AIOKafkaProducer(**world.connection.options(), transactional_id=world.prefix)
    async with producer:
        await producer.begin_transaction()
        for record in records:
            wanted = (
                [demand_partition(record.module, PARTITIONS)]
                if isinstance(record, DemandPart)
                else range(PARTITIONS)
            )
            for partition in wanted:
                await producer.send_and_wait(
                    world.topics.demand, encode_demand(record), partition=partition
                )
        await (producer.abort_transaction() if abort else producer.commit_transaction())


def has_all(starts_s: Iterable[int]) -> Callable[[TablesWorker], bool]:
    wanted = {(module, start_s) for start_s in starts_s for module in MODULES}
    return lambda worker: wanted <= set(worker.parts())


async def test_two_workers_share_the_modules_and_the_survivor_inherits_history(
    kafka_broker: KafkaBroker,
) -> None:
    world = KafkaWorld(kafka_broker.bootstrap_servers, "shared")
    await world.create(partitions=1, demand_partitions=PARTITIONS)
    every = set(range(PARTITIONS))

    async with workers(world, 2) as (one, two):
        await one.until(
            lambda one: (
                bool(one.owned and two.owned)
                and one.owned.isdisjoint(two.owned)
                and one.owned | two.owned == every
            )
        )
        await hand_over(world, parts_at(990), abort=True)
        await hand_over(world, parts_at(0, 10))
        await one.until(lambda one: len(one.parts()) + len(two.parts()) >= 2 * len(MODULES))
        seen_by_one, seen_by_two = one.parts(), two.parts()
        await asyncio.sleep(1.5)  # a commit: what is out of it comes again, which is allowed
        await two.end(kill=True)
        await one.until(lambda one: one.owned == every)
        await hand_over(world, parts_at(20))
        await one.until(has_all([0, 10, 20]))

    assert {module for module, _ in seen_by_one}.isdisjoint(module for module, _ in seen_by_two)
    assert sorted(seen_by_one + seen_by_two) == sorted(
        (module, start_s) for module in MODULES for start_s in (0, 10)
    )
    inherited = {module for module, _ in seen_by_two}
    since = [one["event"] for one in one.told].index("revoked")
    after = [(module, at_s) for module, at_s in one.parts(since) if module in inherited]
    assert [at_s for module, at_s in after if module == after[0][0]][:3] == [0, 10, 20]


async def test_restarted_worker_has_its_history_before_anything_live(
    kafka_broker: KafkaBroker,
) -> None:
    world = KafkaWorld(kafka_broker.bootstrap_servers, "history")
    await world.create(partitions=1, demand_partitions=PARTITIONS)
    async with workers(world, 1) as (first,):
        await first.until(lambda worker: worker.owned == set(range(PARTITIONS)))
        await hand_over(world, [*parts_at(0, 10, 700), Progress(0, T0 + 800, False, 1)])
        await first.until(has_all([0, 10, 700]))
        await asyncio.sleep(1.5)
        await first.end()
    assert first.told[-1]["event"] == "stopped"
    await hand_over(world, parts_at(710))

    async with workers(world, 1) as (again,):
        await again.until(has_all([0, 10, 700, 710]))

    for module in MODULES:
        assert [at_s for name, at_s in again.parts() if name == module] == [0, 10, 700, 710]
    first_live = [one.get("bucket") for one in again.told].index(T0 + 710)
    known = {
        (one["partition"], one["through"] - T0)
        for one in again.told[:first_live]
        if one["event"] == "progress"
    }
    assert known == {(partition, 800) for partition in range(PARTITIONS)}


async def test_gap_of_an_input_partition_begins_where_the_table_knew_it_to_be(
    kafka_broker: KafkaBroker,
) -> None:
    """Ingest forgot how far it had been; the deciding worker did not, nor does it in a restart."""
    world = KafkaWorld(kafka_broker.bootstrap_servers, "gaps")
    await world.create(partitions=1, demand_partitions=PARTITIONS)
    expected = {(partition, T0 + 900, T0 + 800, T0 + 850) for partition in range(PARTITIONS)}

    async with workers(world, 1) as (first,):
        await first.until(lambda worker: worker.owned == set(range(PARTITIONS)))
        await hand_over(world, [Progress(0, T0 + 800, False, 1)])
        begun_anew = Progress(0, T0 + 900, False, 1, gaps=((0, T0 + 850),))
        await hand_over(world, [begun_anew, begun_anew])
        await first.until(lambda worker: expected <= gaps_told(worker))
        await asyncio.sleep(1.5)
        await first.end()
    async with workers(world, 1) as (again,):
        await again.until(lambda worker: expected <= gaps_told(worker))

    assert gaps_told(first) == gaps_told(again) == expected


def gaps_told(worker: TablesWorker) -> set[tuple[int, int, int, int]]:
    """Demand partition, how far the input partition has come, and its gap."""
    return {
        (one["partition"], one["through"], *gap)
        for one in worker.told
        if one["event"] == "progress"
        for gap in one["gaps"]
    }


async def test_bad_records_do_not_stop_the_tables(kafka_broker: KafkaBroker) -> None:
    world = KafkaWorld(kafka_broker.bootstrap_servers, "rejects")
    await world.create(partitions=1, demand_partitions=PARTITIONS)
    async with AIOKafkaProducer(**world.connection.options()) as producer:
        for value in (b"{", b"\xff", b"[" * 10_000, b'{"kind":"demand"}'):
            await producer.send_and_wait(world.topics.demand, value, partition=0)
        await producer.send_and_wait(world.topics.demand, None, b"key", partition=0)
    await hand_over(world, parts_at(0))

    async with workers(world, 1) as (worker,):
        await worker.until(has_all([0]))
        await worker.end()

    assert worker.told[-1] == {"event": "stopped", "rejected": 5, "parts": len(MODULES)}


async def test_no_record_is_lost_while_the_broker_does_not_show_a_new_changelog(
    kafka_broker: KafkaBroker,
) -> None:
    world = KafkaWorld(kafka_broker.bootstrap_servers, "unseen")
    await world.create(partitions=1, demand_partitions=PARTITIONS)
    await hand_over(world, [Progress(0, T0 + 5, False, 1), *parts_at(0)])

    async with workers(world, 1, "stale") as (worker,):
        await worker.until(has_all([0]))
        await worker.until(lambda worker: len(told_progress(worker)) == PARTITIONS)
        await worker.end()

    stopped = worker.told[-1]
    assert (stopped["restart"], stopped.get("failed", 0)) == (1, 0)


async def test_a_survivor_reads_changelogs_that_were_placed_while_it_asked_for_records(
    kafka_broker: KafkaBroker,
) -> None:
    """What came as the answer was thrown away, and the survivor waited for it for good."""
    world = KafkaWorld(kafka_broker.bootstrap_servers, "placed")
    await world.create(partitions=1, demand_partitions=PARTITIONS)

    async with workers(world, 2, "slow") as (one, two):
        await one.until(lambda one: bool(one.owned and two.owned))
        await hand_over(world, parts_at(0))
        await one.until(lambda one: len({*one.parts(), *two.parts()}) == len(MODULES))
        await asyncio.sleep(1.5)
        await two.end(kill=True)
        await one.until(has_all([0]))
        await one.end()

    assert one.told[-1].get("restart", 0) == 0


async def test_a_take_over_that_stands_still_is_begun_anew(kafka_broker: KafkaBroker) -> None:
    world = KafkaWorld(kafka_broker.bootstrap_servers, "hangs")
    await world.create(partitions=1, demand_partitions=PARTITIONS)
    await hand_over(world, parts_at(0))

    async with workers(world, 1, "hangs", standstill_max_s=6) as (worker,):
        await worker.until(has_all([0]), most_s=60.0)
        await worker.end()

    assert worker.told[-1]["restart"] >= 1


async def test_a_worker_that_has_nothing_to_own_does_not_stand_still(
    kafka_broker: KafkaBroker,
) -> None:
    """Were it begun anew, the whole group would stop for it each time."""
    world = KafkaWorld(kafka_broker.bootstrap_servers, "spare")
    await world.create(partitions=1, demand_partitions=1)

    async with workers(world, 2, partitions=1, standstill_max_s=12) as both:
        await both[0].until(lambda _: any(worker.owned for worker in both))
        await asyncio.sleep(15)
        for worker in both:
            await worker.end()

    assert [worker.told[-1].get("restart", 0) for worker in both] == [0, 0]


def told_progress(worker: TablesWorker) -> set[int]:
    """The demand partitions that have told how far the input has come."""
    return {one["partition"] for one in worker.told if one["event"] == "progress"}
