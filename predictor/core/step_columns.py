"""A matrix of series by steps that grows at its end and shrinks at its begin.

`predictor/core/step_ring.py` and `predictor/core/older_steps.py` keep their steps in one. A view
that was handed out is never changed while anybody holds it. Where nobody does, cells are written
and moved in place, so that thousands of series do not need their memory twice.
"""

from __future__ import annotations

import sys
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Cell = TypeVar("Cell", bound=np.generic)
SLACK_SHARE = 16
"""Room for a sixteenth more steps: a day of a fortnight, so that all is moved once a day."""
SLACK_MIN = 64
ROWS_AT_ONCE = 512
"""Bounds what is copied aside while rows are moved in place."""


class StepColumns(Generic[Cell]):
    """At most `length` steps of `rows` series, oldest first."""

    def __init__(self, rows: int, length: int, kind: type[Cell]) -> None:
        room = length + max(length // SLACK_SHARE, SLACK_MIN)
        # Not filled: memory that no step was written to yet is not taken from the system.
        self._cells: NDArray[Cell] = np.empty((rows, room), dtype=kind)
        self._first = self._last = 0
        self._handed_out = 0

    def __len__(self) -> int:
        return self._last - self._first

    def view(self) -> NDArray[Cell]:
        """All steps, read-only, without a copy; while it is held it stays what it is."""
        self._handed_out = self._last
        kept = self._cells[:, self._first : self._last]
        kept.flags.writeable = False
        return kept

    def column(self, place: int) -> NDArray[Cell]:
        """One step, counted from the oldest; to look at, not to keep."""
        return self._cells[:, self._first + place]

    def extend(self, columns: NDArray[Any], *, count: int = 1) -> None:
        """Add `count` steps, shape (rows, count) or one that broadcasts to it."""
        if self._last + count > self._cells.shape[1]:
            self._move(count)
        self._cells[:, self._last : self._last + count] = columns
        self._last += count

    def drop_to(self, count: int) -> None:
        """Forget the oldest steps, so that at most so many are left."""
        self._first = max(self._first, self._last - count)

    def write(self, place: int, column: NDArray[Any]) -> None:
        """Put another value in place of one step."""
        if self._first + place < self._handed_out and self._is_held():
            self._move()
        self._cells[:, self._first + place] = column

    def _is_held(self) -> bool:
        """Whether anybody has a view: each refers to the array that owns the cells.

        The count is exact in CPython, and there one is for us and one for the question itself;
        `numpy.ndarray.resize` asks the same way.
        """
        return sys.getrefcount(self._cells) > 2

    def _move(self, count: int = 0) -> None:
        """All steps to the begin, with room for `count` more; elsewhere if anybody has a view."""
        cells, kept = self._cells, len(self)
        is_held = sys.getrefcount(cells) > 3
        room = max(cells.shape[1], kept + count)
        if is_held or room > cells.shape[1]:
            self._cells = np.empty((cells.shape[0], room), dtype=cells.dtype)
        for begin in range(0, cells.shape[0], ROWS_AT_ONCE):
            some = slice(begin, begin + ROWS_AT_ONCE)
            self._cells[some, :kept] = cells[some, self._first : self._last]
        self._first, self._last, self._handed_out = 0, kept, 0
