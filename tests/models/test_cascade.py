from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.cascade import Cascade, fit_cascade
from models.forecast import ForecastCode
from models.last_value import LastValue
from models.row_blocks import ROWS_AT_ONCE
from models.series import SeriesBatch, SeriesKey
from tests.models.series_builders import DAY_STEPS, a_batch, a_daily_load, a_horizon


def a_steep_morning(days: int) -> np.ndarray:
    """Quiet nights at 20/s, days at 200/s; the rise takes half an hour from 08:00."""
    minute = np.arange(days * DAY_STEPS) % DAY_STEPS
    rise = np.clip((minute - 480) / 30, 0, 1) * (minute < 1200)
    return (20 + 180 * rise) * np.exp(0.03 * np.random.default_rng(2).standard_normal(len(minute)))


def until(batch: SeriesBatch, steps: int) -> SeriesBatch:
    return dataclasses.replace(batch, values=batch.values[:, :steps])


def test_rise_of_the_morning_is_forecast_before_it_begins() -> None:
    batch, horizon = a_batch(a_steep_morning(6)), a_horizon(1, lead_s=900, hold_s=1200)
    fitted = fit_cascade(until(batch, 5 * DAY_STEPS), horizon)

    # 07:58 ------ 08:13 [ window ] 08:33
    before = until(batch, 5 * DAY_STEPS + 478)
    made = fitted.forecast(before, horizon)

    assert made.reasons[0].code is ForecastCode.SEASONAL_LEVEL
    assert 140 < made.peak[0, 0] < 260
    assert LastValue().forecast(before, horizon).peak[0, 0] < 60


def test_series_without_a_season_gets_the_last_value() -> None:
    steps = np.random.default_rng(4).standard_normal(4 * DAY_STEPS)
    wandering = a_batch(100 * np.exp(np.cumsum(steps) * 0.01))

    made = fit_cascade(wandering, a_horizon(1)).forecast(wandering, a_horizon(1))

    assert made.reasons[0].code is ForecastCode.LAST_VALUE
    assert "past peaks" in made.reasons[0].sentence


def test_new_module_is_forecast_beside_fitted_ones() -> None:
    batch = a_batch(np.stack([a_daily_load(3), np.full(3 * DAY_STEPS, np.nan)]))
    fitted = fit_cascade(batch, a_horizon(2))
    grown = batch.values.copy()
    grown[1, -90:] = 40.0
    unknown = (*batch.keys, SeriesKey("new", "eu-west-1"))
    wider = dataclasses.replace(batch, keys=unknown, values=np.vstack([grown, grown[1]]))

    made = fitted.forecast(wider, a_horizon(3))

    assert made.usable.all()
    assert made.peak[1, 0] == pytest.approx(40.0, rel=0.1)
    assert made.peak[2, 0] == pytest.approx(40.0, rel=0.1)


def test_short_row_says_how_many_samples_it_has() -> None:
    made = Cascade().forecast(a_batch(np.full(12, 1.0)), a_horizon(1))

    assert made.reasons[0].sentence == "12 of 30 samples of 60 s"


def test_longer_lead_is_never_surer_than_the_fitted_one() -> None:
    batch = a_batch(a_daily_load(4, noise=0.2, swing=0.0))
    fitted = fit_cascade(batch, a_horizon(1))

    near = fitted.forecast(batch, a_horizon(1, lead_s=120))
    far = fitted.forecast(batch, a_horizon(1, lead_s=7200))

    assert far.peak[0, -1] >= near.peak[0, -1]


def test_absurd_errors_do_not_make_absurd_forecasts() -> None:
    """A share of errors learnt on bursts, applied to a burst, stays within twice what was seen."""
    batch = a_batch(a_daily_load(3, rate=100.0))
    fitted = fit_cascade(batch, a_horizon(1)).model
    assert fitted is not None
    wild = dataclasses.replace(
        fitted, peak_spread=fitted.peak_spread + 1e6, step_spread=fitted.step_spread + 1e6
    )

    made = Cascade(wild).forecast(batch, a_horizon(1))

    assert made.peak.max() <= 2.1 * batch.values.max()
    assert made.steps.max() <= 2.1 * batch.values.max()


@pytest.mark.parametrize("samples", [45, 90, 180])
def test_young_series_keeps_the_promise_of_its_high_quantiles(samples: int) -> None:
    rows = 400
    drawn = np.random.default_rng(1).standard_normal((rows, samples + 12))
    load = 50 * np.exp(0.3 * drawn)
    batch = a_batch(load[:, :samples])

    made = fit_cascade(batch, a_horizon(rows)).forecast(batch, a_horizon(rows))

    covered = (load[:, samples + 2 :].max(axis=1)[:, None] <= made.peak).mean(axis=0)
    for level in (0.95, 0.975, 0.99):
        assert covered[made.levels.index(level)] > level - 0.04


