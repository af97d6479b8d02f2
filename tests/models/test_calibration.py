from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibration import conformal_quantiles, mean_pinball

LEVELS = (0.5, 0.9, 0.99)


def quantiles(errors: list[float], effective: float | None = None) -> np.ndarray:
    size = np.array([len(errors) if effective is None else effective])
    return np.asarray(conformal_quantiles(np.array([errors]), LEVELS, size)[0])


def test_quantile_is_the_conformal_one() -> None:
    # 99 errors: ceil(100 * 0.9) = the 90th smallest, ceil(100 * 0.99) = the 99th.
    assert quantiles([float(error) for error in range(1, 100)]).tolist() == [50.0, 90.0, 99.0]


def test_few_errors_reach_beyond_the_largest() -> None:
    few = quantiles([1.0, 2.0, 3.0, 4.0])

    assert few[1] > 4.0
    assert few[2] >= few[1]


def test_fewer_independent_errors_never_make_the_forecast_narrower() -> None:
    errors = np.random.default_rng(3).standard_normal(200).tolist()
    tops = [quantiles(errors, effective)[2] for effective in (200, 50, 10, 3, 1)]

    assert tops == sorted(tops)
    assert tops[-1] > tops[0]


def test_row_without_errors_is_unknown_and_leaves_its_neighbour_alone() -> None:
    both = np.array([[np.nan, np.nan, np.nan], [1.0, np.nan, 3.0]])

    found = conformal_quantiles(both, LEVELS, np.array([0.0, 2.0]))

    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.floats(0.1, 60))
def test_quantiles_never_fall_with_the_level(errors: list[float], effective: float) -> None:
    assert (np.diff(quantiles(errors, effective)) >= 0).all()


def test_promise_is_kept_for_the_next_error() -> None:
    drawn = np.random.default_rng(5).exponential(size=(4000, 31))

    found = conformal_quantiles(drawn[:, :30], (0.9,), np.full(4000, 30.0))

    assert (drawn[:, 30] <= found[:, 0]).mean() == pytest.approx(28 / 31, abs=0.015)


def test_pinball_loss_agrees_with_scikit_learn() -> None:
    from sklearn.metrics import mean_pinball_loss

    generator = np.random.default_rng(7)
    outcome, forecast = generator.random((1, 40)), generator.random((1, 40, 3))

    expected = np.mean(
        [mean_pinball_loss(outcome[0], forecast[0, :, at], alpha=q) for at, q in enumerate(LEVELS)]
    )

    assert mean_pinball(outcome, forecast, LEVELS)[0] == pytest.approx(expected)
