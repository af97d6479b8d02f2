"""Seasonal naive: as yesterday at this time, with the spread of its own past errors.

`models/scoring.py` measures every other method against it; the service never sizes by it. It must
never look less than a day back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.calibration import conformal_quantiles
from models.forecast import (
    QUANTILE_LEVELS,
    ForecastBatch,
    ForecastCode,
    ForecastReason,
    Horizon,
)
from models.missing_history import is_fresh, missing_reason
from models.past_errors import ORIGINS_SPAN_S
from models.profile import DAY_S
from models.series import FloatArray, SeriesBatch
from models.step_windows import IntArray, step_windows, window_peaks


@dataclass(frozen=True, slots=True)
class SeasonalNaive:
    """Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., section 5.2.

    Wrong whenever today is unlike yesterday. Errors are differences, not shares.
    """

    @property
    def name(self) -> str:
        """See `Forecaster`."""
        return "seasonal-naive"

    def forecast(self, batch: SeriesBatch, horizon: Horizon) -> ForecastBatch:
        """See `Forecaster`."""
        windows = step_windows(horizon, len(batch.keys), batch.step_s)
        ahead = int(windows.stop.max(initial=1))
        peak = np.full((len(batch.keys), len(QUANTILE_LEVELS)), np.nan)
        for hold in np.unique(windows.hold):
            same = np.flatnonzero(windows.hold == hold)
            peaks = window_peaks(batch.values[same], int(hold))
            peak[same] = _day_later(peaks, windows.first[same][:, None], batch.step_s)[:, :, 0]
        every = np.broadcast_to(np.arange(ahead), (len(batch.keys), ahead))
        steps = _day_later(batch.values, every, batch.step_s)
        whole = is_fresh(batch.values, batch.step_s)
        whole &= np.isfinite(peak).all(axis=1) & np.isfinite(steps).all(axis=(1, 2))
        peak[~whole], steps[~whole] = np.nan, np.nan
        reasons = tuple(_reason(batch, row, bool(has)) for row, has in enumerate(whole))
        return ForecastBatch(
            batch.keys, batch.end_s, batch.step_s, QUANTILE_LEVELS, peak, steps, reasons
        )

    def describe(self) -> str:
        """See `Forecaster`."""
        return "Demand as yesterday at this time; wrong whenever today is unlike yesterday."


def _day_later(values: FloatArray, ahead: IntArray, step_s: int) -> FloatArray:
    """What stood a day before each step ahead (n, k), with its error quantiles: (n, levels, k)."""
    steps = values.shape[1]
    day = max(round(DAY_S / step_s), 1)
    place = steps + ahead - day
    inside = (place >= 0) & (place < steps)
    found = (
        np.take_along_axis(values, np.clip(place, 0, max(steps - 1, 0)), axis=1) if steps else 0.0
    )
    yesterday = np.where(inside, found, np.nan)
    span = min(ORIGINS_SPAN_S // step_s, max(steps - day, 0))
    errors = values[:, steps - span :] - values[:, steps - span - day : steps - day]
    count = np.isfinite(errors).sum(axis=1).astype(np.float64)
    spread = conformal_quantiles(errors, QUANTILE_LEVELS, count)
    return np.maximum(yesterday[:, None, :] + spread[:, :, None], 0.0)


def _reason(batch: SeriesBatch, row: int, has: bool) -> ForecastReason:
    """Which day is repeated, or why none is."""
    if has:
        return ForecastReason(
            ForecastCode.SEASONAL_NAIVE, "as 24 hours before, plus past differences"
        )
    reason = missing_reason(batch.values[row], batch.step_s)
    if reason.code is ForecastCode.STALE_HISTORY:
        return reason
    days = np.isfinite(batch.values[row]).sum() * batch.step_s / DAY_S
    return ForecastReason(
        ForecastCode.SHORT_HISTORY, f"{days:.1f} days measured, a day and a window are needed"
    )
