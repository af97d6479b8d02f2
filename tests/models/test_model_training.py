from __future__ import annotations

import numpy as np
import pytest

from models.calibration import mean_pinball
from models.forecast import QUANTILE_LEVELS
from models.stl_profile import stl_profile
from models.training import PARTS, train
from tests.models.ensemble_builders import few_trees
from tests.models.series_builders import DAY_STEPS, a_batch, a_daily_load, a_horizon


def test_training_says_what_it_saw_and_how_the_very_mix_did_on_moments_held_out() -> None:
    load = a_daily_load(8, noise=0.3)
    batch = a_batch(np.stack([load, np.full_like(load, np.nan)]))

    told: list[None] = []
    with few_trees():
        model, report = train(batch, a_horizon(2), done=lambda: told.append(None))

    assert len(told) == PARTS
    assert (report.series, report.usable) == (2, 1)
    (held_out,) = report.held_out
    assert held_out.key == batch.keys[0]
    assert len(held_out.outcome) >= 90
    ours, naive = (
        mean_pinball(held_out.outcome[None], made[None], QUANTILE_LEVELS)[0]
        for made in (held_out.quantiles, held_out.seasonal_naive)
    )
    assert ours < naive
    made = model.forecast(batch, a_horizon(2))
    assert made.usable.tolist() == [True, False]


def test_training_on_an_hour_gives_a_model_without_scores() -> None:
    model, report = train(a_batch(np.full(60, 3.0)), a_horizon(1))

    assert report.held_out == ()
    made = model.forecast(a_batch(np.full(60, 3.0)), a_horizon(1))
    assert made.usable.all()


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


def test_what_was_held_out_does_not_change_what_was_said_of_it_before() -> None:
    """At so low a rate an event a step is noise, and not a hundredth of the mean of it all."""
    calm = a_batch(a_daily_load(2, rate=1.0, noise=0.3))
    burst = a_batch(calm.values.copy())
    burst.values[0, -60:] *= 9.0

    with few_trees():
        first, second = (train(batch, a_horizon(1))[1].held_out[0] for batch in (calm, burst))

    before = first.origin_s <= calm.end_s - 60 * calm.step_s
    assert 0 < before.sum() < len(before)
    assert first.quantiles[before].tobytes() == second.quantiles[before].tobytes()
    assert first.outcome[-1] != second.outcome[-1]
