"""AHPA-like: the usual day or week at the recent level, plus a quantile of past errors.

`predictor/arms/families.py` lists it. The product is closed; this follows what its pages say. It
must never set a floor with less than seven days behind it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray
from predictor.arms.arm import Arm, ArmFamily, Learnt, Scene, Sizing
from predictor.arms.known_demand import (
    DAY_S,
    ROUNDING,
    WEEK_S,
    KnownDemand,
    in_periods,
    period_of,
)

STEP_S = 300
HISTORY_S = 4 * WEEK_S
HISTORY_MIN_S = WEEK_S
WEEKLY_FROM_S = 2 * WEEK_S
REFIT_S = 3600
LEVEL_KNOWN_MIN = 0.5
"""The share of a day that must be measured for it to have a level."""


Places = NDArray[np.int64]


class Ahpa:
    """Refits each hour; the floor carries the most that is forecast within the lead time.

    Level: the mean of the last 24 h. Shape: the median, over days (over weeks from two on), of
    demand in units of its level then. Error: the quantile of what was left over, one for all times.
    """

    def __init__(self, quantile: float, sizing: Sizing, learnt: Learnt) -> None:
        self.every_s = sizing.sync_s
        self._quantile = quantile
        self._sizing = sizing
        self._demand = KnownDemand(learnt)
        self._next_fit_s = -math.inf
        self._start_s, self._step_s = learnt.end_s, period_of(learnt.step_s, STEP_S)
        self._replicas = np.zeros(0, dtype=np.int64)

    def floor(self, scene: Scene) -> int:
        """See `Arm`."""
        if scene.now_s >= self._next_fit_s:
            self._next_fit_s = (scene.now_s // REFIT_S + 1) * REFIT_S
            self._fit(scene)
        since_s = scene.now_s - self._start_s
        first = int(since_s // self._step_s)
        last = int((since_s + self._sizing.lead_time_s) // self._step_s)
        return int(self._replicas[first : last + 1].max(initial=0))

    def _fit(self, scene: Scene) -> None:
        known_s = scene.end_s - self._demand.start_s(scene)
        self._replicas = np.zeros(0, dtype=np.int64)
        if known_s < HISTORY_MIN_S:
            return
        values, self._start_s = in_periods(
            self._demand.last(scene, min(known_s, HISTORY_S)),
            scene.end_s,
            scene.step_s,
            self._step_s,
        )
        ahead = quantile_ahead(values, self._step_s, self._quantile)
        needed = np.ceil(ahead / self._sizing.rate_per_pod_per_s - ROUNDING)
        self._replicas = needed.astype(np.int64)


def quantile_ahead(values: FloatArray, step_s: int, quantile: float) -> FloatArray:
    """A quantile of demand for each step of the next 24 h; zero where nothing is known.

    At the level of now, so best soon: the arm looks no further than its next fit and a lead time.
    """
    day = max(round(DAY_S / step_s), 1)
    season = 7 * day if len(values) * step_s >= WEEKLY_FROM_S else day
    levels = _levels(values, day)
    shares = np.divide(
        values, levels[:-1], out=np.full(len(values), np.nan), where=levels[:-1] > 0.0
    )
    shape, left = _decomposed(shares, season)
    if not len(left) or not math.isfinite(levels[-1]):
        return np.zeros(day)
    coming = shape[(len(values) + np.arange(day)) % season]
    ahead = levels[-1] * (coming + np.quantile(left, quantile))
    return np.asarray(np.nan_to_num(np.maximum(ahead, 0.0), nan=0.0))


def _levels(values: FloatArray, day: int) -> FloatArray:
    """The mean of the 24 h before each step and after the last, shape (steps + 1,)."""
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    starts = np.maximum(np.arange(len(sums)) - day, 0)
    count = counts - counts[starts]
    mean = (sums - sums[starts]) / np.maximum(count, 1)
    return np.where(count >= LEVEL_KNOWN_MIN * day, mean, np.nan)


def _decomposed(shares: FloatArray, season: int) -> tuple[FloatArray, FloatArray]:
    """The median of each place in the season, shape (season,), and what each share left over.

    NaN where a place was never measured. What is left over is counted from the median of the
    other seasons: from one that contains the share itself it would be too little.
    """
    rows = -(-len(shares) // season)
    padded = np.full(rows * season, np.nan)
    padded[: len(shares)] = shares
    ordered = np.sort(padded.reshape(rows, season), axis=0)
    count = np.isfinite(ordered).sum(axis=0)
    middle = _middle(ordered, (count - 1) // 2, count // 2)
    rank = np.arange(rows)[:, None]
    low, high = (count - 2) // 2, (count - 1) // 2
    others = _middle(ordered, low + (low >= rank), high + (high >= rank))
    left = np.where(count > 1, ordered - others, np.nan)
    return np.where(count > 0, middle, np.nan), left[np.isfinite(left)]


def _middle(ordered: FloatArray, low: Places, high: Places) -> FloatArray:
    """The mean of two places of each column; places outside are moved inside."""
    top, columns = len(ordered) - 1, np.arange(ordered.shape[1])
    pair = [ordered[np.clip(place, 0, top), columns] for place in (low, high)]
    return np.asarray((pair[0] + pair[1]) / 2.0)


def _make(quantile: float, sizing: Sizing, learnt: Learnt) -> Arm:
    return Ahpa(quantile, sizing, learnt)


AHPA = ArmFamily(
    name="ahpa",
    version="Alibaba Cloud AHPA as documented, quantile 0.95",
    described="The median day (week, from two weeks on) in units of the last day's level, plus a "
    "quantile of what was left over; the most within the lead time.",
    left_out="Its own decomposition, which is not public; instance bounds by time; its reactive "
    "part (the HPA beneath).",
    points=(0.95, 0.5, 0.75, 0.9, 0.99),
    make=_make,
)
