"""How long something takes that is not the same each time: a pod's start-up, a node's arrival.

`workload.py` and `nodes.py` draw from them. Draws are rounded up to the sync grid, so that pods
that come up together stay one cohort. They must draw from the generator handed in and no other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

GRID_S = 15.0
"""The HPA's sync period, `--horizontal-pod-autoscaler-sync-period`: nobody looks more often."""
DELAY_MAX_S = 86_400.0
"""A draw beyond a day is cut: whoever waits that long was never started."""
SAMPLES_MAX = 100_000
_NORMAL_P90 = 1.2815515655446004


class Delay(Protocol):
    """Seconds from asking for something until it is there."""

    def draw(self, rng: Generator, count: int) -> list[tuple[float, int]]:
        """Delays of `count` things as (seconds, how many), shortest first."""
        ...


@dataclass(frozen=True, slots=True)
class FixedDelay:
    """Always the same; it is not rounded."""

    delay_s: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.delay_s <= DELAY_MAX_S:
            raise ValueError(f"a delay of {self.delay_s} s is not within 0 to {DELAY_MAX_S:.0f} s")

    def draw(self, rng: Generator, count: int) -> list[tuple[float, int]]:
        """All at once."""
        return [(self.delay_s, count)] if count else []


@dataclass(frozen=True, slots=True)
class LogNormalDelay:
    """Log-normal, told by its median and the value that nine of ten stay below, in seconds."""

    median_s: float
    p90_s: float

    def __post_init__(self) -> None:
        if not 0.0 < self.median_s <= self.p90_s <= DELAY_MAX_S:
            sentence = f"a median of {self.median_s} s and a p90 of {self.p90_s} s"
            raise ValueError(f"{sentence} are not those of a delay")

    def draw(self, rng: Generator, count: int) -> list[tuple[float, int]]:
        """Each thing draws for itself."""
        spread = math.log(self.p90_s / self.median_s) / _NORMAL_P90
        return _on_grid(self.median_s * np.exp(spread * rng.standard_normal(count)))


@dataclass(frozen=True, slots=True)
class EmpiricalDelay:
    """As measured, such as the lead times that a service has learnt: each sample as likely."""

    samples_s: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.samples_s) <= SAMPLES_MAX:
            raise ValueError(f"{len(self.samples_s)} samples are not 1 to {SAMPLES_MAX}")
        if not all(0.0 <= one < math.inf for one in self.samples_s):
            raise ValueError("a sample of a delay is negative or not a number")

    def draw(self, rng: Generator, count: int) -> list[tuple[float, int]]:
        """Each thing takes one of the samples."""
        return _on_grid(rng.choice(np.array(self.samples_s), count))


def _on_grid(delays_s: NDArray[np.float64]) -> list[tuple[float, int]]:
    bounded = np.minimum(delays_s, DELAY_MAX_S)
    values, counts = np.unique(np.ceil(bounded / GRID_S) * GRID_S, return_counts=True)
    return list(zip(values.tolist(), counts.tolist(), strict=True))
