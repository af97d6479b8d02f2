"""A bounded matrix of the newest steps of many series, handed out without being copied.

`predictor/core/history.py` owns one. A view that was handed out is never changed afterwards: a
correction of an old step goes into a new buffer, so a batch stays what it was when it was built.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.series import FloatArray


@dataclass(frozen=True, slots=True)
class Steps:
    """Rates of some steps, NaN where unknown, and what sampling adds to their variance.

    Both have shape (rows,) for one step or (rows, steps) for several; a variance of None is zero
    throughout.
    """

    rates: FloatArray
    variance: FloatArray | None = None


class StepRing:
    """The last `length` steps of `rows` series on one grid of `step_s` seconds."""

    def __init__(self, rows: int, length: int, step_s: int) -> None:
        self._rows, self._length, self._step_s = rows, length, step_s
        self._buffer: FloatArray = np.full((rows, 2 * length), np.nan)
        self._variance: FloatArray | None = None
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

    def append(self, step: Steps) -> None:
        """Add the next step; the oldest goes when the ring is full."""
        assert self._end_s is not None
        if self._last == self._buffer.shape[1]:
            self._renew(keep=self._length - 1)
        self._put(self._last, step)
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
            self.append(Steps(np.full(self._rows, np.nan)))

    def replace(self, step_start_s: int, step: Steps) -> bool:
        """Correct a step that is kept; False when it is not kept or already says so."""
        start_s, end_s = self.start_s, self._end_s
        if start_s is None or end_s is None or not start_s <= step_start_s < end_s:
            return False
        place = self._last - (end_s - step_start_s) // self._step_s
        if self._says(place, step):
            return False
        if place < self._handed_out:
            self._renew(keep=self._last - self._first)
            place = self._last - (end_s - step_start_s) // self._step_s
        self._put(place, step)
        return True

    def view(self) -> Steps:
        """All steps kept, read-only; what was handed out never changes."""
        self._handed_out = self._last
        kept = slice(self._first, self._last)
        values = self._buffer[:, kept]
        values.flags.writeable = False
        if self._variance is None or not self._variance[:, kept].any():
            return Steps(values)
        variance = self._variance[:, kept]
        variance.flags.writeable = False
        return Steps(values, variance)

    def prepend(self, start_s: int, steps: Steps) -> None:
        """Put older steps under the ones known; a known value is kept."""
        given_end_s = start_s + steps.rates.shape[1] * self._step_s
        own_start_s, own_end_s = self.start_s, self._end_s
        end_s = given_end_s if own_end_s is None else max(own_end_s, given_end_s)
        first_s = start_s if own_start_s is None else min(own_start_s, start_s)
        first_s = max(first_s, end_s - self._length * self._step_s)
        merged = np.full((self._rows, (end_s - first_s) // self._step_s), np.nan)
        variance = np.zeros_like(merged)
        _lay(_Laid(merged, variance, first_s), steps, start_s, self._step_s)
        if own_start_s is not None:
            _lay(_Laid(merged, variance, first_s), self.view(), own_start_s, self._step_s)
        self._first, self._last, self._handed_out, self._end_s = 0, merged.shape[1], 0, end_s
        self._buffer = np.full((self._rows, 2 * self._length), np.nan)
        self._buffer[:, : self._last] = merged
        if variance.any() or self._variance is not None:
            self._variance = np.zeros_like(self._buffer)
            self._variance[:, : self._last] = variance

    def _put(self, place: int, step: Steps) -> None:
        self._buffer[:, place] = step.rates
        if step.variance is not None and self._variance is None:
            self._variance = np.zeros_like(self._buffer)
        if self._variance is not None:
            self._variance[:, place] = 0.0 if step.variance is None else step.variance

    def _says(self, place: int, step: Steps) -> bool:
        """Whether this is what is kept there."""
        if not np.array_equal(self._buffer[:, place], step.rates, equal_nan=True):
            return False
        if self._variance is None:
            return step.variance is None or not step.variance.any()
        variance = 0.0 if step.variance is None else step.variance
        return bool((self._variance[:, place] == variance).all())

    def _renew(self, keep: int) -> None:
        kept = slice(self._last - keep, self._last)
        fresh = np.full_like(self._buffer, np.nan)
        fresh[:, :keep] = self._buffer[:, kept]
        if self._variance is not None:
            variance = np.zeros_like(fresh)
            variance[:, :keep] = self._variance[:, kept]
            self._variance = variance
        self._buffer = fresh
        self._first, self._last, self._handed_out = 0, keep, 0


@dataclass(frozen=True, slots=True)
class _Laid:
    rates: FloatArray
    variance: FloatArray
    start_s: int


def _lay(under: _Laid, over: Steps, over_start_s: int, step_s: int) -> None:
    """Write `over` where it is known onto `under`, each at its own place in time."""
    offset = (over_start_s - under.start_s) // step_s
    skipped = max(-offset, 0)
    rates = over.rates[:, skipped:]
    place = slice(offset + skipped, offset + skipped + rates.shape[1])
    known = np.isfinite(rates)
    np.copyto(under.rates[:, place], rates, where=known)
    variance = 0.0 if over.variance is None else over.variance[:, skipped:]
    np.copyto(under.variance[:, place], variance, where=known)
