"""Counts what a simulated cluster measures, by target and day, judged time only.

`play.py` calls it after each chunk of time. What the cluster counts is added up over stretches
between two boundaries: the ends of days, and of what is judged. It must never count time in which
nobody knows what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from models.series import ALL_REGIONS, FloatArray, SeriesKey
from predictor.cluster_model.measures import Measures
from predictor.core.cluster import TargetKey
from predictor.simulation.figures import DayFigures
from predictor.simulation.load import DAY_S, SYNC_S, Load
from predictor.simulation.response_bounds import RESPONSE_BOUNDS_S


class Boundary(NamedTuple):
    """A moment at which a target's count is read; `counts`: what came before it is judged."""

    chunk: int
    target: int
    counts: bool


def boundaries(load: Load) -> tuple[Boundary, ...]:
    """All moments at which something is read, in the order of time."""
    found = []
    rows = load.rows
    chunks = load.served.shape[1]
    at_s = load.play_from_s + SYNC_S * np.arange(1, chunks)
    is_midnight = at_s % DAY_S < SYNC_S
    for number, key in enumerate(load.targets):
        counted = load.counted[rows[SeriesKey(*key)]].copy()
        if (shared := rows.get(SeriesKey(key.module, ALL_REGIONS))) is not None:
            counted &= load.counted[shared]
        edges = np.flatnonzero((counted[1:] != counted[:-1]) | is_midnight) + 1
        found += [Boundary(chunk, number, bool(counted[chunk - 1])) for chunk in edges.tolist()]
        found.append(Boundary(chunks, number, bool(counted[-1])))
    return tuple(sorted(found))


class Tally:
    """One arm's figures so far."""

    def __init__(self, load: Load, read: Callable[[TargetKey], Measures]) -> None:
        self._load = load
        self._read = read
        self._before = {key: read(key) for key in load.targets}
        self._sums: dict[tuple[str, str], FloatArray] = {}

    def take(self, boundary: Boundary) -> None:
        """Read one target's count at a boundary."""
        key = self._load.targets[boundary.target]
        now, before = self._read(key), self._before[key]
        self._before[key] = now
        if not boundary.counts:
            return
        end_s = self._load.play_from_s + boundary.chunk * SYNC_S
        day = datetime.fromtimestamp(end_s - SYNC_S, UTC).date().isoformat()
        place = (day, f"{key.module}/{key.region}")
        added = _columns(now) - _columns(before)
        self._sums[place] = self._sums.get(place, 0.0) + added

    def days(self) -> tuple[DayFigures, ...]:
        """All that was judged, by day and target."""
        return tuple(
            _figures(day, target, sums) for (day, target), sums in sorted(self._sums.items())
        )


def _columns(measures: Measures) -> FloatArray:
    first = (
        measures.elapsed_s, measures.violation_s, measures.pod_s, measures.requests,
        measures.unserved, measures.scale_actions, measures.floor_changes,
    )  # fmt: skip
    return np.array(
        (*first, *measures.response_times.counts_between(RESPONSE_BOUNDS_S)), dtype=np.float64
    )


def _figures(day: str, target: str, sums: FloatArray) -> DayFigures:
    elapsed_s, violation_s, pod_s, requests, unserved, actions, changes, *slow = sums.tolist()
    return DayFigures(
        day=day,
        target=target,
        judged_minutes=round(elapsed_s / 60, 3),
        violation_minutes=round(violation_s / 60, 3),
        pod_hours=round(pod_s / 3600, 4),
        requests=round(requests, 1),
        unserved=round(unserved, 1),
        scale_actions=round(actions),
        floor_changes=round(changes),
        slow=tuple(round(count, 1) for count in slow),
    )
