"""Which rows may lead which: the callers that are configured, else those whose growth goes ahead.

`models/ensemble_fit.py` and `models/rolling_origins.py` call it before `models/upstream.py` tries
the pairs, each of which costs some milliseconds. It must never propose more than `PAIRS_MAX`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from models.series import ALL_REGIONS, FloatArray, SeriesBatch, SeriesKey
from models.step_windows import IntArray
from models.upstream import (
    GROWTH_MAX,
    PAIRS_MIN,
    SMOOTH_STEPS,
    at_origins,
    growth_floors,
    spread_origins,
    trailing_log_means,
    without_wave,
)

Callers = Mapping[str, Sequence[str]]
"""The modules that call a module, by its name; one that is not there has its callers looked for."""
NO_CALLERS: Callers = MappingProxyType({})
PAIRS_MAX = 300
CALLERS_MAX = 4
"""Of each callee: those with the highest correlation."""
ROWS_MAX = 256
"""Rows among which callers are looked for, those with the most demand."""
SCREEN_ORIGINS = 1000
SCREEN_LAGS = (1, 2, 3, 4, 6, 8, 11, 15, 20, 30)
CORRELATION_MIN = 0.15
"""Some five standard errors of no correlation at a thousand moments."""


def likely_pairs(history: SeriesBatch, callers: Callers = NO_CALLERS) -> list[tuple[int, int]]:
    """Rows (callee, caller) worth trying, at most `PAIRS_MAX`; a caller is of the callee's region,
    or its demand may be served anywhere."""
    told = _configured(history.keys, callers)
    wanted = np.asarray([key.module not in callers for key in history.keys], dtype=bool)
    return (told + _screened(history, wanted))[:PAIRS_MAX]


def _configured(keys: Sequence[SeriesKey], callers: Callers) -> list[tuple[int, int]]:
    place = {key: row for row, key in enumerate(keys)}
    pairs = []
    for row, key in enumerate(keys):
        for caller in list(callers.get(key.module, ()))[:CALLERS_MAX]:
            near = place.get(SeriesKey(caller, key.region))
            found = place.get(SeriesKey(caller, ALL_REGIONS)) if near is None else near
            if found is not None and caller != key.module:
                pairs.append((row, found))
    return pairs


def _screened(history: SeriesBatch, wanted: np.typing.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The pairs with the highest correlation of what the callee's growth leaves unexplained with
    the caller's growth before, the best first."""
    origins = spread_origins(history.values.shape[1], SCREEN_ORIGINS)
    rows = _largest(history.values)
    if len(origins) < PAIRS_MIN or len(rows) < 2 or not wanted.any():
        return []
    values = history.values[rows]
    floors = growth_floors(values, history.step_s)
    newest = without_wave(trailing_log_means(values, floors, SMOOTH_STEPS)[0])
    best = np.max([_correlation(newest, origins, lag) for lag in SCREEN_LAGS], axis=0)
    best[~wanted[rows]] = 0.0
    best[~_may_call([history.keys[row] for row in rows])] = 0.0
    least = np.sort(best, axis=1)[:, -CALLERS_MAX:].min(axis=1)
    callee, caller = np.nonzero((best >= CORRELATION_MIN) & (best >= least[:, None]))
    order = np.argsort(-best[callee, caller], kind="stable")[:PAIRS_MAX]
    return [(int(rows[callee[one]]), int(rows[caller[one]])) for one in order]


def _largest(values: FloatArray) -> IntArray:
    """The measured rows with the most demand, in their order."""
    total = np.nansum(values, axis=1)
    order = np.argsort(-total, kind="stable")[:ROWS_MAX]
    return np.sort(order[total[order] > 0])


def _may_call(keys: Sequence[SeriesKey]) -> np.typing.NDArray[np.bool_]:
    """Whether the column's row can call the row's; shape (n, n)."""
    modules, regions = (np.asarray(names) for names in zip(*keys, strict=True))
    near = (regions[:, None] == regions) | (regions == ALL_REGIONS)
    return np.asarray(near & (modules[:, None] != modules))


def _correlation(newest: FloatArray, origins: IntArray, lag: int) -> FloatArray:
    """Of each row's coming growth, less what its own tells, with each row's growth; (n, n)."""
    now, later, before = (
        np.stack([at_origins(row, origins + by) for row in newest]) for by in (0, lag, -lag)
    )
    coming, own = _bounded(later - now), _bounded(now - before)
    slope = (coming * own).sum(axis=1) / np.maximum((own * own).sum(axis=1), 1e-12)
    left = coming - slope[:, None] * own
    return np.asarray(_of_length_one(left) @ _of_length_one(own).T)


def _bounded(growth: FloatArray) -> FloatArray:
    return np.where(np.abs(growth) <= GROWTH_MAX, growth, 0.0)


def _of_length_one(rows: FloatArray) -> FloatArray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-12))
