"""Old history as it comes from the demand table, added up in arrays and never part by part.

`predictor/core/history.py` fills one after a change of ownership, before its first look. Only
buckets go in whose time for corrections is over: a part cannot be taken out again. Weeks of a
hundred partitions must take seconds.
"""

from __future__ import annotations

import numpy as np

from models.series import FloatArray
from predictor.core.demand_layout import DemandLayout
from predictor.core.open_buckets import REQUESTS_MAX, VARIANCE_MAX
from predictor.core.step_ring import Steps
from streams.demand_blocks import ABSENT, DemandBlock


class LoadedSteps:
    """Sums of requests on the steps before `end_s`, at most `length` of them."""

    def __init__(self, layout: DemandLayout, *, end_s: int, length: int, step_s: int) -> None:
        self.end_s = end_s
        self.first_part_s: int | None = None
        self._layout, self._step_s = layout, step_s
        self._start_s = end_s - length * step_s
        self._totals = np.zeros((len(layout.keys), length))
        self._variance: FloatArray | None = None

    def add(self, block: DemandBlock) -> list[str]:
        """Add what the block holds of buckets before `end_s`; gives the faults of its cells."""
        first_s, bucket_s = block.key.start_s, block.bucket_s
        skipped = max(-((first_s - self._start_s) // bucket_s), 0)
        kept = slice(skipped, max((self.end_s - first_s) // bucket_s, skipped))
        given = np.flatnonzero(block.revisions[kept] != ABSENT)
        if not len(given):
            return []
        begin_s = first_s + kept.start * bucket_s
        first_part_s = begin_s + int(given[0]) * bucket_s
        known_s = self.first_part_s
        self.first_part_s = first_part_s if known_s is None else min(known_s, first_part_s)
        requests, rows, faults = self._requests(block, kept)
        steps = (begin_s - self._start_s + bucket_s * np.arange(requests.shape[1])) // self._step_s
        self._totals = self._added(self._totals, requests, steps, rows)
        given_variance = block.variance[:, kept]
        is_possible = (block.requests[:, kept] >= 0) & (given_variance < VARIANCE_MAX)
        variance = np.where(is_possible, np.maximum(given_variance, 0.0), 0.0)
        if variance.any():
            known = np.zeros_like(self._totals) if self._variance is None else self._variance
            self._variance = self._added(known, variance, steps, rows)
        return faults

    def steps(self) -> tuple[int, Steps]:
        """Where the first step starts, and the mean rates from there to `end_s`."""
        first_s = self.end_s if self.first_part_s is None else self.first_part_s
        begin = (first_s - self._start_s) // self._step_s
        variance = self._variance
        return self._start_s + begin * self._step_s, Steps(
            self._totals[:, begin:] / self._step_s,
            None if variance is None else variance[:, begin:] / self._step_s**2,
        )

    def _requests(self, block: DemandBlock, kept: slice) -> tuple[FloatArray, list[int], list[str]]:
        """Requests of the kept buckets, 0 where none or impossible, and each cell's series."""
        module = block.key.module
        rows = [
            self._layout.series_rows.get((module, region, pinned), -1)
            for region, pinned in block.cells
        ]
        requests = block.requests[:, kept]
        is_given = ~np.isnan(requests)
        is_possible = (requests >= 0) & (requests < REQUESTS_MAX)
        faults = ["impossible demand"] * int((is_given & ~is_possible).sum())
        for row, given in zip(rows, is_given, strict=True):
            faults += ["unknown region"] * (int(given.sum()) if row < 0 else 0)
        return np.where(is_possible, requests, 0.0), rows, faults

    @staticmethod
    def _added(
        totals: FloatArray, values: FloatArray, steps: np.ndarray, rows: list[int]
    ) -> FloatArray:
        """The totals with each cell's values, shape (cells, buckets), added to its series."""
        edges = np.flatnonzero(np.diff(steps, prepend=-1))
        sums = np.add.reduceat(values, edges, axis=1)
        place = slice(int(steps[0]), int(steps[-1]) + 1)
        for row, of_cell in zip(rows, sums, strict=True):
            if row >= 0:
                totals[row, place] += of_cell
        return totals
