"""What the service would know of a load at each moment: the `History` of a simulation.

`learnt_floor.py` hands it to the gatherer in place of the history that Kafka fills. Whole steps are
known `LATENESS_S` after they end, newer buckets as soon as they are over. It must never give
anything that was not over by then.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.series import ALL_REGIONS, FloatArray, SeriesBatch
from predictor.core.announced import AnnouncedWorkflows
from predictor.core.observed import Observed
from predictor.core.usual_peak import UsualPeaks
from predictor.simulation.load import Load

LATENESS_S = 30
"""`windows.lateness_s`, its default: how long a whole step is waited for."""
BUCKET_S = 10
_PROVISIONAL_S = 120
_PROVISIONAL_BUCKETS = 3


class LoadHistory:
    """One load, seen as the service would see it. See `History` of the core."""

    announced: AnnouncedWorkflows | None = None

    def __init__(self, load: Load) -> None:
        self._load = load
        self._batch: SeriesBatch | None = None
        self._usual_peaks = UsualPeaks()
        # Running sums, so that a mean over any stretch is one difference.
        values = np.nan_to_num(load.batch.values.astype(np.float64), nan=0.0)
        self._work = np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0))) * load.batch.step_s

    def series(self, now_s: float) -> SeriesBatch:
        """All whole steps known at `now_s`; the same object while nothing changed."""
        whole = self._load.batch
        steps = self._load.known_steps(now_s - LATENESS_S)
        if self._batch is None or self._batch.values.shape[1] != steps:
            self._batch = replace(whole, values=whole.values[:, :steps])
        return self._batch

    def series_digest(self) -> str:
        """Where the newest batch ends; a load is known by its file."""
        return "" if self._batch is None else f"to {self._batch.end_s}"

    def observed(self, now_s: float) -> Observed:
        """What is asked for at `now_s`, as far as that is known."""
        batch = self.series(now_s)
        keys = batch.keys
        newest: FloatArray = (
            batch.values[:, -1] if batch.values.shape[1] else np.full(len(keys), np.nan)
        )
        routed = sum(key.region == ALL_REGIONS for key in keys)
        return Observed(
            keys=keys,
            complete_per_s=newest,
            provisional_per_s=self._provisional(now_s, newest),
            telemetry_age_s=float(BUCKET_S),
            incomplete="",
            served_per_s=np.zeros((routed, 0)),
            lag_s=float(LATENESS_S + BUCKET_S),
            slowest="",
            usual_peak_per_s=self._usual_peaks.at(batch, now_s),
        )

    def _provisional(self, now_s: float, newest: FloatArray) -> FloatArray:
        """The highest mean rate over three buckets in the last two minutes."""
        batch = self._load.batch
        end_s = int(now_s) // BUCKET_S * BUCKET_S
        span_s = _PROVISIONAL_BUCKETS * BUCKET_S
        ends_s = np.arange(end_s - _PROVISIONAL_S + span_s, end_s + 1.0, BUCKET_S)
        low, high = self._work_at(ends_s - span_s), self._work_at(ends_s)
        rates = (high - low).max(axis=1) / span_s
        step = min(max(int(end_s - 1 - batch.start_s) // batch.step_s, 0), len(batch.values[0]) - 1)
        known = np.isfinite(batch.values[:, step]) | np.isfinite(newest)
        return np.where(known, rates, np.nan)

    def _work_at(self, at_s: FloatArray) -> FloatArray:
        batch = self._load.batch
        place = np.clip((at_s - batch.start_s) / batch.step_s, 0, batch.values.shape[1] - 1e-9)
        step = place.astype(np.intp)
        before = self._work[:, step]
        return np.asarray(before + (self._work[:, step + 1] - before) * (place - step))
