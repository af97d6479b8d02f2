"""Measures how a level-times-profile forecast would have done at many past moments.

`models/level_fit.py` calls it, at start and at intervals. It mixes the
members of the level by their past losses and turns the past errors into quantiles, of the window's
peak itself and not of its steps. It must never let an origin see demand after it.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from models.calibration import conformal_quantiles, mean_pinball
from models.forecast import QUANTILE_LEVELS
from models.level_model import error_scale
from models.missing_history import STALE_AFTER_S
from models.recent_level import MEMBERS, recent_levels, recent_steps, recent_weights, usual_levels
from models.sampling_noise import level_noise
from models.series import FloatArray, SeriesBatch
from models.step_windows import IntArray, StepWindows, window_peaks

ORIGINS_SPAN_S = 3 * 86_400
"""Three days of errors beat seven on the development traces by 8 %: demand changes its manners."""
ORIGINS_MAX = 720
"""Enough for a 0.99 quantile (7 errors above it); more cost time and overlap."""
ORIGIN_STEPS_MIN = 5
"""An origin needs this much past, so that the longest memory is more than one step."""
ROWS_AT_ONCE = 64
"""Bounds memory: the recent hours of all origins of so many rows are one array."""
MIX_SHARPNESS = 12.0
"""A member a quarter worse than the best weighs a twentieth of it."""
LEADS = (0, 1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 135, 200, 300, 450, 700, 1000, 1440)
"""Leads in steps at which errors may be measured, each about half as long again as the last."""


SCALE_POWERS = (1.0, 0.5, 0.0)
"""How errors grow with the forecast: with it, with its root, or not at all (with the usual level).
Steady growth asks for the first, a flat series with rare bursts for the last."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What past errors said of each row: see `LevelModel` for shapes and meanings.

    `loss` (n,) is the mean pinball loss of the peak at the row's own lead, infinite where there is
    none.
    """

    leads: IntArray
    weights: FloatArray
    power: FloatArray
    noise: FloatArray
    peak_spread: FloatArray
    step_spread: FloatArray
    usual: FloatArray
    errors: IntArray
    loss: FloatArray


def calibrate(
    history: SeriesBatch, expected: FloatArray, floor: FloatArray, windows: StepWindows
) -> Calibration:
    """Measure every row at every lead; `expected` (n, steps) is the profile as known then."""
    leads = fitted_leads(windows)
    rows, fitted, levels = len(history.keys), len(leads), len(QUANTILE_LEVELS)
    newest = np.asarray([history.values.shape[1]])
    fit = Calibration(
        leads=leads,
        weights=np.full((rows, fitted, MEMBERS), np.nan),
        power=np.ones((rows, fitted)),
        noise=np.zeros((rows, fitted)),
        peak_spread=np.full((rows, fitted, levels), np.nan),
        step_spread=np.full((rows, fitted, levels), np.nan),
        usual=usual_levels(history.values, expected, history.step_s, newest)[:, 0],
        errors=np.zeros(rows, dtype=np.int64),
        loss=np.full(rows, np.inf),
    )
    origins = past_origins(history)
    if len(origins) == 0:
        return fit
    for hold in np.unique(windows.hold):
        same = np.flatnonzero(windows.hold == hold)
        for start in range(0, len(same), ROWS_AT_ONCE):
            some = same[start : start + ROWS_AT_ONCE]
            past = _past_of(history, expected, floor, some, origins)
            _calibrate_rows(fit, past, int(hold), windows.first[some])
    return fit


def fitted_leads(windows: StepWindows) -> IntArray:
    """The leads to measure: up to the first one at or beyond the end of the longest window."""
    longest = int(windows.stop.max(initial=1))
    return np.asarray(LEADS[: bisect_left(LEADS, longest) + 1], dtype=np.int64)


def past_origins(history: SeriesBatch) -> IntArray:
    """Steps at which a forecast could have been made: the steps before one were known then."""
    steps = history.values.shape[1]
    first = max(ORIGIN_STEPS_MIN, steps - ORIGINS_SPAN_S // history.step_s)
    stride = max(-(-(steps - first) // ORIGINS_MAX), 1)
    # Counted back from the newest, so that the newest errors are among them.
    return np.arange(steps - 1, first - 1, -stride, dtype=np.int64)[::-1]


class _Past(NamedTuple):
    """Some rows, the levels they had at all origins, and all of their demand."""

    rows: IntArray
    origins: IntArray
    stride: int
    demand: FloatArray
    expected: FloatArray
    floor: FloatArray
    levels: FloatArray
    noise: FloatArray | None


def _past_of(
    history: SeriesBatch,
    expected: FloatArray,
    floor: FloatArray,
    rows: IntArray,
    origins: IntArray,
) -> _Past:
    step_s, recent = history.step_s, recent_steps(history.step_s)
    before = _before(history.values[rows], recent, origins)
    usual = usual_levels(history.values[rows], expected[rows], step_s, origins)
    expected_before = _before(expected[rows], recent, origins)
    weights, noise = recent_weights(step_s), None
    levels = recent_levels(before, expected_before, weights, usual)
    if history.sampling_variance is not None:
        variance = _before(history.sampling_variance[rows], recent, origins)
        noise = level_noise(variance, before, expected_before, weights, usual)
    newest = max(round(STALE_AFTER_S / step_s), 1)
    fresh = np.isfinite(before[:, :, -newest:]).any(axis=2)
    levels[~(fresh & (np.isfinite(before).sum(axis=2) >= ORIGIN_STEPS_MIN))] = np.nan
    stride = int(origins[-1] - origins[-2]) if len(origins) > 1 else 1
    return _Past(
        rows, origins, stride, history.values[rows], expected[rows], floor[rows], levels, noise
    )


def _before(values: FloatArray, recent: int, origins: IntArray) -> FloatArray:
    """The `recent` steps before each origin, shape (n, origins, recent), NaN before the first."""
    padded = np.pad(values, ((0, 0), (recent, 0)), constant_values=np.nan)
    return np.asarray(sliding_window_view(padded, recent, axis=1)[:, origins])


class _Outcomes(NamedTuple):
    """What came at each origin and what was forecast, shape (rows, origins)."""

    actual: FloatArray
    point: FloatArray
    usual: FloatArray
    effective: FloatArray
    noise: FloatArray | None
    """The standard deviation that sampling gave each forecast."""

    def noise_share(self, power: FloatArray) -> FloatArray:
        """Its mean variance (rows,) as a share of the squared scale of that power (rows,)."""
        if self.noise is None:
            return np.zeros(len(power))
        known = np.isfinite(self.actual - self.point)
        share = np.where(known, (self.noise / self.scale(power)) ** 2, 0.0)
        return np.asarray(share.sum(axis=1) / np.maximum(known.sum(axis=1), 1))

    def spread(self, power: FloatArray) -> FloatArray:
        """Error quantiles (rows, levels) as shares of the scale of that power (rows,)."""
        errors = (self.actual - self.point) / self.scale(power)
        return conformal_quantiles(errors, QUANTILE_LEVELS, self.effective)

    def scale(self, power: FloatArray) -> FloatArray:
        return error_scale(self.point, self.usual, power[:, None])

    def loss(self, power: FloatArray) -> FloatArray:
        """Mean pinball loss (rows,) of forecasts with these error quantiles."""
        added = self.scale(power)[:, :, None] * self.spread(power)[:, None, :]
        quantiles = np.maximum(self.point[:, :, None] + added, 0.0)
        return mean_pinball(self.actual, quantiles, QUANTILE_LEVELS)


def _calibrate_rows(fit: Calibration, past: _Past, hold: int, first: IntArray) -> None:
    rows = past.rows
    own = np.minimum(np.searchsorted(fit.leads, first), len(fit.leads) - 1)
    peaks = window_peaks(past.demand, hold), window_peaks(past.expected, hold)
    steps = past.demand, past.expected
    for place, lead in enumerate(fit.leads):
        found, weights = _outcomes(past, peaks, int(lead), hold, None)
        losses = np.stack([found.loss(np.full(len(rows), power)) for power in SCALE_POWERS])
        power = np.asarray(SCALE_POWERS)[losses.argmin(axis=0)]
        fit.weights[rows, place], fit.power[rows, place] = weights, power
        fit.noise[rows, place] = found.noise_share(power)
        fit.peak_spread[rows, place] = found.spread(power)
        here = own == place
        fit.loss[rows[here]] = losses.min(axis=0)[here]
        fit.errors[rows[here]] = np.isfinite(found.actual - found.point).sum(axis=1)[here]
        found, _ = _outcomes(past, steps, int(lead), 1, weights)
        fit.step_spread[rows, place] = found.spread(power)


def _outcomes(
    past: _Past,
    series: tuple[FloatArray, FloatArray],
    lead: int,
    length: int,
    weights: FloatArray | None,
) -> tuple[_Outcomes, FloatArray]:
    """Compare at one lead; the members' weights are found there unless they are given."""
    ahead = past.origins + lead
    inside = ahead < past.demand.shape[1]
    ahead = ahead[inside]
    actual = series[0][:, ahead]
    members = past.levels[:, inside] * series[1][:, ahead, None]
    mix = mixing_weights(actual, members) if weights is None else weights
    point = np.einsum("nom,nm->no", members, mix)
    count = np.isfinite(actual - point).sum(axis=1)
    # Windows that overlap tell the same story again.
    effective = count * min(past.stride / (lead + length), 1.0)
    floor, noise = past.floor[:, None], None
    if past.noise is not None:
        sampled = past.noise[:, inside] * series[1][:, ahead, None]
        noise = np.einsum("nom,nm->no", sampled, mix)
    return _Outcomes(actual, point + floor, members[:, :, -1] + floor, effective, noise), mix


def mixing_weights(actual: FloatArray, members: FloatArray) -> FloatArray:
    """How much each member counts in each row, by its past mean absolute error; shape (n, members).

    Exponential weights of relative loss (Vovk, "Aggregating strategies", 1990). Each member is
    compared after its own bias is taken out: a level is no peak.
    """
    known = np.isfinite(actual)[:, :, None] & np.isfinite(members)
    outcome = np.where(known, actual[:, :, None], 0.0)
    made = np.where(known, members, 0.0)
    bias = outcome.sum(axis=1) / np.maximum(made.sum(axis=1), 1e-12)
    loss = np.abs(outcome - made * bias[:, None, :]).sum(axis=1)
    best = np.maximum(loss.min(axis=1, keepdims=True), 1e-12)
    weights = np.exp(-MIX_SHARPNESS * np.minimum(loss / best - 1.0, 50.0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
