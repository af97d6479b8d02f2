from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import rolling_origins as rolled
from models.calibration import mean_pinball
from models.ensemble import Ensemble
from models.ensemble_fit import fit_ensemble
from models.forecast import QUANTILE_LEVELS
from models.manifest import ModelRefused
from models.rolling_origins import Target, rolling_origins
from models.series import FloatArray, SeriesBatch
from models.sight import Window
from models.stored_ensemble import ensemble_of, parameters_of
from models.upstream import UpstreamLink
from models.upstream_columns import TOLD, leads_of, no_leads, upstream_columns
from tests.models.ensemble_builders import few_trees, only, until
from tests.models.series_builders import a_horizon
from tests.models.upstream_builders import STEPS, a_pair, a_pair_with_bursts

FORETOLD, BY_SHARE, GROWTH = range(3)
LEADS = leads_of((UpstreamLink(1, 0, 8, 0.9, 0.5, floor=5.0),), 2)
BOTH = np.arange(2)
AT_LAG = Window(7, 8)


def told(batch: SeriesBatch, *origins: int, window: Window = AT_LAG) -> FloatArray:
    return upstream_columns(batch.values, LEADS, BOTH, np.array(origins), window)


def test_what_is_foretold_misses_less_than_the_last_value() -> None:
    batch = a_pair(8)
    origins = np.arange(100, STEPS - 8, 7)

    foretold = told(batch, *origins)[1]

    came, last = batch.values[1, origins + 7], batch.values[1, origins - 1]
    for column in (FORETOLD, BY_SHARE):
        assert np.abs(came - foretold[:, column]).mean() < 0.6 * np.abs(came - last).mean()


def test_row_without_a_caller_that_leads_it_has_nothing_foretold() -> None:
    batch = a_pair(8)

    assert np.isnan(told(batch, STEPS)[0]).all()
    assert np.isfinite(told(batch, STEPS)[1]).all()
    assert np.isnan(
        upstream_columns(batch.values, no_leads(2), BOTH, np.array([STEPS]), AT_LAG)
    ).all()


@settings(max_examples=30)
@given(
    st.integers(0, 400), st.integers(0, 40), st.integers(1, 20), st.sampled_from([0.0, np.nan, 1e9])
)
def test_columns_see_nothing_from_their_origin_on(
    origin: int, first: int, hold: int, later: float
) -> None:
    batch = a_pair(8)
    changed = batch.values.copy()
    changed[:, origin:] = later

    seen, otherwise = (
        told(one, origin, window=Window(first, first + hold))
        for one in (batch, dataclasses.replace(batch, values=changed))
    )

    assert seen.tobytes() == otherwise.tobytes()


def test_newest_origin_alone_is_told_what_it_is_told_among_many() -> None:
    batch = a_pair(8)

    np.testing.assert_allclose(told(batch, STEPS)[:, 0], told(batch, 500, STEPS)[:, 1], rtol=1e-9)


def test_near_window_is_told_only_what_reaches_the_callee_by_then() -> None:
    risen = np.full((2, 200), 100.0)
    risen[0, -3:] = 200.0  # reaches the callee eight steps from now
    batch = dataclasses.replace(a_pair(8), values=risen)

    near, far, long = (
        told(batch, 200, window=window)[1, 0, GROWTH]
        for window in (Window(0, 3), AT_LAG, Window(2, 12))
    )

    assert near == pytest.approx(0.0)
    assert far == long == pytest.approx(0.9 * np.log(205 / 105))


def test_gap_of_the_caller_says_nothing() -> None:
    values = a_pair(8).values.copy()
    values[0, -3:] = np.nan

    assert np.isnan(told(dataclasses.replace(a_pair(8), values=values), STEPS)[1, 0, FORETOLD])


@pytest.mark.parametrize("fill", [0.0, 1e12, np.nan])
def test_odd_demand_gives_no_infinite_column(fill: float) -> None:
    values = a_pair(8).values.copy()
    values[:, 200:260] = fill

    for origin in (205, 259, 262, 300):
        columns = told(dataclasses.replace(a_pair(8), values=values), origin)
        assert not np.isinf(columns).any()
        assert columns.shape == (2, 1, TOLD)


def test_leads_follow_their_rows_into_another_order_and_end_with_their_caller() -> None:
    turned, alone = LEADS.rows(np.array([1, -1, 0])), LEADS.rows(np.array([1]))

    assert turned.caller.tolist() == [2, -1, -1]
    assert (turned.lag_steps[0], turned.skill[0]) == (8, 0.5)
    assert alone.caller.tolist() == [-1]


@pytest.fixture(scope="module")
def bursts() -> SeriesBatch:
    return a_pair_with_bursts(8, days=0.8)


@pytest.fixture(scope="module")
def fitted(bursts: SeriesBatch) -> Ensemble:
    with few_trees():
        return fit_ensemble(until(bursts, bursts.values.shape[1] - 60), a_horizon(2))


def test_callee_loses_far_less_beside_its_caller_than_alone(bursts: SeriesBatch) -> None:
    target = (Target(300.0, 0.0),)

    with few_trees(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(rolled, "LEARNT_ORIGINS_MAX", 300)
        beside, alone = (
            rolling_origins(batch, target, origins_max=60)[-1]
            for batch in (bursts, only(bursts, 1))
        )

    loss_beside, loss_alone = (
        mean_pinball(one.outcome[None], one.quantiles[None], QUANTILE_LEVELS)[0]
        for one in (beside, alone)
    )
    assert loss_beside < 0.75 * loss_alone


def test_forecast_rises_with_its_caller_and_names_it(fitted: Ensemble, bursts: SeriesBatch) -> None:
    values = bursts.values.copy()
    values[0, -4:] *= 4.0

    calm, risen = (
        fitted.forecast(dataclasses.replace(bursts, values=one), a_horizon(2, 240.0, 300.0))
        for one in (bursts.values, values)
    )

    assert risen.peak[1, 3] > 1.3 * calm.peak[1, 3]
    assert "core leads it by 480 s" in calm.reasons[1].sentence
    assert "leads it" not in calm.reasons[0].sentence
    assert "of-caller" not in calm.reasons[0].sentence


def test_callee_without_its_caller_in_the_batch_is_still_forecast(
    fitted: Ensemble, bursts: SeriesBatch
) -> None:
    made = fitted.forecast(only(bursts, 1), a_horizon(1))

    assert made.usable.all()


def test_stored_and_loaded_model_is_led_like_the_one_that_was_stored(
    fitted: Ensemble, bursts: SeriesBatch
) -> None:
    loaded = ensemble_of(parameters_of(fitted, bursts.start_s))

    first, second = (one.forecast(bursts, a_horizon(2, 240.0, 300.0)) for one in (fitted, loaded))

    assert first.peak.tobytes() == second.peak.tobytes()
    assert first.reasons == second.reasons


@pytest.mark.parametrize(
    ("name", "number"), [("caller", 2.0), ("caller", -2.0), ("lag_steps", 31.0), ("gain", 2.0)]
)
def test_stored_lead_out_of_bounds_is_refused(fitted: Ensemble, name: str, number: float) -> None:
    stored = parameters_of(fitted, 0)
    spoilt = {f"leads_{name}": np.full(2, number)}

    with pytest.raises(ModelRefused, match=r"caller names a row|lead of 1 to 30 steps"):
        ensemble_of(dataclasses.replace(stored, arrays={**stored.arrays, **spoilt}))
