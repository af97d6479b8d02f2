from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.boosted_quantiles import GROWN_LEVELS, SAMPLES_MIN, fit_boosted_quantiles
from models.ensemble import Ensemble
from models.ensemble_fit import fit_ensemble
from models.error_trees import KINDS
from models.forecast import QUANTILE_LEVELS, ForecastCode
from models.manifest import ModelRefused
from models.origin_run import feature_count
from models.series import SeriesBatch
from models.store import load_model, save_model
from models.stored_ensemble import (
    BENEATH,
    HABITS,
    MAY_BE_NEGATIVE,
    MAY_BE_UNKNOWN,
    ensemble_of,
    parameters_of,
)
from models.stored_parameters import StoredParameters
from models.tree_bytes import tree_bytes, trees_from
from models.trust_code import TrustCode
from tests.models.ensemble_builders import a_quiet_load, few_trees, two_short_rows
from tests.models.series_builders import MONDAY_S, a_batch, a_horizon
from tests.models.stored_builders import CREATED

HORIZON = a_horizon(2)
OWN = tuple(
    name
    for name in parameters_of(fit_ensemble(two_short_rows(), HORIZON), MONDAY_S).arrays
    if not name.startswith(BENEATH)
)
"""Every array of the ensemble but those of the cascade beneath, which has tests of its own."""


def a_history() -> SeriesBatch:
    return a_batch(np.stack([a_quiet_load(500, 50.0, 1), a_quiet_load(500, 5.0, 2)]))


def fitted(seed: int = 0) -> Ensemble:
    with few_trees():
        return fit_ensemble(a_history(), HORIZON, seed=seed)


@cache
def a_model() -> Ensemble:
    return fitted()


@cache
def read_back() -> Ensemble:
    with TemporaryDirectory() as scratch:
        save_model(Path(scratch, "model"), a_model(), CREATED, trained_from_s=MONDAY_S)
        return load_model(Path(scratch, "model")).ensemble


@pytest.fixture(scope="module")
def model() -> Ensemble:
    return a_model()


@pytest.fixture(scope="module")
def stored(model: Ensemble) -> StoredParameters:
    return parameters_of(model, MONDAY_S)


def bytes_of(parameters: StoredParameters) -> dict[str, bytes]:
    arrays = {name: array.tobytes() for name, array in parameters.arrays.items()}
    return arrays | {"trees": tree_bytes(parameters.trees)}


def test_same_history_and_seed_give_the_same_bytes_and_another_seed_other_trees(
    stored: StoredParameters,
) -> None:
    assert bytes_of(parameters_of(fitted(), MONDAY_S)) == bytes_of(stored)
    assert tree_bytes(parameters_of(fitted(seed=1), MONDAY_S).trees) != bytes_of(stored)["trees"]


def test_a_stored_and_loaded_ensemble_gives_the_same_forecast_bytes(
    model: Ensemble, stored: StoredParameters
) -> None:
    read = dataclasses.replace(stored, trees=trees_from(tree_bytes(stored.trees)))

    loaded = ensemble_of(read)

    first, second = (one.forecast(a_history(), HORIZON) for one in (model, loaded))
    assert first.reasons[0].code is ForecastCode.ENSEMBLE
    assert first.peak.tobytes() == second.peak.tobytes()
    assert first.steps.tobytes() == second.steps.tobytes()
    assert first.reasons == second.reasons


@settings(max_examples=20)
@given(st.lists(st.floats(0.0, 2000.0) | st.just(math.nan), min_size=1, max_size=60))
def test_a_model_read_back_from_its_folder_says_the_same_whatever_comes(
    newest: list[float],
) -> None:
    values = a_history().values.copy()
    values[:, -len(newest) :] = newest

    first, second = (one.forecast(a_batch(values), HORIZON) for one in (a_model(), read_back()))

    assert first.peak.tobytes() == second.peak.tobytes()
    assert first.steps.tobytes() == second.steps.tobytes()
    assert first.reasons == second.reasons


def test_a_model_that_was_only_loaded_follows_a_flash_crowd() -> None:
    values = a_history().values.copy()
    values[:, -2:] *= 5.0

    made = read_back().forecast(a_batch(values), HORIZON)

    assert {reason.code for reason in made.reasons} == {TrustCode.FLASH_CROWD}


def test_an_older_model_that_knows_nothing_of_bursts_still_answers(
    stored: StoredParameters,
) -> None:
    arrays = {name: one for name, one in stored.arrays.items() if not name.startswith(HABITS)}

    loaded = ensemble_of(dataclasses.replace(stored, arrays=arrays))

    assert loaded.forecast(a_history(), HORIZON).reasons[0].code is ForecastCode.ENSEMBLE


def test_a_loaded_ensemble_is_stored_as_the_same_bytes(stored: StoredParameters) -> None:
    assert bytes_of(parameters_of(ensemble_of(stored), MONDAY_S)) == bytes_of(stored)


