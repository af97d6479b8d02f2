"""What announced workflows will still ask of the modules that this worker decides for.

`predictor/core/history.py` hands it the demand parts that carry announcements,
`predictor/current_model.py` asks it at each tick with the newest batch. It tells both to
`models/announced_stages.py`, step by step in the order of time, so that an announcement is learnt
from only when the demand of its step is known. A part that comes again, or in a newer revision,
adds what it has more and nothing else. Bounded in series, steps and parts; never stored: after a
restart it is learnt again from the parts of the demand table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.announced_stages import AHEAD_STEPS_MAX, COUNT_MAX, AnnouncedStages
from models.series import ALL_REGIONS, FloatArray, SeriesBatch, SeriesKey
from streams.demand import DemandPart, supersedes
from streams.demand_blocks import ABSENT, DemandBlock

LEARN_S = 2 * 86_400
"""So far back a beginning is learnt from: the half-life of what is learnt (`distributed_lag`)."""
LEARN_CELLS_PER_TICK = 20_000
LEARN_STEPS_PER_TICK = 960
"""Steps times series, and steps, that one tick learns from at most: less than 0.2 s of it."""
SERIES_MAX = 512
PARTS_MAX = 50_000
"""Parts that are held because a newer one may come; beyond that the older half is final."""


class Expected(NamedTuple):
    """Series with workflows in flight that are believed, and what these will ask.

    `rows` are the series' places in the batch, shape (k,); `rate_per_s` has shape (k, steps).
    """

    rows: NDArray[np.int64]
    rate_per_s: FloatArray
    sentences: tuple[str, ...]


class AnnouncedWorkflows:
    """Announcements by module, region and step, and what demand they have brought so far."""

    def __init__(
        self, keys: Sequence[SeriesKey], step_s: int, keep_s: int, series_max: int = SERIES_MAX
    ) -> None:
        """`keep_s` is for how long a part may be replaced by a newer one."""
        self._step_s, self._keep_s, self._series_max = step_s, keep_s, series_max
        self._learn_steps = max(LEARN_S // step_s, 1)
        self._rows_of: dict[str, list[int]] = {}
        for row, key in enumerate(keys):
            self._rows_of.setdefault(key.module, []).append(row)
        self._keys = tuple(keys)
        self._regions = {key.region for key in keys}
        self._modules: set[str] = set()
        self._rows: NDArray[np.int64] = np.zeros(0, np.int64)
        self._parts: dict[tuple[int, int, str], DemandPart] = {}
        self._kept_from_s = 0
        self._pending: dict[int, dict[tuple[str, str], float]] = {}
        self._stages = AnnouncedStages((), step_s)
        self._learnt_until: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever announced."""
        return not self._modules

    def put(self, part: DemandPart) -> list[str]:
        """Take in what a part announces; gives what of it cannot be used, a reason for each."""
        start_s = part.bucket_start_s
        if start_s < self._kept_from_s:
            return ["announced too late"]
        place = start_s, part.partition, part.module
        known = self._parts.get(place)
        if known is not None and not supersedes(part, known):
            return []
        self._parts[place] = part
        before = {} if known is None else dict(known.announced)
        faults = []
        for region, workflows in part.announced:
            fault = self._fault(part.module, region, workflows)
            if fault:
                faults.append(fault)
            elif workflows > before.get(region, 0.0):
                self._add(start_s, part.module, region, workflows - before.get(region, 0.0))
        if len(self._parts) > PARTS_MAX:
            self._forget_parts(sorted(one[0] for one in self._parts)[PARTS_MAX // 2])
        return faults

    def put_block(self, block: DemandBlock, until_s: int) -> list[str]:
        """The same for a stretch that no newer part will replace, its buckets before `until_s`."""
        starts_s = block.key.start_s + block.bucket_s * np.arange(len(block.revisions))
        given = (starts_s < until_s) & (block.revisions != ABSENT)
        self._kept_from_s = max(self._kept_from_s, until_s)
        faults = []
        for region, workflows in block.announced:
            some = given & (workflows > 0) & (workflows <= COUNT_MAX)
            fault = self._fault(block.key.module, region, 1.0) if some.any() else ""
            if fault:
                faults.append(fault)
                continue
            steps, place = np.unique(starts_s[some] // self._step_s, return_inverse=True)
            sums = np.bincount(place, workflows[some], len(steps))
            for step, total in zip(steps.tolist(), sums.tolist(), strict=True):
                self._add(step * self._step_s, block.key.module, region, total)
        return faults

    def learn(self, batch: SeriesBatch) -> None:
        """Learn from the steps that the batch has got since; what is newer is only noted."""
        if self.is_empty or not batch.values.shape[1]:
            return
        self._grow()
        self._forget_parts(batch.end_s - self._keep_s)
        start, end = batch.start_s // self._step_s, batch.end_s // self._step_s
        begun = self._begin_at(max(start, end - self._learn_steps), end)
        self._announce(0, begun)
        most = min(LEARN_CELLS_PER_TICK // len(self._rows), LEARN_STEPS_PER_TICK)
        stop = min(end, begun + max(most, AHEAD_STEPS_MAX))
        for step in range(begun, stop, AHEAD_STEPS_MAX):
            self._observe(batch.values[:, :0], step)  # after a pause: what follows is not ahead
            next_step = min(step + AHEAD_STEPS_MAX, stop)
            self._announce(step, next_step)
            self._observe(batch.values[:, step - start : next_step - start], step)
        self._learnt_until = max(begun, stop)
        if self._learnt_until >= end:
            self._announce(end, end + AHEAD_STEPS_MAX)

    def expected(self, made_at_s: int, steps: int) -> Expected | None:
        """What the workflows in flight bring to the steps from `made_at_s` on; None for nothing."""
        if self.is_empty or not len(self._rows) or not steps:
            return None
        rate_per_s = self._stages.expected(made_at_s, steps)
        some = np.flatnonzero(rate_per_s.any(axis=1))
        if not len(some):
            return None
        counts = self._stages.in_flight(made_at_s)
        delay_s = self._stages.skill().delay_s
        sentences = tuple(
            f"{counts[place]:.0f} workflows of the last {self._stages.reach_s / 60:.0f} min "
            f"announced {self._keys[self._rows[place]].module} and ask it {delay_s[place]:.0f} s "
            f"later on average: up to {rate_per_s[place].max():.4g} requests per second of them"
            for place in some.tolist()
        )
        return Expected(self._rows[some], rate_per_s[some], sentences)

    def _fault(self, module: str, region: str, workflows: float) -> str:
        """Why this announcement cannot be used; empty for one that can."""
        if not 0 < workflows <= COUNT_MAX:
            return "impossible announcement"
        rows = self._rows_of.get(module)
        if rows is None or region == ALL_REGIONS or region not in self._regions:
            return "announced for an unknown region"
        taken = sum(len(self._rows_of[one]) for one in self._modules)
        if module not in self._modules and taken + len(rows) > self._series_max:
            return "too many announced series"
        return ""

    def _add(self, start_s: int, module: str, region: str, workflows: float) -> None:
        step = start_s // self._step_s
        self._modules.add(module)
        found = self._pending.setdefault(step, {})
        found[module, region] = found.get((module, region), 0.0) + workflows
        if len(self._pending) > 2 * self._learn_steps:
            newest = max(self._pending)
            for old in [one for one in self._pending if one <= newest - self._learn_steps]:
                del self._pending[old]

    def _forget_parts(self, before_s: int) -> None:
        if before_s <= self._kept_from_s:
            return
        self._kept_from_s = before_s
        for place in [one for one in self._parts if one[0] < self._kept_from_s]:
            del self._parts[place]

    def _grow(self) -> None:
        """Make room for the series of modules that were announced for the first time."""
        rows = sorted(row for module in self._modules for row in self._rows_of[module])
        if len(rows) != len(self._rows):
            self._rows = np.array(rows, np.int64)
            self._stages = self._stages.with_keys([self._keys[row] for row in rows])

    def _begin_at(self, oldest: int, end: int) -> int:
        """The first step to be learnt from; nothing was announced before the first pending one."""
        if self._learnt_until is None:
            return max(oldest, min(*self._pending, end))
        return max(oldest, self._learnt_until)

    def _observe(self, values: FloatArray, step: int) -> None:
        self._stages.observe(step * self._step_s, values[self._rows].astype(np.float64))

    def _announce(self, first: int, stop: int) -> None:
        """Tell what is pending of these steps, in the order of time."""
        for step in sorted(one for one in self._pending if first <= one < stop):
            for (module, region), workflows in self._pending.pop(step).items():
                count = min(workflows, COUNT_MAX)
                self._stages.announce(step * self._step_s, (module,), count, region)
