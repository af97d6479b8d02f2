"""Seasonal naive: as yesterday or a week ago at this time, with the spread of its own past errors.

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
from models.profile import DAY_S, WEEKDAYS
from models.series import FloatArray, SeriesBatch
from models.step_windows import IntArray, step_windows, window_peaks


@dataclass(frozen=True, slots=True)
class SeasonalNaive:
    """Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., section 5.2.

    The season of a row is the day, or the week where it erred less in the last days. Wrong whenever
    today is unlike the day that is repeated. Errors are differences, not shares.
    """

    @property
    def name(self) -> str:
        """See `Forecaster`."""
        return "seasonal-naive"

    def forecast(self, batch: SeriesBatch, horizon: Horizon) -> ForecastBatch:
        """See `Forecaster`."""
        windows = step_windows(horizon, len(batch.keys), batch.step_s)
        ahead = int(windows.stop.max(initial=1))
        season = _season_days(batch)
        peak = np.full((len(batch.keys), len(QUANTILE_LEVELS)), np.nan)
        steps = np.full((*peak.shape, ahead), np.nan)
        for days in np.unique(season):
            own = np.flatnonzero(season == days)
            every = np.broadcast_to(np.arange(ahead), (len(own), ahead))
            steps[own] = _days_later(batch.values[own], every, int(days), batch.step_s)
            for hold in np.unique(windows.hold[own]):
                same = own[windows.hold[own] == hold]
                peaks, first = window_peaks(batch.values[same], int(hold)), windows.first[same]
                peak[same] = _days_later(peaks, first[:, None], int(days), batch.step_s)[:, :, 0]
        whole = is_fresh(batch.values, batch.step_s)
        whole &= np.isfinite(peak).all(axis=1) & np.isfinite(steps).all(axis=(1, 2))
        peak[~whole], steps[~whole] = np.nan, np.nan
        reasons = tuple(
            _reason(batch, row, int(season[row]), bool(has)) for row, has in enumerate(whole)
        )
        return ForecastBatch(
            batch.keys, batch.end_s, batch.step_s, QUANTILE_LEVELS, peak, steps, reasons
        )

    def describe(self) -> str:
        """See `Forecaster`."""
        return "Demand as yesterday or a week ago at this time; wrong whenever today is unlike it."


def _season_days(batch: SeriesBatch) -> IntArray:
    """1 or 7 for each row: which of the two repeated the last days better, the day where the week
    cannot be told yet."""
    day = _day_steps(batch.step_s)
    span = min(ORIGINS_SPAN_S // batch.step_s, batch.values.shape[1] - WEEKDAYS * day)
    if span < day:
        return np.ones(len(batch.keys), np.int64)
    seasons = [_errors(batch.values, days * day, span) for days in (1, WEEKDAYS)]
    errors = np.abs(np.stack(seasons))
    both = np.isfinite(errors).all(axis=0)
    lost = np.where(both, errors, 0.0).sum(axis=2)
    told = both.sum(axis=1) >= day // 2
    return np.where(told & (lost[1] < lost[0]), WEEKDAYS, 1)


def _day_steps(step_s: int) -> int:
    return max(round(DAY_S / step_s), 1)


def _errors(values: FloatArray, season: int, span: int) -> FloatArray:
    """By how much the newest `span` steps differ from those `season` steps before, (n, span)."""
    stop = values.shape[1]
    return values[:, stop - span :] - values[:, stop - span - season : stop - season]


def _days_later(values: FloatArray, ahead: IntArray, days: int, step_s: int) -> FloatArray:
    """What stood so many days before each step ahead (n, k), with its error quantiles:
    (n, levels, k)."""
    steps = values.shape[1]
    season = days * _day_steps(step_s)
    place = steps + ahead - season
    inside = (place >= 0) & (place < steps)
    found = (
        np.take_along_axis(values, np.clip(place, 0, max(steps - 1, 0)), axis=1) if steps else 0.0
    )
    before = np.where(inside, found, np.nan)
    span = min(ORIGINS_SPAN_S // step_s, max(steps - season, 0))
    errors = _errors(values, season, span)
    count = np.isfinite(errors).sum(axis=1).astype(np.float64)
    spread = conformal_quantiles(errors, QUANTILE_LEVELS, count)
    return np.maximum(before[:, None, :] + spread[:, :, None], 0.0)


def _reason(batch: SeriesBatch, row: int, season_days: int, has: bool) -> ForecastReason:
    """Which day is repeated, or why none is."""
    if has:
        before = "24 hours" if season_days == 1 else "a week"
        return ForecastReason(
            ForecastCode.SEASONAL_NAIVE, f"as {before} before, plus past differences"
        )
    reason = missing_reason(batch.values[row], batch.step_s)
    if reason.code is ForecastCode.STALE_HISTORY:
        return reason
    days = np.isfinite(batch.values[row]).sum() * batch.step_s / DAY_S
    return ForecastReason(
        ForecastCode.SHORT_HISTORY, f"{days:.1f} days measured, a day and a window are needed"
    )
