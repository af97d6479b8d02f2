from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.ensemble import OUTCOMES_MIN, Ensemble
from models.ensemble_fit import fit_ensemble
from models.forecast import QUANTILE_LEVELS, ForecastBatch, ForecastCode, Horizon
from models.series import FloatArray, SeriesBatch, SeriesKey
from models.trust_code import TrustCode
from tests.models.ensemble_builders import (
    a_quiet_load,
    assert_whole,
    few_trees,
    only,
    two_short_rows,
    until,
)
from tests.models.series_builders import MONDAY_S, a_batch, a_daily_load, a_horizon

SUNDAY_OF_CLOCK_CHANGE_S = 1_603_584_000
"""2020-10-25 00:00 UTC; in Europe this night has an hour twice."""
LEAP_DAY_S = 1_582_934_400
"""2020-02-29 00:00 UTC."""
SOME_S = st.sampled_from([0, MONDAY_S, SUNDAY_OF_CLOCK_CHANGE_S, LEAP_DAY_S])
STEPS = 70


def a_row(kind: str) -> FloatArray:
    if kind == "ends-hours-ago":
        row = a_quiet_load(STEPS)
        row[-15:] = np.nan
        return row
    return {
        "quiet": a_quiet_load(STEPS),
        "constant": np.full(STEPS, 3.0),
        "zero": np.zeros(STEPS),
        "gaps": np.full(STEPS, np.nan),
        "half-gaps": np.where(np.arange(STEPS) % 2, 5.0, np.nan),
        "huge": np.full(STEPS, 1e12),
        "alternating": np.where(np.arange(STEPS) % 2, 1e9, 0.0),
        "one-point": np.where(np.arange(STEPS) == STEPS - 1, 5.0, np.nan),
        "tiny": np.full(STEPS, 1e-300),
    }[kind]


KINDS = (
    "quiet", "constant", "zero", "gaps", "half-gaps", "huge", "alternating", "one-point", "tiny",
    "ends-hours-ago",
)  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from(KINDS), max_size=3),
    st.integers(0, 2 * STEPS),
    SOME_S,
    st.sampled_from([0.0, 300.0, 4000.0, 80_000.0]),
)
def test_any_history_has_whole_quantiles_or_a_reason(
    kinds: list[str], steps: int, start_s: int, lead_s: float
) -> None:
    rows = np.array([np.tile(a_row(kind), 2) for kind in kinds]).reshape(-1, 2 * STEPS)
    whole = SeriesBatch(a_batch(rows).keys if kinds else (), start_s, 60, rows)
    batch, horizon = until(whole, steps), a_horizon(len(kinds), lead_s, 300.0)

    fitted = fit_ensemble(batch, horizon)
    learnt = fitted.learn(whole, horizon)

    for model, known in ((fitted, batch), (learnt, whole), (fitted, whole)):
        assert_whole(model.forecast(known, horizon))


@pytest.mark.parametrize("load", ["zero", "huge", "constant", "alternating"])
def test_odd_histories_long_enough_for_trees_are_answered_too(load: str) -> None:
    batch = a_batch(np.tile(a_row(load), 9))

    with few_trees():
        fitted = fit_ensemble(batch, a_horizon(1))

    made = fitted.forecast(batch, a_horizon(1))
    assert made.reasons[0].code is ForecastCode.ENSEMBLE
    assert_whole(made)
    highest = np.nanmax(batch.values)
    assert (made.peak <= 4 * highest + 1).all()


