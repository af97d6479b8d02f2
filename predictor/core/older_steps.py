"""Weeks of the past behind the newest ones, as means over a longer step in two bytes each.

`predictor/core/step_ring.py` hands over the steps that leave it, `predictor/core/history.py` what
was loaded or seeded. It must never hold a step that can still be corrected: only what has left the
ring comes here.
"""

from __future__ import annotations

import numpy as np

from models.coarse_history import (
    UNKNOWN,
    CoarseHistory,
    PackedArray,
    is_known,
    packed,
)
from models.series import FloatArray
from predictor.core.step_columns import StepColumns

KNOWN_SHARE_MIN = 0.5
"""A mean of less than half its steps may be that of a burst alone."""
ROWS_AT_ONCE = 2048
"""Bounds what is held in full precision at once."""


class OlderSteps:
    """The last `length` steps of `step_s` seconds before the ring's first one."""

    def __init__(self, rows: int, length: int, step_s: int) -> None:
        self.step_s = step_s
        self._rows, self._length = rows, length
        self._columns = StepColumns(rows, length, np.uint16)
        self._end_s: int | None = None

    def append(self, start_s: int, rates: FloatArray, fine_step_s: int) -> None:
        """Take steps (rows, k) that left the ring, the first one at `start_s`, and average them.

        A step that begins or ends in the middle of a longer one stands for what is known of it.
        """
        begin_s, means = folded(start_s, rates, fine_step_s, self.step_s)
        end_s = begin_s if self._end_s is None else self._end_s
        missing = (begin_s - end_s) // self.step_s
        new = means[:, max(-missing, 0) :]
        new = new[:, max(new.shape[1] - self._length, 0) :]
        missing = min(max(missing, 0), self._length - new.shape[1])
        self._columns.drop_to(self._length - missing - new.shape[1])
        if missing and len(self._columns):
            self._columns.extend(np.full(1, UNKNOWN), count=missing)
        if new.shape[1]:
            self._columns.extend(new, count=new.shape[1])
        self._end_s = max(end_s, begin_s + means.shape[1] * self.step_s)

    def lay_under(self, start_s: int, means: PackedArray) -> None:
        """Put older steps, shape (rows, k), under the ones known; a known value is kept."""
        own = self.view()
        given_end_s = start_s + means.shape[1] * self.step_s
        end_s = given_end_s if own is None else max(own.end_s, given_end_s)
        first_s = start_s if own is None else min(own.start_s, start_s)
        first_s = max(first_s, end_s - self._length * self.step_s)
        merged = np.full((self._rows, (end_s - first_s) // self.step_s), UNKNOWN, np.uint16)
        layers = (
            [(start_s, means)] if own is None else [(start_s, means), (own.start_s, own.packed)]
        )
        for layer_s, layer in layers:
            offset = (layer_s - first_s) // self.step_s
            known = layer[:, max(-offset, 0) :]
            place = slice(max(offset, 0), max(offset, 0) + known.shape[1])
            np.copyto(merged[:, place], known, where=is_known(known))
        self._columns.drop_to(0)
        self._columns.extend(merged, count=merged.shape[1])
        self._end_s = end_s

    def view(self) -> CoarseHistory | None:
        """All steps kept; None while there is none."""
        if self._end_s is None or not len(self._columns):
            return None
        start_s = self._end_s - len(self._columns) * self.step_s
        return CoarseHistory(start_s, self.step_s, self._columns.view())


def folded(
    start_s: int, rates: FloatArray, fine_step_s: int, step_s: int
) -> tuple[int, PackedArray]:
    """Means over steps of `step_s` on its own grid, and where the first one starts."""
    rows, steps = rates.shape
    per_step = step_s // fine_step_s
    before = (start_s % step_s) // fine_step_s
    after = -(before + steps) % per_step
    found = np.empty((rows, (before + steps + after) // per_step), np.uint16)
    for begin in range(0, rows, ROWS_AT_ONCE):
        some = np.asarray(rates[begin : begin + ROWS_AT_ONCE], dtype=np.float64)
        padded = np.pad(some, ((0, 0), (before, after)), constant_values=np.nan)
        parts = padded.reshape(len(some), -1, per_step)
        known = np.isfinite(parts)
        count = known.sum(axis=2)
        total = np.where(known, parts, 0.0).sum(axis=2)
        enough = count >= KNOWN_SHARE_MIN * per_step
        means = np.where(enough, total / np.maximum(count, 1), np.nan)
        found[begin : begin + ROWS_AT_ONCE] = packed(means)
    return start_s - before * fine_step_s, found
