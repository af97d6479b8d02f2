from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.forecast import QUANTILE_LEVELS
from models.references import learn_references, new_reference_state, reference_quantiles
from models.series import FloatArray

MINUTE_S = 60.0


def walk(errors: FloatArray, every_s: float = MINUTE_S) -> FloatArray:
    """Whether each of the quantiles around 100 covered 100 + error, (outcomes, levels)."""
    state, covered = new_reference_state(1), []
    points = np.full((1, 2), 100.0)
    for error in errors:
        outcome = np.array([100.0 + error])
        covered.append(outcome <= reference_quantiles(points, state)[0, 0])
        state = learn_references(state, points, outcome, every_s)
    return np.asarray(covered)


def test_quantiles_cover_what_they_promise() -> None:
    errors = np.random.default_rng(1).exponential(5.0, 4000) - 2.0

    covered = walk(errors)[1000:].mean(axis=0)

    np.testing.assert_allclose(covered, QUANTILE_LEVELS, atol=0.025)


def test_errors_that_grew_tenfold_are_covered_again_within_hours() -> None:
    drawn = np.random.default_rng(1).standard_normal(3000)
    errors = np.where(np.arange(3000) < 1500, drawn, 10.0 * drawn)

    covered = walk(errors)[1500 + 360 : 1500 + 960].mean(axis=0)

    assert abs(covered[QUANTILE_LEVELS.index(0.9)] - 0.9) < 0.05


def test_nothing_known_gives_no_quantiles_and_an_unknown_outcome_changes_nothing() -> None:
    state, points = new_reference_state(1), np.full((1, 2), 5.0)

    assert np.isnan(reference_quantiles(points, state)).all()
    later = learn_references(state, points, np.array([np.nan]), MINUTE_S)
    assert np.isnan(reference_quantiles(points, later)).all()


def test_season_that_is_not_known_leaves_the_last_value_alone() -> None:
    state, points = new_reference_state(1), np.array([[5.0, np.nan]])

    state = learn_references(state, points, np.array([6.0]), MINUTE_S)
    made = reference_quantiles(points, state)

    assert np.isfinite(made[0, 0]).all()
    assert np.isnan(made[0, 1]).all()


ODD = st.sampled_from([0.0, 1e-12, 5.0, 1e12, np.nan])


@settings(max_examples=40, deadline=None)
@given(arrays(np.float64, (12, 2), elements=ODD))
def test_any_demand_gives_ordered_quantiles_that_are_not_negative(some: FloatArray) -> None:
    state = new_reference_state(1)
    for value, outcome in some:
        points = np.full((1, 2), value)
        made = reference_quantiles(points, state)
        state = learn_references(state, points, np.array([outcome]), MINUTE_S)
        if np.isfinite(made).all():
            assert (made >= 0).all()
            assert (np.diff(made, axis=2) >= 0).all()
