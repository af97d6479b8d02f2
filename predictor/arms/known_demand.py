"""What an arm knows of past demand: the learnt stretch and the scene's, as one series.

Every arm that looks back calls it. It must never read `Learnt.future`, nor take a gap for a zero.
"""

from __future__ import annotations

import math

import numpy as np

from models.series import FloatArray
from predictor.arms.arm import Learnt, Scene

DAY_S = 86_400
WEEK_S = 7 * DAY_S

# A quotient that is whole but for rounding does not ask for one more pod.
ROUNDING = 1e-9


def pods_for(demand_per_s: float, rate_per_pod_per_s: float) -> int:
    """Pods that carry this demand; 0 where either number says nothing."""
    if not (math.isfinite(demand_per_s) and demand_per_s > 0.0 and rate_per_pod_per_s > 0.0):
        return 0
    return math.ceil(demand_per_s / rate_per_pod_per_s - ROUNDING)


class KnownDemand:
    """The learnt stretch behind each scene's own demand, both on one grid of steps."""

    def __init__(self, learnt: Learnt) -> None:
        self._learnt = learnt.demand
        self._learnt_end_s = learnt.end_s
        self._learnt_start_s = learnt.end_s - len(learnt.demand) * learnt.step_s

    def start_s(self, scene: Scene) -> int:
        """Where the oldest known step begins, epoch seconds."""
        start_s = scene.end_s - len(scene.demand) * scene.step_s
        return min(start_s, self._learnt_start_s) if len(self._learnt) else start_s

    def last(self, scene: Scene, span_s: float) -> FloatArray:
        """The whole steps of the last `span_s` before `scene.end_s`, per second, oldest first.

        Always as many as fit in: NaN before the first known step, for gaps and for numbers that
        are no demand (negative, infinite).
        """
        steps = int(span_s // scene.step_s)
        newest = scene.demand[max(len(scene.demand) - steps, 0) :] if steps else scene.demand[:0]
        missing = steps - len(newest)
        found = newest
        if missing:
            found = np.concatenate([self._older(scene, len(newest), missing), newest])
        return np.where(np.isfinite(found) & (found >= 0.0), found, np.nan)

    def at(self, scene: Scene, time_s: float) -> float:
        """The rate of the last whole step that had ended by `time_s`; NaN where unknown."""
        back = math.ceil((scene.end_s - time_s) / scene.step_s)
        place = len(scene.demand) - 1 - back
        if back < 0:
            return math.nan
        if place >= 0:
            return float(scene.demand[place])
        oldest_s = scene.end_s - len(scene.demand) * scene.step_s
        older = len(self._learnt) + (oldest_s - self._learnt_end_s) // scene.step_s + place
        return float(self._learnt[older]) if 0 <= older < len(self._learnt) else math.nan

    def _older(self, scene: Scene, newest: int, steps: int) -> FloatArray:
        """The `steps` before the newest ones, from the learnt stretch."""
        made = np.full(steps, np.nan)
        stop_s = scene.end_s - newest * scene.step_s
        stop = len(self._learnt) + (stop_s - self._learnt_end_s) // scene.step_s
        places = np.arange(stop - steps, stop)
        known = (places >= 0) & (places < len(self._learnt))
        made[known] = self._learnt[places[known]]
        return made


def period_of(step_s: int, wanted_s: int) -> int:
    """The multiple of `step_s` next below `wanted_s`, at least one step."""
    return max(wanted_s // step_s, 1) * step_s


def in_periods(
    values: FloatArray, end_s: int, step_s: int, period_s: int, *, peak: bool = False
) -> tuple[FloatArray, int]:
    """Means (or peaks) of whole periods that end on multiples of `period_s`, and where they end.

    A period with no known step is NaN, one with some counts those.
    """
    many = period_s // step_s
    skip = (end_s % period_s) // step_s
    kept = values[: len(values) - skip] if skip else values
    blocks = kept[len(kept) % many :].reshape(-1, many)
    ended_s = end_s - skip * step_s
    if peak:
        return np.asarray(np.fmax.reduce(blocks, axis=1)), ended_s
    known = np.isfinite(blocks)
    count = known.sum(axis=1)
    total = np.where(known, blocks, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), ended_s


def filled(values: FloatArray) -> FloatArray:
    """Gaps take the value before them; those before the first known value are left out."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return values[:0]
    places = np.zeros(len(values), dtype=np.int64)
    places[known] = known
    return np.asarray(values[np.maximum.accumulate(places)][known[0] :])
