"""Learns how much demand announced workflows bring to their later modules, and when.

A workflow that starts says which modules it will ask (MPLP's `workflow_started` with `stages`).
`predictor/core/announced.py` tells them to `AnnouncedStages` together with the demand that was
measured, and asks what the workflows in flight will still bring. How a delay is learnt
stands in `models/distributed_lag.py`. It must never use a demand before it was measured, never keep
who announced what, and never promise what it has not foretold well before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.distributed_lag import DistributedLag
from models.series import ALL_REGIONS, FloatArray, SeriesKey, rows_of
from models.step_windows import IntArray

DAY_S = 86_400
DELAY_S_MAX = 1800.0
"""A stage that comes later than half an hour after the announcement is no longer the same load."""
DELAY_STEPS_MAX = 120
FINE_STEPS = 6
BOX_GROWTH = 1.35
"""The first delays one by one, then boxes that widen by a third: late stages are spread out."""
LATE_STEPS = 120
"""Announcements may come so many steps late, and demand may be told in pieces of so many."""
AHEAD_STEPS_MAX = 10
"""An announcement further in the future is a wrong clock's, and is dropped."""
STAGES_MAX = 64
COUNT_MAX = 1e9
HARMONICS = 2
PIECE_STEPS = 30


class StageSkill(NamedTuple):
    """What is known of each series; all (n,)."""

    requests_per_announcement: FloatArray
    delay_s: FloatArray
    """The mean delay, NaN where nothing is expected."""
    skill: FloatArray
    """The share of squared error taken away on steps foretold before they were seen."""
    is_believed: NDArray[np.bool_]


