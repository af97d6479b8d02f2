"""What fitted trees must hold before scikit-learn may follow them.

`models/tree_bytes.py` asks before it writes and after it read. scikit-learn's compiled code goes
from node to node by indices that it does not check: one that leads out of an array reads foreign
memory, and one that leads back never ends. No tree may pass here that could do either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn._loss.loss import AbsoluteError, HalfSquaredError, PinballLoss
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.ensemble._hist_gradient_boosting.binning import _BinMapper
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

from models.zip_bytes import BytesRefused

FITTED = (
    "n_features_in_",
    "_n_features",
    "n_trees_per_iteration_",
    "_loss",
    "_bin_mapper",
    "_baseline_prediction",
    "_predictors",
    "is_categorical_",
    "_preprocessor",
)
"""What `predict` reads of a fitted regressor, beside its parameters."""
MAPPED = frozenset(
    {
        "n_bins",
        "subsample",
        "is_categorical",
        "known_categories",
        "is_categorical_",
        "missing_values_bin_idx_",
        "bin_thresholds_",
    }
)
"""What is kept of the bin mapper: raw values are compared with the nodes' own thresholds."""
LOSSES = (PinballLoss, HalfSquaredError, AbsoluteError)
BITSET_WORDS = 8


def check_trees(trees: Sequence[Any]) -> None:
    """Raises `BytesRefused`, naming the tree and what is wrong with it."""
    for place, tree in enumerate(trees):
        try:
            _check_regressor(tree)
        except (BytesRefused, AttributeError, TypeError) as error:
            raise BytesRefused(f"tree ensemble {place}: {error}") from None


def _check_regressor(tree: Any) -> None:
    if type(tree) is not HistGradientBoostingRegressor:
        raise BytesRefused(f"is a {type(tree).__name__}, no HistGradientBoostingRegressor")
    features = tree.n_features_in_
    if type(features) is not int or features < 1 or tree._n_features != features:
        raise BytesRefused(f"has {features!r} features")
    if tree.is_categorical_ is not None or tree._preprocessor is not None:
        raise BytesRefused("has categories or a preprocessor")
    if tree.n_trees_per_iteration_ != 1 or type(tree._loss) not in LOSSES:
        raise BytesRefused(f"has the loss {type(tree._loss).__name__}")
    _check_numbers("the baseline", tree._baseline_prediction, (1, 1))
    mapper = tree._bin_mapper
    if type(mapper) is not _BinMapper or mapper.is_categorical_.shape != (features,):
        raise BytesRefused(f"has no bin mapper for {features} features")
    if np.any(mapper.is_categorical_):
        raise BytesRefused("has categories")
    for step, predictors in enumerate(tree._predictors):
        try:
            (predictor,) = predictors
            _check_predictor(predictor, features)
        except (BytesRefused, ValueError) as error:
            raise BytesRefused(f"iteration {step}: {error}") from None


def _check_predictor(predictor: Any, features: int) -> None:
    if type(predictor) is not TreePredictor:
        raise BytesRefused(f"is a {type(predictor).__name__}, no TreePredictor")
    for bitsets in (predictor.raw_left_cat_bitsets, predictor.binned_left_cat_bitsets):
        if bitsets.shape != (0, BITSET_WORDS) or bitsets.dtype != np.uint32:
            raise BytesRefused(f"has bitsets of categories, {bitsets.shape} {bitsets.dtype}")
    check_nodes(predictor.nodes, features)


def check_nodes(nodes: NDArray[Any], features: int) -> None:
    """Raises `BytesRefused` for nodes that lead outside of themselves, back, or to no number."""
    if type(nodes) is not np.ndarray or nodes.dtype != PREDICTOR_RECORD_DTYPE:
        raise BytesRefused(f"has nodes of {getattr(nodes, 'dtype', type(nodes))}")
    if nodes.ndim != 1 or not len(nodes):
        raise BytesRefused(f"has nodes of shape {nodes.shape}")
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    split = nodes[inner]
    for side in ("left", "right"):
        child = split[side].astype(np.int64)
        if (child >= len(nodes)).any() or (child <= inner).any():
            raise BytesRefused(f"has a {side} child outside its {len(nodes)} nodes or not after it")
    if (split["feature_idx"] < 0).any() or (split["feature_idx"] >= features).any():
        raise BytesRefused(f"asks for a feature outside its {features}")
    if split["is_categorical"].any():
        raise BytesRefused("has a split by categories")
    if np.isnan(split["num_threshold"]).any():
        raise BytesRefused("has a threshold that is no number")
    _check_numbers("a node", nodes["value"], nodes.shape)


def _check_numbers(name: str, values: NDArray[Any], shape: tuple[int, ...]) -> None:
    if values.shape != shape or values.dtype != np.float64:
        raise BytesRefused(f"{name} has shape {values.shape} and {values.dtype}")
    if not np.isfinite(values).all():
        raise BytesRefused(f"{name} has a value that is not finite")
