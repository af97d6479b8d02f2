"""Stored trees: the same bytes for the same trees, and none that leads outside itself."""

from __future__ import annotations

import copy
import io
import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression

from models.manifest import TREES, ModelRefused
from models.store import packed
from models.tree_bytes import SCHEMA, UNTRUSTED_TYPES, tree_bytes, trees_from
from models.tree_checks import check_nodes
from models.zip_bytes import BytesRefused, entries_of, zip_of
from tests.models.stored_builders import (
    CREATED,
    KEY,
    TRUSTED,
    open_files,
    some_parameters,
    with_file,
    with_manifest,
)


def fitted(**options: Any) -> HistGradientBoostingRegressor:
    draw = np.random.default_rng(1)
    features = draw.random((300, 3))
    features[::9, 1] = np.nan
    usual = {"loss": "quantile", "quantile": 0.9, "max_iter": 4, "random_state": 3}
    model = HistGradientBoostingRegressor(**(usual | options))
    return model.fit(features, features[:, 0] * 5 + draw.random(300))


FEATURES = np.random.default_rng(2).random((50, 3))
TREE = fitted()
BYTES = tree_bytes([TREE])
FILES = packed(some_parameters(trees=(TREE,)), CREATED, key=KEY)
NODES = TREE._predictors[0][0].nodes


@pytest.mark.parametrize(
    "tree",
    [TREE, fitted(loss="squared_error", quantile=None), fitted(loss="absolute_error")],
    ids=lambda tree: tree.loss,
)
def test_stored_trees_predict_the_same_numbers(tree: HistGradientBoostingRegressor) -> None:
    (found,) = trees_from(tree_bytes([tree]))

    assert (found.predict(FEATURES) == tree.predict(FEATURES)).all()


def test_training_twice_and_storing_what_was_loaded_give_the_same_bytes() -> None:
    assert tree_bytes([fitted()]) == BYTES
    assert tree_bytes([pickle.loads(pickle.dumps(TREE))]) == BYTES
    assert tree_bytes(trees_from(BYTES)) == BYTES


def test_a_machine_with_more_cores_and_another_seed_of_hashes_gives_the_same_bytes() -> None:
    elsewhere = fitted()
    elsewhere._bin_mapper.n_threads = 64
    code = (
        "import hashlib, sys, pickle; from models.tree_bytes import tree_bytes\n"
        "tree = pickle.load(sys.stdin.buffer)\n"
        "sys.stdout.buffer.write(tree_bytes([tree]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(elsewhere), capture_output=True,
        check=True, timeout=120, env={"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"},
    )  # fmt: skip

    assert done.stdout == BYTES


def test_a_model_with_trees_is_opened_whole() -> None:
    (tree,) = open_files(FILES, trusted=TRUSTED).parameters.trees

    assert (tree.predict(FEATURES) == TREE.predict(FEATURES)).all()


def test_what_skops_does_not_trust_in_these_trees_is_what_is_on_the_list() -> None:
    assert skops.io.get_untrusted_types(data=skops.io.dumps(TREE)) == list(UNTRUSTED_TYPES)


def without_ids(dump: bytes) -> bytes:
    """What skops writes, but for the one thing that is never in a file of ours."""
    entries = entries_of(dump)
    text = re.sub(r',\s*"__id__": \d+', "", entries[SCHEMA].decode())
    return zip_of({**entries, SCHEMA: text.encode()})


@pytest.mark.parametrize(
    ("thing", "fact"),
    [
        (TREE, "not allowed"),
        ([LinearRegression()], r"LinearRegression \(ObjectNode\), which is not allowed"),
        ([np.add], "not allowed"),
        ([print], "not allowed"),
        ([timedelta(1)], "not allowed"),
        ([np.array([None])], "lacks the array"),
        ([np.random.default_rng(1)], "not allowed"),
    ],
)
def test_a_skops_file_of_anything_else_is_refused(thing: Any, fact: str) -> None:
    with pytest.raises(BytesRefused, match=fact):
        trees_from(without_ids(skops.io.dumps(thing)))


def test_objects_that_are_named_by_memory_address_are_refused() -> None:
    with pytest.raises(BytesRefused, match="shares objects by id"):
        trees_from(zip_of(entries_of(skops.io.dumps([1.0]))))


def rewritten(old: str, new: str) -> bytes:
    """The stored trees with another schema, whatever hash it would have."""
    entries = entries_of(BYTES)
    text = entries[SCHEMA].decode()
    assert old in text
    return zip_of({**entries, SCHEMA: text.replace(old, new, 1).encode()})


