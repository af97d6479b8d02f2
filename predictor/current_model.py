"""The forecaster in use: fitted again as history grows, beginning from a trained model, if any.

`predictor/gather.py` asks it once per tick. A fit runs beside the event loop, and the former model
answers until the new one is there; a fit that fails leaves it in place. It must never fit inside a
forecast.
"""

from __future__ import annotations

import asyncio

import structlog

from models.cascade import Cascade, fit_cascade
from models.forecast import Horizon
from models.series import SeriesBatch

YOUNG_HISTORY_SHARE = 0.25
"""A young history is fitted again when it has grown by this share: what is usual still changes."""
STEPS_BETWEEN_FITS_MIN = 10

_log = structlog.get_logger(__name__)


class CurrentModel:
    """Holds the newest fit. `prior` is a trained model; `digest` names it in audit records."""

    def __init__(
        self, *, refit_s: float, prior: Cascade | None = None, digest: str = "", wait: bool = False
    ) -> None:
        self.digest = digest
        self._refit_s = refit_s
        self._prior = prior
        self._current = prior or Cascade()
        self._fitted_at_s: float | None = None
        self._span_s = 0.0
        self._wait = wait
        self._fitting: asyncio.Task[None] | None = None

    async def forecaster(self, batch: SeriesBatch, horizon: Horizon) -> Cascade:
        """The forecaster for this tick; starts a fit when one is due.

        With `wait` (demos, replays) the fit is finished first, so that a run repeats itself.
        """
        if self._is_due(batch) and (self._fitting is None or self._fitting.done()):
            self._fitted_at_s = batch.end_s
            self._span_s = batch.values.shape[1] * batch.step_s
            self._fitting = asyncio.create_task(self._fit(batch, horizon))
        if self._wait and self._fitting is not None:
            await self._fitting
        return self._current

    def _is_due(self, batch: SeriesBatch) -> bool:
        if batch.values.shape[1] < STEPS_BETWEEN_FITS_MIN:
            return False
        if self._fitted_at_s is None:
            return True
        young_s = max(self._span_s * YOUNG_HISTORY_SHARE, STEPS_BETWEEN_FITS_MIN * batch.step_s)
        return batch.end_s - self._fitted_at_s >= min(self._refit_s, young_s)

    async def _fit(self, batch: SeriesBatch, horizon: Horizon) -> None:
        try:
            self._current = await asyncio.to_thread(fit_cascade, batch, horizon, self._prior)
        except Exception:  # noqa: BLE001 - a forecaster's fault must not end the service
            _log.exception("fit_failed", series=len(batch.keys), steps=batch.values.shape[1])
