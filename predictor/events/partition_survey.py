"""What one partition holds: counts, order, repetitions; in bounded memory.

`predictor/events/topic_survey.py` keeps one for each partition and gives it the events of a batch
at once. Order and repetitions are judged by the service's own watermark and filter, so that what is
called late here is what the service would call late. Pure.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from predictor.events.quantile_sketch import QuantileSketch
from streams.duplicates import DuplicateFilter
from streams.watermark import Watermark

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REQUEST, HEARTBEAT, IGNORED, SAMPLE = range(4)
"""All of them move the watermark; only requests can be late."""


class PartitionSurvey:
    """The running counts of one partition."""

    def __init__(
        self, partition: int, *, bucket_s: int, lateness_s: float, duplicate_events: int
    ) -> None:
        self.partition = partition
        self.records = 0
        self.events = 0
        self.heartbeats = 0
        self.duplicates = 0
        self.late = 0
        self.ahead_of_others = 0
        self.first_offset: int | None = None
        self.last_offset: int | None = None
        self.newest_s = -math.inf
        self.lateness = QuantileSketch()
        self._bucket_s = bucket_s
        self._watermark = Watermark(lateness_s, slack_min_s=bucket_s)
        self._filter = DuplicateFilter(duplicate_events)

    @property
    def believed_s(self) -> float | None:
        """The newest event time that a mad clock did not make up."""
        newest_s = self._watermark.newest_s
        return None if newest_s is None else float(newest_s)

    def see_offset(self, offset: int) -> None:
        """Take note of a record."""
        self.records += 1
        self.first_offset = offset if self.first_offset is None else self.first_offset
        self.last_offset = offset

    def see_times(self, times_s: Floats, offsets: Ints, kinds: Ints) -> None:
        """Take note of events (n,), of `REQUEST`, `HEARTBEAT` and so on, in offset order."""
        if not len(times_s):
            return
        whole_s = np.floor(times_s).astype(np.int64)
        newest_s = self._watermark.see(whole_s, offsets, step_by_step=True)
        assert newest_s is not None, "asked for step by step"
        self.newest_s = max(self.newest_s, float(times_s.max()))
        self.ahead_of_others += int((whole_s > newest_s).sum())
        is_request = kinds == REQUEST
        self.events += int(is_request.sum())
        self.heartbeats += int((kinds == HEARTBEAT).sum())
        behind_s = np.maximum(newest_s - times_s, 0.0)
        self.lateness.add(behind_s[is_request])
        width_s = self._bucket_s
        closed_s = (newest_s - self._watermark.lateness_s) // width_s * width_s
        late = times_s // width_s * width_s < closed_s
        self.late += int((late & is_request).sum())

    def see_ids(self, times_s: Floats, ids: NDArray[np.uint64], offsets: Ints) -> NDArray[np.bool_]:
        """Which of these request events, all with an id, are repetitions."""
        if not len(ids):
            return np.zeros(0, bool)
        buckets = (times_s // self._bucket_s * self._bucket_s).astype(np.int64)
        repeated = self._filter.repeated(buckets, ids, offsets)
        self.duplicates += int(repeated.sum())
        return repeated
