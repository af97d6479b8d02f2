"""The forecaster the service uses: many candidates mixed online, boosted trees on their errors, and
quantiles that are kept calibrated.

`models/ensemble_fit.py` makes one, `predictor/current_model.py` holds it, lets it learn from each
new step, and asks it once per tick. Where a row has too little behind it, the cascade beneath
answers and says why. It must never keep anything between two calls: learning gives a new value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.cascade import Cascade
from models.error_trees import KINDS, ErrorTrees
from models.flash_crowd import BurstHabits
from models.forecast import (
    QUANTILE_LEVELS,
    ForecastBatch,
    ForecastCode,
    ForecastReason,
    Horizon,
)
from models.missing_history import SAMPLES_MIN, is_fresh
from models.origin_run import LEVELS, features_of
from models.origin_windows import RECENT_STEPS_MIN, outcomes
from models.point_mix import Located, PlaceSeen, PointState, learn_outcome, locate
from models.quantile_mix import Mixed, MixState, learn_mix, members_of, mix
from models.sampling_noise import recent_noise, with_noise
from models.series import FloatArray, SeriesBatch, SeriesKey, rows_of
from models.sight import POINTS, Sight, Window, see
from models.step_windows import IntArray, StepWindows, step_windows
from models.surprises import Known, calmed, raised

OUTCOMES_MIN = 60.0
"""With fewer outcomes behind it a row's mix and calibration say less than the cascade."""
LEARNT_EVERY_S = 300
"""Weights and shifts move over hours: five steps at once cost little more than one."""
LEARNT_AT_ONCE_MAX = 240
"""Steps caught up on in one call; what is older than that is left to the next fit."""