@pytest.mark.parametrize(
    ("old", "new", "fact"),
    [
        ('"protocol":2', '"protocol":0', "protocol 0"),
        ('"protocol":2', '"protocol":true', "no schema"),
        ('"__class__":"TreePredictor"', '"__class__":"eval"', "not allowed"),
        ('"__loader__":"ObjectNode"', '"__loader__":"FunctionNode"', "not allowed"),
        ('"file":"', '"file":"../', "lacks the array"),
        ('"_n_features":', '"__dict__":', "tree ensemble 0"),
        ('"content":"3"', '"content":"4"', "tree ensemble 0"),
        ("{", "[", "can be read"),
    ],
)
def test_a_schema_that_was_tampered_with_is_refused(old: str, new: str, fact: str) -> None:
    with pytest.raises(BytesRefused, match=fact):
        trees_from(rewritten(old, new))


def test_an_array_that_nothing_names_is_refused() -> None:
    stream = io.BytesIO()
    np.save(stream, np.ones(1))

    with pytest.raises(BytesRefused, match="1 arrays that nothing names"):
        trees_from(zip_of({**entries_of(BYTES), "more.npy": stream.getvalue()}))


INNER = int(np.flatnonzero(NODES["is_leaf"] == 0)[-1])
LEAF = int(np.flatnonzero(NODES["is_leaf"])[0])


@pytest.mark.parametrize(
    ("place", "field", "value", "fact"),
    [
        (INNER, "left", len(NODES), "left child outside"),
        (INNER, "right", 2**32 - 1, "right child outside"),
        (INNER, "left", INNER, "not after it"),
        (INNER, "left", 0, "not after it"),
        (INNER, "feature_idx", 3, "feature outside its 3"),
        (INNER, "feature_idx", -1, "feature outside its 3"),
        (INNER, "is_categorical", 1, "by categories"),
        (INNER, "num_threshold", np.nan, "no number"),
        (LEAF, "value", np.inf, "not finite"),
        (LEAF, "is_leaf", 0, "not after it"),
    ],
)
def test_a_node_that_leads_astray_is_refused(
    place: int, field: str, value: float, fact: str
) -> None:
    tree = copy.deepcopy(TREE)
    tree._predictors[0][0].nodes[field][place] = value

    with pytest.raises(ValueError, match=f"tree ensemble 0: iteration 0: .*{fact}"):
        tree_bytes([tree])


@settings(max_examples=200)
@given(st.data())
def test_nodes_that_pass_are_followed_to_a_leaf_within_the_tree(data: st.DataObject) -> None:
    body = bytearray(NODES.tobytes())
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    nodes = np.frombuffer(bytes(body), dtype=NODES.dtype)
    try:
        check_nodes(nodes, 3)
    except BytesRefused:
        return
    at = 0
    for _ in range(len(nodes)):
        if nodes["is_leaf"][at]:
            return
        assert 0 <= nodes["feature_idx"][at] < 3
        at = int(nodes["left" if data.draw(st.booleans()) else "right"][at])
    pytest.fail("no leaf within as many steps as there are nodes")


def without(tree: HistGradientBoostingRegressor, name: str) -> HistGradientBoostingRegressor:
    bare = copy.copy(tree)
    delattr(bare, name)
    return bare


@pytest.mark.parametrize(
    ("make", "fact"),
    [
        (lambda: fitted(loss="poisson"), "HalfPoissonLoss"),
        (HistGradientBoostingRegressor, "n_features_in_"),
        (lambda: without(TREE, "_predictors"), "_predictors"),
        (LinearRegression, "LinearRegression"),
    ],
)
def test_trees_that_could_not_be_loaded_are_not_stored(make: Callable[[], Any], fact: str) -> None:
    with pytest.raises(ValueError, match=fact):
        tree_bytes([make()])


def test_trees_of_another_scikit_learn_are_refused_with_what_to_do() -> None:
    files = packed(some_parameters(trees=(TREE,)), CREATED)
    libraries = json.loads(files["manifest.json"])["libraries"] | {"scikit-learn": "1.2.9"}

    with pytest.raises(ModelRefused, match=r"trees of scikit-learn 1\.2\.9, .*: train again"):
        open_files(with_manifest(files, libraries=libraries))


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_of_signed_trees_is_refused_by_its_hash(place: float, bit: int) -> None:
    body = bytearray(FILES[TREES])
    body[int(place * len(body))] ^= 1 << bit

    with pytest.raises(ModelRefused, match=r"trees\.skops has sha256"):
        open_files({**FILES, TREES: bytes(body)}, trusted=TRUSTED)


@settings(max_examples=60, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_spoilt_trees_with_a_right_hash_are_refused_or_can_be_followed(
    place: float, value: int
) -> None:
    body = bytearray(FILES[TREES])
    body[int(place * len(body))] = value

    try:
        (tree,) = open_files(with_file(FILES, TREES, bytes(body))).parameters.trees
    except ModelRefused:
        return
    assert np.isfinite(tree.predict(FEATURES)).all()
