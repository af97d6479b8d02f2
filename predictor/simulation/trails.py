"""Keeps what a page draws of a simulation: the day that went worst for us, a value a minute.

`play.py` calls it after each chunk of time. Only lanes at their usual setting leave a trail, and of
the days only the worst so far is kept, so that memory is bounded. It must never count what is
judged; that is `tally.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from predictor.core.cluster import TargetKey
from predictor.simulation.figures import Trail
from predictor.simulation.lanes import ALONE, OURS, Lane
from predictor.simulation.load import DAY_S, SYNC_S, Load

STEP_S = 60
_CHUNKS = STEP_S // SYNC_S
_Place = tuple[str, TargetKey]
_Row = tuple[float, int, int, bool]


class TrailWriter:
    """Trails of lanes; `worst_day` gives those of the day with the most violation under our floor.

    Where two days are equal in that, the one on which our floor cost more pods than HPA alone.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._start_s = load.stretch.from_s
        self._rows: dict[_Place, list[_Row]] = {}
        self._violated: set[_Place] = set()
        self._worst: tuple[tuple[int, int], tuple[Trail, ...]] | None = None

    def take(
        self,
        chunk: int,
        now_s: int,
        lanes: Sequence[Lane],
        demands: Sequence[Mapping[TargetKey, float]],
    ) -> None:
        """Look at all lanes and what each was asked for, and keep what was seen once a minute."""
        if now_s <= self._load.stretch.from_s:
            return
        is_kept = (chunk + 1) % _CHUNKS == 0
        for lane, demand in zip(lanes, demands, strict=True):
            if lane.name.is_usual:
                self._look(lane, demand, is_kept=is_kept)
        if is_kept:
            self._violated.clear()
        if is_kept and (now_s - 1) // DAY_S != (now_s + STEP_S - 1) // DAY_S:
            self._end_day()
            self._start_s = now_s

    def worst_day(self) -> tuple[Trail, ...]:
        """See the class; empty where nothing was played."""
        self._end_day()
        return () if self._worst is None else self._worst[1]

    def _look(self, lane: Lane, demand: Mapping[TargetKey, float], *, is_kept: bool) -> None:
        for key in self._load.targets:
            workload = lane.cluster.workload(key)
            place = (lane.name.arm, key)
            if workload.in_violation:
                self._violated.add(place)
            if is_kept:
                row = (
                    demand[key], workload.ready, workload.floor, place in self._violated,
                )  # fmt: skip
                self._rows.setdefault(place, []).append(row)

    def _end_day(self) -> None:
        if self._rows:
            how_bad = (self._violated_minutes(), self._pods(OURS) - self._pods(ALONE))
            if self._worst is None or how_bad > self._worst[0]:
                self._worst = (how_bad, self._trails())
        self._rows = {}

    def _violated_minutes(self) -> int:
        return sum(row[3] for (arm, _), rows in self._rows.items() if arm == OURS for row in rows)

    def _pods(self, arm: str) -> int:
        return sum(row[1] for (name, _), rows in self._rows.items() if name == arm for row in rows)

    def _trails(self) -> tuple[Trail, ...]:
        trails = []
        for (arm, key), rows in self._rows.items():
            demand, ready, floor, violated = zip(*rows, strict=True)
            rates = tuple(round(rate, 3) for rate in demand)
            target = f"{key.module}/{key.region}"
            trails.append(Trail(arm, target, self._start_s, STEP_S, rates, ready, floor, violated))
        return tuple(trails)
