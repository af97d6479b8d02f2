"""A history that is kept in half the memory is seen and forecast as one in full precision."""

from __future__ import annotations

import dataclasses

import numpy as np

from models.cascade import fit_cascade
from models.day_statistics import day_statistics
from models.series import SeriesBatch, in_double
from models.sight import Window, see
from tests.models.ensemble_builders import a_quiet_load
from tests.models.series_builders import a_batch, a_horizon

STEPS = 400
ORIGINS = np.arange(300, 390, 3)


def a_large_and_a_small_series() -> SeriesBatch:
    """The squares of the large one have twelve digits, of which its spread is in the last."""
    steady = 1e6 + a_quiet_load(STEPS, 100.0)
    batch = a_batch(np.stack([steady, a_quiet_load(STEPS, 2.0, 3)]))
    return dataclasses.replace(batch, sampling_variance=0.01 * batch.values)


def in_single(batch: SeriesBatch) -> SeriesBatch:
    variance = batch.sampling_variance
    assert variance is not None
    return dataclasses.replace(
        batch,
        values=batch.values.astype(np.float32),
        sampling_variance=variance.astype(np.float32),
    )


def test_what_is_seen_of_the_past_does_not_lose_its_last_digits() -> None:
    double = a_large_and_a_small_series()
    single, floor = in_single(double), np.ones(2)

    seen = [see(batch, ORIGINS, Window(2, 7), floor) for batch in (double, single)]

    spread = [day_statistics(batch.values, ORIGINS, 200) for batch in (double, single)]
    np.testing.assert_allclose(spread[1], spread[0], rtol=1e-3)
    np.testing.assert_allclose(seen[1].level, seen[0].level, rtol=1e-7)
    np.testing.assert_allclose(seen[1].points, seen[0].points, rtol=1e-6)
    assert seen[1].level.dtype == seen[1].points.dtype == np.float64


def test_the_forecast_is_the_same_in_half_the_memory() -> None:
    double = a_large_and_a_small_series()
    horizon = a_horizon(2)

    made = [
        fit_cascade(batch, horizon).forecast(batch, horizon)
        for batch in (double, in_single(double))
    ]

    assert made[0].usable.all()
    np.testing.assert_allclose(made[1].peak, made[0].peak, rtol=1e-6)
    np.testing.assert_allclose(made[1].steps, made[0].steps, rtol=1e-6)


def test_a_history_in_full_precision_is_not_copied() -> None:
    batch = a_large_and_a_small_series()

    assert in_double(batch) is batch
    assert in_double(in_single(batch)).values.dtype == np.float64
