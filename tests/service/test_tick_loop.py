"""The loop around the tick: it goes on through failures, and its probes say what is wrong."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from predictor.actuators.gate import OpenGate
from predictor.actuators.port import ClusterUnreachable
from predictor.actuators.simulated import SimulatedCluster
from predictor.clock import EventClock
from predictor.cluster_model.workload_spec import WorkloadSpec, requests_hpa
from predictor.core.audit import decode_record
from predictor.core.cluster import ClusterView, TargetKey
from predictor.core.reasons import Code, Reason
from predictor.current_model import CurrentModel
from predictor.demand_inbox import DemandInbox
from predictor.gather import Gatherer
from predictor.service import Service
from predictor.settings import ModuleSettings, RegionSettings, Settings
from predictor.telemetry import PredictorCollector, Snapshot
from predictor.tick_loop import TickLoop
from streams.demand import DemandCell, DemandPart, Progress
from tests.service.audit_builders import called, written

START_S = 1_750_000_000
KEY = TargetKey("core", "here")
SETTINGS = Settings(
    clock="event",
    region="here",
    tick_s=10.0,
    warm_up_s=0.0,
    regions={"here": RegionSettings(namespace="here", weight=100)},
    modules={"core": ModuleSettings(hpa="mplp-core-hpa")},
    routes={},
)


class ClusterThatFailsAtFirst(SimulatedCluster):
    """Unreachable for the first reads, then there."""

    def __init__(self, failures: int) -> None:
        spec = WorkloadSpec(KEY, requests_hpa(3, 20, 100.0), pod_limit_per_s=143.0)
        super().__init__([spec], START_S)
        self.failures = failures

    async def observe(self) -> ClusterView:
        if self.failures:
            self.failures -= 1
            raise ClusterUnreachable("no answer in 5 s")
        return await super().observe()


class SeventhOwner(OpenGate):
    """Permits all, as the seventh owner of every partition."""

    async def permit(self, key: TargetKey) -> int | Reason:
        return 7


class World:
    """A loop with everything but Kafka, and a hand that lets event time pass."""

    def __init__(self, failures: int = 0, ready_file: Path | None = None) -> None:
        self.clock = EventClock()
        self.inbox = DemandInbox(SETTINGS, self.clock, partitions=1)
        self.cluster = ClusterThatFailsAtFirst(failures)
        self.snapshot = Snapshot()
        self.records: list[bytes] = []
        self._recorded = asyncio.Event()
        policy = SETTINGS.policy()
        self.gatherer = Gatherer(
            cluster=self.cluster, history=self.inbox.history, policy=policy,
            model=CurrentModel(refit_s=3600, wait=True), owns=self.inbox.owns,
        )  # fmt: skip
        self.service = Service(
            cluster=self.cluster, gatherer=self.gatherer, policy=policy, mode="active",
            record=self._record,
        )  # fmt: skip
        self.recovered = True
        self.ready_file = ready_file
        self.loop = self.new_loop()
        self.at_s = START_S

    def new_loop(self) -> TickLoop:
        return TickLoop(
            SETTINGS, service=self.service, gatherer=self.gatherer, inbox=self.inbox,
            clock=self.clock, snapshot=self.snapshot, may_decide=lambda: self.recovered,
            ready_file=self.ready_file,
        )  # fmt: skip

    def _record(self, record: bytes) -> None:
        self.records.append(record)
        self._recorded.set()

    def demand(self, seconds: int, per_s: float) -> None:
        for _ in range(seconds // 10):
            cells = (DemandCell("here", False, per_s * 10, 1),)
            self.inbox.on_part(DemandPart("core", self.at_s, 10, 0, cells), 0)
            self.at_s += 10
        self.inbox.on_progress(Progress(0, self.at_s, False, 1), 0)

    async def decided(self, count: int) -> None:
        """So many decisions were made; on a busy machine that takes longer."""
        async with asyncio.timeout(60):
            while len(self.records) < count:
                self._recorded.clear()
                await self._recorded.wait()

    def shown(self) -> set[str]:
        """The series that a scrape has values of."""
        found = PredictorCollector(lambda: self.snapshot).collect()
        return {one.name.removeprefix("mplp_predictor_") for one in found if one.samples}

    async def turn(self, seconds: float = 0.3) -> None:
        task = asyncio.create_task(self.loop.run())
        await asyncio.sleep(seconds)
        self.loop.stop()
        await task


async def test_nothing_is_decided_before_partitions_are_owned_and_recovered() -> None:
    world = World()
    world.recovered = False
    world.inbox.on_assigned({0})
    world.demand(600, per_s=900)

    await world.turn()

    assert world.records == []
    assert world.loop.ready()["partitions"] is not None
    assert world.loop.live() == {"tick": None}


async def test_an_unreachable_cluster_is_said_and_the_next_tick_tries_again(tmp_path: Path) -> None:
    world = World(failures=1, ready_file=tmp_path / "ready")
    world.inbox.on_assigned({0})
    world.demand(600, per_s=900)
    await world.turn(0.15)
    away = world.loop.ready()

    again = World(failures=0, ready_file=tmp_path / "ready")
    again.inbox.on_assigned({0})
    again.demand(600, per_s=900)
    await again.turn()

    assert away == {"partitions": None, "cluster": "no answer in 5 s"}
    assert world.snapshot.tick_failures == 1
    assert again.loop.ready() == {"partitions": None, "cluster": None}
    assert (tmp_path / "ready").exists()


async def test_a_disk_that_takes_no_file_costs_no_decision(tmp_path: Path) -> None:
    world = World(ready_file=tmp_path / "absent" / "ready")
    world.inbox.on_assigned({0})
    world.demand(600, per_s=250)
    task = asyncio.create_task(world.loop.run())
    await world.decided(1)
    world.demand(30, per_s=900)
    await world.decided(2)
    world.loop.stop()
    await task

    assert world.snapshot.ticks >= 2


async def test_event_time_drives_the_ticks_and_raises_the_floor() -> None:
    world = World()
    world.inbox.on_assigned({0})
    world.demand(600, per_s=250)
    task = asyncio.create_task(world.loop.run())
    for tick in range(6):
        world.demand(30, per_s=900)
        await world.decided(tick + 1)
    world.loop.stop()
    await task

    assert world.snapshot.ticks >= 4
    # 900/s at 120/s each: the 100/s of the HPA times the default pod_load_ratio
    assert world.cluster.workload(KEY).floor >= 8
    assert world.snapshot.decisions["Applied", "applied"] >= 1
    assert world.snapshot.watermark_s == world.at_s


async def test_a_worker_that_lost_its_partitions_tells_nothing_of_their_targets() -> None:
    world = World()
    world.inbox.on_assigned({0})
    world.demand(600, per_s=900)
    task = asyncio.create_task(world.loop.run())
    await world.decided(1)
    told = world.shown()
    world.loop.stop()
    await task

    world.inbox.on_revoked({0})
    world.loop = world.new_loop()
    await world.turn()

    of_targets = {"floor_replicas", "lead_time_seconds", "lag_seconds"}
    assert (of_targets & told, of_targets & world.shown()) == (of_targets, set())
    assert world.snapshot.owned_modules == 0


async def test_the_record_says_which_owner_wrote_and_replays_to_the_byte(tmp_path: Path) -> None:
    world = World()
    world.service._gate = SeventhOwner()
    world.inbox.on_assigned({0})
    world.demand(600, per_s=250)
    task = asyncio.create_task(world.loop.run())
    await world.decided(1)
    world.demand(30, per_s=900)
    await world.decided(2)
    world.loop.stop()
    await task
    path = written(world.records[:2], tmp_path / "audit.jsonl")

    told = await asyncio.to_thread(called, "explain", "core", "--file", path)
    replayed = await asyncio.to_thread(called, "replay", "--file", path)

    assert "was patched, by the owner of epoch 7." in re.sub(r"\s+", " ", told.stdout)
    assert replayed.exit_code == 0, replayed.output


async def test_demand_of_partitions_that_are_not_ours_is_not_taken() -> None:
    world = World()
    world.inbox.on_assigned(set())
    world.demand(600, per_s=900)

    await world.turn()

    assert world.records == []
    assert world.inbox.owned_modules == 0
    assert world.clock.now_s() == 0


async def test_the_first_decision_after_a_change_of_ownership_changes_nothing() -> None:
    world = World()
    world.inbox.on_assigned({0})
    task = asyncio.create_task(world.loop.run())
    steps = [(250, False), (900, False), (1500, True), (1500, False)]
    for tick, (per_s, newly_owned) in enumerate(steps):
        if newly_owned:
            world.inbox.on_assigned({0})
        world.demand(600, per_s)
        await world.decided(tick + 1)
    world.loop.stop()
    await task

    decisions = [decode_record(record).decision for record in world.records]
    assert [len(decision.floor_intents) for decision in decisions] == [0, 1, 0, 1]
    assert Code.WARMING_UP in {reason.code for reason in decisions[2].floors[0].reasons}


async def test_a_new_assignment_begins_a_new_history() -> None:
    world = World()
    world.inbox.on_assigned({0})
    world.demand(600, per_s=900)
    before = world.inbox.history

    world.inbox.on_revoked({0})
    assert world.inbox.owned_modules == 0
    world.inbox.on_assigned({0})

    assert world.inbox.history is not before
    assert world.inbox.history.series(world.at_s).values.size == 0
