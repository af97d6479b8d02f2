from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.level_shift import LevelShifts, find_level_shifts
from models.outage import find_outages
from models.series import FloatArray
from tests.models.series_builders import DAY_STEPS, a_batch, a_daily_load

STEPS = 7 * DAY_STEPS
CHANGED = 5 * DAY_STEPS + 333


def shifts_of(demand: FloatArray, step_s: int = 60) -> LevelShifts:
    return find_level_shifts(demand, np.ones(demand.shape), step_s)


def noise(rows: int, deviation: float, memory_steps: float = 0.0, seed: int = 7) -> FloatArray:
    """Multiplicative noise of an autoregression, level 100, so many rows of a week."""
    drawn = np.random.default_rng(seed).standard_normal((STEPS, rows))
    keeps = np.exp(-1.0 / memory_steps) if memory_steps else 0.0
    for at in range(1, STEPS if memory_steps else 0):
        drawn[at] = keeps * drawn[at - 1] + np.sqrt(1 - keeps**2) * drawn[at]
    return np.asarray(100.0 * np.exp(deviation * drawn.T))


@pytest.mark.parametrize("factor", [0.5, 1.4, 2.0])
@pytest.mark.parametrize("deviation", [0.05, 0.3])
def test_new_level_is_found_within_three_hours_and_dated(factor: float, deviation: float) -> None:
    load = noise(12, deviation)[:, : CHANGED + 180]
    load[:, CHANGED:] *= factor

    found = shifts_of(load)

    assert (np.abs(found.since - CHANGED) <= 31).all()
    np.testing.assert_allclose(found.factor, factor, rtol=0.1)
    np.testing.assert_array_equal(found.age_s, (CHANGED + 180 - found.since) * 60.0)


def test_new_customer_on_a_daily_shape_is_a_shift_and_no_outage() -> None:
    usual = a_daily_load(7, noise=0.0)[None, : CHANGED + 180]
    load = a_daily_load(7, noise=0.1)[None, : CHANGED + 180]
    load[:, CHANGED:] *= 2.0

    found = find_level_shifts(load, usual, 60)

    assert abs(found.since[0] - CHANGED) <= 31
    assert not find_outages(a_batch(load), usual).mask.any()


@pytest.mark.parametrize(
    ("deviation", "memory_steps"),
    [(0.05, 0), (1.0, 0), (0.2, 60), (0.3, 240)],
    ids=["white", "heavy white", "an hour's memory", "four hours' memory"],
)
def test_noise_for_a_week_is_no_shift(deviation: float, memory_steps: int) -> None:
    found = shifts_of(noise(40, deviation, memory_steps))

    assert (found.since > 0).mean() <= 0.05


@pytest.mark.parametrize("mean", [0.05, 1.0])
def test_low_counts_for_a_week_are_seldom_a_shift(mean: float) -> None:
    counts = np.random.default_rng(2).poisson(mean, (40, STEPS)) / 60.0

    assert (shifts_of(counts).since > 0).mean() <= 0.2


def test_tweets_with_bursts_are_no_shift() -> None:
    counts = np.random.default_rng(5).poisson(0.26, (8, 14 * 288)).astype(np.float64)
    counts[:, 1000::700] += 400.0

    assert (shifts_of(counts / 300.0, 300).since > 0).sum() <= 1


def test_crowd_of_an_hour_is_no_shift() -> None:
    load = noise(10, 0.05)
    load[:, CHANGED : CHANGED + 60] *= 5.0

    assert not shifts_of(load).since.any()


def test_day_that_no_profile_describes_is_no_shift() -> None:
    assert not shifts_of(a_daily_load(7, noise=0.1)[None]).since.any()


def test_growth_of_some_percent_a_day_is_drift_and_no_shift() -> None:
    grown = noise(5, 0.05) * 1.08 ** (np.arange(STEPS) / DAY_STEPS)

    found = shifts_of(grown)

    assert not found.since.any()
    np.testing.assert_allclose(found.drift_per_day, 0.08, atol=0.01)


def test_steady_level_has_no_drift_whatever_its_day() -> None:
    found = shifts_of(a_daily_load(7, noise=0.1)[None])

    assert abs(found.drift_per_day[0]) < 0.01


def test_way_back_after_a_day_is_a_shift_of_its_own() -> None:
    load = noise(6, 0.05)
    load[:, CHANGED - DAY_STEPS : CHANGED] *= 2.0

    found = shifts_of(load[:, : CHANGED + 180])

    assert (np.abs(found.since - CHANGED) <= 31).all()
    np.testing.assert_allclose(found.factor, 0.5, rtol=0.1)


def test_first_step_at_the_new_level_is_the_same_an_hour_later() -> None:
    load = noise(6, 0.05)
    load[:, CHANGED:] *= 2.0

    first, later = (shifts_of(load[:, : CHANGED + minutes]).since for minutes in (180, 240))

    np.testing.assert_array_equal(first, later)


ODD = st.sampled_from([0.0, 1e-9, 1.0, 100.0, 1e12, np.nan])


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 90).flatmap(lambda steps: arrays(np.float64, (2, steps), elements=ODD)),
    st.sampled_from([10, 60, 1800, 7200, 90_000]),
)
def test_any_history_gives_finite_factors_and_a_step_of_its_own(
    values: FloatArray, step_s: int
) -> None:
    found = shifts_of(values, step_s)

    assert np.isfinite(found.factor).all()
    assert np.isfinite(found.drift_per_day).all()
    assert ((found.since >= 0) & (found.since <= values.shape[1])).all()
    assert (np.isnan(found.age_s) == (found.since == 0)).all()
