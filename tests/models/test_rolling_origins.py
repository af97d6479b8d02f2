from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from models import rolling_origins as rolled
from models.calibration import mean_pinball
from models.forecast import QUANTILE_LEVELS
from models.rolling_origins import RollingResult, Target, rolling_origins
from models.series import FloatArray, SeriesBatch
from tests.models.ensemble_builders import few_trees, two_short_rows, until
from tests.models.series_builders import MONDAY_S, a_batch, a_daily_load

STEP_S = 300
DAY_STEPS = 86_400 // STEP_S
TARGETS = (Target(600.0, 1800.0), Target(3600.0, 0.0))
EVERY_STEP = 9_000
KINDS = ("outcome", "quantiles", "seasonal_naive", "last_value")


def of_days(days: float, *rows: tuple[float, float]) -> SeriesBatch:
    """A row for each rate and noise, in steps of five minutes: days that are quickly walked."""
    loads = [
        a_daily_load(days, rate, noise, seed)[:: STEP_S // 60]
        for seed, (rate, noise) in enumerate(rows)
    ]
    return a_batch(np.stack(loads), STEP_S)


def a_history() -> SeriesBatch:
    """Two modules, one with a burst, one with a gap; a week ago does not exist."""
    batch = of_days(2.5, (100.0, 0.05), (3.0, 0.2))
    batch.values[1, 100:112] *= 8.0
    batch.values[0, 180:186] = np.nan
    return batch


def scored_with(history: SeriesBatch, learnt_max: int) -> tuple[RollingResult, ...]:
    """At most a hundred origins, and so many learnt ones."""
    with few_trees(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(rolled, "LEARNT_ORIGINS_MAX", learnt_max)
        return rolling_origins(history, TARGETS, origins_max=100)


@cache
def scored(learnt_max: int = EVERY_STEP) -> tuple[RollingResult, ...]:
    return scored_with(a_history(), learnt_max)


def places_of(result: RollingResult) -> FloatArray:
    return np.asarray((result.origin_s - MONDAY_S) // STEP_S)


def a_gap(stretch: FloatArray) -> FloatArray:
    return np.full_like(stretch, np.nan)


def a_surge(stretch: FloatArray) -> FloatArray:
    return stretch * np.random.default_rng(1).uniform(5.0, 30.0, stretch.shape)


@pytest.mark.parametrize(
    ("begin", "length", "change", "learnt_max"),
    [
        (470, 200, a_gap, 200),
        (520, 150, a_gap, 200),
        (640, 80, a_gap, 200),
        (520, 150, a_gap, EVERY_STEP),
        (440, 30, a_surge, 200),
        (640, 80, a_surge, EVERY_STEP),
    ],
)
def test_what_happens_at_or_after_an_origin_changes_no_forecast_made_there(
    begin: int, length: int, change: Callable[[FloatArray], FloatArray], learnt_max: int
) -> None:
    changed = a_history()
    changed.values[:, begin : begin + length] = change(changed.values[:, begin : begin + length])

    others = scored_with(changed, learnt_max)

    for one, other in zip(scored(learnt_max), others, strict=True):
        _, first, second = np.intersect1d(one.origin_s, other.origin_s, return_indices=True)
        assert change is a_gap or len(first) == len(one.origin_s) == len(other.origin_s)
        earlier = places_of(one)[first] <= begin
        assert 0 < earlier.sum() < len(places_of(one))
        for kind in KINDS[1:]:
            before, after = getattr(one, kind)[first], getattr(other, kind)[second]
            assert before[earlier].tobytes() == after[earlier].tobytes(), kind
        assert one.quantiles.tobytes() != other.quantiles.tobytes()


def test_results_come_for_every_series_and_target_in_their_order() -> None:
    keys = a_history().keys

    found = [(result.key, result.target) for result in scored()]

    assert found == [(key, target) for key in keys for target in TARGETS]


def test_origins_lie_in_the_newest_share_and_are_bounded_in_number() -> None:
    for result in scored():
        places = places_of(result)
        assert 60 < len(places) <= 100
        assert places.min() > 0.6 * 2.5 * DAY_STEPS
        assert (np.diff(places) > 0).all()


def test_outcomes_are_the_peaks_that_came() -> None:
    values = a_history().values
    for result, row, first, stop in zip(
        scored(), (0, 0, 1, 1), (2, 11, 2, 11), (8, 12, 8, 12), strict=True
    ):
        for place, outcome in zip(places_of(result), result.outcome, strict=True):
            assert outcome == values[row, place + first : place + stop].max()


def test_every_forecast_is_whole() -> None:
    for result in scored():
        for kind in KINDS[1:]:
            quantiles = getattr(result, kind)
            assert quantiles.shape == (len(result.outcome), len(QUANTILE_LEVELS))
            assert np.isfinite(quantiles).all()
            assert (quantiles >= 0).all()
            assert (np.diff(quantiles, axis=1) >= 0).all()


def test_on_a_daily_load_it_loses_less_than_a_day_ago_and_than_the_last_value() -> None:
    history = of_days(5.0, (100.0, 0.1))

    with few_trees():
        (result,) = rolling_origins(history, (Target(3600.0, 1800.0),), origins_max=300)

    ours, day_ago, last = (
        mean_pinball(result.outcome[None], getattr(result, kind)[None], QUANTILE_LEVELS)[0]
        for kind in KINDS[1:]
    )
    assert ours < day_ago
    assert ours < last


def test_coverage_is_what_it_says() -> None:
    history = of_days(4.0, *[(100.0, 0.2)] * 4)

    with few_trees():
        results = rolling_origins(history, TARGETS[:1], origins_max=300)

    covered = np.concatenate([result.outcome[:, None] <= result.quantiles for result in results])
    assert covered.mean(axis=0) == pytest.approx(np.asarray(QUANTILE_LEVELS), abs=0.04)


@pytest.mark.parametrize("steps", [0, 1, 2, 12])
def test_a_series_without_room_for_an_origin_says_what_it_lacks(steps: int) -> None:
    results = rolling_origins(until(two_short_rows(), steps), TARGETS)

    for result in results:
        assert not len(result.origin_s)
        assert f"{steps} steps" in result.reasons[0]


@pytest.mark.parametrize("rate", [0.0, np.nan, 1e12])
def test_a_short_odd_series_is_scored_without_an_error(rate: float) -> None:
    for result in rolling_origins(a_batch(np.full((1, 120), rate)), TARGETS):
        assert np.isfinite(result.quantiles).all()
        assert len(result.origin_s) == len(result.outcome)


STEPS = np.arange(int(2.5 * DAY_STEPS))


@pytest.mark.parametrize(
    "gaps",
    [
        pytest.param(STEPS // 36 % 2 == 1, id="half-gaps"),
        pytest.param(STEPS % 5 == 0, id="every-fifth"),
        pytest.param(STEPS >= 600, id="ends-hours-ago"),
    ],
)
def test_a_series_with_gaps_is_scored_where_it_was_measured(gaps: NDArray[np.bool_]) -> None:
    history = of_days(2.5, (100.0, 0.05))
    history.values[0, gaps] = np.nan

    for result in scored_with(history, 200):
        places = places_of(result)
        assert 30 < len(places) <= 100
        assert np.isfinite(history.values[0, places - 1]).all()
        for kind in KINDS:
            assert np.isfinite(getattr(result, kind)).all()


def test_a_target_beyond_a_day_is_refused() -> None:
    with pytest.raises(ValueError, match="86400"):
        rolling_origins(a_history(), (Target(80_000.0, 7000.0),))


def test_the_cost_is_that_of_the_clock_it_is_handed() -> None:
    ticks = iter(range(1000))

    results = rolling_origins(two_short_rows(), TARGETS[:1], cpu_s=lambda: float(next(ticks)))

    assert all(result.fit_s > 0 and result.forecast_s > 0 for result in results)
