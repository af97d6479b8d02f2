"""The two kinds of boosted trees of the ensemble, fitted and asked together.

One kind is trained on errors of the mix in units of its scale, the other on the outcome relative to
the level: the first is better on ordinary days, the second in bursts. `models/ensemble_fit.py` and
`models/rolling_origins.py` call it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.boosted_quantiles import BoostedQuantiles, chosen_by_weight, fit_boosted_quantiles
from models.forecast import QUANTILE_LEVELS
from models.origin_run import Run
from models.point_mix import Located
from models.series import FloatArray
from models.sight import Sight
from models.sparse_counts import KINDS as COUNT_KINDS

KINDS = 2
MEMBERS = 1 + KINDS + COUNT_KINDS
"""Of the mix: its own past errors, trees, counts."""
ROWS_PER_SERIES, ROWS_MAX = 4_000, 24_000
"""Rows in all, fewer for few series; a booster costs about half a second for each 10,000."""


@dataclass(frozen=True, slots=True)
class ErrorTrees:
    """Trees of errors in units of the scale, and of outcomes in units of the level."""

    of_scale: BoostedQuantiles
    of_level: BoostedQuantiles

    def quantiles(self, features: FloatArray, located: Located, sight: Sight) -> FloatArray:
        """Quantiles in units, shape (n, o, KINDS, levels), for features (n, o, f)."""
        rows, origins, columns = features.shape
        flat = features.reshape(rows * origins, columns)
        shape = (rows, origins, len(QUANTILE_LEVELS))
        by_scale = self.of_scale.predict(flat).reshape(shape)
        by_level = self.of_level.predict(flat).reshape(shape)
        return np.stack(
            [
                located.point[:, :, None] + located.scale[:, :, None] * by_scale,
                sight.level[:, :, None] * by_level,
            ],
            axis=2,
        )


def tree_quantiles(trees: ErrorTrees | None, run: Run, start: int, stop: int) -> FloatArray:
    """What trees say at the origins at places `start` to `stop - 1`, shape (n, stop - start, KINDS,
    levels); NaN without trees."""
    if trees is None:
        return np.full((len(run.outcome), stop - start, KINDS, len(QUANTILE_LEVELS)), np.nan)
    return trees.quantiles(*run.between(start, stop))


def fit_error_trees(runs: Sequence[Run], until: int, seed: int) -> ErrorTrees | None:
    """Train on all origins of all runs whose outcome was known at step `until`; None where there
    are too few of them."""
    series = sum(len(run.outcome) for run in runs)
    per_run = max(min(ROWS_MAX, ROWS_PER_SERIES * series) // max(len(runs), 1), 1)
    parts = [_rows_of(run, until) for run in runs]
    of_scale = _fit([_drawn(part, part.scale_share, per_run) for part in parts], False, seed)
    of_level = _fit([_drawn(part, part.level_share, per_run) for part in parts], True, seed)
    if of_scale is None or of_level is None:
        return None
    return ErrorTrees(of_scale, of_level)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Origins of all series of a run, one after another; the shares are of a series' own mean."""

    features: FloatArray
    outcome: FloatArray
    point: FloatArray
    scale: FloatArray
    level: FloatArray
    scale_share: FloatArray
    level_share: FloatArray


def _rows_of(run: Run, until: int) -> _Rows:
    stop = run.complete_at(until)
    errors = run.errors[:, :stop]
    scale, level = run.located.scale[:, :stop], run.sight.level[:, :stop]
    known = np.isfinite(errors) & (scale > 0)
    return _Rows(
        run.features[:, :stop][known],
        run.outcome[:, :stop][known],
        run.located.point[:, :stop][known],
        scale[known],
        level[known],
        _share_of_mean(scale, known)[known],
        _share_of_mean(level, known)[known],
    )


def _share_of_mean(weight: FloatArray, known: NDArray[np.bool_]) -> FloatArray:
    """Each series' weights (n, o) in units of their mean: loss is judged series by series, and by
    plain scale the busiest one would leave the others without a say."""
    total = np.where(known, weight, 0.0).sum(axis=1)
    mean = total / np.maximum(known.sum(axis=1), 1)
    return np.asarray(weight / np.where(mean > 0, mean, 1.0)[:, None])


def _drawn(part: _Rows, weight: FloatArray, size: int) -> _Rows:
    chosen = chosen_by_weight(weight, size)
    return _Rows(*(getattr(part, name)[chosen] for name in _Rows.__slots__))


def _fit(parts: list[_Rows], by_level: bool, seed: int) -> BoostedQuantiles | None:
    features = np.concatenate([part.features for part in parts])
    if by_level:
        target = np.concatenate([part.outcome / part.level for part in parts])
    else:
        target = np.concatenate([(part.outcome - part.point) / part.scale for part in parts])
    return fit_boosted_quantiles(features, target, QUANTILE_LEVELS, seed)
