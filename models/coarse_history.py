"""Weeks of older demand at a longer step, in two bytes a step: enough for the shape of a day.

`predictor/core/older_steps.py` makes one, a `SeriesBatch` carries it, `models/profile.py` reads it.
It must never be read on the tick's path: its numbers have three digits, and no minutes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PackedArray = NDArray[np.uint16]
UNKNOWN = np.uint16(0x7FC0)
"""Not a number, packed."""
_INFINITE = 0x7F80


@dataclass(frozen=True, slots=True)
class CoarseHistory:
    """Mean rates of the rows of a batch before it begins, shape (n, steps), packed.

    Step `i` covers [start_s + i * step_s, start_s + (i + 1) * step_s), epoch seconds. What sampling
    added to their variance is not kept: no shape is learnt from it.
    """

    start_s: int
    step_s: int
    packed: PackedArray

    @property
    def end_s(self) -> int:
        """The first instant after the last step; the batch begins there or later."""
        return self.start_s + int(self.packed.shape[1]) * self.step_s

    def rates(self, rows: slice = slice(None)) -> NDArray[np.float64]:
        """Mean rates per second of some rows, NaN where nothing is known."""
        return unpacked(self.packed[rows])


def packed(rates: NDArray[np.floating]) -> PackedArray:
    """Rates as bfloat16, rounded to nearest, ties to even: the upper half of a binary32.

    Off by 0.4 % at most, over the whole range of a binary32 (Kalamkar et al., "A Study of BFLOAT16
    for Deep Learning Training", 2019), so no row needs a unit of its own.
    """
    bits = np.ascontiguousarray(rates, dtype=np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(rates), UNKNOWN, rounded).astype(np.uint16)


def unpacked(values: PackedArray) -> NDArray[np.float64]:
    """The rates that `packed` was given, to three digits."""
    return (values.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def is_known(values: PackedArray) -> NDArray[np.bool_]:
    """Where a packed rate is a number."""
    return np.asarray((values & 0x7FFF) <= _INFINITE)
