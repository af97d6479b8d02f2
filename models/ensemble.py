"""The forecaster the service uses: many candidates mixed online, boosted trees on their errors, and
quantiles that are kept calibrated.

`models/ensemble_fit.py` makes one, `predictor/current_model.py` holds it, lets it learn from each
new step, and asks it once per tick. Where a row has too little behind it, the cascade beneath
answers and says why. It must never keep anything between two calls: learning gives a new value.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.cascade import Cascade
from models.error_trees import KINDS, ErrorTrees
from models.flash_crowd import BurstHabits
from models.forecast import (
    QUANTILE_LEVELS,
    ForecastBatch,
    ForecastReason,
    Horizon,
)
from models.forgetting import forgot, less_of_mix, less_of_points, newly_shifted
from models.level_record import LevelRecord, looked
from models.missing_history import SAMPLES_MIN, is_fresh
from models.origin_run import LEVELS, counts_at, features_of
from models.origin_windows import RECENT_STEPS_MIN, outcomes
from models.point_mix import (
    LAST,
    Located,
    PlaceSeen,
    PointState,
    learn_outcome,
    locate,
    stacked,
)
from models.quantile_mix import Mixed, MixState, learn_mix, members_of, mix
from models.same_windows import same_windows
from models.sampling_noise import recent_noise, with_noise
from models.series import FloatArray, SeriesBatch, SeriesKey, part_of, rows_of
from models.sight import Sight, Window, see
from models.skill import Rung
from models.standing import (
    Standing,
    in_force,
    is_demoted,
    learn_standing,
    reference_points,
    seasonal_points,
)
from models.step_quantiles import with_peak
from models.step_windows import IntArray, step_windows
from models.surprises import Known, calmed, raised
from models.told_forecast import by_mix_again, fallen, with_lacking
from models.trust import Evidence, findings, with_findings
from models.upstream_columns import Leads, upstream_columns, with_upstream

OUTCOMES_MIN = 60.0
"""With fewer outcomes behind it a row's mix and calibration say less than the cascade."""
LEARNT_EVERY_S = 300
"""Weights and shifts move over hours: five steps at once cost little more than one."""
NOISE_SHARE_NEW = 0.25
"""Sampling that adds a quarter to the variance of the errors makes another series of it."""
LEARNT_AT_ONCE_MAX = 240
"""Steps caught up on in one call; what is older than that is left to the next fit."""
LEARNT_CELLS_MAX = 200_000
"""Origins of all rows that are looked at together: a hundred features of each are held, 80 MB."""


