"""Crane's Effective HPA with its DSP forecast: the largest of the next hour as one more metric.

`predictor/arms/families.py` lists it twice: as shipped, where whole cores are cut off the
forecast, and with its fractions. Where DSP finds no day and no week there is no floor.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from models.series import FloatArray
from predictor.arms.arm import Arm, ArmFamily, Learnt, Scene, Sizing
from predictor.arms.crane_estimators import best_estimator, estimated
from predictor.arms.crane_signal import found_period_s, preprocessed, whole_periods
from predictor.arms.known_demand import DAY_S, KnownDemand, in_periods, period_of
from predictor.arms.trigger import Held, asked_by_trigger

SAMPLE_S = 60
HISTORY_S = 15 * DAY_S + 3600
HISTORY_MIN_S = 2 * DAY_S
UPDATE_S = 12 * 3600
WINDOW_S = 3600
SEED = 20241219
"""Of the random orders that its period has to beat; the product takes the clock."""
FITS_KEPT = 128
"""Two months of them, some 350 kB each at one-minute samples."""


class Predicted(NamedTuple):
    """What DSP expects from `start_s` on, in cores per step; empty where it found no period."""

    values: FloatArray
    start_s: int
    step_s: int

    def largest(self, from_s: float, to_s: float) -> float:
        """The largest value stamped inside [from, to]; 0 where there is none."""
        first = max(math.ceil((from_s - self.start_s) / self.step_s), 0)
        stop = math.floor((to_s - self.start_s) / self.step_s) + 1
        return float(self.values[first : max(stop, first)].max(initial=0.0))


class CraneDsp:
    """Refits each 12 h; the metric is CPU of the whole workload in cores, against a pod's target.

    Cores are demand / `rate_per_pod_per_s` * `target_cores`. The HPA reads the value as an
    External metric with AverageValue `target_cores`, so its tolerance and its scale-down window
    hold for it as well.
    """

    def __init__(self, factor: float, sizing: Sizing, learnt: Learnt, *, truncated: bool) -> None:
        self.every_s = sizing.sync_s
        self._factor = factor
        self._truncated = truncated
        self._target_cores = sizing.target_cores
        self._cores = sizing.target_cores / sizing.rate_per_pod_per_s
        self._demand = KnownDemand(learnt)
        self._next_fit_s = -math.inf
        self._predicted = Predicted(np.empty(0), 0, 1)
        self._held = Held(sizing.stabilisation_s)

    def floor(self, scene: Scene) -> int:
        """See `Arm`."""
        if scene.now_s >= self._next_fit_s:
            self._next_fit_s = scene.now_s + UPDATE_S
            self._predicted = self._fit(scene)
        cores = self._factor * self._predicted.largest(scene.now_s, scene.now_s + WINDOW_S)
        value = float(int(cores)) if self._truncated else cores
        asked = asked_by_trigger(value, self._target_cores, scene.replicas)
        return self._held.most(scene.now_s, asked)

    def _fit(self, scene: Scene) -> Predicted:
        known_s = scene.end_s - self._demand.start_s(scene)
        if known_s < HISTORY_MIN_S or scene.step_s > WINDOW_S:
            return Predicted(np.empty(0), scene.end_s, scene.step_s)
        step_s = period_of(scene.step_s, SAMPLE_S)
        cores = self._demand.last(scene, min(known_s, HISTORY_S)) * self._cores
        values, end_s = in_periods(cores, scene.end_s, scene.step_s, step_s)
        known = np.flatnonzero(np.isfinite(values))
        newest = int(known[-1]) + 1 if len(known) else 0
        return fitted(values[:newest], end_s - (len(values) - newest) * step_s, step_s)


def fitted(values: FloatArray, end_s: int, step_s: int) -> Predicted:
    """DSP's forecast from these samples, in cores, the last of which ended at `end_s`.

    Both variants and all points of the frontier share a fit: the same samples are worked on once.
    """
    return _fitted(values.tobytes(), end_s, step_s)


@lru_cache(maxsize=FITS_KEPT)
def _fitted(samples: bytes, end_s: int, step_s: int) -> Predicted:
    values = preprocessed(np.frombuffer(samples), step_s)
    period_s = found_period_s(values, step_s, np.random.default_rng(SEED))
    if period_s is None:
        return Predicted(np.empty(0), end_s, step_s)
    signal, many = whole_periods(values, step_s, period_s)
    if many < 2:
        return Predicted(np.empty(0), end_s, step_s)
    period = period_s // step_s
    estimator = best_estimator(signal, step_s, period)
    ahead = np.tile(estimated(estimator, signal, step_s, period), many)
    ahead.flags.writeable = False
    return Predicted(ahead, end_s, step_s)


def _making(*, truncated: bool) -> Callable[[float, Sizing, Learnt], Arm]:
    def make(factor: float, sizing: Sizing, learnt: Learnt) -> Arm:
        return CraneDsp(factor, sizing, learnt, truncated=truncated)

    return make


CRANE_DSP = ArmFamily(
    name="crane-dsp",
    version="Crane 2b0ddae, DSP as shipped",
    described="Period (a day or a week, else nothing) and the estimator that erred least on the "
    "last period, refitted each 12 h from 15 days; the largest of the next hour as CPU, whole "
    "cores only.",
    left_out="The estimator of maxima, which is not on by default; errors of the metric adapter.",
    points=(1.0, 0.6, 0.8, 1.2, 1.5),
    make=_making(truncated=True),
)

CRANE_DSP_WHOLE = CRANE_DSP._replace(
    name="crane-dsp-whole",
    version="Crane 2b0ddae, DSP without the truncation",
    described=CRANE_DSP.described.replace("whole cores only", "with its fractions"),
    make=_making(truncated=False),
)
