from __future__ import annotations

import numpy as np
import pytest

from models.forecast import ForecastCode
from models.stl_profile import stl_profile
from models.training import train
from tests.models.series_builders import DAY_STEPS, a_batch, a_daily_load, a_horizon


def test_training_says_what_it_saw_and_beats_seasonal_naive() -> None:
    load = a_daily_load(8, noise=0.3)
    batch = a_batch(np.stack([load, np.full_like(load, np.nan)]))

    model, report = train(batch, a_horizon(2))

    assert (report.series, report.usable) == (2, 1)
    assert report.scores["cascade"].ratio < 1.0
    made = model.forecast(batch, a_horizon(2))
    assert made.usable.tolist() == [True, False]


def test_training_on_an_hour_gives_a_model_without_scores() -> None:
    model, report = train(a_batch(np.full(60, 3.0)), a_horizon(1))

    assert report.scores == {}
    made = model.forecast(a_batch(np.full(60, 3.0)), a_horizon(1))
    assert made.reasons[0].code is ForecastCode.LAST_VALUE


def test_stl_finds_the_shape_under_noise_gaps_and_an_outage() -> None:
    load = a_daily_load(8, noise=0.3)
    load[3000:3100] = np.nan
    load[5000:5060] = 0.0
    batch = a_batch(load)

    found = stl_profile(batch, np.array([0.5]))

    shape = found.at(np.array([0]), batch.end_s, 60, DAY_STEPS)[0]
    np.testing.assert_allclose(shape, a_daily_load(1, rate=1.0, noise=0.0), atol=0.25)


@pytest.mark.parametrize("days", [0.0, 3.0])
def test_stl_has_no_profile_for_a_few_days(days: float) -> None:
    assert stl_profile(a_batch(a_daily_load(days)), np.array([0.5])).days.tolist() == [0]
