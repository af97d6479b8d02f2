"""Predictive HPA 0.13.2 as it is shipped: forecasts of its own replica counts, newest first.

`predictor/arms/families.py` lists it. The defect that its history is turned round before
Holt-Winters sees it is part of what is shown here; `predictor/arms/phpa_meant.py` is without it.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from models.series import FloatArray
from predictor.arms.arm import Arm, ArmFamily, Learnt, Scene, Sizing
from predictor.arms.holt_winters import Smoothing, forecast_weights, values_min
from predictor.arms.known_demand import ROUNDING
from predictor.arms.trigger import Held

# The documented examples: examples/simple-holt-winters/phpa.yaml and examples/simple-linear.
SMOOTHING = Smoothing(level=0.9, trend=0.9, season=0.9)
SEASON, SEASONS_KEPT = 6, 4
LOOK_AHEAD_S = 10.0
LINE_KEPT = 6


class Phpa:
    """A line and Holt-Winters through what the HPA asked for at past syncs; the larger counts.

    Each sync adds the HPA's result to both histories, forecasts, then prunes. The factor stands on
    the forecasts. Their maximum is held for the HPA's scale-down window: the product has a copy
    of that rule.
    """

    def __init__(self, factor: float, sizing: Sizing) -> None:
        self.every_s = sizing.sync_s
        self._factor = factor
        self._line: list[int] = []
        self._seasons: list[int] = []
        self._held = Held(sizing.stabilisation_s)

    def floor(self, scene: Scene) -> int:
        """See `Arm`."""
        self._line.append(scene.recommended)
        self._seasons.append(scene.recommended)
        wanted = max(line_forecast(self._line, self.every_s), season_forecast(self._seasons))
        self._line = self._line[-LINE_KEPT:]
        self._seasons = pruned(self._seasons)
        replicas = math.ceil(self._factor * max(wanted, 0) - ROUNDING)
        return self._held.most(scene.now_s, replicas)


def line_forecast(history: list[int], every_s: float) -> int:
    """Least squares through the counts, oldest first and `every_s` apart, 10 s after the newest."""
    if len(history) < 2:
        return history[0] if history else 0
    return _up(_line_weights(len(history), LOOK_AHEAD_S / every_s) @ np.asarray(history, float))


def season_forecast(history: list[int]) -> int:
    """One sync ahead by Holt-Winters in the stored order; 0 while the history is too short."""
    if len(history) < values_min(SEASON):
        return 0
    weights = forecast_weights(len(history), SEASON, SMOOTHING, 1)
    return _up(weights @ np.asarray(history, float))


def pruned(history: list[int]) -> list[int]:
    """What is stored of a history that ends in the newest count: newest first, oldest seasons out.

    All but its last count already stands newest first: `holtwinters.go`, `PruneHistory` sorts so,
    and the controller appends the next one at the end. Whole seasons go when there are more of
    them than are kept.
    """
    stored = [history[-1], *history[:-1]]
    surplus = len(stored) // SEASON - SEASONS_KEPT
    return stored[: len(stored) - surplus * SEASON] if surplus > 0 else stored


@lru_cache(maxsize=64)
def _line_weights(counts: int, ahead: float) -> FloatArray:
    """What each count stands for in the line's value `ahead` syncs after the newest."""
    places = np.column_stack([np.ones(counts), np.arange(counts, dtype=float)])
    return np.asarray(np.array([1.0, counts - 1 + ahead]) @ np.linalg.pinv(places))


def _up(value: float) -> int:
    return math.ceil(value - ROUNDING)


def _make(factor: float, sizing: Sizing, _learnt: Learnt) -> Arm:
    return Phpa(factor, sizing)


PHPA = ArmFamily(
    name="phpa",
    version="Predictive HPA 0.13.2 (c91d060), documented example parameters",
    described="At each sync the larger of a line and of Holt-Winters (alpha, beta, gamma 0.9, six "
    "syncs a season) through the HPA's past results, the latter in reversed order as shipped.",
    left_out="Start interval, reset after pauses, tuning hook; its own copy of the scale-up "
    "limits.",
    points=(1.0, 0.2, 0.4, 0.6, 0.8),
    make=_make,
)