class AnnouncedStages:
    """Counts of announcements by series and step, and what was learnt of them; memory is bounded.

    Steps are those of the series: whole multiples of `step_s` since the epoch.
    """

    def __init__(
        self, keys: Sequence[SeriesKey], step_s: int, delay_s_max: float = DELAY_S_MAX
    ) -> None:
        if step_s <= 0:
            raise ValueError(f"a step of {step_s} s is not a step")
        self.keys = tuple(keys)
        self.step_s = step_s
        self.dropped = 0.0
        self._delays = int(np.clip(round(delay_s_max / step_s), 1, DELAY_STEPS_MAX))
        self._rows: dict[str, dict[str, int]] = {}
        for row, key in enumerate(self.keys):
            self._rows.setdefault(key.module, {})[key.region] = row
        self._counts = np.zeros((len(self.keys), self._delays + LATE_STEPS + PIECE_STEPS))
        self._newest: int | None = None
        self._observed_until: int | None = None
        self._box = _boxes(self._delays)
        self._learnt = DistributedLag(len(self.keys), self._box.shape[1], 1 + 2 * HARMONICS)

    def with_keys(self, keys: Sequence[SeriesKey]) -> AnnouncedStages:
        """The same for these series; of those that it does not have nothing is known yet."""
        made = AnnouncedStages(keys, self.step_s, self._delays * self.step_s)
        rows = rows_of(self.keys, made.keys)
        known = rows >= 0
        made._counts[known] = self._counts[rows[known]]
        made._learnt = self._learnt.of_rows(rows)
        made.dropped = self.dropped
        made._newest, made._observed_until = self._newest, self._observed_until
        return made

    def announce(
        self, at_s: float, stages: Sequence[str], count: float = 1.0, region: str = ALL_REGIONS
    ) -> None:
        """`count` workflows that started at `at_s` will ask these modules, each as often as named.

        Names that are no module of ours are passed over. Too old or too far in the future: counted
        in `dropped` and not used. Raises `ValueError` for a count that is none.
        """
        if not 0 < count <= COUNT_MAX:
            raise ValueError(
                f"{count} workflows announced; expected above 0, at most {COUNT_MAX:g}"
            )
        step = int(at_s // self.step_s)
        newest = step if self._newest is None else self._newest
        if not -self._counts.shape[1] < step - newest <= AHEAD_STEPS_MAX:
            self.dropped += count
            return
        self._advance(step)
        place = step - (self._newest or 0) - 1
        for stage in stages[:STAGES_MAX]:
            of_module = self._rows.get(stage, {})
            for name in {region, ALL_REGIONS}:
                if name in of_module:
                    self._counts[of_module[name], place] += count

    def observe(self, start_s: int, demand: FloatArray) -> None:
        """Measured demand of closed steps from `start_s` on, rate per second, shape (n, steps).

        NaN where unknown. Steps that were told before are passed over. All announcements of these
        steps must have been told. Raises `ValueError` for another shape or more than `LATE_STEPS`.
        """
        if demand.shape[0] != len(self.keys) or demand.shape[1] > LATE_STEPS:
            raise ValueError(
                f"demand of shape {demand.shape}; expected {len(self.keys)} series and at most "
                f"{LATE_STEPS} steps"
            )
        first = start_s // self.step_s
        told = first if self._observed_until is None else max(self._observed_until, first)
        stop = first + demand.shape[1]
        self._advance(stop - 1)
        for piece in range(told, stop, PIECE_STEPS):
            steps = np.arange(piece, min(piece + PIECE_STEPS, stop))
            seen = demand[:, steps - first]
            self._learnt.add(self._regressors(steps), _wave(steps, self.step_s), seen, self.step_s)
        self._observed_until = max(told, stop)

    def expected(self, made_at_s: int, steps: int) -> FloatArray:
        """Demand that workflows in flight will bring, rate per second, shape (n, steps).

        Of the steps from `made_at_s` on. A floor under any forecast: it comes whatever else does.
        Zero where announcements have not foretold demand well.
        """
        return self._carried(made_at_s, steps, self._counts)

    def surplus(self, made_at_s: int, steps: int) -> FloatArray:
        """The same for the announcements above or below their mean over the window kept.

        To be added to a forecast that follows the recent level, which knows the mean already.
        """
        usual = self._counts.mean(axis=1, keepdims=True)
        return self._carried(made_at_s, steps, self._counts - usual)

    @property
    def reach_s(self) -> int:
        """Demand that comes later than this is no longer that of an announcement."""
        return self._delays * self.step_s

    def in_flight(self, made_at_s: int) -> FloatArray:
        """How many were announced so late that some of their demand may be to come, shape (n,)."""
        steps = made_at_s // self.step_s + np.arange(-self._delays, AHEAD_STEPS_MAX)
        return np.asarray(self._at(steps, self._counts).sum(axis=1))

    def skill(self) -> StageSkill:
        """What has been learnt, for reasons and metrics."""
        kernel = self._learnt.solved() @ self._box.T
        total = kernel.sum(axis=1)
        delay = kernel @ (self.step_s * (np.arange(self._delays) + 0.0))
        some = total > 0
        mean_s = np.where(some, delay / np.where(some, total, 1.0), np.nan)
        return StageSkill(total, mean_s, self._learnt.skill(), self._learnt.is_believed())

    def _carried(self, made_at_s: int, steps: int, counts: FloatArray) -> FloatArray:
        carried = np.zeros((len(self.keys), steps))
        if self._newest is None or not steps:
            return carried
        first = made_at_s // self.step_s
        # Beyond the longest delay after the newest announcement nothing is in flight.
        reach = int(np.clip(self._newest + self._delays - first, 0, steps))
        ahead = first + np.arange(reach)
        kernel = self._learnt.solved() @ self._box.T
        at = ahead[:, None] - np.arange(self._delays)
        carried[:, :reach] = np.einsum("nhd,nd->nh", self._at(at, counts), kernel) / self.step_s
        return np.where(self._learnt.is_believed()[:, None], carried, 0.0)

    def _regressors(self, steps: IntArray) -> FloatArray:
        """Announcements per second by delay box, shape (n, steps, boxes)."""
        at = steps[:, None] - np.arange(self._delays)
        return np.asarray(self._at(at, self._counts) @ self._box / self.step_s)

    def _at(self, steps: IntArray, counts: FloatArray) -> FloatArray:
        """The counts of these steps; zero outside of what is kept."""
        place = steps - (self._newest or 0) + counts.shape[1] - 1
        inside = (place >= 0) & (place < counts.shape[1])
        return np.where(inside, counts[:, np.where(inside, place, 0)], 0.0)

    def _advance(self, step: int) -> None:
        """Make `step` the newest one kept, if it is newer."""
        by = 0 if self._newest is None else step - self._newest
        if self._newest is None or by > 0:
            self._newest = step
        if by > 0:
            kept = self._counts[:, by:]
            self._counts = np.zeros_like(self._counts)
            if kept.shape[1]:
                self._counts[:, : kept.shape[1]] = kept


def _boxes(delays: int) -> FloatArray:
    """Which delay lies in which box, shape (delays, boxes); each box a column of ones and zeros."""
    edges = [0]
    while edges[-1] < delays:
        width = 1 if len(edges) <= FINE_STEPS else BOX_GROWTH ** (len(edges) - FINE_STEPS)
        edges.append(min(edges[-1] + round(width), delays))
    number = np.searchsorted(np.array(edges), np.arange(delays), side="right") - 1
    return np.asarray(number[:, None] == np.arange(len(edges) - 1), dtype=np.float64)


def _wave(steps: IntArray, step_s: int) -> FloatArray:
    """A constant and the first harmonics of a day, shape (steps, 1 + 2 * HARMONICS)."""
    angle = 2.0 * np.pi * step_s * (steps + 0.5) / DAY_S
    columns = [np.ones(len(steps))]
    for harmonic in range(1, HARMONICS + 1):
        columns += [np.cos(harmonic * angle), np.sin(harmonic * angle)]
    return np.stack(columns, axis=1)
