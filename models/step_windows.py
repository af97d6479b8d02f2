"""Turns a horizon in seconds into whole steps, and finds the highest step of a window quickly.

Every forecaster and `models/scoring.py` use it, so that all mean the same window. It must never
look at demand beyond the arrays it is handed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.forecast import Horizon
from models.series import FloatArray

IntArray = NDArray[np.int64]

WINDOW_S_MAX = 86_400
"""A window may not reach further than a day: no pod takes that long, and arrays stay bounded."""

MEASURED_SHARE_MIN = 0.8
"""A past window with more than a fifth of its steps missing has no known peak."""


class StepWindows(NamedTuple):
    """Each row's window, steps `first` to `stop - 1` after now, shape (n,); step 0 starts now."""

    first: IntArray
    stop: IntArray

    @property
    def hold(self) -> IntArray:
        """How many steps each window has, at least one."""
        return self.stop - self.first


def step_windows(horizon: Horizon, rows: int, step_s: int) -> StepWindows:
    """Every step that the window (now + lead, now + lead + hold] touches, at least one a row.

    Raises `ValueError` for a horizon of another length, one that is negative or not finite, or one
    that reaches beyond `WINDOW_S_MAX`.
    """
    lead_s, hold_s = horizon.lead_s, horizon.hold_s
    if lead_s.shape != (rows,) or hold_s.shape != (rows,):
        raise ValueError(f"a horizon of shapes {lead_s.shape}, {hold_s.shape} for {rows} rows")
    end_s = lead_s + hold_s
    fits = (lead_s >= 0) & (hold_s >= 0) & (end_s <= max(WINDOW_S_MAX, step_s))
    if not fits.all():
        row = int(np.argmin(fits))
        raise ValueError(
            f"row {row}: lead {lead_s[row]} s and hold {hold_s[row]} s are not within "
            f"0 and {WINDOW_S_MAX} s"
        )
    # Rounding to a millionth of a step keeps 0.1 + 0.2 from touching one step more.
    first = np.floor(np.round(lead_s / step_s, 6)).astype(np.int64)
    stop = np.ceil(np.round(end_s / step_s, 6)).astype(np.int64)
    return StepWindows(first, np.maximum(stop, first + 1))


def uniform_horizon(rows: int, lead_s: float, hold_s: float) -> Horizon:
    """The same lead and hold for every row."""
    return Horizon(np.full(rows, float(lead_s)), np.full(rows, float(hold_s)))


def window_peaks(values: FloatArray, hold: int) -> FloatArray:
    """The highest of `hold` steps from each step on, shape (n, steps); NaN where not known.

    A window that runs over the end, or has too few measured steps, is NaN. The maximum is built by
    doubling, so the cost grows with log2(hold).
    """
    peaks = np.where(np.isnan(values), -np.inf, values)
    width = 1
    while width < hold:
        shift = min(width, hold - width)
        peaks[:, :-shift] = np.maximum(peaks[:, :-shift], peaks[:, shift:])
        width += shift
    measured = np.cumsum(np.isfinite(values), axis=1, dtype=np.int64)
    measured = np.pad(measured, ((0, 0), (1, 0)))
    known = np.zeros(values.shape, dtype=bool)
    complete = max(values.shape[1] - hold + 1, 0)
    enough = max(int(np.ceil(MEASURED_SHARE_MIN * hold)), 1)
    known[:, :complete] = measured[:, hold:] - measured[:, :complete] >= enough
    return np.where(known, peaks, np.nan)
