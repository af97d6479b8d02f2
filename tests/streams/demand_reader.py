"""A deciding worker's eyes on the demand topic: what its history holds, at every moment.

It follows the topic from the beginning, gives each record to the same inbox and history as a live
worker, and after each batch holds every bucket that counts as whole against what was produced. A
bucket that is whole and holds less, or more, is what no fault may ever bring about.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition

from predictor.clock import EventClock
from predictor.demand_inbox import DemandInbox
from predictor.settings import HistorySettings, ModuleSettings, RegionSettings, Settings
from streams.demand import DemandPart, decode_demand
from tests.streams.kafka_world import MODULES, REGIONS, Cell, KafkaWorld

BUCKET_S = 10
FOREVER_S = 4e9


def an_inbox(demand_partitions: int = 2) -> DemandInbox:
    """A live worker's, with steps of one bucket."""
    settings = Settings(
        modules={name: ModuleSettings(hpa=name) for name in MODULES},
        regions={name: RegionSettings(namespace=name, weight=50) for name in REGIONS},
        routes={},
        history=HistorySettings(step_s=BUCKET_S, length_days=2),
    )
    return DemandInbox(settings, EventClock(), demand_partitions)


def whole_buckets(inbox: DemandInbox) -> dict[Cell, float]:
    """The requests of every bucket that the inbox's history takes for whole, zeros included."""
    batch = inbox.history.series(FOREVER_S)
    values = np.round(batch.values * batch.step_s, 6)
    found: dict[Cell, float] = {}
    for row, column in np.argwhere(~np.isnan(values)):
        key = batch.keys[row]
        start_s = batch.start_s + int(column) * BUCKET_S
        found[key.module, start_s, key.region] = float(values[row, column])
    return found


def known(inbox: DemandInbox) -> Counter[Cell]:
    """Requests of each bucket that counts as whole and held any."""
    return Counter({cell: round(n) for cell, n in whole_buckets(inbox).items() if n})


class DemandReader:
    """`wrong` says what should never have been seen; `known` is what counts as whole now."""

    def __init__(
        self, world: KafkaWorld, totals: Counter[Cell], demand_partitions: int = 2
    ) -> None:
        self.wrong: dict[Cell, float] = {}
        self.gaps_seen = 0
        self._world = world
        self._totals = totals
        self._partitions = range(demand_partitions)
        self._inbox = an_inbox(demand_partitions)
        self._inbox.on_assigned(set(self._partitions))
        self._checked: dict[Cell, float] = {}

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @property
    def known(self) -> Counter[Cell]:
        """Requests of each bucket that counts as whole now and held any."""
        return known(self._inbox)

    @property
    def incomplete(self) -> str:
        """What the history says is missing."""
        return self._inbox.history.observed(FOREVER_S).incomplete

    async def until_known(self, within_s: float) -> float:
        """Wait until all that was produced counts as whole; gives the seconds that it took.

        A bucket that was wrong is wrong for good, so nobody waits any longer then.
        """
        clock = asyncio.get_running_loop().time
        begin_s = clock()
        while self.known != self._totals and not self.wrong:
            if clock() - begin_s > within_s:
                break
            await asyncio.sleep(0.1)
        return clock() - begin_s

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._world.connection.options(),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        async with consumer:
            topic = self._world.topics.demand
            consumer.assign([TopicPartition(topic, number) for number in self._partitions])
            while True:
                for source, records in (await consumer.getmany(timeout_ms=100)).items():
                    for record in records:
                        self._take(record.value, source.partition)
                    self._check()

    def _take(self, body: bytes, partition: int) -> None:
        record = decode_demand(body)
        if isinstance(record, DemandPart):
            self._inbox.on_part(record, partition)
        else:
            self._inbox.on_progress(record, partition)

    def _check(self) -> None:
        """Only what changed since the last time: the rest was right then."""
        whole = whole_buckets(self._inbox)
        for cell, requests in whole.items():
            if self._checked.get(cell) != requests and requests != self._totals.get(cell, 0):
                self.wrong[cell] = requests - self._totals.get(cell, 0)
        self._checked = whole
        steps = self._inbox.history.series(FOREVER_S).values[0]
        self.gaps_seen = max(self.gaps_seen, int(np.isnan(steps).sum()))
