"""Input partitions that stand still, are added, or lie hours behind: no bucket is ever too low."""

from __future__ import annotations

import asyncio
import math
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from predictor.actuators.simulated import SimulatedCluster
from predictor.cluster_model.workload_spec import WorkloadSpec, requests_hpa
from predictor.core.cluster import TargetKey
from predictor.core.reasons import Code
from predictor.current_model import CurrentModel
from predictor.gather import Gatherer
from predictor.service import Service, Tick
from rigs.kafka import KafkaBroker
from streams.ingest import Ingest, IngestSettings
from tests.streams.demand_reader import SETTINGS, DemandReader
from tests.streams.kafka_world import (
    CATALOG,
    MODULES,
    QUICK,
    REGIONS,
    T0,
    Cell,
    KafkaWorld,
    Sent,
    a_request,
    heartbeats,
)

pytestmark = pytest.mark.real
PARTITIONS = 8
STOPPED = 3
IDLE_AFTER_S = 4
LAG_MAX_S = SETTINGS.lag_max_s
HOLDS = {Code.STALE_TELEMETRY, Code.INCOMPLETE_TELEMETRY, Code.LAGGING_TELEMETRY}


class Load:
    """Requests in event-time order, the same stretch of time in every partition of a piece."""

    def __init__(
        self,
        seed: int,
        requests_per_s: float,
        *,
        modules: Sequence[str] = MODULES,
        regions: Sequence[str] = REGIONS,
        step_s: int = 10,
    ) -> None:
        self.totals: Counter[Cell] = Counter()
        self.until_s = 0.0
        self.requests_per_s = requests_per_s
        self._drawn = random.Random(seed)
        self._modules, self._regions, self._step_s = modules, regions, step_s

    def pieces(self, count: int, piece_s: float, partitions: int) -> list[list[Sent]]:
        return [self._piece(piece_s, partitions) for _ in range(count)]

    def _piece(self, piece_s: float, partitions: int) -> list[Sent]:
        drawn, begin_s = self._drawn, self.until_s
        self.until_s = begin_s + piece_s
        count = int(piece_s * self.requests_per_s)
        times_s = [begin_s + drawn.uniform(0, 1) for _ in range(partitions)]
        times_s += [begin_s + drawn.uniform(0, piece_s) for _ in range(count - partitions)]
        return [
            self._request(place % partitions if place < partitions else None, at_s, partitions)
            for place, at_s in enumerate(sorted(times_s))
        ]

    def _request(self, partition: int | None, at_s: float, partitions: int) -> Sent:
        module, region = self._drawn.choice(self._modules), self._drawn.choice(self._regions)
        self.totals[module, T0 + int(at_s // self._step_s) * self._step_s, region] += 1
        where = self._drawn.randrange(partitions) if partition is None else partition
        body = a_request(f"{self._drawn.random()}", at_s, module, region)
        return Sent(where, body)


@pytest.mark.parametrize(
    ("piece_s", "pieces", "stopped_after", "resumed_after", "pause_s"),
    [
        pytest.param(10, 30, 3, 28, 0.4, id="10-s"),
        pytest.param(1, 300, 40, 280, 0.5, id="120-s", marks=pytest.mark.soak),
    ],
)
async def test_partition_that_stands_still_is_waited_for_then_a_gap_and_never_a_drop(
    kafka_broker: KafkaBroker,
    piece_s: float,
    pieces: int,
    stopped_after: int,
    resumed_after: int,
    pause_s: float,
) -> None:
    # event time   0 -- 30 ---------- 150 ---- 280 -- 300 (the longer one: 40, 160, 280, 300)
    # partition 3  |    | nothing can be read   |
    # the reader   whole | waits      | a gap   | whole
    world = await a_world(kafka_broker, PARTITIONS)
    load = Load(seed=21, requests_per_s=20)
    sent = load.pieces(pieces, piece_s, PARTITIONS)
    reader = DemandReader(world, load.totals)

    async with running(world), reader.following(), a_stopper(world) as stopper:
        await produce_slowly(world, sent[:stopped_after], pause_s)
        async with standing_still(stopper, world, STOPPED):
            await produce_slowly(world, sent[stopped_after:resumed_after], pause_s)
            known_until_s = max(start_s for _, start_s, _ in reader.known) - T0 + 10
            said = reader.incomplete
        await produce_slowly(world, sent[resumed_after:], pause_s)
        await world.produce(heartbeats(PARTITIONS, load.until_s + 100))
        await reader.until_known(within_s=20)

    assert_never_less(reader, load)
    assert reader.known == load.totals
    assert known_until_s <= stopped_after * piece_s
    assert f"partition {STOPPED} of {PARTITIONS} " in said
    assert reader.gaps_seen >= 1, "the stretch should have been a gap before it was whole"


async def test_partition_added_under_way_is_counted_from_its_first_record(
    kafka_broker: KafkaBroker,
) -> None:
    """Senders may know it before ingest does: nothing but the lateness covers that time."""
    world = await a_world(kafka_broker, partitions=2)
    load = Load(seed=22, requests_per_s=20)
    before = load.pieces(3, 10, partitions=2)
    at_once = load.pieces(3, 1, partitions=4)
    after = load.pieces(3, 10, partitions=4)
    reader = DemandReader(world, load.totals)

    async with running(world), reader.following():
        await produce_slowly(world, before, 0.2)
        await add_partitions(world, up_to=4)
        await produce_slowly(world, at_once, pause_s=1)
        await produce_slowly(world, after, 0.2)
        await world.produce(heartbeats(4, load.until_s + 100))
        await reader.until_known(within_s=20)

    assert_never_less(reader, load)
    assert reader.known == load.totals


async def test_worker_that_is_hours_behind_decides_nothing_on_the_past(
    kafka_broker: KafkaBroker,
) -> None:
    # requests    one a second for three hours (10 pods), then one in ten seconds (1 to 3 pods)
    # floor       6: raised before, above the owner's 2
    world = await a_world(kafka_broker, PARTITIONS)
    load = Load(seed=23, requests_per_s=1, modules=MODULES[:1], regions=REGIONS[:1], step_s=60)
    backlog = load.pieces(1, 3 * 3600, PARTITIONS)
    load.requests_per_s = 0.1
    backlog += load.pieces(1, 600, PARTITIONS)
    reader = DemandReader(world, load.totals, step_s=60)
    await produce_slowly(world, backlog, pause_s=0)
    await world.produce(heartbeats(PARTITIONS, load.until_s + 100))

    async with running(world, whole_batches=False, max_poll_records=400), reader.following():
        ticks = await decided_until_known(reader, load, now_s=T0 + load.until_s + 70)

    assert_never_less(reader, load)
    assert reader.known == load.totals
    caught_up = ticks[-1]
    lags_s = [math.inf if tick.inputs.lag_s is None else tick.inputs.lag_s for tick in ticks]
    behind = [tick for tick, lag_s in zip(ticks, lags_s, strict=True) if lag_s > LAG_MAX_S]
    assert any(LAG_MAX_S < lag_s < 4 * 3600 for lag_s in lags_s)
    assert {tick.decision.floors[0].floor for tick in behind} == {6}
    assert caught_up.inputs.lag_s is not None
    assert caught_up.inputs.lag_s <= LAG_MAX_S
    assert not HOLDS & codes(caught_up)


async def decided_until_known(reader: DemandReader, load: Load, now_s: float) -> list[Tick]:
    """What a service decides at one moment, over and over, while its history catches up.

    Its first decision is not among them: that one changes nothing anyway. Nothing holds its floor
    but the gate: no warm-up, and days until it would be handed back.
    """
    policy = msgspec.structs.replace(
        SETTINGS.policy(),
        warm_up_s=0.0,
        telemetry_stale_after_s=5e5,
        telemetry_handback_after_s=1e6,
    )
    key = TargetKey(MODULES[0], REGIONS[0])
    cluster = SimulatedCluster([WorkloadSpec(key, requests_hpa(2, 40, 0.1), 1.0)], now_s)
    cluster.workload(key).floor = 6
    records: list[bytes] = []
    service = Service(
        cluster=cluster,
        gatherer=Gatherer(
            cluster=cluster,
            history=reader.history,
            model=CurrentModel(refit_s=3600, wait=True),
            policy=policy,
        ),
        policy=policy,
        mode="active",
        record=records.append,
    )
    await service.tick(now_s)
    ticks: list[Tick] = []
    async with asyncio.timeout(20):
        while reader.known != load.totals:
            ticks.append(await service.tick(now_s))
            await asyncio.sleep(0.01)
    return [*ticks, await service.tick(now_s)]


def codes(tick: Tick) -> set[Code]:
    return {reason.code for row in tick.decision.floors for reason in row.reasons}


def assert_never_less(reader: DemandReader, load: Load) -> None:
    """What no decision may have seen at any moment: less, or more, than was produced."""
    assert reader.wrong == {}
    assert reader.told_low == set()
    assert load.totals, "nothing was produced"


async def a_world(broker: KafkaBroker, partitions: int) -> KafkaWorld:
    world = KafkaWorld(broker.bootstrap_servers, f"partitions-{secrets.token_hex(3)}")
    world.connection = msgspec.structs.replace(world.connection, metadata_max_age_s=0.5)
    await world.create(partitions)
    return world


@asynccontextmanager
async def running(world: KafkaWorld, **changed: object) -> AsyncIterator[None]:
    quick = {**QUICK, "lateness_s": 2, "idle_after_s": IDLE_AFTER_S, "progress_every_s": 1}
    settings = IngestSettings(**{**quick, **changed})  # type: ignore[arg-type]
    group = f"{world.prefix}.ingest"
    ingest = Ingest(world.connection, world.topics, group, CATALOG, settings)
    task = asyncio.create_task(ingest.run())
    try:
        yield
    finally:
        ingest.stop()
        await task


@asynccontextmanager
async def a_stopper(world: KafkaWorld) -> AsyncIterator[AIOKafkaProducer]:
    """Made beforehand: the broker's first transaction may take longer than a partition is idle."""
    producer = AIOKafkaProducer(
        **world.connection.options(),
        transactional_id=f"{world.prefix}.stopper",
        transaction_timeout_ms=600_000,
    )
    async with producer:
        yield producer


@asynccontextmanager
async def standing_still(
    producer: AIOKafkaProducer, world: KafkaWorld, partition: int
) -> AsyncIterator[None]:
    """A sender's open transaction: what comes after it is written, and nobody is given it."""
    await producer.begin_transaction()
    await producer.send_and_wait(world.topics.requests, b"{", partition=partition)
    yield
    await producer.abort_transaction()


async def produce_slowly(world: KafkaWorld, pieces: list[list[Sent]], pause_s: float) -> None:
    async with AIOKafkaProducer(**world.connection.options()) as producer:
        for piece in pieces:
            for partition, value, _ in piece:
                await producer.send(world.topics.requests, value, partition=partition)
            await producer.flush()
            await asyncio.sleep(pause_s)


async def add_partitions(world: KafkaWorld, up_to: int) -> None:
    admin = AIOKafkaAdminClient(**world.connection.options())
    await admin.start()
    try:
        await admin.create_partitions({world.topics.requests: NewPartitions(up_to)})
        async with asyncio.timeout(10):
            while await partitions_of(admin, world.topics.requests) < up_to:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    finally:
        await admin.close()


async def partitions_of(admin: AIOKafkaAdminClient, topic: str) -> int:
    """Those that have a leader."""
    (found,) = await admin.describe_topics([topic])
    return sum(one["leader"] >= 0 and not one["error_code"] for one in found["partitions"])
