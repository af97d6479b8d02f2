"""What no history announced: a forecast follows a crowd at once, and an outage teaches nothing."""

from __future__ import annotations

import numpy as np
import pytest

from models.ensemble import Ensemble
from models.ensemble_fit import fit_ensemble
from models.forecast import QUANTILE_LEVELS, ForecastBatch, ForecastCode
from models.series import FloatArray
from models.trust_code import TrustCode
from tests.models.ensemble_builders import few_trees, until
from tests.models.series_builders import DAY_STEPS, a_batch, a_daily_load, a_horizon

FITTED_STEPS = 4 * DAY_STEPS
HIGH, MEDIAN = QUANTILE_LEVELS.index(0.95), QUANTILE_LEVELS.index(0.5)
LOAD = a_daily_load(5.5)


@pytest.fixture(scope="module")
def fitted() -> Ensemble:
    with few_trees():
        return fit_ensemble(a_batch(LOAD[:FITTED_STEPS]), a_horizon(1))


def after(fitted: Ensemble, load: FloatArray, steps: int) -> ForecastBatch:
    return fitted.forecast(until(a_batch(load), FITTED_STEPS + steps), a_horizon(1))


@pytest.mark.parametrize("times", [2.0, 5.0])
def test_crowd_is_within_the_95th_quantile_two_steps_after_it_shows(
    fitted: Ensemble, times: float
) -> None:
    load = LOAD.copy()
    load[FITTED_STEPS : FITTED_STEPS + 60] *= times

    made = after(fitted, load, 2)

    assert made.peak[0, HIGH] >= load[FITTED_STEPS + 4 : FITTED_STEPS + 14].max()
    assert made.reasons[0].code is TrustCode.FLASH_CROWD
    assert "which no history announced" in made.reasons[0].sentence


@pytest.mark.parametrize("minutes", [5, 20, 29])
def test_forecast_in_an_outage_stays_at_the_usual_shape_times_the_level_before(
    fitted: Ensemble, minutes: int
) -> None:
    load = LOAD.copy()
    load[FITTED_STEPS : FITTED_STEPS + 30] = 0.0

    made = after(fitted, load, minutes)

    usual = np.mean(LOAD[FITTED_STEPS + minutes + 2 : FITTED_STEPS + minutes + 12])
    assert made.peak[0, HIGH] >= 0.9 * usual
    assert made.reasons[0].code is TrustCode.IN_OUTAGE


def test_outage_of_an_hour_and_more_is_held_no_longer_until_demand_is_back(
    fitted: Ensemble,
) -> None:
    load = LOAD.copy()
    load[FITTED_STEPS : FITTED_STEPS + 90] = 0.0

    away, back = after(fitted, load, 80), after(fitted, load, 91)

    assert away.peak[0, HIGH] < 0.5 * LOAD[FITTED_STEPS + 82 : FITTED_STEPS + 92].max()
    assert back.peak[0, MEDIAN] >= 0.9 * np.mean(LOAD[FITTED_STEPS + 93 : FITTED_STEPS + 103])


@pytest.mark.parametrize(("minutes", "code"), [(31, "IN_OUTAGE"), (36, "AFTER_OUTAGE")])
def test_forecast_right_after_half_an_hour_of_outage_has_not_shrunk(
    fitted: Ensemble, minutes: int, code: str
) -> None:
    load = LOAD.copy()
    load[FITTED_STEPS : FITTED_STEPS + 30] = 0.0

    made = after(fitted, load, minutes)

    usual = np.mean(LOAD[FITTED_STEPS + minutes + 2 : FITTED_STEPS + minutes + 12])
    assert made.peak[0, MEDIAN] >= 0.9 * usual
    assert made.reasons[0].code is TrustCode[code]


def test_what_was_learnt_through_an_outage_is_as_if_it_had_been_a_gap(fitted: Ensemble) -> None:
    broken, unknown = LOAD.copy(), LOAD.copy()
    broken[FITTED_STEPS + 30 : FITTED_STEPS + 60] = 0.0
    unknown[FITTED_STEPS + 30 : FITTED_STEPS + 60] = np.nan
    end = FITTED_STEPS + 60

    learnt, blank = (
        fitted.learn(until(a_batch(load), end), a_horizon(1)) for load in (broken, unknown)
    )

    assert learnt.points is not None
    assert blank.points is not None
    assert learnt.points.errors.tobytes() == blank.points.errors.tobytes()


def test_an_ordinary_day_is_hardly_ever_a_surprise(fitted: Ensemble) -> None:
    codes = [after(fitted, LOAD, steps).reasons[0].code for steps in range(0, DAY_STEPS, 20)]

    assert sum(code is not ForecastCode.ENSEMBLE for code in codes) <= 1


def test_a_surprise_never_lowers_a_forecast_and_keeps_its_quantiles_in_order(
    fitted: Ensemble,
) -> None:
    load = LOAD.copy()
    load[FITTED_STEPS + 2 :: 7] *= 6.0
    for steps in range(1, 40):
        made = after(fitted, load, steps)

        assert (np.diff(made.peak[0]) >= 0).all()
        assert (np.diff(made.steps[0], axis=0) >= 0).all()
        assert np.isfinite(made.steps).all()
