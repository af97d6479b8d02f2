"""Predictive HPA as it was meant: history in order, a day as season, tuned, the lead time ahead.

`predictor/arms/families.py` lists it; only beating this one says something. It must never tune on
what had not been seen when it starts.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from models.series import FloatArray
from predictor.arms.arm import Arm, ArmFamily, Learnt, Scene, Sizing
from predictor.arms.holt_winters import HoltWinters, Smoothing, values_min
from predictor.arms.known_demand import DAY_S, ROUNDING, filled, in_periods, period_of, pods_for
from predictor.arms.trigger import Held

PERIOD_S = 300
"""Its sync period here: at 15 s a day would be 5,760 steps, more than its ConfigMap can hold."""

GRID = tuple(
    itertools.product((0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95), (0.001, 0.01, 0.05), (0.05, 0.2, 0.5))
)


class PhpaMeant:
    """Holt-Winters through the largest HPA result of every five minutes, in order of time.

    Starts from what the learnt demand would have made the HPA ask for, and tunes its three
    parameters there by the error one period ahead; with less than two days learnt it first
    collects them, without a floor. The floor covers every period that begins within the lead
    time, times the factor.
    """

    def __init__(self, factor: float, sizing: Sizing, learnt: Learnt) -> None:
        self.every_s = sizing.sync_s
        self._factor = factor
        self._period_s = period_of(learnt.step_s, PERIOD_S)
        self._season = round(DAY_S / self._period_s)
        self._ahead = math.ceil(sizing.lead_time_s / self._period_s) + 1
        self._seen = [float(count) for count in learnt_counts(sizing, learnt, self._period_s)]
        self._model = tuned(np.asarray(self._seen), self._season)
        self._largest, self._period = 0, -1
        self._wanted = 0
        self._held = Held(sizing.stabilisation_s)

    def floor(self, scene: Scene) -> int:
        """See `Arm`."""
        period = int(scene.now_s // self._period_s)
        if self._period not in (-1, period):
            self._end_period()
        self._period = period
        self._largest = max(self._largest, scene.recommended)
        return self._held.most(scene.now_s, self._wanted)

    def _end_period(self) -> None:
        """Take the period's count in, and forecast from there."""
        count, self._largest = float(self._largest), 0
        if self._model is None:
            self._seen.append(count)
            self._model = tuned(np.asarray(self._seen), self._season)
        else:
            self._model.add(np.asarray([count]))
        if self._model is not None:
            self._seen = []
            highest = max(float(self._model.ahead(step)[0]) for step in range(1, self._ahead + 1))
            self._wanted = math.ceil(self._factor * max(highest, 0.0) - ROUNDING)


def learnt_counts(sizing: Sizing, learnt: Learnt, period_s: int) -> FloatArray:
    """What the HPA's metrics would have asked for in each learnt period, oldest first."""
    peaks, _ = in_periods(learnt.demand, learnt.end_s, learnt.step_s, period_s, peak=True)
    counts = [pods_for(float(peak), sizing.rate_per_pod_per_s) for peak in filled(peaks)]
    return np.asarray(counts, dtype=np.float64)


def tuned(counts: FloatArray, season: int) -> HoltWinters | None:
    """Holt-Winters with the parameters of `GRID` that erred least one step ahead; None if short.

    Squared errors after the first season, whose values the start has seen.
    """
    if len(counts) < values_min(season) or season < 2:
        return None
    sets = np.asarray(GRID)
    many = np.repeat(counts[:, None], len(sets), axis=1)
    errors = HoltWinters(many, season, Smoothing(*sets.T)).one_step_errors[season:]
    best = GRID[int(np.square(errors).mean(axis=0).argmin())]
    return HoltWinters(counts[:, None], season, Smoothing(*best))


def _make(factor: float, sizing: Sizing, learnt: Learnt) -> Arm:
    return PhpaMeant(factor, sizing, learnt)


PHPA_MEANT = ArmFamily(
    name="phpa-meant",
    version="Predictive HPA 0.13.2 (c91d060), mended",
    described="Holt-Winters through the HPA's past results in order of time, a day as season in "
    "periods of five minutes, parameters tuned on the learnt stretch, forecast over the lead time.",
    left_out="Pruning to stored seasons: the recursion runs on from its start instead.",
    points=(1.0, 0.8, 1.2, 1.5, 2.0),
    make=_make,
)
