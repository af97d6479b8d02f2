from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.series import FloatArray
from predictor.core.capacity.quantised import quantised
from predictor.core.line_fit import fit_lines, objection, x_at
from predictor.core.response_time import fit_response_times, rate_at_objective, response_objection

ANY = st.floats(allow_nan=True, allow_infinity=True)
LOADS = np.geomspace(20.0, 140.0, 16)


def samples(elements: st.SearchStrategy[float]) -> st.SearchStrategy[FloatArray]:
    return arrays.arrays(np.float64, (2, 12), elements=elements)


@given(samples(st.floats(1e-6, 1e9) | st.just(float("nan"))), samples(ANY), ANY)
def test_any_samples_give_a_line_or_the_reason_why_not(
    x: FloatArray, y: FloatArray, target: float
) -> None:
    lines = fit_lines(x, y)
    point, low = x_at(lines, np.full(2, target))

    for row in range(2):
        assert np.isfinite(lines[row]).all() == (objection(x[row], y[row]) == "")
    assert not (low > point).any()


@given(st.integers(0, 10_000))
def test_the_order_of_samples_does_not_matter(seed: int) -> None:
    chance = np.random.default_rng(seed)
    x, order = chance.uniform(10.0, 100.0, (1, 20)), chance.permutation(20)
    y = 5.0 + 0.5 * x + chance.normal(0.0, 3.0, (1, 20))

    np.testing.assert_allclose(fit_lines(x, y), fit_lines(x[:, order], y[:, order]), rtol=1e-12)


def test_a_lower_bound_holds_nine_times_in_ten() -> None:
    chance = np.random.default_rng(3)
    x = np.tile(LOADS, (2000, 1))
    y = 10.0 + 0.5 * x + chance.normal(0.0, 4.0, x.shape)

    _, low = x_at(fit_lines(x, y), np.full(2000, 70.0))

    assert 0.88 < (low < 120.0).mean() < 0.995


def test_loads_that_lie_near_each_other_carry_no_line() -> None:
    x = np.linspace(100.0, 130.0, 12)

    assert "too near to each other" in objection(x, 0.5 * x)


def test_response_times_give_the_load_at_the_objective() -> None:
    # M/M/1 in seconds: 0.06 s alone, saturated at 200/s; 0.5 s is reached at 176/s.
    noise = np.random.default_rng(5).normal(1.0, 0.02, LOADS.shape)
    curve = fit_response_times(LOADS[None], (0.06 / (1.0 - LOADS / 200.0) * noise)[None])

    _, sure_per_s = rate_at_objective(curve, np.array([0.5]))

    assert 150.0 < sure_per_s[0] < 180.0


def test_response_times_that_do_not_bend_with_load_are_refused() -> None:
    times = np.random.default_rng(5).normal(0.2, 0.02, LOADS.shape)

    assert "does not clearly rise" in response_objection(LOADS, times)


@given(st.floats(1e-6, 1e9), st.integers(3, 8))
def test_shortened_numbers_are_near_and_short(value: float, digits: int) -> None:
    short = float(quantised(np.array([value]), digits)[0])

    assert abs(short - value) <= value * 10.0 ** (1 - digits)
    assert len(repr(short).split("e")[0].replace(".", "").strip("0")) <= digits
