"""Asks boosted trees for a few rows at once, without the cost of a call for each booster.

`models/boosted_quantiles.py` calls it for small batches: scikit-learn spends more than a
millisecond on checks for each booster, a live forecast asks ten. It gives the same numbers as
`predict` (a test compares them) and must never be used with categorical features.

No tree is walked: all splits of all trees are compared at once, and each that sends a row to the
right takes the leaves on its left away; the first leaf that is left of each tree is the row's own
(Lucchese et al., "QuickScorer: A Fast Algorithm to Rank Documents with Additive Ensembles of
Regression Trees", 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray
from models.step_windows import IntArray

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

LEAVES_MAX = 16
"""The leaves of a tree are the bits of two bytes."""
ALL_LEAVES = (1 << LEAVES_MAX) - 1
_FIRST_BIT = np.array(
    [0, *((bits & -bits).bit_length() - 1 for bits in range(1, ALL_LEAVES + 1))], dtype=np.uint8
)


@dataclass(frozen=True, slots=True)
class TreeTables:
    """All splits of all trees of all boosters in one row, shape (splits,), and their leaves.

    `kept` is the leaves a row keeps that goes right. `first_split` (trees,) says where a tree's
    splits begin, `values` (trees, LEAVES_MAX) what its leaves add, `first_tree` (boosters,) which
    is a booster's first tree, `baseline` (boosters,) what its trees add to.
    """

    feature: IntArray
    threshold: FloatArray
    missing_left: NDArray[np.bool_]
    kept: NDArray[np.uint16]
    first_split: IntArray
    values: FloatArray
    first_tree: IntArray
    baseline: FloatArray

    def predict(self, features: FloatArray) -> FloatArray:
        """Predictions (m, boosters) for features (m, f)."""
        asked = np.asarray(features, dtype=np.float64)[:, self.feature]
        goes_left = asked <= self.threshold
        goes_left |= np.isnan(asked) & self.missing_left
        kept = np.where(goes_left, np.uint16(ALL_LEAVES), self.kept)
        leaves = np.bitwise_and.reduceat(kept, self.first_split, axis=1)
        found = self.values[np.arange(len(self.values)), _FIRST_BIT.take(leaves)]
        return np.asarray(self.baseline + np.add.reduceat(found, self.first_tree, axis=1))


def tables_of(boosters: Sequence[HistGradientBoostingRegressor]) -> TreeTables:
    """Copy the nodes of fitted boosters of numeric features into tables.

    Raises `ValueError` for a tree of more than `LEAVES_MAX` leaves.
    """
    grown = [[_splits_of(tree[0].nodes) for tree in booster._predictors] for booster in boosters]
    trees = list(chain.from_iterable(grown))
    splits = list(chain.from_iterable(tree.splits for tree in trees))
    counts = np.asarray([len(tree.splits) for tree in trees])
    per_booster = np.asarray([len(booster) for booster in grown])
    return TreeTables(
        feature=np.asarray([split.feature for split in splits], dtype=np.int64),
        threshold=np.asarray([split.threshold for split in splits]),
        missing_left=np.asarray([split.missing_left for split in splits]),
        kept=np.asarray([split.kept for split in splits], dtype=np.uint16),
        first_split=np.cumsum(counts) - counts,
        values=np.stack([tree.values for tree in trees]),
        first_tree=np.cumsum(per_booster) - per_booster,
        baseline=np.asarray([float(np.ravel(one._baseline_prediction)[0]) for one in boosters]),
    )


@dataclass(frozen=True, slots=True)
class _Split:
    feature: int
    threshold: float
    missing_left: bool
    kept: int


_NO_SPLIT = _Split(0, np.inf, True, ALL_LEAVES)
"""Stands for a tree that is one leaf: everyone keeps it."""


@dataclass(frozen=True, slots=True)
class _Tree:
    splits: list[_Split]
    values: FloatArray


def _splits_of(nodes: NDArray[Any]) -> _Tree:
    splits: list[_Split] = []
    values: list[float] = []
    _walk(nodes, 0, splits, values)
    if len(values) > LEAVES_MAX:
        raise ValueError(f"a tree of {len(values)} leaves, of at most {LEAVES_MAX}")
    return _Tree(splits or [_NO_SPLIT], np.pad(values, (0, LEAVES_MAX - len(values))))


def _walk(nodes: NDArray[Any], place: int, splits: list[_Split], values: list[float]) -> None:
    """Number the leaves from left to right, and note of each split which leaves are on its left."""
    node = nodes[place]
    if node["is_leaf"] or len(values) > LEAVES_MAX:
        values.append(float(node["value"]))
        return
    before = len(values)
    _walk(nodes, int(node["left"]), splits, values)
    on_left = (1 << len(values)) - (1 << before)
    feature, threshold = int(node["feature_idx"]), float(node["num_threshold"])
    missing_left = bool(node["missing_go_to_left"])
    splits.append(_Split(feature, threshold, missing_left, ALL_LEAVES & ~on_left))
    _walk(nodes, int(node["right"]), splits, values)
