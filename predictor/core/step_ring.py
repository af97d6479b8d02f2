"""A bounded matrix of the newest steps of many series, handed out without being copied.

`predictor/core/history.py` owns one. A view that was handed out is never changed afterwards: a
correction of an old step goes into a new buffer, so a batch stays what it was when it was built.
"""

from __future__ import annotations

import numpy as np

from models.series import FloatArray


class StepRing:
    """The last `length` steps of `rows` series on one grid of `step_s` seconds; NaN is unknown."""

    def __init__(self, rows: int, length: int, step_s: int) -> None:
        self._rows, self._length, self._step_s = rows, length, step_s
        self._buffer: FloatArray = np.full((rows, 2 * length), np.nan)
        self._first = self._last = 0
        self._handed_out = 0
        self._end_s: int | None = None

    @property
    def end_s(self) -> int | None:
        """The first instant after the newest step; None while there is none."""
        return self._end_s

    @property
    def start_s(self) -> int | None:
        """The start of the oldest step that is kept."""
        if self._end_s is None:
            return None
        return self._end_s - (self._last - self._first) * self._step_s

    def begin(self, start_s: int) -> None:
        """Say where the first step starts; only once, before any step."""
        assert self._end_s is None
        self._end_s = start_s

    def append(self, column: FloatArray) -> None:
        """Add the next step, shape (rows,); the oldest goes when the ring is full."""
        assert self._end_s is not None
        if self._last == self._buffer.shape[1]:
            self._renew(keep=self._length - 1)
        self._buffer[:, self._last] = column
        self._last += 1
        self._first = max(self._first, self._last - self._length)
        self._end_s += self._step_s

    def skip_to(self, step_start_s: int) -> None:
        """Fill with unknown up to the step that starts here (a jump in time)."""
        assert self._end_s is not None
        missing = (step_start_s - self._end_s) // self._step_s
        if missing > self._length:
            self._end_s = step_start_s - self._length * self._step_s
            missing = self._length
        for _ in range(missing):
            self.append(np.full(self._rows, np.nan))

    def replace(self, step_start_s: int, column: FloatArray) -> bool:
        """Correct a step that is kept; False when it is not kept or already says so."""
        start_s, end_s = self.start_s, self._end_s
        if start_s is None or end_s is None or not start_s <= step_start_s < end_s:
            return False
        place = self._last - (end_s - step_start_s) // self._step_s
        if np.array_equal(self._buffer[:, place], column, equal_nan=True):
            return False
        if place < self._handed_out:
            self._renew(keep=self._last - self._first)
            place = self._last - (end_s - step_start_s) // self._step_s
        self._buffer[:, place] = column
        return True

    def view(self) -> FloatArray:
        """All steps kept, shape (rows, steps), read-only; what was handed out never changes."""
        values = self._buffer[:, self._first : self._last]
        values.flags.writeable = False
        self._handed_out = self._last
        return values

    def prepend(self, start_s: int, values: FloatArray) -> None:
        """Put older steps, shape (rows, steps), under the ones known; a known value is kept."""
        given_end_s = start_s + values.shape[1] * self._step_s
        own_start_s, own_end_s = self.start_s, self._end_s
        end_s = given_end_s if own_end_s is None else max(own_end_s, given_end_s)
        first_s = start_s if own_start_s is None else min(own_start_s, start_s)
        first_s = max(first_s, end_s - self._length * self._step_s)
        steps = (end_s - first_s) // self._step_s
        merged = np.full((self._rows, steps), np.nan)
        _lay(merged, first_s, values, start_s, self._step_s)
        if own_start_s is not None:
            _lay(
                merged,
                first_s,
                self._buffer[:, self._first : self._last],
                own_start_s,
                self._step_s,
            )
        self._buffer = np.full((self._rows, 2 * self._length), np.nan)
        self._buffer[:, :steps] = merged
        self._first, self._last, self._handed_out, self._end_s = 0, steps, 0, end_s

    def _renew(self, keep: int) -> None:
        fresh = np.full_like(self._buffer, np.nan)
        fresh[:, :keep] = self._buffer[:, self._last - keep : self._last]
        self._buffer = fresh
        self._first, self._last, self._handed_out = 0, keep, 0


def _lay(
    under: FloatArray, under_start_s: int, over: FloatArray, over_start_s: int, step_s: int
) -> None:
    """Write `over` where it is known onto `under`, each at its own place in time."""
    offset = (over_start_s - under_start_s) // step_s
    skipped = max(-offset, 0)
    over = over[:, skipped:]
    if over.shape[1] == 0:
        return
    place = under[:, offset + skipped : offset + skipped + over.shape[1]]
    np.copyto(place, over, where=np.isfinite(over))
