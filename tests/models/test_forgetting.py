from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.ensemble import Ensemble
from models.ensemble_fit import fit_ensemble
from models.forecast import QUANTILE_LEVELS
from models.forgetting import forgot, newly_shifted
from models.level_record import new_level_record
from models.series import FloatArray, SeriesBatch
from models.skill import pinball_losses
from models.trust_code import TrustCode
from tests.models.ensemble_builders import few_trees, until
from tests.models.series_builders import a_batch, a_horizon

STEP_S, HOUR, DAY, ROWS = 300, 12, 288, 12
SHIFTED = 3 * DAY
HORIZON = a_horizon(ROWS, 600.0, 1200.0)


def a_load(factor: float) -> SeriesBatch:
    """Three days of daily waves, then a quarter of a day at another level."""
    at, drawn = np.arange(SHIFTED + 8 * HOUR), np.random.default_rng(1)
    wave = 1.0 + 0.6 * np.sin(2 * np.pi * at / DAY + np.arange(ROWS)[:, None])
    load = 100.0 * wave * np.exp(0.08 * drawn.standard_normal((ROWS, len(at))))
    load[:, SHIFTED:] *= factor
    return a_batch(load, STEP_S)


@pytest.fixture(scope="module")
def fitted() -> Ensemble:
    with few_trees():
        return fit_ensemble(until(a_load(1.0), SHIFTED), HORIZON)


def never_forgetting(model: Ensemble) -> Ensemble:
    assert model.record is not None
    record = dataclasses.replace(model.record, forgotten_s=np.full(ROWS, 1e18))
    return dataclasses.replace(model, record=record)


def walk(model: Ensemble, batch: SeriesBatch) -> tuple[FloatArray, Ensemble]:
    """The mean loss at every half hour, and the model at the end."""
    losses = []
    for steps in range(SHIFTED, batch.values.shape[1] - 6, HOUR // 2):
        model = model.learn(until(batch, steps), HORIZON)
        made = model.forecast(until(batch, steps), HORIZON).peak
        outcome = batch.values[:, steps + 2 : steps + 6].max(axis=1)
        losses.append(pinball_losses(outcome[:, None], made[:, None], QUANTILE_LEVELS).mean())
    return np.asarray(losses), model


@pytest.mark.parametrize("factor", [0.4, 3.0])
def test_forecast_recovers_sooner_from_a_shift_because_the_former_level_is_forgotten(
    fitted: Ensemble, factor: float
) -> None:
    batch = a_load(factor)

    with_it, model = walk(fitted, batch)
    without, _ = walk(never_forgetting(fitted), batch)

    first_hours = slice(6, 12)
    assert with_it[first_hours].mean() < 0.95 * without[first_hours].mean()
    assert model.record is not None
    assert (model.record.forgotten_s > 0).mean() > 0.5


def test_shift_is_told_as_a_reason(fitted: Ensemble) -> None:
    _, model = walk(fitted, a_load(0.4))

    told = [reason for reason in model.told if reason.code is TrustCode.LEVEL_SHIFT]

    assert len(told) >= ROWS // 2
    assert all(" h demand has been at 0." in reason.sentence for reason in told)
    assert all("; mix of " in reason.sentence for reason in told)


def test_ordinary_demand_forgets_nothing(fitted: Ensemble) -> None:
    batch = a_load(1.0)

    usual, model = walk(fitted, batch)
    without, _ = walk(never_forgetting(fitted), batch)

    assert usual.tolist() == without.tolist()
    assert model.record is not None
    assert (model.record.forgotten_s == 0).all()


def test_a_load_that_shifts_every_few_days_is_not_forgotten_anew_each_time() -> None:
    record, day = new_level_record(1), 86_400.0
    forgotten = []
    for days in range(100, 120, 2):
        shift_s = days * day
        record = dataclasses.replace(record, shift_s=np.array([shift_s]))
        if len(newly_shifted(record, shift_s + 7200.0)):
            record = forgot(record, np.array([0]))
            forgotten.append(days)

    assert forgotten == [100, 108, 116]
