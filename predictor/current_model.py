"""The forecaster in use: fitted again as history grows, beginning from a trained model, if any.

`predictor/gather.py` asks it once per tick. A fit runs beside the event loop, and the former model
answers until the new one is there; a fit that fails leaves it in place, and where a forecast fails
the untrained method answers. It must never fit inside a forecast.
"""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from models.announced_floor import with_announced
from models.ensemble import Ensemble
from models.ensemble_fit import TREES_AGE_S, fit_ensemble
from models.forecast import ForecastBatch, Forecaster, Horizon
from models.series import SeriesBatch
from models.step_windows import step_windows
from models.upstream_pairs import NO_CALLERS, Callers
from predictor.core.announced import AnnouncedWorkflows
from predictor.current_events import CurrentEvents

YOUNG_HISTORY_SHARE = 0.25
"""A young history is fitted again when it has grown by this share: what is usual still changes."""
STEPS_BETWEEN_FITS_MIN = 10
ROWS_IN_LOOP_MAX = 200
"""More rows take long enough to make heartbeats to the broker late: they are forecast in a thread,
as all learning is. For few the way there costs more than they do."""

_log = structlog.get_logger(__name__)


class CurrentModel:
    """Holds the newest fit. `prior` is a trained model; `digest` names it in audit records.

    With `events` everything is fitted to, and forecast from, demand without what was planned.
    """

    def __init__(
        self,
        *,
        refit_s: float,
        trees_age_s: float = TREES_AGE_S,
        prior: Ensemble | None = None,
        digest: str = "",
        events: CurrentEvents | None = None,
        callers: Callers = NO_CALLERS,
        wait: bool = False,
    ) -> None:
        self.digest = digest
        self._prior_digest = digest
        self._has_fitted = False
        self._fitted_from: Ensemble | None = None
        self._refit_s = refit_s
        self._trees_age_s = trees_age_s
        self._prior = prior
        self._events = events
        self._callers = callers
        self._current = prior or Ensemble()
        self._fitted_at_s: float | None = None
        self._span_s = 0.0
        self._wait = wait
        self._fitting: asyncio.Task[None] | None = None

    def replace_prior(self, prior: Ensemble, digest: str) -> None:
        """Fit from another trained model at the next tick; what was fitted answers until then.

        Without a fit of this service's own the new model itself answers at once.
        """
        self._prior = prior
        self._prior_digest = digest
        self._fitted_at_s = None
        if not self._has_fitted:
            self._current, self.digest = prior, digest

    @property
    def name(self) -> str:
        """The method's name, for audit records."""
        return self._current.name

    async def forecast(
        self, batch: SeriesBatch, horizon: Horizon, announced: AnnouncedWorkflows | None = None
    ) -> ForecastBatch:
        """This tick's forecast, with planned events in it and announced workflows under it."""
        found = await self.forecaster(batch, horizon)
        method = found if self._events is None else self._events.around(found)
        try:
            made = await _made(method, batch, horizon)
        except Exception:  # noqa: BLE001 - a forecaster's fault must not end the service
            _log.exception("forecast_failed", series=len(batch.keys), method=method.name)
            made = await _made(Ensemble(), batch, horizon)
        if announced is None or announced.is_empty:
            return made
        return _above_announced(made, batch, horizon, announced)

    async def forecaster(self, batch: SeriesBatch, horizon: Horizon) -> Ensemble:
        """The forecaster for this tick; starts a fit when one is due.

        With `wait` (demos, replays) the fit is finished first, so that a run repeats itself.
        """
        if self._is_due(batch) and (self._fitting is None or self._fitting.done()):
            self._fitted_at_s = batch.end_s
            self._span_s = batch.values.shape[1] * batch.step_s
            self._fitting = asyncio.create_task(self._fit(batch, horizon))
        if self._wait and self._fitting is not None:
            await self._fitting
        await self._learn(await self._without_events(batch), horizon)
        return self._current

    async def _without_events(self, batch: SeriesBatch) -> SeriesBatch:
        if self._events is None:
            return batch
        self._events.refresh(batch)
        if self._wait:
            await self._events.settled()
        return await self._events.without(batch)

    async def _learn(self, batch: SeriesBatch, horizon: Horizon) -> None:
        """Take in the outcomes of the newest steps; a fit that ended meanwhile is not undone."""
        current = self._current
        try:
            learnt = await asyncio.to_thread(current.learn, batch, horizon)
        except Exception:  # noqa: BLE001 - a forecaster's fault must not end the service
            _log.exception("learning_failed", series=len(batch.keys), steps=batch.values.shape[1])
            return
        if self._current is current:
            self._current = learnt

    def _is_due(self, batch: SeriesBatch) -> bool:
        if batch.values.shape[1] < STEPS_BETWEEN_FITS_MIN:
            return False
        if self._fitted_at_s is None:
            return True
        young_s = max(self._span_s * YOUNG_HISTORY_SHARE, STEPS_BETWEEN_FITS_MIN * batch.step_s)
        return batch.end_s - self._fitted_at_s >= min(self._refit_s, young_s)

    async def _fit(self, batch: SeriesBatch, horizon: Horizon) -> None:
        prior, digest = self._prior, self._prior_digest
        try:
            if self._events is not None:
                batch = await self._events.learnt_from(batch)
            # What was learnt from another trained model is begun anew.
            former = self._current if self._fitted_from is prior and self._has_fitted else None
            fit = partial(fit_ensemble, callers=self._callers, trees_age_s=self._trees_age_s)
            self._current = await asyncio.to_thread(fit, batch, horizon, prior, former)
            self.digest, self._has_fitted, self._fitted_from = digest, True, prior
        except Exception:  # noqa: BLE001 - a forecaster's fault must not end the service
            _log.exception("fit_failed", series=len(batch.keys), steps=batch.values.shape[1])


async def _made(method: Forecaster, batch: SeriesBatch, horizon: Horizon) -> ForecastBatch:
    if len(batch.keys) > ROWS_IN_LOOP_MAX:
        return await asyncio.to_thread(method.forecast, batch, horizon)
    return method.forecast(batch, horizon)


def _above_announced(
    made: ForecastBatch, batch: SeriesBatch, horizon: Horizon, announced: AnnouncedWorkflows
) -> ForecastBatch:
    try:
        announced.learn(batch)
        expected = announced.expected(made.made_at_s, made.steps.shape[2])
        if expected is None:
            return made
        windows = step_windows(horizon, len(batch.keys), batch.step_s)
        return with_announced(made, *expected, windows)
    except Exception:  # noqa: BLE001 - an announcement's fault must not end the service
        _log.exception("announced_workflows_failed", series=len(batch.keys))
        return made
