"""The forecaster in use: fitted again as history grows, beginning from a trained model, if any.

`predictor/gather.py` asks it once per tick. A fit runs beside the event loop, and the former model
answers until the new one is there; a fit that fails leaves it in place. It must never fit inside a
forecast.
"""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from models.ensemble import Ensemble
from models.ensemble_fit import TREES_AGE_S, fit_ensemble
from models.forecast import Horizon
from models.series import SeriesBatch

YOUNG_HISTORY_SHARE = 0.25
"""A young history is fitted again when it has grown by this share: what is usual still changes."""
STEPS_BETWEEN_FITS_MIN = 10

_log = structlog.get_logger(__name__)


class CurrentModel:
    """Holds the newest fit. `prior` is a trained model; `digest` names it in audit records."""

    def __init__(
        self,
        *,
        refit_s: float,
        trees_age_s: float = TREES_AGE_S,
        prior: Ensemble | None = None,
        digest: str = "",
        wait: bool = False,
    ) -> None:
        self.digest = digest
        self._prior_digest = digest
        self._has_fitted = False
        self._fitted_from: Ensemble | None = None
        self._refit_s = refit_s
        self._trees_age_s = trees_age_s
        self._prior = prior
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
        await self._learn(batch, horizon)
        return self._current

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
            # What was learnt from another trained model is begun anew.
            former = self._current if self._fitted_from is prior and self._has_fitted else None
            fit = partial(fit_ensemble, trees_age_s=self._trees_age_s)
            self._current = await asyncio.to_thread(fit, batch, horizon, prior, former)
            self.digest, self._has_fitted, self._fitted_from = digest, True, prior
        except Exception:  # noqa: BLE001 - a forecaster's fault must not end the service
            _log.exception("fit_failed", series=len(batch.keys), steps=batch.values.shape[1])
