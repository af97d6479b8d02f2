"""A series on which the ensemble loses is forecast by what is better, says so, and comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import numpy as np
import pytest_asyncio

from models.forecast import ForecastBatch, ForecastCode
from models.series import FloatArray, SeriesBatch
from models.trust_code import TrustCode
from predictor.current_model import CurrentModel
from tests.models.ensemble_builders import few_trees, until
from tests.models.series_builders import a_batch, a_horizon

STEP_S, HOUR, DAY = 300, 12, 288
HORIZON = a_horizon(1, 300.0, 300.0)
SEASON, PLATEAUS, AFTER = 2 * DAY, 24 * HOUR, 8 * HOUR
LASTS = 18
"""Steps of a plateau: the last value is right but at its ends, a mix of seasons is not."""


class Hour(NamedTuple):
    batch: SeriesBatch
    made: ForecastBatch


def a_load() -> FloatArray:
    """Two days with a season and noise, a day of sudden plateaus, the season again."""
    at, drawn = np.arange(SEASON + PLATEAUS + AFTER), np.random.default_rng(1)
    wave = 100.0 * (1.0 + 0.6 * np.sin(2 * np.pi * at / DAY))
    load = wave * np.exp(0.1 * drawn.standard_normal(len(at)))
    load[SEASON : SEASON + PLATEAUS] = np.where(np.arange(PLATEAUS) // LASTS % 2, 40.0, 160.0)
    return np.asarray(load)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hours() -> AsyncIterator[list[Hour]]:
    batch, model, found = a_batch(a_load(), STEP_S), CurrentModel(refit_s=1e9, wait=True), []
    with few_trees():
        for steps in range(SEASON, batch.values.shape[1] + 1, HOUR):
            known = until(batch, steps)
            found.append(Hour(known, await model.forecast(known, HORIZON)))
    yield found


def places(hours: list[Hour], code: TrustCode) -> list[int]:
    return [place for place, hour in enumerate(hours) if hour.made.reasons[0].code is code]


def test_series_is_demoted_on_the_plateaus_and_back_when_the_mix_has_learnt_them(
    hours: list[Hour],
) -> None:
    demoted, returned = (places(hours, code) for code in (TrustCode.DEMOTED, TrustCode.RETURNED))

    assert demoted == list(range(demoted[0], demoted[-1] + 1))
    assert 5 <= demoted[0] <= PLATEAUS // HOUR
    assert returned[0] == demoted[-1] + 1
    assert hours[-1].made.reasons[0].code is ForecastCode.ENSEMBLE


def test_demotion_is_told_with_what_was_lost_and_who_forecasts(hours: list[Hour]) -> None:
    demoted = hours[places(hours, TrustCode.DEMOTED)[0]].made.reasons[0].sentence
    returned = hours[places(hours, TrustCode.RETURNED)[0]].made.reasons[0].sentence

    assert demoted.startswith("demoted: loss 1.")
    assert "x last value over" in demoted
    assert demoted.endswith("the last value with quantiles of its own past errors")
    assert returned.startswith("back at ensemble: loss at most 1.00 x last value for 1 h; mix of")


def test_demoted_series_is_forecast_by_its_last_value(hours: list[Hour]) -> None:
    for place in places(hours, TrustCode.DEMOTED):
        batch, made = hours[place]
        low, median, high = made.peak[0, [0, 1, -1]]
        assert abs(median / batch.values[0, -1] - 1.0) < 0.03
        assert low < batch.values[0, -1] < high
        assert (np.diff(made.steps[0], axis=0) >= 0).all()
