"""Kapacity-like: every half hour two hours of traffic, turned into replicas, rises moved earlier.

`predictor/arms/families.py` lists it. Where its job fails the last portrait runs out, and then
there is no floor: the reactive portrait beneath it, here the HPA, goes on alone.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from models.series import FloatArray
from predictor.arms.arm import Arm, ArmFamily, Learnt, Scene, Sizing
from predictor.arms.kapacity_gate import gated
from predictor.arms.known_demand import (
    DAY_S,
    ROUNDING,
    KnownDemand,
    in_periods,
    period_of,
    pods_for,
)
from predictor.arms.traffic_model import CONTEXT, learnt_model

PERIOD_S = 600
JOB_S = 1800
REPLICAS_SEARCHED_MIN = 100
USE_AT_TARGET = 60.0
"""Percent of its request that a pod uses at target: the unit of the gate's errors."""


class Kapacity:
    """A model of traffic learnt once, a portrait each half hour that expires after two.

    A portrait is (time, replicas) for every ten minutes to come; the last one at or before now
    counts. Points that rise begin `lead_time_s` earlier.
    """

    def __init__(self, factor: float, sizing: Sizing, learnt: Learnt) -> None:
        self.every_s = sizing.sync_s
        self._factor = factor
        self._sizing = sizing
        self._demand = KnownDemand(learnt)
        self._period_s = period_of(learnt.step_s, PERIOD_S)
        traffic, end_s = in_periods(learnt.demand, learnt.end_s, learnt.step_s, self._period_s)
        self._model = learnt_model(traffic, end_s, self._period_s)
        most = float(np.fmax.reduce(learnt.demand, initial=0.0))
        self._searched = max(2 * pods_for(most, sizing.rate_per_pod_per_s), REPLICAS_SEARCHED_MIN)
        self._use = UseOfDay(self._period_s)
        self._next_job_s = -math.inf
        self._portrait: list[tuple[float, int]] = []
        self._expires_s = -math.inf

    def floor(self, scene: Scene) -> int:
        """See `Arm`."""
        self._use.add(scene)
        if scene.now_s >= self._next_job_s:
            self._next_job_s = (scene.now_s // JOB_S + 1) * JOB_S
            self._run_job(scene)
        if scene.now_s >= self._expires_s:
            return 0
        begun = [replicas for time_s, replicas in self._portrait if time_s <= scene.now_s]
        return begun[-1] if begun else 0

    def _run_job(self, scene: Scene) -> None:
        """A new portrait, unless the model, the traffic or the gate say no."""
        span_s = DAY_S + CONTEXT * self._period_s
        traffic, end_s = in_periods(
            self._demand.last(scene, span_s), scene.end_s, scene.step_s, self._period_s
        )
        context = traffic[-CONTEXT:]
        if self._model is None or len(context) < CONTEXT or not np.isfinite(context).all():
            return
        pairs = self._use.pairs(traffic, end_s, self._sizing.rate_per_pod_per_s)
        if not gated(*pairs).passed:
            return
        ahead = self._factor * self._model.ahead(context, end_s)
        self._portrait = portrait(
            [replicas_for(float(rate), self._sizing, self._searched) for rate in ahead],
            end_s,
            self._period_s,
            self._sizing.lead_time_s,
        )
        self._expires_s = end_s + len(ahead) * self._period_s


class UseOfDay:
    """Use and Ready pods of the last day, means of each period: what the gate judges by."""

    def __init__(self, period_s: int) -> None:
        self._period_s = period_s
        self._kept: deque[tuple[int, float, float]] = deque(maxlen=DAY_S // period_s)
        self._period = -1
        self._now: list[tuple[float, float]] = []

    def add(self, scene: Scene) -> None:
        """Take in one sync; one whose use was not measured says nothing."""
        period = int(scene.now_s // self._period_s)
        if period != self._period and self._now:
            use, ready = np.mean(self._now, axis=0)
            self._kept.append((self._period, float(use), float(ready)))
            self._now = []
        self._period = period
        if scene.ready > 0 and math.isfinite(scene.use_of_target):
            self._now.append((scene.use_of_target, scene.ready))

    def pairs(
        self, traffic: FloatArray, end_s: int, rate_per_pod_per_s: float
    ) -> tuple[FloatArray, FloatArray]:
        """Use per pod as traffic lets expect it, and as it was, both in percent of the request.

        `traffic` holds the rates of whole periods up to `end_s`; periods without one are left out.
        """
        stop = end_s // self._period_s
        known = [kept for kept in self._kept if stop - len(traffic) <= kept[0] < stop]
        periods, use, ready = np.asarray(known, dtype=np.float64).reshape(-1, 3).T
        rates = traffic[periods.astype(np.int64) - (stop - len(traffic))]
        return USE_AT_TARGET * rates / (ready * rate_per_pod_per_s), USE_AT_TARGET * use


def replicas_for(traffic_per_s: float, sizing: Sizing, searched: int) -> int:
    """The smallest of 1 to `searched` whose use per pod stays at the target, else the largest."""
    least = math.ceil(traffic_per_s / sizing.rate_per_pod_per_s - ROUNDING)
    return min(max(least, 1), searched)


def portrait(
    replicas: list[int], start_s: int, period_s: int, ahead_s: float
) -> list[tuple[float, int]]:
    """Replicas with the time each begins, in order of time; rises `ahead_s` earlier."""
    begins: list[tuple[float, int]] = []
    for place, count in enumerate(replicas):
        rises = place > 0 and count > replicas[place - 1]
        begins.append((start_s + place * period_s - (ahead_s if rises else 0.0), count))
    return sorted(begins, key=lambda begin: begin[0])


def _make(factor: float, sizing: Sizing, learnt: Learnt) -> Arm:
    return Kapacity(factor, sizing, learnt)


KAPACITY = ArmFamily(
    name="kapacity",
    version="Kapacity 088f41e, predictive portrait",
    described="Each half hour twelve periods of ten minutes are forecast from the twelve before, "
    "turned into replicas, rises moved earlier by the lead time; no new portrait where the gate "
    "fails.",
    left_out="Its network (a ridge regression on the same inputs instead); fitting the capacity "
    "per pod (the HPA's rate per pod is given) with its residual trees; gray change; keeping the "
    "present number where no portrait is valid (the HPA beneath stands for its reactive one).",
    points=(1.0, 0.8, 1.2, 1.5, 2.0),
    make=_make,
)
