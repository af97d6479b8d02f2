"""A deciding worker's eyes on the demand topic: what its history holds, at every moment.

It follows the topic from the beginning, gives each record to the same inbox and history as a live
worker, and after each batch holds what a decision would read against what was produced: every
bucket that counts as whole, and the demand that is said to be asked for now. A bucket that is whole
and holds less, or more, is what no fault may ever bring about.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition
from numpy.typing import NDArray

from models.series import SeriesBatch
from predictor.clock import EventClock
from predictor.core.history import History
from predictor.demand_inbox import DemandInbox
from predictor.settings import HistorySettings, ModuleSettings, RegionSettings, Settings
from streams.demand import DemandPart, decode_demand
from tests.streams.kafka_world import MODULES, REGIONS, Cell, KafkaWorld

BUCKET_S = 10
FOREVER_S = 4e9
SETTINGS = Settings(
    modules={name: ModuleSettings(hpa=name) for name in MODULES},
    regions={name: RegionSettings(namespace=name, weight=50) for name in REGIONS},
    routes={},
)


def an_inbox(
    demand_partitions: int = 2, step_s: int = BUCKET_S, settings: Settings = SETTINGS
) -> DemandInbox:
    """A live worker's."""
    history = HistorySettings(step_s=step_s, length_days=2)
    settings = msgspec.structs.replace(settings, history=history)
    return DemandInbox(settings, EventClock(), demand_partitions)


def known(inbox: DemandInbox) -> Counter[Cell]:
    """Requests of each bucket that counts as whole and held any."""
    batch = inbox.history.series(FOREVER_S)
    return Counter({cell: round(n) for cell, n in _requests(batch, batch.values > 0)})


def _requests(batch: SeriesBatch, chosen: NDArray[np.bool_]) -> Iterator[tuple[Cell, float]]:
    """The chosen buckets with what they hold."""
    for row, column in np.argwhere(chosen):
        key = batch.keys[row]
        start_s = batch.start_s + int(column) * batch.step_s
        requests = round(float(batch.values[row, column]) * batch.step_s, 6)
        yield (key.module, start_s, key.region), requests


class DemandReader:
    """`known` is what counts as whole now.

    What should never have been seen: `wrong` has buckets by how much they were off, and `told_low`
    the buckets whose demand was said to be asked for now, and was not theirs.
    """

    def __init__(
        self,
        world: KafkaWorld,
        totals: Counter[Cell],
        demand_partitions: int = 2,
        step_s: int = BUCKET_S,
        settings: Settings = SETTINGS,
    ) -> None:
        """`totals` are what is produced, by module, step and region."""
        self.wrong: dict[Cell, float] = {}
        self.told_low: set[int] = set()
        self.gaps_seen = 0
        self._world = world
        self._totals = totals
        self._partitions = range(demand_partitions)
        self._inbox = an_inbox(demand_partitions, step_s, settings)
        self._inbox.on_assigned(set(self._partitions))
        self._checked: SeriesBatch | None = None

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
    def history(self) -> History:
        """What the service decides on."""
        return self._inbox.history

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
        batch = self.history.series(FOREVER_S)
        if batch is self._checked or not batch.values.size:
            return
        for cell, requests in _requests(batch, _news(batch, self._checked)):
            if requests != self._totals.get(cell, 0):
                self.wrong[cell] = requests - self._totals.get(cell, 0)
        self._checked = batch
        known = np.isfinite(batch.values[0])
        self.gaps_seen = max(self.gaps_seen, int(np.count_nonzero(~known)))
        asked_for = self.history.observed(FOREVER_S).complete_per_s
        if not known.any() or np.isnan(asked_for).any():
            return
        newest = int(np.flatnonzero(known)[-1])
        if not np.allclose(asked_for, batch.values[:, newest]):
            self.told_low.add(batch.start_s + newest * batch.step_s)


def _news(batch: SeriesBatch, before: SeriesBatch | None) -> NDArray[np.bool_]:
    """Which buckets count as whole now, and did not or held something else before."""
    news = np.isfinite(batch.values)
    if before is not None and before.start_s == batch.start_s:
        width = min(before.values.shape[1], batch.values.shape[1])
        news[:, :width] &= before.values[:, :width] != batch.values[:, :width]
    return news
