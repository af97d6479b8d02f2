"""A fitted ensemble for many series from one of few: each series' state again under new keys.

`scripts/forecast_peers/speed.py` forecasts a large batch with it: growing thirty thousand series
would measure the fit, and series without a fit cost nothing.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from models.ensemble import Ensemble
from models.series import SeriesKey


def tiled(fitted: Ensemble, keys: tuple[SeriesKey, ...]) -> Ensemble:
    """The state of row `i` is that of row `i` modulo the fitted rows; nobody leads anybody."""
    rows = np.arange(len(keys)) % len(fitted.keys)
    alone = dataclasses.replace(fitted, trees=None, leads=None)
    many = _again(alone, len(fitted.keys), rows)
    model = dataclasses.replace(many.cascade.model, keys=keys)
    cascade = dataclasses.replace(many.cascade, model=model)
    found: Ensemble = dataclasses.replace(many, cascade=cascade, keys=keys, trees=fitted.trees)
    return found


def _again(state: Any, fitted: int, rows: np.ndarray[Any, np.dtype[np.int64]]) -> Any:
    """Every array and tuple with one entry for each fitted row, at any depth, by `rows`."""
    if isinstance(state, np.ndarray):
        return state[rows] if state.ndim and len(state) == fitted else state
    if isinstance(state, tuple):
        return tuple(state[row] for row in rows) if len(state) == fitted else state
    if not dataclasses.is_dataclass(state) or isinstance(state, type):
        return state
    parts = {
        one.name: _again(getattr(state, one.name), fitted, rows)
        for one in dataclasses.fields(state)
    }
    return dataclasses.replace(state, **parts)
