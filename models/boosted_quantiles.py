"""Gradient-boosted quantiles of an error without units, trained across all series at once.

`models/ensemble.py` and `models/rolling_origins.py` fit and ask them. The trees begin from the
errors' plain quantiles, so few and shallow ones suffice and a short history is not overfitted. It
must never be asked for another number of features than it was trained with.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from models.one_thread import one_thread
from models.series import FloatArray
from models.step_windows import IntArray
from models.tree_tables import TreeTables, tables_of

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

ITERATIONS = 100
LEAVES = 12
LEARNING_RATE = 0.05
LEAF_SAMPLES_MIN = 40
GROWN_LEVELS = (0.1, 0.5, 0.9, 0.95, 0.99)
"""Levels that have boosters; those between are drawn straight between their neighbours on the
normal scale, and calibrated like all others."""
L2 = 1.0
FEATURE_SHARE = 0.6
BINS = 64
FEW_ROWS = 100
"""Up to here our own tables are quicker than a call for each booster."""
SAMPLES_MIN = 400
"""Fewer rows than this say nothing that their plain quantiles do not."""


@dataclass(frozen=True, slots=True)
class BoostedQuantiles:
    """A booster for each of `GROWN_LEVELS`, on pinball loss (Friedman, "Greedy Function
    Approximation", 2001)."""

    levels: tuple[float, ...]
    trees: tuple[HistGradientBoostingRegressor, ...]
    tables: TreeTables

    def predict(self, features: FloatArray) -> FloatArray:
        """Quantiles (m, levels) for features (m, f), sorted so that they never cross."""
        if not len(features):
            return np.zeros((0, len(self.levels)))
        if len(features) <= FEW_ROWS:
            grown = self.tables.predict(features)
        else:
            with one_thread():
                grown = np.stack([tree.predict(features) for tree in self.trees], axis=1)
        between = np.sort(grown, axis=1) @ _between_levels(self.levels)
        # A sum of shares may end a last digit below its neighbour.
        return np.asarray(np.sort(between, axis=1))


def fit_boosted_quantiles(
    features: FloatArray, errors: FloatArray, levels: tuple[float, ...], seed: int
) -> BoostedQuantiles | None:
    """Fit a booster for each level to errors (m,); None with too few rows. The same rows and seed
    give the same trees."""
    if len(errors) < SAMPLES_MIN:
        return None
    # Heavy, and a service that has not seen a day yet grows no trees.
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415

    # A column without any number has no thresholds to choose from.
    given = np.where(np.isfinite(features).any(axis=0), features, np.float32(0.0))
    # Here once more: before scikit-learn was loaded nobody could have limited its threads.
    with one_thread():
        trees = tuple(
            HistGradientBoostingRegressor(
                loss="quantile",
                quantile=level,
                max_iter=ITERATIONS,
                max_leaf_nodes=LEAVES,
                learning_rate=LEARNING_RATE,
                min_samples_leaf=LEAF_SAMPLES_MIN,
                l2_regularization=L2,
                max_features=FEATURE_SHARE,
                max_bins=BINS,
                early_stopping=False,
                random_state=seed,
            ).fit(given, errors)
            for level in GROWN_LEVELS
        )
    return boosted_quantiles(levels, trees)


@lru_cache(maxsize=8)
def _between_levels(levels: tuple[float, ...]) -> FloatArray:
    """The share of each grown level in each level, shape (grown, levels); levels beyond the grown
    ones repeat the outermost."""
    score = [NormalDist().inv_cdf(level) for level in GROWN_LEVELS]
    asked = [NormalDist().inv_cdf(level) for level in levels]
    return np.stack([np.interp(asked, score, unit) for unit in np.eye(len(score))])


def boosted_quantiles(
    levels: tuple[float, ...], trees: tuple[HistGradientBoostingRegressor, ...]
) -> BoostedQuantiles:
    """Put fitted boosters together, one for each of `GROWN_LEVELS`."""
    return BoostedQuantiles(levels, trees, tables_of(trees))


def chosen_by_weight(weights: FloatArray, size: int) -> IntArray:
    """Places of `size` rows drawn systematically with probability in proportion to `weights` (m,).

    Pinball loss in units is scale times that of the error without units: drawing by scale trains on
    the loss that is scored, and costs nothing where weighting each sample is ten times slower.
    Systematic resampling: Kitagawa, "Monte Carlo Filter and Smoother", 1996.
    """
    total = np.cumsum(weights)
    size = min(size, len(weights))
    if not size or not total[-1] > 0:
        return np.arange(size)
    at = (np.arange(size) + 0.5) / size * total[-1]
    return np.asarray(np.minimum(np.searchsorted(total, at), len(weights) - 1))
