"""Adds up the demand parts of all input partitions and keeps weeks of them as bounded series.

The service feeds it (`add`, `add_block`, `advance`) and reads it once per tick (`series`,
`observed`). A part is never taken for the whole: a bucket counts in a series only when every live
partition has passed it; before that it is provisional and may raise a floor, never lower one. Where
a partition was lost, or lost records, or a topic was silent without proof that its senders live,
the step is a gap (NaN), never a drop. Records may come in any order and any number of times. A part
of a higher revision also corrects steps that are in the series already: for `keep_s`, and where the
step is still a gap as long as its parts are held. Steps that are too old for the series go on as
means over longer ones (decision 0010). On a change of the owned partitions build a new `History`
and feed it everything again: what another worker counted meanwhile looked like zero here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray, SeriesBatch, SeriesKey
from predictor.core.announced import AnnouncedWorkflows
from predictor.core.demand_layout import DemandLayout
from predictor.core.history_layers import HistoryLayers
from predictor.core.input_partitions import InputPartitions
from predictor.core.kept_series import KeptSeries
from predictor.core.loaded_steps import LoadedSteps
from predictor.core.observed import Observed
from predictor.core.open_buckets import OpenBuckets
from predictor.core.step_ring import Steps
from predictor.core.usual_peak import UsualPeaks
from streams.demand import DemandPart, Progress
from streams.demand_blocks import DemandBlock
from streams.gaps import overlaps, without

# A provisional rate is a mean over three buckets: one bucket of 10 s is mostly chance at low rates,
# and 30 s is the shortest time over which an HPA's metric pipeline averages.
PROVISIONAL_BUCKETS = 3
PROVISIONAL_S = 120
FUTURE_S = 3600
"""A bucket this far ahead of every partition's progress is set aside (the broker's own limit)."""
FORTNIGHT = HistoryLayers()
OPEN_STEPS_MAX = 360
"""Gaps that may yet be filled: six hours of minutes, some 20 MB for a dozen input partitions."""


class History:
    """Demand of the configured modules and regions; nothing else ever becomes a row.

    Keys: (module, region) with all demand of a module that is not routed; (module, region) with the
    pinned and (module, `ALL_REGIONS`) with the unpinned demand of one that is. `set_aside` counts
    what was not used, by reason. `inputs` says what is waited for, and for how long.
    """

    def __init__(
        self,
        modules: Sequence[str],
        regions: Sequence[str],
        routed_modules: Iterable[str] = (),
        *,
        layers: HistoryLayers = FORTNIGHT,
        bucket_s: int = 10,
        keep_s: int = 900,
        inputs: InputPartitions | None = None,
    ) -> None:
        step_s, length_s = layers.step_s, layers.length_s
        if step_s % bucket_s or keep_s < 2 * PROVISIONAL_S:
            raise ValueError(
                f"a step of {step_s} s must hold whole buckets of {bucket_s} s, and {keep_s} s to "
                f"keep must be at least {2 * PROVISIONAL_S} s"
            )
        self._layout = DemandLayout.of(modules, regions, set(routed_modules))
        self._bucket_s, self._step_s, self._keep_s = bucket_s, step_s, keep_s
        self._layers = layers
        self._buckets_max = length_s // bucket_s
        self._buckets = OpenBuckets(self._layout)
        self._kept = KeptSeries(self._layout.keys, layers)
        self.announced = AnnouncedWorkflows(self._layout.keys, step_s, keep_s)
        self._usual_peaks = UsualPeaks()
        self._loaded: LoadedSteps | None = None
        self._partitions = InputPartitions() if inputs is None else inputs
        self._first_part_s: int | None = None
        self._fold_from_s: int | None = None
        self._unsettled: set[int] = set()
        self._open_steps: set[int] = set()
        self._lost = self._partitions.gaps
        self._seeded_until_s = 0
        self.set_aside: Counter[str] = Counter()

    @property
    def keys(self) -> tuple[SeriesKey, ...]:
        """The rows of every batch, in order."""
        return self._layout.keys

    @property
    def watermark_s(self) -> float:
        """Event time that every input partition with events has reached; 0 before that."""
        return float(self._partitions.watermark_s())

    def add(self, part: DemandPart) -> None:
        """Take in what one partition held of a module's bucket; repeating it changes nothing."""
        start_s = part.bucket_start_s
        reason = self._refusal(part.module, start_s, part.bucket_s, part.partition)
        if reason:
            self.set_aside[reason] += 1
            return
        self.set_aside.update(self._buckets.put(part))
        if part.announced:
            self.set_aside.update(self.announced.put(part))
        first_s = self._first_part_s
        self._first_part_s = start_s if first_s is None else min(first_s, start_s)
        if self._kept.end_s is not None and start_s < self._kept.end_s:
            self._unsettled.add(start_s // self._step_s * self._step_s)
        if len(self._buckets) > self._buckets_max:
            self._forget_bucket(self._buckets.oldest_s)

    def add_block(self, block: DemandBlock) -> None:
        """Take in a stretch of what one partition held of a module, as the demand table keeps it.

        Before the first look, with the progress of the inputs known, weeks of blocks go in as
        arrays; each block must come only once then. What can still be corrected goes in by parts.
        """
        key = block.key
        if key.module not in self._layout.module_rows:
            self.set_aside["unknown module"] += int((block.revisions >= 0).sum())
            return
        if self._loaded is None and self._kept.end_s is None:
            self._loaded = self._new_loaded()
        loaded = self._loaded
        if loaded is None or self._refusal(key.module, key.start_s, block.bucket_s, key.partition):
            from_s = key.start_s
        else:
            self.set_aside.update(loaded.add(block))
            from_s = loaded.end_s
            if block.announced:
                self.set_aside.update(self.announced.put_block(block, from_s))
        if block.end_s > from_s:
            for part in block.parts():
                if part.bucket_start_s >= from_s:
                    self.add(part)

    def advance(self, progress: Progress) -> None:
        """Take in how far one input partition has come."""
        if not self._partitions.advance(progress):
            self.set_aside["impossible partition"] += 1
        self._unsettled |= self._open_steps

    def seed(self, batch: SeriesBatch) -> int:
        """Put an older history under what is measured here; gives the number of series it knew.

        Raises `ValueError` when its steps lie on another grid.
        """
        self._lay_loaded()
        known = self._kept.seed(batch)
        if known:
            self._fold_from_s = max(self._fold_from_s or batch.end_s, batch.end_s)
            self._seeded_until_s = max(self._seeded_until_s, batch.end_s)
        return known

    def series(self, now_s: float) -> SeriesBatch:
        """All whole steps up to `now_s`, read-only; the same object while nothing changed.

        The batch ends where the partitions have come to, which may be before `now_s`.
        """
        self._settle(now_s)
        return self._kept.batch(int(now_s) // self._step_s * self._step_s)

    def series_digest(self) -> str:
        """The name of the newest batch by its content; worked out once per batch."""
        return self._kept.digest()

    def observed(self, now_s: float) -> Observed:
        """What is asked for right now, with how much of it is known."""
        whole, variance = self._newest_whole_step()
        empty_from_s = int(now_s) // self._step_s * self._step_s
        return Observed(
            keys=self.keys,
            complete_per_s=self._layout.rows(whole),
            provisional_per_s=self._provisional(now_s),
            telemetry_age_s=_age_s(now_s, self._partitions.newest_s),
            incomplete=self._partitions.missing(),
            served_per_s=whole[self._layout.routed, :, 0],
            lag_s=_age_s(now_s, self._partitions.relied_on_s()),
            slowest=self._partitions.behind().sentence,
            sampling_variance=None if variance is None else self._layout.rows(variance),
            usual_peak_per_s=self._usual_peaks.at(self._kept.batch(empty_from_s), now_s),
        )

    def _refusal(self, module: str, start_s: int, bucket_s: int, partition: int) -> str:
        if module not in self._layout.module_rows:
            return "unknown module"
        if bucket_s != self._bucket_s or start_s % self._bucket_s:
            return "other bucket length"
        if not self._partitions.is_possible(partition):
            return "impossible partition"
        if self._fold_from_s is not None and start_s < self._fold_from_s:
            is_held = start_s // self._step_s * self._step_s in self._open_steps
            return "" if is_held else "too late"
        newest_s = self._partitions.newest_s
        if newest_s is not None and start_s > newest_s + FUTURE_S:
            return "too far ahead"
        return ""

    def _new_loaded(self) -> LoadedSteps | None:
        """Room for what is too old to be corrected; None while nobody knows what that is."""
        settled_s = self._partitions.settled_through_s()
        if settled_s is None or settled_s <= self._keep_s:
            return None
        # What a partition that is behind may still fill must stay in parts, but not for weeks.
        open_from_s = settled_s - OPEN_STEPS_MAX * self._step_s
        passed_s = max(self._partitions.complete_through_s() or 0, open_from_s)
        end_s = (min(passed_s, settled_s) - self._keep_s) // self._step_s * self._step_s
        return LoadedSteps(self._layout, self._layers, end_s=end_s)

    def _lay_loaded(self) -> None:
        """Begin the ring with what was loaded: sums become rates, or unknown where not whole."""
        loaded, self._loaded = self._loaded, None
        if loaded is None or loaded.first_part_s is None or self._kept.end_s is not None:
            return
        first_s = self._first_part_s
        first_part_s = loaded.first_part_s
        self._first_part_s = first_part_s if first_s is None else min(first_s, first_part_s)
        start_s, steps = loaded.steps()
        unknown = ~self._are_whole(start_s, steps.rates.shape[1], self._step_s)
        steps.rates[:, unknown] = np.nan
        if steps.variance is not None:
            steps.variance[:, unknown] = 0.0
        self._kept.lay_under(start_s, steps)
        if loaded.has_older:
            coarse_s, rates = loaded.older()
            step_s = self._layers.coarse_step_s
            rates[:, ~self._are_whole(coarse_s, rates.shape[1], step_s)] = np.nan
            self._kept.lay_coarse_under(coarse_s, rates)
        self._fold_from_s = loaded.end_s

    def _settle(self, now_s: float) -> None:
        """Bring the ring up to what the partitions have passed, and mend steps that changed."""
        self._lay_loaded()
        through_s = self._partitions.settled_through_s()
        if through_s is None or self._first_part_s is None:
            return
        through_s = min(through_s, int(now_s) + self._bucket_s)
        end_s = (through_s + self._bucket_s - 1) // self._step_s * self._step_s
        ring_end_s = self._kept.end_s
        if ring_end_s is None:
            ring_end_s = self._first_part_s // self._step_s * self._step_s
            if end_s <= ring_end_s:
                return
            self._kept.begin(ring_end_s)
            self._fold_from_s = ring_end_s
        self._mend()
        first_new_s = max(ring_end_s, self._oldest_new_step(end_s))
        if end_s > first_new_s:
            self._kept.skip_to(first_new_s)
            for step_s in range(first_new_s, end_s, self._step_s):
                self._kept.append(self._fold(step_s))
            self._let_go(end_s)

    def _mend(self) -> None:
        """Fold again what changed since the last look."""
        if self._partitions.gaps is not self._lost:
            self._mark_lost()
        for step_s in sorted(self._unsettled):
            if self._may_change(step_s):
                self._kept.correct(step_s, self._fold(step_s))
        self._unsettled.clear()

    def _mark_lost(self) -> None:
        """Look again at every step of which a partition lost records, or did not after all."""
        before, self._lost = self._lost, self._partitions.gaps
        start_s, end_s = self._kept.start_s or 0, self._kept.end_s or 0
        for from_s, until_s in (*without(self._lost, before), *without(before, self._lost)):
            first_s = max(from_s // self._step_s * self._step_s, start_s)
            self._unsettled.update(range(first_s, min(until_s, end_s), self._step_s))

    def _may_change(self, step_s: int) -> bool:
        """Whether its buckets are held, or it is measured here and turned out to lack some."""
        if step_s >= (self._fold_from_s or step_s) or step_s in self._open_steps:
            return True
        return step_s >= self._seeded_until_s and self._is_lost(step_s)

    def _is_lost(self, start_s: int) -> bool:
        """Whether a partition lost records of the step that begins here, or a topic was silent."""
        gaps = self._partitions.gaps
        return bool(gaps) and overlaps(gaps, start_s, start_s + self._step_s - self._bucket_s)

    def _oldest_new_step(self, end_s: int) -> int:
        """The oldest step worth folding: neither beyond the ring nor before the first part."""
        first_s = self._first_part_s or 0
        oldest_s = end_s - self._buckets_max * self._bucket_s
        return max(first_s // self._step_s * self._step_s, oldest_s)

    def _fold(self, step_s: int) -> Steps:
        """The mean rate of every series over one step; NaN where it is not known."""
        last_bucket_s = step_s + self._step_s - self._bucket_s
        complete_s = self._partitions.complete_through_s()
        self._open_steps.discard(step_s)
        if complete_s is None or last_bucket_s >= complete_s:
            self._open_steps.add(step_s)
        if not self._are_whole(step_s, 1, self._step_s)[0]:
            return Steps(np.full(len(self.keys), np.nan))
        mean, variance = self._mean_per_s(step_s, last_bucket_s)
        rows = self._layout.rows
        return Steps(rows(mean), None if variance is None else rows(variance))

    def _are_whole(self, start_s: int, steps: int, step_s: int) -> NDArray[np.bool_]:
        """Whether everybody who is waited for has passed each step, and nobody lost any of it."""
        complete_s = self._partitions.complete_through_s()
        if complete_s is None or self._first_part_s is None:
            return np.zeros(steps, np.bool_)
        first_s = start_s + step_s * np.arange(steps)
        last_s = first_s + step_s - self._bucket_s
        whole = (first_s >= self._first_part_s) & (last_s < complete_s)
        for from_s, until_s in self._partitions.gaps:
            whole &= (last_s < from_s) | (first_s >= until_s)
        return np.asarray(whole)

    def _mean_per_s(
        self, first_bucket_s: int, last_bucket_s: int
    ) -> tuple[FloatArray, FloatArray | None]:
        """The mean rate over these buckets and its sampling variance, in the layout's shape."""
        total, variance = self._layout.empty(), None
        span_s = last_bucket_s + self._bucket_s - first_bucket_s
        for start_s in range(first_bucket_s, last_bucket_s + 1, self._bucket_s):
            if start_s in self._buckets:
                total += self._buckets.total(start_s)
                added = self._buckets.variance(start_s)
                if added is not None:
                    variance = added if variance is None else variance + added
        return total / span_s, None if variance is None else variance / span_s**2

    def _newest_whole_step(self) -> tuple[FloatArray, FloatArray | None]:
        unknown = self._layout.empty() * np.nan, None
        complete_s = self._partitions.complete_through_s()
        if complete_s is None or self._first_part_s is None:
            return unknown
        end_s = (complete_s + self._bucket_s - 1) // self._bucket_s * self._bucket_s
        start_s = end_s - self._step_s
        kept_from_s = max(self._first_part_s, self._fold_from_s or self._first_part_s)
        if start_s < kept_from_s or self._is_lost(start_s):
            return unknown
        return self._mean_per_s(start_s, end_s - self._bucket_s)

    def _provisional(self, now_s: float) -> FloatArray:
        end_s = int(now_s) // self._bucket_s * self._bucket_s + self._bucket_s
        starts = range(end_s - PROVISIONAL_S - self._bucket_s, end_s, self._bucket_s)
        if not any(start_s in self._buckets for start_s in starts):
            return np.full(len(self.keys), np.nan)
        totals = np.stack([self._buckets.total(start_s) for start_s in starts])
        runs = totals[PROVISIONAL_BUCKETS - 1 :].copy()
        for back in range(1, PROVISIONAL_BUCKETS):
            runs += totals[PROVISIONAL_BUCKETS - 1 - back : len(totals) - back]
        rates = self._layout.rows(runs) / (PROVISIONAL_BUCKETS * self._bucket_s)
        highest: FloatArray = rates.max(axis=0)
        return highest

    def _let_go(self, ring_end_s: int) -> None:
        """Drop buckets of whole steps that are older than `keep_s`; later parts are too late."""
        kept_from_s = (ring_end_s - self._keep_s) // self._step_s * self._step_s
        if self._fold_from_s is None or kept_from_s > self._fold_from_s:
            self._fold_from_s = kept_from_s
        ring_start_s = self._kept.start_s or 0
        newest = sorted(step_s for step_s in self._open_steps if step_s >= ring_start_s)
        self._open_steps = set(newest[-OPEN_STEPS_MAX:])
        fold_from_s = self._fold_from_s
        for start_s in [one for one in self._buckets.starts() if one < fold_from_s]:
            if start_s // self._step_s * self._step_s not in self._open_steps:
                self._buckets.drop(start_s)

    def _forget_bucket(self, start_s: int) -> None:
        self._buckets.drop(start_s)
        self._first_part_s = self._fold_from_s = start_s + self._bucket_s
        self.set_aside["too many open buckets"] += 1


def _age_s(now_s: float, known_s: int | None) -> float:
    return float("inf") if known_s is None else max(now_s - known_s, 0.0)
