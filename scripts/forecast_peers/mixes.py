"""Three online mixes of the peers, learnt from losses that were complete at each origin.

`scripts/bench_forecast.py` makes them from kept forecasts. Exponential weights: Cesa-Bianchi and
Lugosi, Prediction, Learning, and Games (2006), chapter 2, with a loss that fades. Only peers with a
forecast at every origin take part.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scripts.forecast_peers.request import FloatArray, IntArray
from scripts.forecast_peers.scores import losses

MEMORY_STEPS = 1_440
"""Steps in which a past loss fades to a quarter."""
HALF_LIFE_MIN = 8
"""Origins; fewer, and the weights follow single outcomes."""
SHARPNESS = 12.0
"""A method whose recent loss is a tenth above the best one's weighs exp(-1.2) of it."""
BEST = 3


def mixes(
    forecasts: Mapping[str, FloatArray], outcome: FloatArray, origins: IntArray, reach: int
) -> dict[str, FloatArray]:
    """Best recent method, mean of the best three, exponential weights; each (origins, levels).

    An outcome is known `reach` steps after its origin; before the first one is, the members'
    median stands for all three.
    """
    members = np.stack(list(forecasts.values()))
    recent = recent_losses(np.stack([losses(outcome, one) for one in members]), origins, reach)
    best, three, weighted = (np.median(members, axis=0) for _ in range(3))
    for row in np.flatnonzero(np.isfinite(recent[0])).tolist():
        order = np.argsort(recent[:, row], kind="stable")
        best[row] = members[order[0], row]
        three[row] = members[order[:BEST], row].mean(axis=0)
        weighted[row] = _weights(recent[:, row]) @ members[:, row]
    return {"best-recent": best, "mean-of-best-three": three, "exponential-weights": weighted}


def recent_losses(loss: FloatArray, origins: IntArray, reach: int) -> FloatArray:
    """Each member's faded sum of losses as known at each origin, NaN while none is; as `loss`."""
    keep = 0.5 ** (1 / _half_life(origins))
    known = np.searchsorted(origins, origins - reach, side="right")
    faded = np.full((len(loss), len(origins) + 1), np.nan)
    total = np.zeros(len(loss))
    for row in range(len(origins)):
        total = keep * total + loss[:, row]
        faded[:, row + 1] = total
    return faded[:, known]


def _half_life(origins: IntArray) -> int:
    within = int(np.searchsorted(origins, origins[0] + MEMORY_STEPS))
    return min(max(HALF_LIFE_MIN, within // 2), max(HALF_LIFE_MIN, len(origins) // 10))


def _weights(recent: FloatArray) -> FloatArray:
    least = max(float(recent.min()), 1e-12)
    weights = np.exp(-SHARPNESS * (np.maximum(recent, 1e-12) / least - 1))
    return np.asarray(weights / weights.sum())
