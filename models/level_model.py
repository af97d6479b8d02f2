"""A fitted level-times-profile model: the one piece of arithmetic behind a forecast.

`models/last_value.py`, `models/seasonal_level.py` and `models/cascade.py` hold one each. Everything
dear was computed by `models/past_errors.py`; a forecast here is a few array operations on the
newest hour. It must never keep anything between two forecasts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.forecast import ForecastBatch, ForecastReason, Horizon
from models.missing_history import is_fresh, missing_reason
from models.profile import Profile
from models.recent_level import recent_levels, recent_steps, recent_weights
from models.row_blocks import row_blocks
from models.sampling_noise import level_noise, with_noise
from models.series import FloatArray, SeriesBatch, SeriesKey, rows_of
from models.step_windows import IntArray, StepWindows, step_windows

ABSURD_FACTOR = 2.0
"""A share measured on bursts, applied to a burst, may ask for a thousand times the burst."""


BY_ROW: tuple[str, ...] = (
    "floor",
    "usual",
    "highest",
    "hold",
    "weights",
    "power",
    "noise",
    "peak_spread",
    "step_spread",
    "errors",
    "loss",
)
"""The arrays of a `LevelModel` whose first axis is the series."""


@dataclass(frozen=True, slots=True)
class LevelModel:
    """What was learnt of each series, rows in the order of `keys`.

    `leads` (g,) are the leads in steps at which errors were measured. `weights` (n, g, members) mix
    the members of the level. `peak_spread` and `step_spread` (n, g, levels) are error quantiles of
    the window's peak and of a single step, in units of `error_scale` at `power` (n, g). `floor`
    (n,) is a rate that is added to every forecast before errors are taken, so that shares of nearly
    nothing stay small; `noise` (n, g) is what sampling added to the variance of the forecasts whose
    errors these are, as a mean share of `error_scale` squared; `usual` (n,) is the level of the
    last day and `highest` (n,) the highest step ever measured. `hold` (n,) is the window length in
    steps the peaks were measured with, `errors` (n,) how many past windows stand behind the row and
    `loss` (n,) their mean pinball loss. A row that could not be fitted is NaN in both spreads.
    """

    keys: tuple[SeriesKey, ...]
    step_s: int
    levels: tuple[float, ...]
    profile: Profile
    floor: FloatArray
    usual: FloatArray
    highest: FloatArray
    leads: IntArray
    hold: IntArray
    weights: FloatArray
    power: FloatArray
    noise: FloatArray
    peak_spread: FloatArray
    step_spread: FloatArray
    errors: IntArray
    loss: FloatArray
    reasons: tuple[ForecastReason, ...]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which rows were fitted, shape (n,)."""
        return np.asarray(np.isfinite(self.peak_spread).all(axis=(1, 2)))

    def rows_of(self, keys: tuple[SeriesKey, ...]) -> IntArray:
        """The fitted row of each key, -1 where it was not there at fit."""
        return rows_of(self.keys, keys)

    def forecast(self, batch: SeriesBatch, horizon: Horizon) -> ForecastBatch:
        """Forecast every row that was fitted and has a fresh level; the others are NaN.

        Raises `ValueError` for a batch on another step, whose numbers would mean something else.
        """
        if batch.step_s != self.step_s:
            raise ValueError(f"fitted on steps of {self.step_s} s, asked for {batch.step_s} s")
        windows = step_windows(horizon, len(batch.keys), batch.step_s)
        rows = self.rows_of(batch.keys)
        peak, steps = self._quantiles(batch, windows, rows)
        return ForecastBatch(
            batch.keys,
            batch.end_s,
            batch.step_s,
            self.levels,
            peak,
            steps,
            self._reasons(batch, rows, np.asarray(np.isfinite(peak).all(axis=1))),
        )

    def _quantiles(
        self, batch: SeriesBatch, windows: StepWindows, rows: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Peak (n, levels) and step (n, levels, h) quantiles."""
        ahead = int(windows.stop.max(initial=1))
        parts = [
            self._of_block(batch, some, windows, rows, ahead) for some in row_blocks(len(rows))
        ]
        peak, steps = (np.concatenate(kind) for kind in zip(*parts, strict=True))
        return peak, steps

    def _of_block(
        self, batch: SeriesBatch, some: slice, windows: StepWindows, rows: IntArray, ahead: int
    ) -> tuple[FloatArray, FloatArray]:
        """The same of some rows of the batch, for `ahead` steps."""
        recent = min(recent_steps(self.step_s), batch.values.shape[1])
        start_s = batch.end_s - recent * self.step_s
        rows, windows = rows[some], StepWindows(windows.first[some], windows.stop[some])
        known = np.maximum(rows, 0)
        expected = self.profile.at(known, start_s, self.step_s, recent + ahead)
        newest = some, slice(batch.values.shape[1] - recent, None)
        demand = batch.values[newest].astype(np.float64, copy=False)
        weights = (
            recent_weights(self.step_s)[-recent:] if recent else recent_weights(self.step_s)[:0]
        )
        levels = recent_levels(demand, expected[:, :recent], weights, self.usual[known])
        levels[(rows < 0) | ~is_fresh(demand, self.step_s)] = np.nan
        noise = None
        if batch.sampling_variance is not None and recent:
            variance = batch.sampling_variance[newest].astype(np.float64, copy=False)
            usual = self.usual[known]
            noise = level_noise(variance, demand, expected[:, :recent], weights, usual)
        future = expected[:, recent:]
        peak = self._peak(levels, noise, future, windows, known)
        steps = self._steps(levels, noise, future, known)
        steps[np.isnan(peak).any(axis=1)] = np.nan
        return peak, steps

    def _peak(
        self,
        levels: FloatArray,
        noise: FloatArray | None,
        future: FloatArray,
        windows: StepWindows,
        rows: IntArray,
    ) -> FloatArray:
        ahead = np.arange(future.shape[1])
        inside = (ahead >= windows.first[:, None]) & (ahead < windows.stop[:, None])
        highest = np.where(inside, future, 0.0).max(axis=1)
        # A window longer than the fitted one is judged by the errors of a lead that reaches as far.
        lead = windows.first + np.maximum(windows.hold - self.hold[rows], 0)
        at, widen = self._lead_at(lead)
        floor = self.floor[rows]
        point = (levels * self.weights[rows, at]).sum(axis=1) * highest + floor
        scale = error_scale(point, levels[:, -1] * highest + floor, self.power[rows, at])
        spread = widened(self.peak_spread[rows, at], widen[:, None])
        offsets = scale[:, None] * spread
        if noise is not None:
            sampled = (noise * self.weights[rows, at]).sum(axis=1) * highest
            excess = np.maximum(sampled**2 - self.noise[rows, at] * scale**2, 0.0)
            offsets = with_noise(offsets, excess, self.levels, axis=1)
        return self._within_reason(point[:, None] + offsets, point[:, None], rows)

    def _steps(
        self, levels: FloatArray, noise: FloatArray | None, future: FloatArray, rows: IntArray
    ) -> FloatArray:
        at, widen = self._lead_at(np.arange(future.shape[1]))
        floor = self.floor[rows][:, None]
        point = np.einsum("nm,nhm->nh", levels, self.weights[rows][:, at]) * future + floor
        scale = error_scale(point, levels[:, -1:] * future + floor, self.power[rows][:, at])
        spread = widened(self.step_spread[rows][:, at], widen[:, None]).transpose(0, 2, 1)
        offsets = scale[:, None, :] * spread
        if noise is not None:
            sampled = np.einsum("nm,nhm->nh", noise, self.weights[rows][:, at]) * future
            excess = np.maximum(sampled**2 - self.noise[rows][:, at] * scale**2, 0.0)
            offsets = with_noise(offsets, excess, self.levels, axis=1)
        return self._within_reason(point[:, None, :] + offsets, point[:, None, :], rows)

    def _within_reason(self, made: FloatArray, point: FloatArray, rows: IntArray) -> FloatArray:
        """Not below zero, and not beyond `ABSURD_FACTOR` times all that was seen or is foreseen."""
        shape = (len(rows),) + (1,) * (made.ndim - 1)
        most = ABSURD_FACTOR * np.maximum(point, self.highest[rows].reshape(shape))
        return np.clip(made, 0.0, most)

    def _lead_at(self, lead: IntArray) -> tuple[IntArray, FloatArray]:
        """The fitted lead at or above each lead, and how much wider than it a longer one is."""
        at = np.minimum(np.searchsorted(self.leads, lead), len(self.leads) - 1)
        # Beyond the longest fitted lead errors grow like those of a random walk.
        return at, np.sqrt(np.maximum((lead + 1.0) / (self.leads[at] + 1.0), 1.0))

    def _reasons(
        self, batch: SeriesBatch, rows: IntArray, has_forecast: NDArray[np.bool_]
    ) -> tuple[ForecastReason, ...]:
        if has_forecast.all() and np.array_equal(rows, np.arange(len(self.keys))):
            return self.reasons
        reasons = [self.reasons[row] for row in rows]
        fitted = self.usable[np.maximum(rows, 0)] & (rows >= 0)
        for place in np.flatnonzero(~has_forecast):
            if fitted[place] or rows[place] < 0:
                reasons[place] = missing_reason(batch.values[place], batch.step_s)
        return tuple(reasons)


def error_scale(point: FloatArray, usual: FloatArray, power: FloatArray) -> FloatArray:
    """What errors are measured in: the geometric mean of forecast and usual demand, by `power`."""
    return np.asarray(point**power * usual ** (1.0 - power))


def widened(spread: FloatArray, factor: FloatArray | float) -> FloatArray:
    """Error quantiles of a longer lead: none of them may come closer to the forecast."""
    return np.where(spread > 0, spread * factor, spread)