@pytest.mark.parametrize(
    ("steps", "every", "code"),
    [
        pytest.param(1710, 90, ForecastCode.ENSEMBLE, id="half-gaps"),
        pytest.param(990, 810, ForecastCode.STALE_HISTORY, id="ended-hours-ago"),
    ],
)
def test_histories_with_long_gaps_are_enough_for_trees(
    steps: int, every: int, code: ForecastCode
) -> None:
    load = a_quiet_load(steps)
    load[np.arange(steps) // every % 2 == 1] = np.nan
    batch = a_batch(load)

    with few_trees():
        fitted = fit_ensemble(batch, a_horizon(1))

    assert fitted.trees is not None
    made = fitted.forecast(batch, a_horizon(1))
    assert made.reasons[0].code is code
    assert_whole(made)


@pytest.mark.parametrize("kind", KINDS)
def test_an_odd_row_changes_nothing_for_the_good_row_beside_it(kind: str) -> None:
    good = np.tile(a_row("quiet"), 2)
    alone = a_batch(good)
    beside = a_batch(np.stack([good, np.tile(a_row(kind), 2)]))
    horizon = Horizon(np.array([120.0, 1800.0]), np.array([600.0, 1200.0]))

    together = fit_ensemble(beside, horizon).forecast(beside, horizon)
    single = fit_ensemble(alone, a_horizon(1)).forecast(alone, a_horizon(1))

    assert single.reasons[0].code is ForecastCode.ENSEMBLE
    assert together.reasons[0] == single.reasons[0]
    np.testing.assert_allclose(together.peak[0], single.peak[0], rtol=1e-9)


@pytest.fixture(scope="module")
def daily() -> Iterator[tuple[Ensemble, SeriesBatch]]:
    """Three modules over a good day, fitted on all but the last two hours."""
    rows = np.stack([a_daily_load(1.2, 10.0**seed, seed=seed) for seed in range(3)])
    batch = a_batch(rows)
    with few_trees():
        yield fit_ensemble(until(batch, rows.shape[1] - 120), a_horizon(3)), batch


Daily = tuple[Ensemble, SeriesBatch]


def test_forecast_names_the_ensemble_and_the_outcomes_behind_it(daily: Daily) -> None:
    fitted, batch = daily

    made = fitted.forecast(batch, a_horizon(3))

    assert {reason.code for reason in made.reasons} == {ForecastCode.ENSEMBLE}
    assert fitted.points is not None
    assert "corrected by trees" in made.reasons[0].sentence
    assert f"{fitted.points.seen[0]:.0f} past peaks" in made.reasons[0].sentence
    assert made.levels == QUANTILE_LEVELS
    assert_whole(made)


def test_rows_in_another_order_and_fewer_of_them_have_the_same_forecasts(daily: Daily) -> None:
    fitted, batch = daily
    whole = fitted.forecast(batch, a_horizon(3))

    for rows in ((2, 0, 1), (1,), (2, 1)):
        made = fitted.forecast(only(batch, *rows), a_horizon(len(rows)))

        np.testing.assert_allclose(made.peak, whole.peak[list(rows)], rtol=1e-9)
        np.testing.assert_allclose(made.steps, whole.steps[list(rows)], rtol=1e-9)
        assert made.reasons == tuple(whole.reasons[row] for row in rows)


def test_leads_may_differ_between_rows_and_from_those_fitted(daily: Daily) -> None:
    fitted, batch = daily
    leads = np.array([0.0, 900.0, 7200.0])

    made = fitted.forecast(batch, Horizon(leads, np.full(3, 300.0)))

    assert_whole(made)
    for row, lead_s in enumerate(leads):
        alone = fitted.forecast(only(batch, row), a_horizon(1, lead_s, 300.0))
        np.testing.assert_allclose(made.peak[row], alone.peak[0], rtol=1e-9)


def test_a_series_it_was_not_fitted_to_is_answered_by_the_cascade(daily: Daily) -> None:
    fitted, batch = daily
    strange = dataclasses.replace(batch, keys=(SeriesKey("new", "*"), *batch.keys[1:]))

    made = fitted.forecast(strange, a_horizon(3))
    beneath = fitted.cascade.forecast(strange, a_horizon(3))

    assert made.reasons[0] == beneath.reasons[0]
    assert made.peak[0].tolist() == beneath.peak[0].tolist()
    assert made.reasons[1].code is ForecastCode.ENSEMBLE


def test_a_stale_row_has_no_forecast_and_says_so(daily: Daily) -> None:
    fitted, batch = daily
    values = batch.values.copy()
    values[1, -30:] = np.nan

    made = fitted.forecast(dataclasses.replace(batch, values=values), a_horizon(3))

    assert made.usable.tolist() == [True, False, True]
    assert made.reasons[1].code is ForecastCode.STALE_HISTORY


def test_a_row_with_too_few_outcomes_is_answered_by_the_cascade_with_its_reason() -> None:
    batch = two_short_rows(int(OUTCOMES_MIN) + 8)

    fitted = fit_ensemble(batch, a_horizon(2))
    made = fitted.forecast(batch, a_horizon(2))
    beneath = fitted.cascade.forecast(batch, a_horizon(2))

    assert made.usable.all()
    assert beneath.reasons == tuple(fitted.reason(row) for row in range(2))
    assert [reason.code for reason in made.reasons] == [TrustCode.COLD_START] * 2
    for said, own in zip(made.reasons, beneath.reasons, strict=True):
        assert said.sentence == f"68 of 72 samples; {own.sentence}"
    assert made.peak.tobytes() == beneath.peak.tobytes()


def test_a_long_window_of_one_row_takes_nothing_from_the_outcomes_of_another() -> None:
    batch = two_short_rows()
    horizon = Horizon(np.array([120.0, 120.0]), np.array([600.0, 86_000.0]))

    made = fit_ensemble(batch, horizon).forecast(batch, horizon)

    assert made.reasons[0].code is ForecastCode.ENSEMBLE
    assert made.reasons[1].code is not ForecastCode.ENSEMBLE


def test_another_step_is_refused_with_both_steps(daily: Daily) -> None:
    fitted, batch = daily

    with pytest.raises(ValueError, match=r"60 s.*30 s"):
        fitted.forecast(dataclasses.replace(batch, step_s=30), a_horizon(3))


def spread_of(made: ForecastBatch) -> FloatArray:
    return np.asarray((made.peak[:, -1] - made.peak[:, 0]) / made.peak[:, 1])


def test_trees_that_were_never_tried_on_later_outcomes_do_not_speak() -> None:
    rows = np.stack([a_daily_load(0.2, noise=noise, swing=0.0) for noise in (0.02, 0.3)])
    batch = a_batch(rows)

    fitted = fit_ensemble(batch, a_horizon(2))

    assert fitted.trees is None
    assert spread_of(fitted.forecast(batch, a_horizon(2)))[0] < 0.15


def test_a_noisy_load_has_a_wider_forecast_than_a_calm_one() -> None:
    rows = np.stack([a_daily_load(0.5, noise=noise, swing=0.0) for noise in (0.02, 0.3)])
    batch = a_batch(rows)

    with few_trees():
        made = fit_ensemble(batch, a_horizon(2)).forecast(batch, a_horizon(2))

    calm, noisy = spread_of(made)
    assert noisy > 5 * calm


def a_flat_load_with_bursts(days: int, step_s: int = 300) -> SeriesBatch:
    """Ten a second; one step in a hundred begins a burst of up to forty times that."""
    drawn = np.random.default_rng(0)
    load = 10.0 + drawn.normal(0.0, 0.3, days * 86_400 // step_s)
    for at in np.flatnonzero(drawn.random(len(load)) < 0.01):
        load[at : at + drawn.integers(1, 4)] *= drawn.uniform(5.0, 40.0)
    return a_batch(load, step_s)


def test_steps_on_the_way_to_a_peak_are_covered_though_peaks_alone_are_calibrated() -> None:
    whole, horizon = a_flat_load_with_bursts(8), a_horizon(1, 600.0, 1500.0)
    first, ahead = whole.values.shape[1] * 3 // 4, 7
    covered = []
    with few_trees():
        fitted = fit_ensemble(until(whole, first), horizon)
    for origin in range(first, whole.values.shape[1] - ahead, 2):
        known = until(whole, origin)
        fitted = fitted.learn(known, horizon)
        made = fitted.forecast(known, horizon)
        came = whole.values[:, None, origin : origin + ahead]
        covered.append(came <= made.steps)

    share = np.mean(covered, axis=(0, 1, 3))
    assert 0.75 < share[QUANTILE_LEVELS.index(0.9)] < 0.97
    assert share[QUANTILE_LEVELS.index(0.95)] > 0.9
