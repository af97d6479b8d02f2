"""Counters on a real broker: whoever is stopped, each bucket holds what was served in it, once."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from predictor.events.inspect import Stretch, inspect_topic
from predictor.events.progress_line import ProgressLine
from predictor.events.topic_report import TopicReport
from predictor.settings import MetricSettings
from rigs.kafka import KafkaBroker
from streams.events import Catalog, FormatOptions
from streams.format_options import FormatName
from streams.ingest import Ingest, IngestSettings, MetricsInput
from tests.streams.demand_reader import SETTINGS, DemandReader
from tests.streams.format_bodies import NOON_S, as_json
from tests.streams.kafka_world import (
    CATALOG,
    MODULES,
    QUICK,
    REGIONS,
    T0,
    Cell,
    KafkaWorld,
    Sent,
    heartbeats,
    some_requests,
)
from tests.streams.metric_bodies import (
    COUNTER,
    a_point,
    a_sum,
    an_export,
    from_adapter,
    in_protobuf,
)

pytestmark = pytest.mark.real
SCRAPE_S = 20
"""As long as two buckets, so that half of what lies between two scrapes lies in each."""
SILENT_TURNS = 8
"""At the end nothing is served any more, and buckets close."""


class Scrape(NamedTuple):
    """A record of the metrics topic."""

    partition: int
    key: bytes | None
    value: bytes


class Pod:
    """Counts what it serves; `said_start` is whether its exporter tells since when."""

    def __init__(self, name: str, module: str, region: str, *, said_start: bool) -> None:
        self.name, self.module, self.region = name, module, region
        self.said_start = said_start
        self.start_s = 0
        self.served = 0

    def serve(self, requests: int) -> None:
        self.served += requests

    def restart(self, at_s: int) -> None:
        self.start_s, self.served = at_s, 0

    def export(self, at_s: int) -> bytes:
        """Its counters as a Collector sends them on."""
        shift_s = T0 - NOON_S
        start_s = self.start_s + shift_s if self.said_start else None
        point = a_point(self.served, at_s + shift_s, start_s, {"http.status": "200"})
        resource = {
            "service.name": f"mplp-{self.module}", "cloud.region": self.region,
            "k8s.pod.name": self.name,
        }  # fmt: skip
        return in_protobuf(an_export(a_sum(point), resource=resource)).body

    def scraped(self, at_s: int) -> bytes:
        """Its counter as the Prometheus adapter sends it on."""
        time = datetime.fromtimestamp(T0 + at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        labels = {"__name__": COUNTER, "app": self.module, "region": self.region, "pod": self.name}
        return as_json(from_adapter(str(self.served), timestamp=time, labels=labels))


def a_fleet(*, said_start: bool) -> list[Pod]:
    """Two pods of each of two modules, and those that say their start beside those that do not."""
    return [
        Pod(f"{module}-{number}", module, REGIONS[number], said_start=said_start and number == 0)
        for module in MODULES[:2]
        for number in range(2)
    ]


def turns(pods: list[Pod], count: int, totals: Counter[Cell]) -> Iterator[int]:
    """The time of each scrape, before which the pods served something, or restarted and did."""
    drawn = random.Random(31)
    for turn in range(count):
        at_s = SCRAPE_S * turn
        for number, pod in enumerate(pods):
            if turn in (number + 5, number + 20):
                pod.restart(at_s - SCRAPE_S)
            # After a restart less than before, or nobody could tell where no start is said.
            half = drawn.randint(1, 9) if 0 < turn < count - SILENT_TURNS else 0
            pod.serve(2 * half)
            for bucket_s in (at_s - 20, at_s - 10):
                if half:
                    totals[pod.module, T0 + bucket_s, pod.region] += half
        yield at_s


async def produce(world: KafkaWorld, scrapes: list[list[Scrape]]) -> None:
    async with AIOKafkaProducer(**world.connection.options()) as producer:
        for of_turn in scrapes:
            for partition, key, value in of_turn:
                await producer.send(world.topics.metrics, value, key, partition)
            await producer.flush()
            await asyncio.sleep(0.05)


def an_ingest(world: KafkaWorld, form: FormatName) -> Ingest:
    catalog = Catalog(MODULES, REGIONS, options=FormatOptions(format=form))
    return Ingest(
        world.connection,
        world.topics,
        f"{world.prefix}.ingest",
        CATALOG,
        # Nothing is kept but what is open, so a commit lies as late as it ever may.
        IngestSettings(**{**QUICK, "amend_s": 0}),  # type: ignore[arg-type]
        metrics=MetricsInput(world.topics.metrics, catalog, lateness_s=25),
    )


@asynccontextmanager
async def until_cut_off(ingest: Ingest) -> AsyncIterator[None]:
    """Runs, and is ended without a last commit."""
    task = asyncio.create_task(ingest.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_counted(ingest: Ingest, verdict: str, number: int) -> None:
    async with asyncio.timeout(15):
        while ingest.counts[verdict] < number:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.02)


def a_reader(world: KafkaWorld, totals: Counter[Cell]) -> DemandReader:
    metrics = MetricSettings(topic=world.topics.metrics)
    settings = msgspec.structs.replace(SETTINGS, metrics=metrics)
    return DemandReader(world, totals, settings=settings)


async def a_world(broker: KafkaBroker, partitions: int) -> KafkaWorld:
    world = KafkaWorld(broker.bootstrap_servers, f"metrics-{secrets.token_hex(3)}")
    await world.create(partitions=2, metric_partitions=partitions)
    return world


async def test_counters_of_pods_that_restart_are_counted_once_whoever_is_cut_off(
    kafka_broker: KafkaBroker,
) -> None:
    """Requests of other modules come by event at the same time, and stay right."""
    world = await a_world(kafka_broker, partitions=2)
    pods = a_fleet(said_start=True)
    totals: Counter[Cell] = Counter()
    scrapes = [
        [Scrape(number % 2, pod.name.encode(), pod.export(at_s)) for number, pod in enumerate(pods)]
        for at_s in turns(pods, 60, totals)
    ]
    until_s = SCRAPE_S * (60 - SILENT_TURNS)
    sent, of_events = requests_of_the_others(until_s)
    reader = a_reader(world, totals + of_events)
    third = len(sent) // 3

    async with reader.following():
        counts: Counter[str] = Counter()
        for place in range(3):
            ingest = an_ingest(world, "otlp_proto_metrics")
            async with until_cut_off(ingest):
                await produce(world, scrapes[20 * place : 20 * place + 20])
                await world.produce(sent[place * third : (place + 1) * third])
                if place == 2:
                    await world.produce([*sent[3 * third :], *heartbeats(2, until_s + 100)])
                    await reader.until_known(within_s=20)
                await until_counted(ingest, "metric_counted", 20)
            counts += ingest.counts

    assert reader.wrong == {}
    assert reader.known == totals + of_events
    assert counts["metric_reset"] >= 4, "two of the pods do not say when they began"
    assert not counts["metric_repeated"]
    assert not counts["metric_unkeyed"]
    assert counts["replayed"] > 0, "somebody should have read again what the one before had read"
    report = await inspected(world)
    assert report.sample_requests == totals.total()
    assert {(row.module, row.region) for row in report.metrics} == {cell[::2] for cell in totals}


async def inspected(world: KafkaWorld) -> TopicReport:
    """What a person is told of the topic."""
    metrics = MetricSettings(topic=world.topics.metrics, format="otlp_proto_metrics")
    settings = msgspec.structs.replace(SETTINGS, metrics=metrics)
    with ProgressLine() as progress:
        return await inspect_topic(
            world.connection, world.topics.metrics, settings, Stretch(None), progress
        )


def requests_of_the_others(until_s: float) -> tuple[list[Sent], Counter[Cell]]:
    """Those of modules that no counter is of."""
    sent, totals = some_requests(1500, partitions=2, until_s=until_s, seed=32)
    others = MODULES[2:]
    return (
        [one for one in sent if one.value and any(f'"{name}"'.encode() in one.value
                                                  for name in others)],
        Counter({cell: number for cell, number in totals.items() if cell[0] in others}),
    )  # fmt: skip


async def test_scrapes_without_a_key_are_counted_on_from_where_the_one_before_was_cut_off(
    kafka_broker: KafkaBroker,
) -> None:
    """Before the first commit it must be known that the topic has one partition only."""
    world = await a_world(kafka_broker, partitions=1)
    pods = a_fleet(said_start=False)
    totals: Counter[Cell] = Counter()
    scrapes = [
        [Scrape(0, None, pod.scraped(at_s)) for pod in pods] for at_s in turns(pods, 45, totals)
    ]
    reader = a_reader(world, totals)

    async with reader.following():
        await produce(world, scrapes[:10])
        for begin in (10, 22, 34):
            ingest = an_ingest(world, "")
            async with until_cut_off(ingest):
                await produce(world, scrapes[begin : begin + 12])
                await world.produce(signs_of_life(begin))
                if begin == 34:
                    await reader.until_known(within_s=20)
                await until_counted(ingest, "metric_counted", 20)
            assert not ingest.counts["metric_unkeyed"]

    assert reader.wrong == {}
    assert reader.known == totals


def signs_of_life(turn: int) -> list[Sent]:
    """Of the request topic, which holds no requests, for as long as twelve scrapes take."""
    times_s = range(SCRAPE_S * turn, SCRAPE_S * (turn + 12) + 101, 120)
    return [record for at_s in times_s for record in heartbeats(2, at_s)]
