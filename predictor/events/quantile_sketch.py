"""Quantiles of durations in bounded memory: counts in bins whose width grows with the value.

`predictor/events/partition_survey.py` keeps some. The relative error is at most 2.5 %: the bins
grow by 5 %, and a bin's middle is given (the idea of DDSketch, Masson et al. 2019, with fixed
bins).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SMALLEST_S = 1e-3
GROWTH = 1.05
BINS = 620
"""From a millisecond to 400 years."""
_EDGES_S = SMALLEST_S * GROWTH ** np.arange(BINS)


class QuantileSketch:
    """Durations in seconds; what is below a millisecond is 0."""

    def __init__(self) -> None:
        self._counts = np.zeros(BINS + 1, np.int64)
        self.max_s = 0.0

    def add(self, durations_s: Floats) -> None:
        """Take note of durations (n,), none of them negative."""
        if len(durations_s):
            bins = np.searchsorted(_EDGES_S, durations_s, side="right")
            self._counts += np.bincount(bins, minlength=BINS + 1)
            self.max_s = max(self.max_s, float(durations_s.max()))

    def merge(self, other: QuantileSketch) -> None:
        """Add all that the other one holds."""
        self._counts += other._counts
        self.max_s = max(self.max_s, other.max_s)

    def __len__(self) -> int:
        return int(self._counts.sum())

    def quantile_s(self, share: float) -> float:
        """The duration that this share does not exceed; 0 where there is nothing."""
        total = len(self)
        if not total:
            return 0.0
        reached = np.cumsum(self._counts)
        place = int(np.searchsorted(reached, share * total, side="left"))
        if place == 0:
            return 0.0
        return min(float(_EDGES_S[place - 1] * np.sqrt(GROWTH)), self.max_s)

    def share_up_to(self, limit_s: float) -> float:
        """The share of durations up to the limit, to the bin; 1 where there is nothing."""
        total = len(self)
        bins = int(np.searchsorted(_EDGES_S, limit_s, side="right"))
        return 1.0 if not total else float(self._counts[: bins + 1].sum() / total)
