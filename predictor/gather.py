"""Collects everything one decision reads: the cluster, the demand, and the forecast made from it.

`predictor/service.py` calls it at the start of each tick; it is the only reader. A forecast starts
where complete telemetry ends, which is a little before now, so the window is moved by that age. It
must never write to anything, and never hide that the cluster did not answer.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from models.forecast import ForecastBatch
from predictor.actuators.port import Cluster
from predictor.core.cluster import ClusterView
from predictor.core.history import History
from predictor.core.inputs import Inputs, make_inputs
from predictor.core.lead_time import horizon
from predictor.core.policy import Policy
from predictor.core.state import State
from predictor.current_model import CurrentModel


class Gatherer:
    """Reads one cluster and one history. `history` may be exchanged between two ticks."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        history: History,
        model: CurrentModel,
        policy: Policy,
        owns: Callable[[str], bool] = lambda module: True,
    ) -> None:
        self.history = history
        self.forecast: ForecastBatch | None = None
        self._cluster = cluster
        self._model = model
        self._policy = policy
        self._owns = owns

    async def gather(self, state: State, now_s: float) -> Inputs:
        """Everything known at `now_s`; raises `ClusterUnreachable`."""
        view = _owned(await self._cluster.observe(), self._owns)
        batch = self.history.series(now_s)
        window = horizon(batch.keys, self._policy, state, age_s=now_s - batch.end_s)
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
