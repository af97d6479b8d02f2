"""Asks boosted trees for a few rows at once, without the cost of a call for each booster.

`models/boosted_quantiles.py` calls it for small batches: scikit-learn spends more than a
millisecond on checks for each booster, a live forecast asks fourteen. It gives the same numbers as
`predict` (a test compares them) and must never be used with categorical features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray
from models.step_windows import IntArray

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor


@dataclass(frozen=True, slots=True)
class TreeTables:
    """All nodes of all trees of all boosters in one row, shape (nodes,).

    `left` and `right` are places in it; a leaf leads to itself. `root` (trees,) says where a tree
    begins, `first` (boosters,) which is a booster's first tree, `baseline` (boosters,) what its
    trees add to, `depth` how many steps lead to every leaf.
    """

    feature: IntArray
    threshold: FloatArray
    missing_left: NDArray[np.bool_]
    left: IntArray
    right: IntArray
    value: FloatArray
    root: IntArray
    first: IntArray
    baseline: FloatArray
    depth: int

    def predict(self, features: FloatArray) -> FloatArray:
        """Predictions (m, boosters) for features (m, f)."""
        rows, columns = features.shape
        flat = np.ascontiguousarray(features, dtype=np.float64).ravel()
        begin = columns * np.arange(rows)[:, None]
        node = np.repeat(self.root[None, :], rows, axis=0)
        for _ in range(self.depth):
            asked = flat.take(begin + self.feature.take(node))
            goes_left = asked <= self.threshold.take(node)
            goes_left |= np.isnan(asked) & self.missing_left.take(node)
            node = np.where(goes_left, self.left.take(node), self.right.take(node))
        sums = np.add.reduceat(self.value.take(node), self.first, axis=1)
        return np.asarray(self.baseline + sums)


def tables_of(boosters: Sequence[HistGradientBoostingRegressor]) -> TreeTables:
    """Copy the nodes of fitted boosters of numeric features into tables."""
    grown = [[tree[0].nodes for tree in booster._predictors] for booster in boosters]
    trees = [nodes for booster in grown for nodes in booster]
    counts = np.asarray([len(nodes) for nodes in trees])
    root = np.cumsum(counts) - counts
    nodes = np.concatenate(trees)
    base, itself = np.repeat(root, counts), np.arange(len(nodes))
    leaf = nodes["is_leaf"].astype(bool)
    per_booster = np.asarray([len(booster) for booster in grown])
    return TreeTables(
        feature=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int64),
        threshold=nodes["num_threshold"].astype(np.float64),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        left=np.where(leaf, itself, base + nodes["left"]),
        right=np.where(leaf, itself, base + nodes["right"]),
        value=nodes["value"].astype(np.float64),
        root=root,
        first=np.cumsum(per_booster) - per_booster,
        baseline=np.asarray([float(np.ravel(one._baseline_prediction)[0]) for one in boosters]),
        depth=int(nodes["depth"].max()),
    )
