"""The ways of scaling that are played side by side: HPA alone, a peer's floor, our own.

`play.py` asks each lane at its moments. Every lane has a cluster of its own under the same load,
with the same HPAs underneath. A lane must never see demand before its time; the perfect-foresight
bound alone may.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import numpy as np

from models.forecast import ForecastBatch, Horizon
from models.series import SeriesBatch
from models.step_windows import step_windows
from predictor.actuators.simulated import SimulatedCluster
from predictor.arms.arm import Arm, ArmFamily, Learnt, Scene, Sizing
from predictor.core.announced import AnnouncedWorkflows
from predictor.core.cluster import TargetKey
from predictor.core.policy import Policy
from predictor.current_model import CurrentModel
from predictor.gather import Gatherer
from predictor.service import Service, Tick
from predictor.simulation.load import Load
from predictor.simulation.load_history import LATENESS_S, LoadHistory

ALONE, OURS = "hpa", "ours"
Record = Callable[[bytes], None]


class LaneName(NamedTuple):
    """What a lane is called in figures; see `ArmFigures`."""

    arm: str
    setting: str
    is_usual: bool


class Lane(Protocol):
    """One way of scaling at work on its own cluster."""

    name: LaneName
    cluster: SimulatedCluster

    async def act(self, now_s: int) -> None:
        """Look at what is known at `now_s` and set floors and weights, if it is time to."""
        ...


class AloneLane:
    """The owner's HPA as if nobody were there."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.name = LaneName(ALONE, "", is_usual=True)
        self.cluster = cluster

    async def act(self, now_s: int) -> None:
        """Nothing."""


class PeerLane:
    """A peer's floor, held between the owner's bounds."""

    def __init__(
        self,
        family: ArmFamily,
        point: float,
        load: Load,
        cluster: SimulatedCluster,
        sizings: Mapping[TargetKey, Sizing],
    ) -> None:
        self.name = LaneName(family.name, setting_of(family, point), point == family.points[0])
        self.cluster = cluster
        self._load = load
        batch = load.batch
        learnt = load.known_steps(load.play_from_s)
        learnt_to_s = batch.start_s + learnt * batch.step_s
        self._demand = {key: load.demand_of(key) for key in load.targets}
        self._arms = {
            key: family.make(
                point,
                sizings[key],
                Learnt(demand[:learnt], learnt_to_s, batch.step_s, demand[learnt:]),
            )
            for key, demand in self._demand.items()
        }
        self._bounds = {key: (one.replicas_min, one.replicas_max) for key, one in sizings.items()}

    async def act(self, now_s: int) -> None:
        """Ask the arms whose time it is."""
        steps = self._load.known_steps(now_s)
        end_s = self._load.batch.start_s + steps * self._load.batch.step_s
        for key, arm in self._arms.items():
            if (now_s - self._load.play_from_s) % arm.every_s == 0:
                self._ask(key, arm, now_s, steps, end_s)

    def _ask(self, key: TargetKey, arm: Arm, now_s: int, steps: int, end_s: int) -> None:
        workload = self.cluster.workload(key)
        recommended = workload.recommended
        scene = Scene(
            float(now_s),
            self._demand[key][:steps],
            end_s,
            self._load.batch.step_s,
            workload.replicas if recommended is None else recommended,
            workload.replicas,
            workload.ready,
        )
        lowest, highest = self._bounds[key]
        floor = max(lowest, min(highest, int(arm.floor(scene))))
        if floor != workload.floor:
            # An edit of the spec is reconciled at once (Kubernetes 1.37).
            workload.floor = floor
            workload.sync(float(now_s))


def setting_of(family: ArmFamily, point: float) -> str:
    """A family's point in words."""
    if len(family.points) == 1:
        return ""
    # A factor below one has one of at least one beside it, a quantile never has.
    return f"quantile {point:g}" if max(family.points) < 1 else f"factor {point:g}"


class StepForecasts:
    """Forecasts of one model for lanes that differ in policy only: each is made once.

    A lane whose window touches other steps gets a forecast of its own by the same model.
    """

    def __init__(self, model: CurrentModel) -> None:
        self._model = model
        self._end_s = -1
        self._made: dict[bytes, ForecastBatch] = {}

    @property
    def name(self) -> str:
        """See `CurrentModel`."""
        return self._model.name

    @property
    def digest(self) -> str:
        """See `CurrentModel`."""
        return self._model.digest

    async def forecast(
        self, batch: SeriesBatch, horizon: Horizon, announced: AnnouncedWorkflows | None = None
    ) -> ForecastBatch:
        """See `CurrentModel`."""
        if batch.end_s != self._end_s:
            self._end_s, self._made = batch.end_s, {}
        windows = step_windows(horizon, len(batch.keys), batch.step_s)
        window = np.stack(windows).tobytes()
        if window not in self._made:
            self._made[window] = await self._model.forecast(batch, horizon, announced)
        return self._made[window]


class OurLane:
    """The service's own tick, every `tick_s`, on a simulated cluster."""

    def __init__(
        self,
        name: LaneName,
        load: Load,
        cluster: SimulatedCluster,
        *,
        forecasts: StepForecasts,
        policy: Policy,
        record: Record = lambda record: None,
    ) -> None:
        self.name = name
        self.cluster = cluster
        self.tick: Tick | None = None
        self._from_s = load.play_from_s
        self._tick_s = int(policy.tick_s)
        gatherer = Gatherer(
            cluster=cluster, history=LoadHistory(load), model=forecasts, policy=policy
        )
        self._service = Service(
            cluster=cluster, gatherer=gatherer, policy=policy, mode="active", record=record
        )

    async def act(self, now_s: int) -> None:
        """Tick, a moment after a whole step became known."""
        if (now_s - self._from_s - LATENESS_S) % self._tick_s == 0:
            self.tick = await self._service.tick(now_s)
