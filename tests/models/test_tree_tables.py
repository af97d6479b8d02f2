from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.boosted_quantiles import (
    FEW_ROWS,
    SAMPLES_MIN,
    BoostedQuantiles,
    chosen_by_weight,
    fit_boosted_quantiles,
)
from models.forecast import QUANTILE_LEVELS
from models.series import FloatArray
from tests.models.ensemble_builders import few_trees

COLUMNS = 4
UNITS = st.one_of(st.sampled_from([np.nan, np.inf, -np.inf]), st.floats(-2, 3, width=32))


def some_rows(count: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Features with gaps, one of them never known; the target follows the first one's gaps too."""
    draw = np.random.default_rng(seed)
    features = draw.random((count, COLUMNS))
    target = 5 * features[:, 0] + draw.random(count)
    features[::7, 0] = np.nan
    features[:, 3] = np.nan
    return features, np.where(np.isnan(features[:, 0]), 20.0, target)


@cache
def fitted() -> BoostedQuantiles:
    with few_trees():
        found = fit_boosted_quantiles(*some_rows(900, 1), QUANTILE_LEVELS, seed=3)
    assert found is not None
    return found


@settings(max_examples=60)
@given(arrays(np.float32, st.tuples(st.integers(1, 9), st.just(COLUMNS)), elements=UNITS))
def test_tables_give_what_scikit_learn_gives_gaps_included(features: FloatArray) -> None:
    made = fitted()
    whole = np.where(np.isinf(features), np.float32(np.nan), features)

    found = made.tables.predict(whole)

    wanted = np.stack([tree.predict(whole) for tree in made.trees], axis=1)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_many_rows_at_once_are_answered_like_few() -> None:
    features, _ = some_rows(FEW_ROWS + 1, 2)

    many = fitted().predict(features)

    few = np.concatenate([fitted().predict(features[:50]), fitted().predict(features[50:])])
    np.testing.assert_allclose(many, few, rtol=1e-12)
    assert many.shape == (FEW_ROWS + 1, len(QUANTILE_LEVELS))
    assert (np.diff(many, axis=1) >= 0).all()


def test_trees_learn_what_a_gap_means() -> None:
    features, _ = some_rows(8, 2)

    found = fitted().predict(features)

    assert found[[0, 7], -1].min() > found[1:7, -1].max()


def test_no_rows_are_answered_with_none() -> None:
    assert fitted().predict(np.zeros((0, COLUMNS))).shape == (0, len(QUANTILE_LEVELS))


def test_too_few_rows_grow_no_trees() -> None:
    assert fit_boosted_quantiles(*some_rows(SAMPLES_MIN - 1, 1), QUANTILE_LEVELS, seed=3) is None


def test_rows_are_drawn_in_proportion_to_their_weight() -> None:
    weights = np.repeat([0.0, 1.0, 3.0], 1000)

    chosen = chosen_by_weight(weights, 800)

    assert np.bincount(chosen // 1000, minlength=3).tolist() == [0, 200, 600]


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [1.0]])
def test_no_more_rows_are_drawn_than_there_are(weights: list[float]) -> None:
    chosen = chosen_by_weight(np.array(weights), 5)

    assert chosen.tolist() == list(range(len(weights)))
