"""The buckets whose parts are still held one by one, because some may yet come or be replaced.

`predictor/core/history.py` owns one. The parts of a bucket are added up in the order of their
partitions, so that the last bit of a sum does not depend on the order in which they came. It must
never take a part of a lower revision for a newer one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from models.series import FloatArray
from predictor.core.demand_layout import DemandLayout
from streams.demand import DemandPart

REQUESTS_MAX, VARIANCE_MAX = 1e15, 1e30
"""What no bucket can hold, so that sums stay finite."""


@dataclass(slots=True)
class _Bucket:
    """Demand and sampling variance by partition; what was taken for each (partition, module)."""

    demand: dict[int, FloatArray] = field(default_factory=dict)
    variance: dict[int, FloatArray] = field(default_factory=dict)
    taken: dict[tuple[int, int], tuple[int, int, float, bytes]] = field(default_factory=dict)
    total: FloatArray | None = None
    total_variance: FloatArray | None = None


class OpenBuckets:
    """Parts by bucket; memory grows with buckets times partitions that had events in them."""

    def __init__(self, layout: DemandLayout) -> None:
        self._layout = layout
        self._buckets: dict[int, _Bucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def __contains__(self, start_s: int) -> bool:
        return start_s in self._buckets

    @property
    def oldest_s(self) -> int:
        """The start of the oldest; raises `ValueError` where there is none."""
        return min(self._buckets)

    def put(self, part: DemandPart) -> list[str]:
        """Take a part in, in place of one that it supersedes; gives the faults of its cells.

        The order is that of `streams.demand.supersedes`, on the cells that could be counted.
        """
        bucket = self._buckets.setdefault(part.bucket_start_s, _Bucket())
        row = self._layout.module_rows[part.module]
        demand, variance, faults = self._cells(part)
        events = sum(cell.events for cell in part.cells)
        rank = part.revision, events, float(demand.sum()), demand.tobytes() + variance.tobytes()
        place = part.partition, row
        if (known := bucket.taken.get(place)) is not None and known >= rank:
            return faults
        bucket.taken[place] = rank
        _put_row(bucket.demand, part.partition, row, demand, self._layout)
        if variance.any() or part.partition in bucket.variance:
            _put_row(bucket.variance, part.partition, row, variance, self._layout)
        bucket.total = bucket.total_variance = None
        return faults

    def total(self, start_s: int) -> FloatArray:
        """One bucket over all partitions, shape (modules, regions, 2); zero where there is none."""
        bucket = self._buckets.get(start_s)
        if bucket is None:
            return self._layout.empty()
        if bucket.total is None:
            bucket.total = self._sum(bucket.demand)
        return bucket.total

    def variance(self, start_s: int) -> FloatArray | None:
        """The sampling variance of that total; None where nothing in it was sampled."""
        bucket = self._buckets.get(start_s)
        if bucket is None or not bucket.variance:
            return None
        if bucket.total_variance is None:
            bucket.total_variance = self._sum(bucket.variance)
        return bucket.total_variance

    def starts(self) -> Iterable[int]:
        """The starts of all buckets."""
        return self._buckets.keys()

    def drop(self, start_s: int) -> None:
        """Forget a bucket; nothing else may ask for it any more."""
        del self._buckets[start_s]

    def _sum(self, by_partition: dict[int, FloatArray]) -> FloatArray:
        total = self._layout.empty()
        for partition in sorted(by_partition):
            total += by_partition[partition]
        return total

    def _cells(self, part: DemandPart) -> tuple[FloatArray, FloatArray, list[str]]:
        """The part's demand and variance, shape (regions, 2)."""
        demand, variance = self._layout.empty_regions(), self._layout.empty_regions()
        faults = []
        for cell in part.cells:
            region = self._layout.region_rows.get(cell.region)
            if region is None:
                faults.append("unknown region")
            elif not 0 <= cell.requests < REQUESTS_MAX:
                faults.append("impossible demand")
            else:
                demand[region, int(cell.pinned)] += cell.requests
                if 0 < cell.variance < VARIANCE_MAX:
                    variance[region, int(cell.pinned)] += cell.variance
        return demand, variance, faults


def _put_row(
    by_partition: dict[int, FloatArray],
    partition: int,
    row: int,
    values: FloatArray,
    layout: DemandLayout,
) -> None:
    found = by_partition.get(partition)
    if found is None:
        found = by_partition[partition] = layout.empty()
    found[row] = values