@dataclass(frozen=True, slots=True)
class Ensemble:
    """What was learnt of each row, in the order of `keys`; see `PointState` and `MixState`.

    `floor` (n,) is the rate below which shape is noise, `base` (n, levels) the quantiles of the
    mix's own errors in units of its scale, `learnt_to_s` the instant before which every outcome was
    learnt, `trees_to_s` the end of what the trees were trained on. `said` are the reasons of rows
    the ensemble speaks for, `habits` how bursts of each row went on; a stored model has none.
    `noise` (n,) is the variance that sampling had added when the row was learnt, as a share of its
    squared scale.
    """

    cascade: Cascade = dataclasses.field(default_factory=Cascade)
    keys: tuple[SeriesKey, ...] = ()
    step_s: int = 60
    floor: FloatArray = dataclasses.field(default_factory=lambda: np.zeros(0))
    points: PointState | None = None
    mix: MixState | None = None
    base: FloatArray = dataclasses.field(default_factory=lambda: np.zeros((0, len(LEVELS))))
    trees: ErrorTrees | None = None
    learnt_to_s: int = 0
    trees_to_s: int = 0
    said: tuple[ForecastReason, ...] = ()
    habits: BurstHabits | None = None
    noise: FloatArray = dataclasses.field(default_factory=lambda: np.zeros(0))

    @property
    def name(self) -> str:
        """See `Forecaster`."""
        return "ensemble"

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantile levels of every forecast."""
        return QUANTILE_LEVELS

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which rows have enough behind them, shape (n,)."""
        if self.points is None:
            return np.zeros(len(self.keys), bool)
        return np.asarray((self.points.seen >= OUTCOMES_MIN) & np.isfinite(self.base).all(axis=1))

    def reason(self, row: int) -> ForecastReason:
        """What a fitted row is forecast by."""
        if self.usable[row]:
            return self.said[row]
        assert self.cascade.model is not None
        return self.cascade.model.reasons[row]

    def describe(self) -> str:
        """See `Forecaster`."""
        return (
            "A mix of smoothed levels, day and week shapes, weighted by how each erred of late, "
            "corrected by trees learnt from all modules and calibrated on past peaks; wrong where "
            "the next minutes are unlike anything before."
        )

    def forecast(self, batch: SeriesBatch, horizon: Horizon) -> ForecastBatch:
        """See `Forecaster`. Raises `ValueError` for a batch on another step."""
        made = self.cascade.forecast(batch, horizon)
        if self.points is None or self.mix is None or not batch.values.shape[1]:
            return made
        if batch.step_s != self.step_s:
            raise ValueError(f"learnt on steps of {self.step_s} s, asked for {batch.step_s} s")
        rows = rows_of(self.keys, batch.keys)
        windows = step_windows(horizon, len(batch.keys), batch.step_s)
        newest = np.asarray([batch.values.shape[1]])
        answers = (rows >= 0) & self.usable[np.maximum(rows, 0)]
        answers &= is_fresh(batch.values, batch.step_s)
        # A level of minutes without an hour before it says less than a trained shape beneath.
        newest_steps = batch.values[:, -RECENT_STEPS_MIN:]
        answers &= np.isfinite(newest_steps).sum(axis=1) >= SAMPLES_MIN
        peak = made.peak.copy()
        for window, places in same_windows(windows, answers):
            some = part_of(batch, places)
            sight = see(some, newest, window, self.floor[rows[places]])
            mixed = self._made(sight, rows[places], 0)
            peak[places] = self._with_sampling(mixed, some, rows[places])
        made = self._merged(made, peak, rows, answers)
        beneath = self.cascade.model
        if self.habits is None or beneath is None or beneath.keys != self.keys:
            return made
        known = Known(batch, windows, beneath.profile, self.habits, rows)
        return raised(made, known)

    def learn(self, batch: SeriesBatch, horizon: Horizon) -> Ensemble:
        """Take in every outcome that became known since the last call: the new weights, scales and
        shifts. Nothing much new, or another step, gives the same value back."""
        if self.points is None or self.mix is None or batch.step_s != self.step_s:
            return self
        if batch.keys != self.keys or batch.end_s < self.learnt_to_s + LEARNT_EVERY_S:
            return self
        if self.cascade.model is not None and self.cascade.model.keys == self.keys:
            batch = calmed(batch, self.cascade.model.profile)
        windows = step_windows(horizon, len(batch.keys), batch.step_s)
        new_steps = (batch.end_s - self.learnt_to_s) // self.step_s
        count = min(new_steps, LEARNT_AT_ONCE_MAX, batch.values.shape[1])
        state = self
        for window, places in same_windows(windows, np.ones(len(batch.keys), bool)):
            newest = batch.values.shape[1] - window.stop
            origins = np.arange(max(newest - count + 1, 0), newest + 1)
            if len(origins):
                state = state._learn_rows(batch, origins, window, places)
        return dataclasses.replace(state, learnt_to_s=batch.end_s)

    def _learn_rows(
        self, batch: SeriesBatch, origins: IntArray, window: Window, places: IntArray
    ) -> Ensemble:
        some = part_of(batch, places)
        sight = see(some, origins, window, self.floor[places])
        outcome = outcomes(some.values, origins, window.first, window.stop)
        state = self
        for place in range(len(origins)):
            made, located = state._located(sight, places, place)
            actual = outcome[:, place]
            assert state.points is not None
            assert state.mix is not None
            points = learn_outcome(
                state.points.rows(places),
                PlaceSeen(sight.level[:, place], sight.points[:, place]),
                located,
                actual,
                float(self.step_s),
            )
            mixed = learn_mix(state.mix.rows(places), made, actual, LEVELS, float(self.step_s))
            state = dataclasses.replace(
                state,
                points=state.points.with_rows(places, points),
                mix=state.mix.with_rows(places, mixed),
            )
        return state

    def _made(self, sight: Sight, rows: IntArray, place: int) -> Mixed:
        return self._located(sight, rows, place)[0]

    def _with_sampling(self, mixed: Mixed, batch: SeriesBatch, rows: IntArray) -> FloatArray:
        """Wider by what sampling adds now beyond what it added to the errors that were learnt."""
        if batch.sampling_variance is None:
            return mixed.quantiles
        now = recent_noise(batch, np.asarray([batch.values.shape[1]]))[:, 0]
        excess = np.maximum(now - self.noise[rows] * mixed.scale**2, 0.0)
        return np.maximum(with_noise(mixed.quantiles, excess, self.levels, axis=1), 0.0)

    def _located(self, sight: Sight, rows: IntArray, place: int) -> tuple[Mixed, Located]:
        """The mixed quantiles of some rows at one origin of a sight, and the points behind them."""
        assert self.points is not None
        assert self.mix is not None
        here = Sight(*(array[:, place : place + 1] for array in sight))
        seen = PlaceSeen(here.level[:, 0], here.points[:, 0])
        located = locate(seen, self.points.rows(rows))
        own = located.point[:, None] + located.scale[:, None] * self.base[rows]
        shape = (len(rows), KINDS, len(QUANTILE_LEVELS))
        trees = np.full(shape, np.nan)
        if self.trees is not None and len(rows):
            at = Located(*(array[:, None] for array in located))
            trees = self.trees.quantiles(features_of(here, at), at, here)[:, 0]
        return mix(members_of(own, trees), located.scale, self.mix.rows(rows)), located

    def _merged(
        self, made: ForecastBatch, peak: FloatArray, rows: IntArray, answers: NDArray[np.bool_]
    ) -> ForecastBatch:
        """Rows whose new peak is whole take it; their steps grow or shrink with it."""
        whole = answers & np.isfinite(peak).all(axis=1)
        peak[~whole] = made.peak[~whole]
        before = made.peak[whole]
        share = peak[whole] / np.where(before > 0, before, 1.0)
        steps = made.steps.copy()
        scaled = np.where((before > 0)[:, :, None], steps[whole] * share[:, :, None], 0.0)
        steps[whole] = np.sort(
            np.where(np.isfinite(scaled), scaled, peak[whole][:, :, None]), axis=1
        )
        reasons = list(made.reasons)
        for place in np.flatnonzero(whole):
            reasons[place] = self.said[rows[place]]
        return dataclasses.replace(made, peak=peak, steps=steps, reasons=tuple(reasons))


