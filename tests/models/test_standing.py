from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.ensemble import Ensemble
from models.ensemble_fit import HeldOut, fit_and_judge
from models.forecast import ForecastBatch, ForecastCode
from models.manifest import ModelRefused
from models.series import SeriesBatch
from models.skill import Rung
from models.standing import walked
from models.stored_ensemble import ensemble_of, parameters_of
from models.trust_code import TrustCode
from tests.models.ensemble_builders import few_trees, until
from tests.models.series_builders import MONDAY_S, a_batch, a_daily_load, a_horizon

STEP_S, DAY = 300, 288
HORIZON = a_horizon(1, 300.0, 300.0)
LOAD = a_batch(a_daily_load(10.0)[::5], STEP_S)


@pytest.fixture(scope="module")
def judged() -> tuple[Ensemble, HeldOut]:
    with few_trees():
        made = fit_and_judge(until(LOAD, 2 * DAY), HORIZON)
    return made.ensemble, made.held_out[0]


def standing_on(model: Ensemble, rung: Rung) -> Ensemble:
    """The model with its one row on a rung."""
    assert model.standing is not None
    skill = dataclasses.replace(model.standing.skill, rung=np.array([int(rung)]))
    standing = dataclasses.replace(model.standing, skill=skill)
    return dataclasses.replace(model, standing=standing).telling()


def asked(model: Ensemble, batch: SeriesBatch) -> ForecastBatch:
    return model.forecast(batch, HORIZON)


def test_mix_that_never_had_skill_is_demoted_by_its_first_fit(
    judged: tuple[Ensemble, HeldOut],
) -> None:
    model, held_out = judged
    values = LOAD.values[:, : 2 * DAY]
    wrong = np.repeat(held_out.quantiles[:, :, -1:] * 3.0, held_out.quantiles.shape[2], axis=2)

    standing = walked(held_out.run, values, wrong, held_out.start)

    assert standing.skill.rung.tolist() == [Rung.LAST_VALUE]
    assert model.standing is not None
    assert model.standing.skill.rung.tolist() == [Rung.ENSEMBLE]


def test_what_comes_after_an_origin_does_not_judge_forecasts_before_it(
    judged: tuple[Ensemble, HeldOut],
) -> None:
    model, _ = judged
    batch, later = until(LOAD, 2 * DAY + 24), LOAD.values.copy()
    later[:, 2 * DAY + 24 :] = 1e9
    other = until(dataclasses.replace(LOAD, values=later), 2 * DAY + 24)

    first, second = (one.standing for one in (model.learn(b, HORIZON) for b in (batch, other)))

    assert first is not None
    assert second is not None
    assert first.skill.higher.tobytes() == second.skill.higher.tobytes()
    assert first.skill.outcomes[0, 0] > 0


def test_row_on_seasonal_naive_is_forecast_as_a_day_ago(judged: tuple[Ensemble, HeldOut]) -> None:
    batch = until(LOAD, 2 * DAY)

    made = asked(standing_on(judged[0], Rung.SEASONAL_NAIVE), batch)

    yesterday = batch.values[0, -DAY + 1]
    assert made.peak[0, 0] < yesterday < made.peak[0, -1]
    assert "as in the same window before" in made.reasons[0].sentence


def test_row_whose_method_and_all_below_give_nothing_has_no_forecast_and_says_why(
    judged: tuple[Ensemble, HeldOut],
) -> None:
    model = standing_on(judged[0], Rung.SEASONAL_NAIVE)
    values = LOAD.values[:, : 2 * DAY].copy()
    values[0, DAY : DAY + 6] = np.nan

    made = asked(model, dataclasses.replace(LOAD, values=values))

    assert made.usable.tolist() == [False]
    assert np.isnan(made.steps).all()
    assert made.reasons[0].code is TrustCode.RUNG_WITHOUT_FORECAST
    assert made.reasons[0].sentence.startswith("no forecast by seasonal naive, none instead; ")


def test_demoted_row_of_which_less_is_recorded_now_is_forecast_and_told_by_its_mix(
    judged: tuple[Ensemble, HeldOut],
) -> None:
    on_mix, demoted = (standing_on(judged[0], rung) for rung in (Rung.ENSEMBLE, Rung.LAST_VALUE))
    known = until(LOAD, 2 * DAY)
    sampled = dataclasses.replace(known, sampling_variance=np.full(known.values.shape, 1e6))

    mixed, whole, anew = (
        asked(model, batch)
        for model, batch in ((on_mix, sampled), (demoted, known), (demoted, sampled))
    )

    assert whole.reasons[0].code is TrustCode.DEMOTED
    assert anew.reasons == mixed.reasons
    assert anew.reasons[0].code is ForecastCode.ENSEMBLE
    assert anew.peak.tobytes() == mixed.peak.tobytes()


def test_refit_of_the_same_series_keeps_the_rung(judged: tuple[Ensemble, HeldOut]) -> None:
    model = standing_on(judged[0], Rung.LAST_VALUE)

    with few_trees():
        again = fit_and_judge(until(LOAD, 2 * DAY + 2), HORIZON, former=model)

    assert again.ensemble.points is not model.points
    assert again.ensemble.standing is not None
    assert again.ensemble.standing.skill.rung.tolist() == [Rung.LAST_VALUE]


def test_stored_model_is_loaded_with_its_rungs_and_says_the_same(
    judged: tuple[Ensemble, HeldOut],
) -> None:
    batch, model = until(LOAD, 2 * DAY), standing_on(judged[0], Rung.LAST_VALUE)

    first, second = (
        asked(one, batch) for one in (model, ensemble_of(parameters_of(model, MONDAY_S)))
    )

    assert first.reasons == second.reasons
    assert first.peak.tobytes() == second.peak.tobytes()
    assert first.reasons[0].code is not ForecastCode.ENSEMBLE


@pytest.mark.parametrize(
    ("name", "number"), [("standing_skill_rung", 3.0), ("standing_season_days", 2.0)]
)
def test_rung_or_season_that_does_not_exist_is_refused(
    judged: tuple[Ensemble, HeldOut], name: str, number: float
) -> None:
    stored = parameters_of(judged[0], MONDAY_S)
    spoilt = {**stored.arrays, name: np.array([number])}

    with pytest.raises(ModelRefused, match=name):
        ensemble_of(dataclasses.replace(stored, arrays=spoilt))


def test_older_model_without_a_standing_answers_by_the_mix(
    judged: tuple[Ensemble, HeldOut],
) -> None:
    stored = parameters_of(judged[0], MONDAY_S)
    older = {
        name: array
        for name, array in stored.arrays.items()
        if not name.startswith(("standing_", "record_"))
    }

    made = asked(ensemble_of(dataclasses.replace(stored, arrays=older)), until(LOAD, 2 * DAY))

    assert made.reasons[0].code is ForecastCode.ENSEMBLE
