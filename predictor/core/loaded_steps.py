"""Old history as it comes from the demand table, added up in arrays and never part by part.

`predictor/core/history.py` fills one after a change of ownership, before its first look. Only
buckets go in whose time for corrections is over: a part cannot be taken out again. What is older
than the fine layer is added up in coarse steps at once. Weeks of a hundred partitions must take
seconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray
from predictor.core.demand_layout import DemandLayout
from predictor.core.history_layers import HistoryLayers
from predictor.core.open_buckets import REQUESTS_MAX, VARIANCE_MAX
from predictor.core.step_ring import Steps
from streams.demand_blocks import ABSENT, DemandBlock


class LoadedSteps:
    """Sums of requests before `end_s`, as far back and as finely as `layers` says."""

    def __init__(self, layout: DemandLayout, layers: HistoryLayers, *, end_s: int) -> None:
        self.end_s = end_s
        self.first_part_s: int | None = None
        self._layout, self._step_s = layout, layers.step_s
        self._start_s = layers.fine_start_s(end_s)
        rows = len(layout.keys)
        fine = rows, (end_s - self._start_s) // layers.step_s
        self._totals: FloatArray = np.zeros(fine, dtype=layers.kind)
        self._variance: FloatArray | None = None
        self._coarse_step_s = layers.coarse_step_s
        self._coarse_start_s = self._start_s - layers.coarse_steps * layers.coarse_step_s
        # Kept with three digits afterwards, so half the memory is enough.
        self._coarse = np.zeros((rows, layers.coarse_steps), dtype=np.float32)

    @property
    def has_older(self) -> bool:
        """Whether any part is older than the fine layer reaches."""
        return self.first_part_s is not None and self.first_part_s < self._start_s

    def add(self, block: DemandBlock) -> list[str]:
        """Add what the block holds of buckets before `end_s`; gives the faults of its cells."""
        first_s, bucket_s = block.key.start_s, block.bucket_s
        fine, coarse = (
            max(-((first_s - start_s) // bucket_s), 0)
            for start_s in (self._start_s, self._coarse_start_s)
        )
        kept = slice(fine, max((self.end_s - first_s) // bucket_s, fine))
        older = slice(coarse, max(fine, coarse))
        given = np.flatnonzero(block.revisions[older.start : kept.stop] != ABSENT)
        if not len(given):
            return []
        first_part_s = first_s + (older.start + int(given[0])) * bucket_s
        known_s = self.first_part_s
        self.first_part_s = first_part_s if known_s is None else min(known_s, first_part_s)
        return self._add_older(block, older) + self._add_fine(block, kept)

    def steps(self) -> tuple[int, Steps]:
        """Where the first fine step starts, and the mean rates from there to `end_s`."""
        first_s = self.end_s if self.first_part_s is None else self.first_part_s
        begin = (max(first_s, self._start_s) - self._start_s) // self._step_s
        variance = self._variance
        return self._start_s + begin * self._step_s, Steps(
            self._totals[:, begin:] / self._step_s,
            None if variance is None else variance[:, begin:] / self._step_s**2,
        )

    def older(self) -> tuple[int, NDArray[np.float32]]:
        """Where the first coarse step starts, and the mean rates from there to the fine ones."""
        first_s = self._start_s if self.first_part_s is None else self.first_part_s
        begin = max(first_s - self._coarse_start_s, 0) // self._coarse_step_s
        return (
            self._coarse_start_s + begin * self._coarse_step_s,
            self._coarse[:, begin:] / np.float32(self._coarse_step_s),
        )

    def _add_fine(self, block: DemandBlock, kept: slice) -> list[str]:
        if kept.start >= kept.stop:
            return []
        requests, rows, faults = self._requests(block, kept)
        steps = self._places(block, kept, (self._start_s, self._step_s))
        _add_cells(self._totals, requests, steps, rows)
        given_variance = block.variance[:, kept]
        is_possible = (block.requests[:, kept] >= 0) & (given_variance < VARIANCE_MAX)
        variance = np.where(is_possible, np.maximum(given_variance, 0.0), 0.0)
        if variance.any():
            if self._variance is None:
                self._variance = np.zeros_like(self._totals)
            _add_cells(self._variance, variance, steps, rows)
        return faults

    def _add_older(self, block: DemandBlock, kept: slice) -> list[str]:
        if kept.start >= kept.stop:
            return []
        requests, rows, faults = self._requests(block, kept)
        steps = self._places(block, kept, (self._coarse_start_s, self._coarse_step_s))
        _add_cells(self._coarse, requests, steps, rows)
        return faults

    @staticmethod
    def _places(block: DemandBlock, kept: slice, grid: tuple[int, int]) -> NDArray[np.int64]:
        """The step that each kept bucket lies in, on a grid (start, step)."""
        start_s, step_s = grid
        count = min(kept.stop, block.requests.shape[1]) - kept.start
        begin_s = block.key.start_s + kept.start * block.bucket_s
        return np.asarray((begin_s - start_s + block.bucket_s * np.arange(count)) // step_s)

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


def _add_cells(
    totals: NDArray[Any], values: FloatArray, steps: NDArray[np.int64], rows: list[int]
) -> None:
    """Add each cell's values, shape (cells, buckets), to its series of the totals."""
    if not len(steps):
        return
    edges = np.flatnonzero(np.diff(steps, prepend=-1))
    sums = np.add.reduceat(values, edges, axis=1)
    place = slice(int(steps[0]), int(steps[-1]) + 1)
    for row, of_cell in zip(rows, sums, strict=True):
        if row >= 0:
            totals[row, place] += of_cell