def same_windows(
    windows: StepWindows, chosen: NDArray[np.bool_]
) -> Iterator[tuple[Window, IntArray]]:
    """The chosen rows by their window, each with the places of its rows."""
    places = np.flatnonzero(chosen)
    if not len(places):
        return
    pairs = np.stack([windows.first[places], windows.stop[places]], axis=1)
    kinds, kind = np.unique(pairs, axis=0, return_inverse=True)
    for number, (first, stop) in enumerate(kinds):
        yield Window(int(first), int(stop)), places[kind.ravel() == number]


def part_of(batch: SeriesBatch, places: IntArray) -> SeriesBatch:
    """Some rows of a batch; the very same arrays where it is all of them."""
    if len(places) == len(batch.keys):
        return batch
    keys = tuple(batch.keys[place] for place in places)
    variance = batch.sampling_variance
    return SeriesBatch(
        keys,
        batch.start_s,
        batch.step_s,
        batch.values[places],
        None if variance is None else variance[places],
    )


def reasons_of(points: PointState, with_trees: bool) -> tuple[ForecastReason, ...]:
    """What rows with a forecast say; written once at fit, so that a forecast formats nothing."""
    best = points.loss.argmin(axis=1)
    corrected = ", corrected by trees," if with_trees else ","
    return tuple(
        ForecastReason(
            ForecastCode.ENSEMBLE,
            f"mix of {len(POINTS)} candidates led by {POINTS[lead]}{corrected} calibrated on "
            f"{seen:.0f} past peaks",
        )
        for lead, seen in zip(best, points.seen, strict=True)
    )