def test_a_loaded_ensemble_goes_on_learning_like_the_one_that_was_stored(
    model: Ensemble, stored: StoredParameters
) -> None:
    longer = a_batch(np.concatenate([a_history().values, a_history().values[:, :60]], axis=1))

    first, second = (one.learn(longer, HORIZON) for one in (model, ensemble_of(stored)))

    assert first is not model
    assert bytes_of(parameters_of(first, 0)) == bytes_of(parameters_of(second, 0))


def test_an_ensemble_without_trees_is_stored_and_loaded() -> None:
    batch = two_short_rows()
    made = fit_ensemble(batch, HORIZON)

    loaded = ensemble_of(parameters_of(made, MONDAY_S))

    assert made.trees is None
    assert loaded.trees is None
    wanted = made.forecast(batch, HORIZON).peak
    assert loaded.forecast(batch, HORIZON).peak.tobytes() == wanted.tobytes()


def test_a_cascade_alone_is_loaded_as_an_ensemble_that_asks_it() -> None:
    batch = a_batch(a_quiet_load(5))
    made = fit_ensemble(batch, a_horizon(1))

    assert made.points is None
    assert ensemble_of(parameters_of(made, MONDAY_S)).points is None


def test_nothing_fitted_is_nothing_to_store() -> None:
    with pytest.raises(ValueError, match="nothing to store"):
        parameters_of(Ensemble(), MONDAY_S)


def with_number(number: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
    def spoil(array: NDArray[Any]) -> NDArray[Any]:
        spoilt = array.copy()
        spoilt.flat[-1] = number
        return spoilt

    return spoil


WHOLE = ("times", "habits_bursts")
SPOILT: dict[str, tuple[Callable[[NDArray[Any]], NDArray[Any]], tuple[str, ...]]] = {
    "longer": (lambda array: np.concatenate([array, array[:1]]), ()),
    "flat": (lambda array: array[None], ()),
    "half as precise": (lambda array: array.astype(np.float32), ()),
    "not a number": (with_number(np.nan), (*MAY_BE_UNKNOWN, *WHOLE)),
    "infinite": (with_number(np.inf), WHOLE),
    "negative": (with_number(-1.0), MAY_BE_NEGATIVE),
}
"""What is done to an array, and those that may hold such numbers or cannot."""


@pytest.mark.parametrize(
    ("name", "spoilt"),
    [(name, spoilt) for name in OWN for spoilt, (_, but) in SPOILT.items() if name not in but],
)
def test_a_spoilt_array_is_refused_by_its_name(
    stored: StoredParameters, name: str, spoilt: str
) -> None:
    arrays = {**stored.arrays, name: SPOILT[spoilt][0](stored.arrays[name])}

    with pytest.raises(ModelRefused, match=f"{name} h"):
        ensemble_of(dataclasses.replace(stored, arrays=arrays))


@pytest.mark.parametrize("name", OWN)
def test_an_array_that_is_missing_is_refused(stored: StoredParameters, name: str) -> None:
    arrays = {key: array for key, array in stored.arrays.items() if key != name}

    with pytest.raises(ModelRefused, match="expected"):
        ensemble_of(dataclasses.replace(stored, arrays=arrays))


def test_a_floor_of_zero_is_refused(stored: StoredParameters) -> None:
    arrays = {**stored.arrays, "floor": np.zeros(2)}

    with pytest.raises(ModelRefused, match="floor"):
        ensemble_of(dataclasses.replace(stored, arrays=arrays))


def test_bursts_that_would_lift_a_forecast_without_bound_are_refused(
    stored: StoredParameters,
) -> None:
    ratios = stored.arrays["habits_ratios"] * 1e6

    with pytest.raises(ModelRefused, match="habits_ratios has numbers above 4"):
        ensemble_of(dataclasses.replace(stored, arrays={**stored.arrays, "habits_ratios": ratios}))


def test_trees_grown_with_other_features_are_refused_before_they_are_asked(
    stored: StoredParameters,
) -> None:
    columns = np.random.default_rng(1).random((SAMPLES_MIN, feature_count() - 1))
    with few_trees():
        narrow = fit_boosted_quantiles(columns, columns[:, 0], QUANTILE_LEVELS, 0)
    assert narrow is not None
    trees = (*stored.trees[: len(GROWN_LEVELS)], *narrow.trees)

    with pytest.raises(ModelRefused, match=f"with {feature_count() - 1} features.*train again"):
        ensemble_of(dataclasses.replace(stored, trees=trees))


def test_trees_in_the_wrong_order_are_refused(stored: StoredParameters) -> None:
    with pytest.raises(ModelRefused, match=r"level 0\.99 in the place of 0\.1"):
        ensemble_of(dataclasses.replace(stored, trees=stored.trees[::-1]))


def test_half_of_the_trees_are_refused_with_both_counts(stored: StoredParameters) -> None:
    half = dataclasses.replace(stored, trees=stored.trees[: len(GROWN_LEVELS)])

    with pytest.raises(
        ModelRefused, match=f"{len(GROWN_LEVELS)} trees.*{KINDS * len(GROWN_LEVELS)}"
    ):
        ensemble_of(half)
