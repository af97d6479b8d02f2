"""A history and what is older than it, on one grid: that of the older part.

`models/past_occurrences.py` looks weeks back with it, some rows at a time. It must never be asked
for all rows of a large service at once: it makes them anew, in full precision.
"""

from __future__ import annotations

import numpy as np

from models.series import FloatArray, SeriesBatch

KNOWN_SHARE_MIN = 0.5
"""A mean of less than half its steps may be that of a burst alone."""


def on_one_grid(history: SeriesBatch, rows: slice) -> SeriesBatch:
    """Some rows with all that is known of them; without an older part these are their values."""
    keys, fine = history.keys[rows], np.asarray(history.values[rows], dtype=np.float64)
    older = history.coarser
    if older is None:
        return SeriesBatch(keys, history.start_s, history.step_s, fine)
    step_s = older.step_s
    values = np.full((len(keys), (history.end_s - older.start_s) // step_s), np.nan)
    known = older.rates(rows)
    values[:, : known.shape[1]] = known[:, : values.shape[1]]
    begin = -(-(history.start_s - older.start_s) // step_s)
    first = (older.start_s + begin * step_s - history.start_s) // history.step_s
    means = _means(fine[:, first:], step_s // history.step_s)
    values[:, begin:] = means[:, : max(values.shape[1] - begin, 0)]
    return SeriesBatch(keys, older.start_s, step_s, values)


def grid_start_s(history: SeriesBatch) -> int:
    """Where the rows of `on_one_grid` begin."""
    return history.start_s if history.coarser is None else history.coarser.start_s


def _means(fine: FloatArray, together: int) -> FloatArray:
    """The means of so many steps each, NaN where too little is known; what is over is left out."""
    parts = fine[:, : fine.shape[1] // together * together].reshape(len(fine), -1, together)
    known = np.isfinite(parts)
    count = known.sum(axis=2)
    total = np.where(known, parts, 0.0).sum(axis=2)
    return np.where(count >= KNOWN_SHARE_MIN * together, total / np.maximum(count, 1), np.nan)
