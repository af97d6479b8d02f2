"""Fitted `HistGradientBoostingRegressor` trees as bytes and back, through skops and never pickle.

`models/store.py` imports it when a model holds trees: scikit-learn and skops are heavy. What is
written is what a forecast needs and no more, so equal trees give equal bytes on every machine. This
must never build a type that is not on its list, nor hand on a tree that points outside itself:
scikit-learn follows a tree's indices without looking.
"""

from __future__ import annotations

import copy
import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import skops.io
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import InconsistentVersionWarning

from models.array_bytes import array_from
from models.tree_checks import FITTED, MAPPED, check_trees
from models.zip_bytes import BytesRefused, entries_of, zip_of

SCHEMA = "schema.json"
SKOPS_PROTOCOL = 2
_BOOSTING = "sklearn.ensemble._hist_gradient_boosting"
UNTRUSTED_TYPES = (f"{_BOOSTING}.predictor.TreePredictor",)
"""All that skops 0.16 calls untrusted in a dump of this regressor: its indices are not checked on
loading, which `models/tree_checks.py` does."""
TYPES = frozenset(
    {
        (f"{_BOOSTING}.gradient_boosting", "HistGradientBoostingRegressor", "ObjectNode"),
        (f"{_BOOSTING}.binning", "_BinMapper", "ObjectNode"),
        (f"{_BOOSTING}.predictor", "TreePredictor", "ObjectNode"),
        ("sklearn._loss.loss", "PinballLoss", "ObjectNode"),
        ("sklearn._loss.loss", "HalfSquaredError", "ObjectNode"),
        ("sklearn._loss.loss", "AbsoluteError", "ObjectNode"),
        ("sklearn._loss._loss", "CyPinballLoss", "LossNode"),
        ("sklearn._loss._loss", "CyHalfSquaredError", "LossNode"),
        ("sklearn._loss._loss", "CyAbsoluteError", "LossNode"),
        ("sklearn._loss.link", "IdentityLink", "ObjectNode"),
        ("sklearn._loss.link", "Interval", "ObjectNode"),
        ("numpy", "ndarray", "NdArrayNode"),
        ("numpy", "float64", "NdArrayNode"),
        ("builtins", "dict", "DictNode"),
        ("builtins", "list", "ListNode"),
        ("builtins", "tuple", "TupleNode"),
        ("builtins", "str", "JsonNode"),
        ("builtins", "str", "TypeNode"),
    }
)
"""Module, class and skops loader of everything that may be in the file. skops itself would build
any estimator and ufunc."""


def tree_bytes(trees: Sequence[HistGradientBoostingRegressor]) -> bytes:
    """The trees as a skops file; raises `ValueError` for trees that `trees_from` would refuse.

    Categories, a preprocessor and other losses than squared, absolute and pinball are not stored.
    """
    try:
        check_trees(trees)
        entries = entries_of(skops.io.dumps([_bare(tree) for tree in trees]))
        names = {
            name: f"{hashlib.sha256(npy).hexdigest()}.npy"
            for name, npy in entries.items()
            if name != SCHEMA
        }
        schema = _without_ids(json.loads(entries[SCHEMA]), names)
        schema.pop("_skops_version")
        _check_schema(schema, frozenset(names.values()))
    except BytesRefused as error:
        raise ValueError(f"these trees cannot be stored: {error}") from None
    arrays = {names[name]: entries[name] for name in names}
    text = json.dumps(schema, sort_keys=True, separators=(",", ":"))
    return zip_of({**arrays, SCHEMA: text.encode()})


def trees_from(body: bytes) -> tuple[HistGradientBoostingRegressor, ...]:
    """The trees of a file whose hash is right; raises `BytesRefused` for what it may not hold."""
    entries = entries_of(body)
    try:
        schema = json.loads(entries.pop(SCHEMA))
    except (KeyError, ValueError, RecursionError) as error:
        raise BytesRefused(f"has no {SCHEMA} that can be read: {error}") from None
    _check_schema(schema, frozenset(entries))
    for name, npy in entries.items():
        array_from(name, npy)
    try:
        with warnings.catch_warnings():
            # Another patch release; another minor one was refused by the manifest.
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            trees = skops.io.loads(body, trusted=UNTRUSTED_TYPES)
    except Exception as error:  # noqa: BLE001 - what skops and scikit-learn raise is not listed
        raise BytesRefused(f"is no list of trees: {type(error).__name__}: {error}") from None
    if type(trees) is not list:
        raise BytesRefused(f"holds a {type(trees).__name__}, expected a list of trees")
    check_trees(trees)
    return tuple(trees)


def _bare(tree: HistGradientBoostingRegressor) -> HistGradientBoostingRegressor:
    """The tree as a forecast needs it: no random state, thread count, scores or bin edges."""
    parameters = tree.get_params() | {"random_state": None, "verbose": 0}
    bare = HistGradientBoostingRegressor(**parameters)
    for name in FITTED:
        setattr(bare, name, getattr(tree, name))
    mapper = bare._bin_mapper = copy.copy(tree._bin_mapper)
    for name in vars(mapper).keys() - MAPPED:
        delattr(mapper, name)
    mapper.bin_thresholds_ = []
    return bare


def _without_ids(node: Any, names: Mapping[str, str]) -> Any:
    """The schema without memory addresses: arrays are named by their content, nothing is shared."""
    if isinstance(node, list):
        return [_without_ids(one, names) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _without_ids(one, names) for key, one in node.items() if key != "__id__"}
    if node.get("__loader__") == "NdArrayNode" and "file" in node:
        kept["file"] = names[node["file"]]
    return kept


def _check_schema(schema: Any, files: frozenset[str]) -> None:
    """Raises `BytesRefused` for a type that is not on the list, before skops sees one of them."""
    if not isinstance(schema, dict) or schema.get("protocol") is True:
        raise BytesRefused(f"{SCHEMA} is no schema")
    if schema.get("protocol") != SKOPS_PROTOCOL:
        raise BytesRefused(f"has skops protocol {schema.get('protocol')!r}, not {SKOPS_PROTOCOL}")
    used = set()
    for node in _nodes(schema):
        named = (node.get("__module__"), node.get("__class__"), node.get("__loader__"))
        if named not in TYPES:
            raise BytesRefused(f"holds {named[0]}.{named[1]} ({named[2]}), which is not allowed")
        if named[2] == "NdArrayNode":
            if node.get("type") != "numpy" or node.get("file") not in files:
                raise BytesRefused(f"lacks the array {str(node.get('file'))[:80]!r}")
            used.add(node["file"])
        if "__id__" in node:
            raise BytesRefused("shares objects by id")
    if used != files:
        raise BytesRefused(f"has {len(files - used)} arrays that nothing names")


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every part of the schema that says of which type it is; a part is never half of one."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if not part.keys().isdisjoint(("__module__", "__class__", "__loader__")):
                yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
