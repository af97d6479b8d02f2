"""Collects everything one decision reads: the cluster, the demand, and the forecast made from it.

`predictor/service.py` calls it at the start of each tick; it is the only reader. A forecast starts
where complete telemetry ends, which is a little before now, so the window is moved by that age. It
must never write to anything, and never hide that the cluster did not answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from models.forecast import ForecastBatch, Horizon
from models.series import SeriesBatch
from predictor.actuators.port import Cluster
from predictor.core.announced import AnnouncedWorkflows
from predictor.core.cluster import ClusterView
from predictor.core.inputs import Inputs, make_inputs
from predictor.core.lead_time import horizon
from predictor.core.observed import Observed
from predictor.core.policy import Policy
from predictor.core.state import State


class Demand(Protocol):
    """What is known of demand; `History` live, a load that is played in a simulation."""

    @property
    def announced(self) -> AnnouncedWorkflows | None:
        """What workflows have announced, if anything may."""
        ...

    def series(self, now_s: float) -> SeriesBatch:
        """All whole steps known at `now_s`."""
        ...

    def series_digest(self) -> str:
        """The name of the newest batch by its content."""
        ...

    def observed(self, now_s: float) -> Observed:
        """What is asked for right now."""
        ...


class Forecasts(Protocol):
    """Who is asked for a forecast; `CurrentModel` live."""

    @property
    def name(self) -> str:
        """The method's name."""
        ...

    @property
    def digest(self) -> str:
        """The trained model beneath, if any."""
        ...

    async def forecast(
        self, batch: SeriesBatch, horizon: Horizon, announced: AnnouncedWorkflows | None = None
    ) -> ForecastBatch:
        """This tick's forecast."""
        ...


class Gatherer:
    """Reads one cluster and one history. `history` may be exchanged between two ticks."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        history: Demand,
        model: Forecasts,
        policy: Policy,
        owns: Callable[[str], bool] = lambda module: True,
    ) -> None:
        self.history: Demand = history
        self.forecast: ForecastBatch | None = None
        self._cluster = cluster
        self._model = model
        self._policy = policy
        self._owns = owns

    async def gather(self, state: State, now_s: float) -> Inputs:
        """Everything known at `now_s`; raises `ClusterUnreachable`."""
        view = _owned(await self._cluster.observe(), self._owns)
        batch = self.history.series(now_s)
        window = horizon(batch.keys, self._policy, state, now_s - batch.end_s, view.hpas)
        self.forecast = await self._model.forecast(batch, window, self.history.announced)
        return make_inputs(
            view,
            self.forecast,
            self.history.observed(now_s),
            series_digest=self.history.series_digest(),
            model_name=self._model.name,
            model_digest=self._model.digest,
        )


def _owned(view: ClusterView, owns: Callable[[str], bool]) -> ClusterView:
    """Only the targets and routes of modules that this worker decides for."""
    return msgspec.structs.replace(
        view,
        hpas=tuple(hpa for hpa in view.hpas if owns(hpa.key.module)),
        routes=tuple(route for route in view.routes if owns(route.module)),
        problems=tuple(problem for problem in view.problems if owns(problem[0].module)),
    )
