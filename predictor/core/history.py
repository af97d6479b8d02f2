"""Adds up the demand parts of all input partitions and keeps weeks of them as bounded series.

The service feeds it (`add`, `advance`) and reads it once per tick (`series`, `observed`). A part is
never taken for the whole: a bucket counts in a series only when every live partition has passed it;
before that it is provisional and may raise a floor, never lower one. Where a partition was lost, or
lost records, the step is a gap (NaN), never a drop. Records may come in any order and any number of
times. On a change of the owned partitions build a new `History` and feed it all parts again: what
another worker counted meanwhile looked like zero here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.series import ALL_REGIONS, FloatArray, SeriesBatch, SeriesKey
from predictor.core.input_partitions import InputPartitions
from predictor.core.step_ring import StepRing
from streams.demand import DemandPart, Progress
from streams.gaps import overlaps, without

# A provisional rate is a mean over three buckets: one bucket of 10 s is mostly chance at low rates,
# and 30 s is the shortest time over which an HPA's metric pipeline averages.
PROVISIONAL_BUCKETS = 3
PROVISIONAL_S = 120
FUTURE_S = 3600
"""A bucket this far ahead of every partition's progress is set aside (the broker's own limit)."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What is asked for now, one row per series key; NaN where it is not known.

    `complete_per_s` is the mean rate over the newest whole step, `provisional_per_s` the highest
    mean rate over three buckets in the last two minutes, whole or not. `telemetry_age_s` is the
    time since the furthest input partition's progress (infinite before the first); `incomplete`
    names what is missing, empty when nothing is. `served_per_s` has shape (routed modules,
    regions): the unpinned demand of the newest whole step by the region that served it, for
    display.
    """

    keys: tuple[SeriesKey, ...]
    complete_per_s: FloatArray
    provisional_per_s: FloatArray
    telemetry_age_s: float
    incomplete: str
    served_per_s: FloatArray


class History:
    """Demand of the configured modules and regions; nothing else ever becomes a row.

    Keys: (module, region) with all demand of a module that is not routed; (module, region) with the
    pinned and (module, `ALL_REGIONS`) with the unpinned demand of one that is. `set_aside` counts
    what was not used, by reason.
    """

    def __init__(
        self,
        modules: Sequence[str],
        regions: Sequence[str],
        routed_modules: Iterable[str] = (),
        *,
        bucket_s: int = 10,
        step_s: int = 60,
        length_s: int = 14 * 86_400,
        keep_s: int = 900,
        lost_after_s: int = 120,
    ) -> None:
        if step_s % bucket_s or length_s % step_s or keep_s < 2 * PROVISIONAL_S:
            raise ValueError(
                f"a step of {step_s} s must hold whole buckets of {bucket_s} s, a length of "
                f"{length_s} s whole steps, and {keep_s} s to keep must be at least "
                f"{2 * PROVISIONAL_S} s"
            )
        routed = set(routed_modules)
        self._layout = _Layout.of(modules, regions, routed)
        self._bucket_s, self._step_s, self._keep_s = bucket_s, step_s, keep_s
        self._buckets_max = length_s // bucket_s
        self._parts: dict[int, dict[int, FloatArray]] = {}
        self._totals: dict[int, FloatArray] = {}
        self._ring = StepRing(len(self._layout.keys), length_s // step_s, step_s)
        self._partitions = InputPartitions(lost_after_s=lost_after_s)
        self._first_part_s: int | None = None
        self._fold_from_s: int | None = None
        self._unsettled: set[int] = set()
        self._gaps: set[int] = set()
        self._lost = self._partitions.gaps
        self._seeded_until_s = 0
        self._batch: SeriesBatch | None = None
        self._digest = ""
        self.set_aside: Counter[str] = Counter()

    @property
    def keys(self) -> tuple[SeriesKey, ...]:
        """The rows of every batch, in order."""
        return self._layout.keys

    def add(self, part: DemandPart) -> None:
        """Take in what one partition held of a module's bucket; repeating it changes nothing."""
        reason = self._refusal(part)
        if reason:
            self.set_aside[reason] += 1
            return
        start_s = part.bucket_start_s
        by_partition = self._parts.setdefault(start_s, {})
        cells = by_partition.get(part.partition)
        if cells is None:
            cells = by_partition[part.partition] = self._layout.empty()
        row = self._layout.module_rows[part.module]
        cells[row] = 0.0
        for cell in part.cells:
            region = self._layout.region_rows.get(cell.region)
            if region is None:
                self.set_aside["unknown region"] += 1
            elif not 0 <= cell.requests < 1e15:
                self.set_aside["impossible demand"] += 1
            else:
                cells[row, region, int(cell.pinned)] += cell.requests
        first_s = self._first_part_s
        self._first_part_s = start_s if first_s is None else min(first_s, start_s)
        self._totals.pop(start_s, None)
        if self._ring.end_s is not None and start_s < self._ring.end_s:
            self._unsettled.add(start_s // self._step_s * self._step_s)
        if len(self._parts) > self._buckets_max:
            self._forget_bucket(min(self._parts))

    def advance(self, progress: Progress) -> None:
        """Take in how far one input partition has come."""
        if not self._partitions.advance(progress):
            self.set_aside["impossible partition"] += 1
        self._unsettled |= self._gaps

    def seed(self, batch: SeriesBatch) -> int:
        """Put an older history under what is measured here; gives the number of series it knew.

        Raises `ValueError` when its steps lie on another grid.
        """
        if batch.step_s != self._step_s or batch.start_s % self._step_s:
            raise ValueError(
                f"a history of {batch.step_s} s steps from {batch.start_s} does not lie on steps "
                f"of {self._step_s} s"
            )
        place = {key: row for row, key in enumerate(batch.keys)}
        known = [(row, place[key]) for row, key in enumerate(self.keys) if key in place]
        if not known:
            return 0
        values = np.full((len(self.keys), batch.values.shape[1]), np.nan)
        own, given = np.array(known).T
        values[own] = batch.values[given]
        self._ring.prepend(batch.start_s, values)
        self._batch = None
        self._fold_from_s = max(self._fold_from_s or batch.end_s, batch.end_s)
        self._seeded_until_s = max(self._seeded_until_s, batch.end_s)
        return len(known)

    def series(self, now_s: float) -> SeriesBatch:
        """All whole steps up to `now_s`, read-only; the same object while nothing changed.

        The batch ends where the partitions have come to, which may be before `now_s`.
        """
        self._settle(now_s)
        if self._batch is None:
            start_s = self._ring.start_s
            if start_s is None:
                start_s = int(now_s) // self._step_s * self._step_s
            self._batch = SeriesBatch(self.keys, start_s, self._step_s, self._ring.view())
            self._digest = ""
        return self._batch

    def series_digest(self) -> str:
        """The SHA-256 of the newest batch's grid and values; worked out once per batch."""
        if self._batch is not None and not self._digest:
            self._digest = series_digest(self._batch)
        return self._digest

    def observed(self, now_s: float) -> Observed:
        """What is asked for right now, with how much of it is known."""
        newest_s = self._partitions.newest_s
        whole = self._newest_whole_step()
        return Observed(
            keys=self.keys,
            complete_per_s=self._layout.rows(whole),
            provisional_per_s=self._provisional(now_s),
            telemetry_age_s=float("inf") if newest_s is None else max(now_s - newest_s, 0.0),
            incomplete=self._partitions.missing(),
            served_per_s=whole[self._layout.routed, :, 0],
        )

    def _refusal(self, part: DemandPart) -> str:
        start_s = part.bucket_start_s
        if part.module not in self._layout.module_rows:
            return "unknown module"
        if part.bucket_s != self._bucket_s or start_s % self._bucket_s:
            return "other bucket length"
        if not 0 <= part.partition < self._partitions.partitions_max:
            return "impossible partition"
        if self._fold_from_s is not None and start_s < self._fold_from_s:
            return "too late"
        newest_s = self._partitions.newest_s
        if newest_s is not None and start_s > newest_s + FUTURE_S:
            return "too far ahead"
        return ""

    def _settle(self, now_s: float) -> None:
        """Bring the ring up to what the partitions have passed, and mend steps that changed."""
        through_s = self._partitions.settled_through_s()
        if through_s is None or self._first_part_s is None:
            return
        through_s = min(through_s, int(now_s) + self._bucket_s)
        end_s = (through_s + self._bucket_s - 1) // self._step_s * self._step_s
        ring_end_s = self._ring.end_s
        if ring_end_s is None:
            ring_end_s = self._first_part_s // self._step_s * self._step_s
            if end_s <= ring_end_s:
                return
            self._ring.begin(ring_end_s)
            self._fold_from_s = ring_end_s
        if self._partitions.gaps is not self._lost:
            self._mark_lost()
        for step_s in sorted(self._unsettled):
            if self._may_change(step_s) and self._ring.replace(step_s, self._fold(step_s)):
                self._batch = None
        self._unsettled.clear()
        first_new_s = max(ring_end_s, self._oldest_new_step(end_s))
        if end_s > first_new_s:
            self._ring.skip_to(first_new_s)
            for step_s in range(first_new_s, end_s, self._step_s):
                self._ring.append(self._fold(step_s))
            self._batch = None
            self._let_go(end_s)

    def _mark_lost(self) -> None:
        """Look again at every step of which a partition lost records, or did not after all."""
        before, self._lost = self._lost, self._partitions.gaps
        start_s, end_s = self._ring.start_s or 0, self._ring.end_s or 0
        for from_s, until_s in (*without(self._lost, before), *without(before, self._lost)):
            first_s = max(from_s // self._step_s * self._step_s, start_s)
            self._unsettled.update(range(first_s, min(until_s, end_s), self._step_s))

    def _may_change(self, step_s: int) -> bool:
        """Whether its buckets are kept, or it is measured here and turned out to lack some."""
        if step_s >= (self._fold_from_s or step_s):
            return True
        return step_s >= self._seeded_until_s and self._is_lost(step_s)

    def _is_lost(self, start_s: int) -> bool:
        """Whether a partition lost records of the step that begins here."""
        gaps = self._partitions.gaps
        return bool(gaps) and overlaps(gaps, start_s, start_s + self._step_s - self._bucket_s)

    def _oldest_new_step(self, end_s: int) -> int:
        """The oldest step worth folding: neither beyond the ring nor before the first part."""
        first_s = self._first_part_s or 0
        oldest_s = end_s - self._buckets_max * self._bucket_s
        return max(first_s // self._step_s * self._step_s, oldest_s)

    def _fold(self, step_s: int) -> FloatArray:
        """The mean rate of every series over one step; NaN where it is not known."""
        last_bucket_s = step_s + self._step_s - self._bucket_s
        complete_s = self._partitions.complete_through_s()
        self._gaps.discard(step_s)
        if complete_s is None or last_bucket_s >= complete_s:
            self._gaps.add(step_s)
            return np.full(len(self.keys), np.nan)
        if self._first_part_s is None or step_s < self._first_part_s or self._is_lost(step_s):
            return np.full(len(self.keys), np.nan)
        return self._layout.rows(self._mean_per_s(step_s, last_bucket_s))

    def _mean_per_s(self, first_bucket_s: int, last_bucket_s: int) -> FloatArray:
        total = self._layout.empty()
        for start_s in range(first_bucket_s, last_bucket_s + 1, self._bucket_s):
            if start_s in self._parts:
                total += self._total(start_s)
        return total / (last_bucket_s + self._bucket_s - first_bucket_s)

    def _total(self, start_s: int) -> FloatArray:
        """One bucket over all partitions, summed in their order: the last bit is the same."""
        total = self._totals.get(start_s)
        if total is None:
            by_partition = self._parts.get(start_s, {})
            total = self._layout.empty()
            for partition in sorted(by_partition):
                total += by_partition[partition]
            self._totals[start_s] = total
        return total

    def _newest_whole_step(self) -> FloatArray:
        unknown = self._layout.empty() * np.nan
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
        if not any(start_s in self._parts for start_s in starts):
            return np.full(len(self.keys), np.nan)
        empty = self._layout.empty()
        totals = np.stack([self._total(s) if s in self._parts else empty for s in starts])
        runs = totals[PROVISIONAL_BUCKETS - 1 :].copy()
        for back in range(1, PROVISIONAL_BUCKETS):
            runs += totals[PROVISIONAL_BUCKETS - 1 - back : len(totals) - back]
        rates = self._layout.rows(runs) / (PROVISIONAL_BUCKETS * self._bucket_s)
        highest: FloatArray = rates.max(axis=0)
        return highest

    def _let_go(self, ring_end_s: int) -> None:
        """Drop buckets whose step is settled for longer than `keep_s`; later parts are too late."""
        kept_from_s = (ring_end_s - self._keep_s) // self._step_s * self._step_s
        if self._fold_from_s is not None and kept_from_s <= self._fold_from_s:
            return
        self._fold_from_s = kept_from_s
        for start_s in [s for s in self._parts if s < kept_from_s]:
            del self._parts[start_s]
            self._totals.pop(start_s, None)
        self._gaps = {step_s for step_s in self._gaps if step_s >= kept_from_s}

    def _forget_bucket(self, start_s: int) -> None:
        del self._parts[start_s]
        self._totals.pop(start_s, None)
        self._first_part_s = self._fold_from_s = start_s + self._bucket_s
        self.set_aside["too many open buckets"] += 1


def series_digest(batch: SeriesBatch) -> str:
    """The SHA-256 of a batch: its keys, its grid and its values as little-endian doubles."""
    header = f"{batch.start_s}|{batch.step_s}|" + "|".join(f"{m}/{r}" for m, r in batch.keys)
    digest = hashlib.sha256(header.encode())
    digest.update(np.ascontiguousarray(batch.values, dtype="<f8").tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a cell lies: demand has shape (modules, regions, 2), unpinned first, then pinned."""

    keys: tuple[SeriesKey, ...]
    module_rows: dict[str, int]
    region_rows: dict[str, int]
    routed: NDArray[np.intp]
    local: NDArray[np.intp]

    @classmethod
    def of(cls, modules: Sequence[str], regions: Sequence[str], routed: set[str]) -> _Layout:
        if len(set(modules)) != len(modules) or len(set(regions)) != len(regions):
            raise ValueError("a module or region is named twice")
        if not routed <= set(modules):
            raise ValueError(f"routed but not a module: {', '.join(sorted(routed - set(modules)))}")
        local = [m for m in modules if m not in routed]
        spread = [m for m in modules if m in routed]
        keys = [SeriesKey(module, region) for module in local + spread for region in regions]
        keys += [SeriesKey(module, ALL_REGIONS) for module in spread]
        rows = {module: row for row, module in enumerate(modules)}
        return cls(
            keys=tuple(keys),
            module_rows=rows,
            region_rows={region: row for row, region in enumerate(regions)},
            routed=np.array([rows[m] for m in spread], dtype=np.intp),
            local=np.array([rows[m] for m in local], dtype=np.intp),
        )

    def empty(self) -> FloatArray:
        return np.zeros((len(self.module_rows), len(self.region_rows), 2))

    def rows(self, demand: FloatArray) -> FloatArray:
        """Demand of shape (…, modules, regions, 2) → (…, series keys)."""
        lead = demand.shape[:-3]
        return np.concatenate(
            (
                demand[..., self.local, :, :].sum(axis=-1).reshape(*lead, -1),
                demand[..., self.routed, :, :][..., 1].reshape(*lead, -1),
                demand[..., self.routed, :, :][..., 0].sum(axis=-1),
            ),
            axis=-1,
        )