@pytest.mark.parametrize(
    ("walk", "noise", "lead_s", "hold_s"),
    [
        pytest.param(0.02, 0.0, 1800.0, 600.0, id="a random walk half an hour ahead"),
        pytest.param(0.0, 0.8, 0.0, 60.0, id="noise that nobody can foresee, one step ahead"),
        pytest.param(0.01, 0.1, 300.0, 3600.0, id="a long window"),
    ],
)
def test_coverage_holds_at_every_lead(
    walk: float, noise: float, lead_s: float, hold_s: float
) -> None:
    generator, rows, fitted_steps = np.random.default_rng(9), 12, 3 * DAY_STEPS
    drawn = generator.standard_normal((2, rows, 4 * DAY_STEPS))
    load = 50 * np.exp(np.cumsum(drawn[0] * walk, axis=1) + drawn[1] * noise)
    batch, horizon = a_batch(load), a_horizon(rows, lead_s, hold_s)
    fitted = fit_cascade(until(batch, fitted_steps), horizon)
    first, hold = int(lead_s // 60), int(hold_s // 60)
    below = []
    for origin in range(fitted_steps, 4 * DAY_STEPS - first - hold, 41):
        made = fitted.forecast(until(batch, origin), horizon)
        peak = load[:, origin + first : origin + first + hold].max(axis=1)
        below.append(peak[:, None] <= made.peak)

    covered = np.concatenate(below).mean(axis=0)

    np.testing.assert_allclose(covered, made.levels, atol=0.07)


def test_batch_on_another_step_is_refused() -> None:
    fitted = fit_cascade(a_batch(a_daily_load(2)), a_horizon(1))

    with pytest.raises(ValueError, match="steps of 60 s"):
        fitted.forecast(a_batch(a_daily_load(2), step_s=30), a_horizon(1))


def test_prior_profile_stands_in_for_a_history_of_hours() -> None:
    batch, horizon = a_batch(a_steep_morning(6)), a_horizon(1, lead_s=900, hold_s=1200)
    trained = fit_cascade(until(batch, 5 * DAY_STEPS), horizon)
    # A service that started at 04:00 on the sixth day and has read nothing older.
    start = 5 * DAY_STEPS + 240
    young = SeriesBatch(
        batch.keys, batch.start_s + 60 * start, 60, batch.values[:, start : start + 238]
    )

    alone = fit_cascade(young, horizon).forecast(young, horizon)
    helped = fit_cascade(young, horizon, trained).forecast(young, horizon)

    assert alone.peak[0, 0] < 60
    assert 140 < helped.peak[0, 0] < 260
    assert helped.reasons[0].code is ForecastCode.SEASONAL_LEVEL


def test_prior_of_shorter_leads_is_wider_at_longer_ones() -> None:
    batch = a_batch(a_daily_load(4, noise=0.2))
    young = SeriesBatch(batch.keys, batch.end_s, 60, batch.values[:, :120])
    trained = fit_cascade(batch, a_horizon(1, lead_s=60, hold_s=60))

    helped = fit_cascade(young, a_horizon(1, lead_s=3600, hold_s=60), trained)

    near = trained.forecast(young, a_horizon(1, lead_s=60, hold_s=60))
    far = helped.forecast(young, a_horizon(1, lead_s=3600, hold_s=60))
    assert helped.model is not None
    assert helped.model.usable.all()
    assert far.peak[0, -1] / far.peak[0, 0] > near.peak[0, -1] / near.peak[0, 0]


def test_prior_on_another_step_is_refused() -> None:
    trained = fit_cascade(a_batch(a_daily_load(2), step_s=30), a_horizon(1))

    with pytest.raises(ValueError, match="steps of 30 s, history on 60 s"):
        fit_cascade(a_batch(a_daily_load(1)), a_horizon(1), trained)


def test_waiting_series_counts_the_samples_it_has_now() -> None:
    batch = a_batch(np.stack([a_daily_load(2), np.full(2 * DAY_STEPS, np.nan)]))
    fitted = fit_cascade(batch, a_horizon(2))
    grown = batch.values.copy()
    grown[1, -25:] = 3.0

    made = fitted.forecast(dataclasses.replace(batch, values=grown), a_horizon(2))

    assert made.usable.tolist() == [True, False]
    assert made.reasons[1].sentence == "25 of 30 samples of 60 s"


def test_model_fitted_before_any_module_was_known_forecasts_like_none() -> None:
    nobody = fit_cascade(SeriesBatch((), 0, 60, np.zeros((0, 10))), a_horizon(0))
    batch = a_batch(a_daily_load(1))

    made = nobody.forecast(batch, a_horizon(1))

    assert made.usable.all()
    assert fit_cascade(batch, a_horizon(1), nobody).forecast(batch, a_horizon(1)).usable.all()


def test_a_row_among_thousands_is_forecast_as_it_is_alone() -> None:
    fitted = fit_cascade(a_batch(a_daily_load(3)[None]), a_horizon(1))
    assert fitted.model is not None
    rows = ROWS_AT_ONCE + 2
    many = a_batch(np.arange(1.0, rows + 1)[:, None] * np.ones((rows, DAY_STEPS)))
    known = dataclasses.replace(fitted.model, keys=(many.keys[-1],))

    made = known.forecast(many, a_horizon(rows))

    last = SeriesBatch(many.keys[-1:], many.start_s, many.step_s, many.values[-1:])
    alone = known.forecast(last, a_horizon(1))
    assert made.usable.tolist() == [False] * (rows - 1) + [True]
    np.testing.assert_allclose(made.peak[-1], alone.peak[0], rtol=1e-12)
    np.testing.assert_allclose(made.steps[-1], alone.steps[0], rtol=1e-12)
