from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.forecast import ForecastBatch, Forecaster, Horizon
from models.last_value import LastValue
from models.registry import FITS
from models.scoring import actual_peaks, rolling_folds, score
from models.series import SeriesBatch, until
from tests.models.ensemble_builders import few_trees
from tests.models.series_builders import DAY_STEPS, a_batch, a_daily_load, a_horizon


def test_seasonal_naive_is_its_own_bar() -> None:
    scores = score(a_batch(a_daily_load(4)), a_horizon(1), folds=2, origins_per_fold=10)

    assert scores["seasonal-naive"].ratio == 1.0


def test_better_forecaster_has_the_smaller_ratio() -> None:
    growing = a_daily_load(5, noise=0.1) * np.linspace(1, 8, 5 * DAY_STEPS)

    scores = score(a_batch(growing), a_horizon(1), folds=2, origins_per_fold=30)

    assert scores["cascade"].ratio < 0.8
    assert scores["cascade"].origins == scores["seasonal-naive"].origins > 50


def test_too_short_a_history_has_no_score() -> None:
    assert score(a_batch(np.ones(40)), a_horizon(1)) == {}
    assert score(a_batch(np.ones(1)), a_horizon(1)) == {}


def test_no_fold_is_fitted_on_its_own_origins() -> None:
    folds = list(rolling_folds(a_batch(a_daily_load(4)), a_horizon(1), 5, 20))

    assert len(folds) == 5
    assert all(fold.origins.min() >= fold.fitted_steps for fold in folds)
    # Each outcome is inside the history: the last window ends with it.
    assert max(fold.origins.max() for fold in folds) <= 4 * DAY_STEPS - 12


def test_methods_are_fitted_and_asked_with_the_past_alone() -> None:
    fitted_on: list[int] = []
    asked_with: list[int] = []

    class Watched(LastValue):
        def forecast(self, batch: SeriesBatch, horizon: Horizon) -> ForecastBatch:
            asked_with.append(batch.values.shape[1])
            return LastValue.forecast(self, batch, horizon)

    def fit(history: SeriesBatch, _horizon: Horizon) -> Forecaster:
        fitted_on.append(history.values.shape[1])
        return Watched()

    batch = a_batch(a_daily_load(3))
    folds = list(rolling_folds(batch, a_horizon(1), 3, 4))
    score(batch, a_horizon(1), {"watched": fit}, folds=3, origins_per_fold=4)

    assert fitted_on == [fold.fitted_steps for fold in folds]
    assert asked_with == [int(origin) for fold in folds for origin in fold.origins]


@pytest.mark.parametrize("name", sorted(FITS))
def test_what_comes_after_the_origin_changes_nothing(name: str) -> None:
    batch, origin = a_batch(a_daily_load(3)), 2 * DAY_STEPS + 100
    other = batch.values.copy()
    other[:, origin:] = 1e6
    changed = dataclasses.replace(batch, values=other)

    with few_trees():
        one, two = (
            FITS[name](until(each, origin - 50), a_horizon(1)).forecast(
                until(each, origin), a_horizon(1)
            )
            for each in (batch, changed)
        )

    assert one.usable.all()
    assert one.peak.tobytes() == two.peak.tobytes()


def test_outcome_is_the_peak_of_each_rows_own_window() -> None:
    batch, horizon = a_batch(np.arange(40.0) * np.ones((2, 1))), a_horizon(2)
    horizon.lead_s[1], horizon.hold_s[1] = 0.0, 60.0

    peaks = actual_peaks(batch, horizon)

    # From step 10 on: steps 12 to 21, and step 10 alone.
    assert peaks[:, 10].tolist() == [21.0, 10.0]
