"""The highest demand that each series has as a rule: a witness that a forged hour cannot be.

`predictor/core/history.py` (and the load of a simulation) give it with what is observed; the
guardrail `NotCorroborated` holds a forecast against it. For every day that has been over for some
hours it is that day's highest mean over five minutes, and over all those days the second highest,
so that one forged day, however high, counts for nothing and a peak of every week still does. With
one such day it is that day's. It must never look at today.

A day is looked at once, a little after it ended, and once more when older history is put under it:
what is corrected later than that does not count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray, SeriesBatch

DAY_S = 86_400
PEAK_S = 300
SETTLED_S = 6 * 3600
"""A day counts when it has been over for this long: what was lost of it may have come by then."""
KNOWN_SHARE_MIN = 0.5
"""Of a five-minute mean; less is no mean."""
SERIES_DAYS_PER_LOOK = 5000
"""Days of all series that one look works out, newest first, and always one: some 0.1 s. After a
start 40,000 series are known day by day with each tick."""
_ROWS_AT_ONCE = 2048


class UsualPeaks:
    """Keeps each day's peaks of one set of series; rows are those of the batches given."""

    def __init__(self) -> None:
        self._days: dict[int, tuple[int, NDArray[np.float32]]] = {}
        self._usual: FloatArray | None = None

    def at(self, batch: SeriesBatch, now_s: float) -> FloatArray:
        """The usual peak of each row per second, shape (n,); NaN where no day is known."""
        first_day_s = batch.start_s // DAY_S * DAY_S
        settled_s = min(int(now_s), batch.end_s) - SETTLED_S
        for day_s in [one for one in self._days if one < first_day_s]:
            del self._days[day_s]
            self._usual = None
        at_once = max(SERIES_DAYS_PER_LOOK // max(len(batch.keys), 1), 1)
        over = range(first_day_s, settled_s - DAY_S + 1, DAY_S)
        missing = [one for one in reversed(over) if self._is_missing(one, batch.start_s)]
        for day_s in missing[:at_once]:
            from_s = max(day_s, batch.start_s)
            self._days[day_s] = (from_s, _day_peaks(batch, from_s, day_s + DAY_S))
            self._usual = None
        if self._usual is None or len(self._usual) != len(batch.keys):
            self._usual = _second_highest([peaks for _, peaks in self._days.values()], batch)
        return self._usual

    def _is_missing(self, day_s: int, start_s: int) -> bool:
        """Whether the day was never looked at, or less of it than there is now."""
        known = self._days.get(day_s)
        return known is None or max(day_s, start_s) < known[0]


def _day_peaks(batch: SeriesBatch, from_s: int, until_s: int) -> NDArray[np.float32]:
    """Each row's highest mean over five minutes in this stretch of the batch."""
    first, last = (from_s - batch.start_s) // batch.step_s, (until_s - batch.start_s)
    steps = max(PEAK_S // batch.step_s, 1)
    groups = max((last // batch.step_s - first) // steps, 0)
    peaks = np.full(len(batch.keys), np.nan, np.float32)
    for row in range(0, len(peaks), _ROWS_AT_ONCE):
        some = batch.values[row : row + _ROWS_AT_ONCE, first : first + groups * steps]
        some = some.reshape(len(some), groups, steps)
        known = np.isfinite(some).sum(axis=2)
        total = np.where(np.isfinite(some), some, 0.0).sum(axis=2)
        mean = np.where(known >= KNOWN_SHARE_MIN * steps, total / np.maximum(known, 1), np.nan)
        if groups:
            peaks[row : row + _ROWS_AT_ONCE] = np.fmax.reduce(mean, axis=1)
    return peaks


def _second_highest(days: list[NDArray[np.float32]], batch: SeriesBatch) -> FloatArray:
    """Over the days known of each row; the only one where there is one."""
    if not days:
        return np.full(len(batch.keys), np.nan)
    ordered = np.sort(np.stack(days).astype(np.float64), axis=0)  # NaN goes last
    known = np.isfinite(ordered).sum(axis=0)
    place = np.where(known > 1, known - 2, 0)
    usual: FloatArray = ordered[place, np.arange(len(batch.keys))]
    return usual
