from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.forecast import QUANTILE_LEVELS
from models.rolling_origins import Target, rolling_origins
from models.series import FloatArray
from models.sparse_counts import BUSY_COUNT, COUNTS_MAX, count_quantiles
from tests.models.ensemble_builders import few_trees
from tests.models.series_builders import a_batch

LEVELS = np.asarray(QUANTILE_LEVELS)
STEP_S, HOLD = 10, 4
RATES = [0.02, 0.1, 0.5]
MEANS = st.floats(0, 1e6)


def poisson_rates(rate: float, steps: int, seed: int = 1) -> FloatArray:
    """Events of a Poisson process, counted in each step, per second."""
    return np.random.default_rng(seed).poisson(rate * STEP_S, steps) / STEP_S


def steady_quantiles(recent: FloatArray, usual: FloatArray) -> FloatArray:
    unit = np.full(recent.shape, 1.0 / STEP_S)
    return count_quantiles(recent, usual, unit, HOLD, LEVELS)[..., 0, :]


def pinball(outcome: FloatArray, quantiles: FloatArray) -> float:
    over = outcome[:, None] - quantiles
    return float(np.maximum(LEVELS * over, (LEVELS - 1.0) * over).mean())


@pytest.mark.parametrize("rate", RATES)
def test_quantiles_of_poisson_counts_cover_as_they_say(rate: float) -> None:
    """Counts are whole numbers: what a quantile covers is the least share that is enough."""
    counts = poisson_rates(rate, 40_000).reshape(-1, 20)
    recent, peak = counts[:, :12].mean(axis=1), counts[:, 12 : 12 + HOLD].max(axis=1)

    made = steady_quantiles(recent, np.full(len(counts), rate))

    covered = (peak[:, None] <= made + 1e-9).mean(axis=0)
    below = (peak[:, None] <= made - 1.0 / STEP_S + 1e-9).mean(axis=0)
    last = counts[:, 11]
    assert pinball(peak, made) < 0.95 * pinball(
        peak, last[:, None] + np.quantile(peak - last, LEVELS)
    )
    assert (covered > LEVELS - 0.02).all()
    assert (below < LEVELS + 0.02).all()


@settings(max_examples=60)
@given(
    arrays(np.float64, 3, elements=MEANS),
    arrays(np.float64, 3, elements=MEANS),
    st.floats(1e-4, 1e3),
    st.integers(1, 60),
)
def test_quantiles_are_whole_counts_ordered_and_bounded_or_unknown(
    recent: FloatArray, usual: FloatArray, unit: float, hold: int
) -> None:
    made = count_quantiles(recent, usual, np.full(3, unit), hold, LEVELS) / unit

    known = np.isfinite(made)
    assert known.all(axis=(1, 2)).tolist() == known.any(axis=(1, 2)).tolist()
    assert not (np.diff(made, axis=2) < 0).any()
    assert ((made[known] >= 0) & (made[known] <= COUNTS_MAX)).all()
    assert made[known] == pytest.approx(np.round(made[known]))


@pytest.mark.parametrize(
    ("mean", "unit"), [(2 * BUSY_COUNT, 1.0), (1.0, 0.0), (np.nan, 1.0), (1.0, np.nan)]
)
def test_a_busy_row_and_one_without_a_unit_are_not_counted(mean: float, unit: float) -> None:
    made = count_quantiles(np.array([mean]), np.array([mean]), np.array([unit]), HOLD, LEVELS)

    assert np.isnan(made).all()


def test_few_requests_are_forecast_better_than_by_the_last_value() -> None:
    load = a_batch(poisson_rates(0.2, 600), step_s=60)

    with few_trees():
        (found,) = rolling_origins(load, (Target(120, 240),), origins_max=120)

    covered = (found.outcome[:, None] <= found.quantiles + 1e-9).mean(axis=0)
    assert pinball(found.outcome, found.quantiles) < pinball(found.outcome, found.last_value)
    assert (covered > LEVELS - 0.05).all()