@dataclass(frozen=True, slots=True)
class Ensemble:
    """What was learnt of each row, in the order of `keys`; see `PointState` and `MixState`.

    `floor` (n,) is the rate below which shape is noise, `base` (n, levels) the quantiles of the
    mix's own errors in units of its scale, `learnt_to_s` the instant before which every outcome was
    learnt, `trees_to_s` the end of what the trees were trained on. `said` are the reasons of rows
    the ensemble speaks for, `habits` how bursts of each row went on.
    `noise` (n,) is the variance that sampling had added when the row was learnt, as a share of its
    squared scale. `leads` says whose demand goes ahead of whose; None for nobody.
    `standing` says which rows a simpler method forecasts instead, `record` what their levels did,
    and `told` is what they say of themselves with all that.
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
    standing: Standing | None = None
    record: LevelRecord | None = None
    told: tuple[ForecastReason, ...] = ()
    leads: Leads | None = None

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
            return self.told[row]
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
        if not batch.values.shape[1]:
            return made
        if self.points is None or self.mix is None:
            windows = step_windows(horizon, len(batch.keys), batch.step_s)
            nobody = np.zeros(len(batch.keys), bool)
            return with_lacking(made, batch.values, windows.stop + int(OUTCOMES_MIN), nobody)
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
        peak, rung = made.peak.copy(), np.zeros(len(rows), np.int64)
        for window, places in same_windows(windows, answers):
            some = part_of(batch, places)
            sight = self._seen(batch, newest, window, places, rows)
            noise = None if some.sampling_variance is None else recent_noise(some, newest)[:, 0]
            mixed, rung[places] = self._in_force(some, sight, window, rows[places], noise)
            peak[places] = self._with_sampling(mixed, some, rows[places], rung[places], noise)
        made = with_lacking(made, batch.values, windows.stop + int(OUTCOMES_MIN), answers)
        made = self._merged(made, peak, rows, answers)
        if self.standing is not None:
            wanted = np.where(rung > 0, self.standing.skill.rung[np.maximum(rows, 0)], 0)
            made = fallen(made, wanted, rung, self.told, rows)
            spared = answers & (rung == 0) & is_demoted(self.standing)[np.maximum(rows, 0)]
            made = by_mix_again(made, np.flatnonzero(spared), self.said, rows)
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
            at_once = max(LEARNT_CELLS_MAX // len(places), 1)
            for begin in range(max(newest - count + 1, 0), newest + 1, at_once):
                origins = np.arange(begin, min(begin + at_once, newest + 1))
                state = state._learn_rows(batch, origins, window, places)
        state = dataclasses.replace(state, learnt_to_s=batch.end_s)
        return state.looking(batch).telling()

    def looking(self, batch: SeriesBatch) -> Ensemble:
        """With a new look at levels; what was learnt before a shift that has just shown counts for
        little. `batch` must be without outages."""
        beneath = self.cascade.model
        if self.record is None or beneath is None or beneath.keys != self.keys:
            return self
        record = looked(self.record, batch, beneath.profile)
        rows = newly_shifted(record, float(batch.end_s))
        if not len(rows) or self.points is None or self.mix is None:
            return dataclasses.replace(self, record=record)
        points = less_of_points(self.points.rows(rows), record.factor[rows])
        mixed = less_of_mix(self.mix.rows(rows), record.factor[rows])
        return dataclasses.replace(
            self,
            record=forgot(record, rows),
            points=self.points.with_rows(rows, points),
            mix=self.mix.with_rows(rows, mixed),
        )

    def telling(self) -> Ensemble:
        """With what each row says of itself written anew from what was learnt."""
        if self.standing is None or self.record is None:
            return dataclasses.replace(self, told=self.said)
        shifts = self.record.shifts_at(float(self.learnt_to_s))
        evidence = Evidence(self.record.days, shifts, self.standing.skill)
        reasons = with_findings(self.said, findings(evidence), self.standing.skill)
        return dataclasses.replace(self, told=reasons)

    def _learn_rows(
        self, batch: SeriesBatch, origins: IntArray, window: Window, places: IntArray
    ) -> Ensemble:
        some = part_of(batch, places)
        sight = self._seen(batch, origins, window, places, np.arange(len(batch.keys)))
        outcome = outcomes(some.values, origins, window.first, window.stop)
        points, usual, located = self._walked(sight, places, outcome)
        members = self._members(sight, located, places, window)
        assert self.mix is not None
        mixed, made = self.mix.rows(places), []
        for place in range(len(origins)):
            made.append(mix(members[:, place], located.scale[:, place], mixed))
            mixed = learn_mix(
                mixed,
                made[-1],
                outcome[:, place],
                LEVELS,
                elapsed_s=float(self.step_s),
                reach_s=float(window.stop * self.step_s),
            )
        assert self.points is not None
        seasons = seasonal_points(some.values, origins, window, self.step_s)
        return dataclasses.replace(
            self,
            points=self.points.with_rows(places, points),
            mix=self.mix.with_rows(places, mixed),
            standing=self._compared(
                places, made, (sight.points[:, :, LAST], seasons), outcome, usual=usual,
                window=window,
            ),
        )  # fmt: skip

    def _walked(
        self, sight: Sight, places: IntArray, outcome: FloatArray
    ) -> tuple[PointState, FloatArray, Located]:
        """Some rows' points after each origin of a sight in turn: their state, the usual demand
        (n, o) after each, and where they stood before it."""
        assert self.points is not None
        points, usual, located = self.points.rows(places), [], []
        for place in range(outcome.shape[1]):
            seen = PlaceSeen(sight.level[:, place], sight.points[:, place])
            located.append(locate(seen, points))
            points = learn_outcome(points, seen, located[-1], outcome[:, place], float(self.step_s))
            usual.append(points.usual_demand)
        return points, np.stack(usual, axis=1), stacked(located)

    def _compared(
        self,
        places: IntArray,
        made: list[Mixed],
        here: tuple[FloatArray, FloatArray],
        outcome: FloatArray,
        *,
        usual: FloatArray,
        window: Window,
    ) -> Standing | None:
        """What the outcomes (n, o) say of the mix and of what it must beat; `here` are the last
        values (n, o) and the seasonal ones (n, o, 2) at the origins, `usual` (n, o) the mean of
        days."""
        if self.standing is None:
            return None
        own = self.standing.rows(places)
        points = reference_points(*here, own.season_days)
        for place, one in enumerate(made):
            own = learn_standing(
                own,
                one.quantiles,
                points[:, place],
                outcome[:, place],
                usual=usual[:, place],
                elapsed_s=float(self.step_s),
                hold_s=float((window.stop - window.first) * self.step_s),
            )
        return self.standing.with_rows(places, own)

    def _in_force(
        self,
        batch: SeriesBatch,
        sight: Sight,
        window: Window,
        rows: IntArray,
        noise: FloatArray | None,
    ) -> tuple[Mixed, IntArray]:
        """The mix at the newest moment, or what stands in for it, and the rung of each row; `noise`
        (n,) is the variance that sampling gives its recent demand, None for none."""
        assert self.points is not None
        assert self.mix is not None
        seen = PlaceSeen(sight.level[:, 0], sight.points[:, 0])
        located = stacked([locate(seen, self.points.rows(rows))])
        members = self._members(sight, located, rows, window)[:, 0]
        made = mix(members, located.scale[:, 0], self.mix.rows(rows))
        demoted = np.zeros(0, np.int64)
        if self.standing is not None:
            falls = is_demoted(self.standing)[rows]
            if noise is not None:
                # Much less is recorded than when methods were judged: the last value is chance.
                falls &= noise <= (self.noise[rows] + NOISE_SHARE_NEW) * made.scale**2
            demoted = np.flatnonzero(falls)
        rung = np.zeros(len(rows), np.int64)
        if self.standing is None or not len(demoted):
            return made, rung
        own, newest = self.standing.rows(rows[demoted]), np.asarray([batch.values.shape[1]])
        seasons = seasonal_points(batch.values, newest, window, self.step_s)[demoted]
        points = reference_points(sight.points[demoted][:, :, LAST], seasons, own.season_days)
        quantiles = made.quantiles.copy()
        quantiles[demoted], rung[demoted] = in_force(own, quantiles[demoted], points[:, 0])
        return dataclasses.replace(made, quantiles=quantiles), rung

    def _seen(
        self, batch: SeriesBatch, origins: IntArray, window: Window, places: IntArray,
        rows: IntArray,
    ) -> Sight:  # fmt: skip
        """The sight of some places of a batch, and what their callers foretell; `rows` are our rows
        of the whole batch."""
        sight = see(part_of(batch, places), origins, window, self.floor[rows[places]])
        if self.leads is None:
            return with_upstream(sight, None)
        leads = self.leads.rows(rows)
        return with_upstream(sight, upstream_columns(batch.values, leads, places, origins, window))

    def _with_sampling(
        self,
        mixed: Mixed,
        batch: SeriesBatch,
        rows: IntArray,
        rung: IntArray,
        noise: FloatArray | None,
    ) -> FloatArray:
        """Wider by what sampling adds now beyond what it added to the errors that were learnt."""
        if batch.sampling_variance is None or noise is None:
            return mixed.quantiles
        # The last value is one step, not a mean of several.
        alone = np.nan_to_num(batch.sampling_variance[:, -1])
        now = np.where(rung == int(Rung.LAST_VALUE), alone, noise)
        excess = np.maximum(now - self.noise[rows] * mixed.scale**2, 0.0)
        return np.maximum(with_noise(mixed.quantiles, excess, self.levels, axis=1), 0.0)

    def _members(
        self, sight: Sight, located: Located, rows: IntArray, window: Window
    ) -> FloatArray:
        """What each member says of some rows at each origin of a sight, shape (n, o, members,
        levels)."""
        own = located.point[:, :, None] + located.scale[:, :, None] * self.base[rows][:, None]
        trees = np.full((*located.point.shape, KINDS, len(QUANTILE_LEVELS)), np.nan)
        if self.trees is not None and len(rows):
            trees = self.trees.quantiles(features_of(sight, located), located, sight)
        return members_of(own, trees, counts_at(sight, located, window))

    def _merged(
        self, made: ForecastBatch, peak: FloatArray, rows: IntArray, answers: NDArray[np.bool_]
    ) -> ForecastBatch:
        """Rows whose new peak is whole take it; their steps go with it."""
        whole = answers & np.isfinite(peak).all(axis=1)
        peak[~whole] = made.peak[~whole]
        steps = made.steps.copy()
        moved = with_peak(steps[whole], made.peak[whole], peak[whole])
        # The cascade may have had nothing to say where the mix has.
        steps[whole] = np.where(np.isfinite(moved), moved, peak[whole][:, :, None])
        reasons, told = list(made.reasons), self.told or self.said
        for place in np.flatnonzero(whole):
            reasons[place] = told[rows[place]]
        return dataclasses.replace(made, peak=peak, steps=steps, reasons=tuple(reasons))
