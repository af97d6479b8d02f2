from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from models.ensemble import LEARNT_EVERY_S, Ensemble
from models.ensemble_fit import fit_ensemble
from models.forecast import ForecastCode, Horizon
from models.series import FloatArray, SeriesBatch
from models.stored_ensemble import parameters_of
from tests.models.ensemble_builders import a_quiet_load, few_trees, only, until
from tests.models.series_builders import DAY_STEPS, a_batch, a_daily_load, a_horizon

FITTED = 700
HORIZON = a_horizon(1)
EVERY = LEARNT_EVERY_S // 60


def a_load_that_becomes_noisy() -> SeriesBatch:
    """A tenth of noise while it is fitted, three times as much afterwards."""
    load = a_quiet_load(FITTED + 800)
    load[FITTED:] = 100.0 * (load[FITTED:] / 100.0) ** 3
    return a_batch(load)


@pytest.fixture(scope="module")
def fitted() -> Iterator[Ensemble]:
    with few_trees():
        yield fit_ensemble(until(a_load_that_becomes_noisy(), FITTED), HORIZON)


def walk(model: Ensemble, batch: SeriesBatch, begin: int, stop: int, learns: bool) -> FloatArray:
    """Which levels covered the peaks at every fifth step (o, levels)."""
    covered = []
    for origin in range(begin, stop, EVERY):
        known = until(batch, origin)
        model = model.learn(known, HORIZON) if learns else model
        peak = batch.values[0, origin + 2 : origin + 12].max()
        covered.append(peak <= model.forecast(known, HORIZON).peak[0])
    return np.asarray(covered)


def numbers(model: Ensemble) -> dict[str, bytes]:
    arrays = parameters_of(model, 0).arrays
    return {name: array.tobytes() for name, array in arrays.items()}


def test_learning_brings_back_the_coverage_of_a_load_that_became_noisy(fitted: Ensemble) -> None:
    batch = a_load_that_becomes_noisy()

    still, learning = (
        walk(fitted, batch, FITTED, FITTED + 780, learns)[50:].mean(axis=0)
        for learns in (False, True)
    )

    place = fitted.levels.index(0.9)
    assert abs(learning[place] - 0.9) < 0.07
    assert abs(still[place] - 0.9) > 0.15


def test_nothing_new_gives_the_very_same_model(fitted: Ensemble) -> None:
    batch = a_load_that_becomes_noisy()

    assert fitted.learn(until(batch, FITTED), HORIZON) is fitted
    assert fitted.learn(until(batch, FITTED + EVERY - 1), HORIZON) is fitted
    assert fitted.learn(until(batch, FITTED - 100), HORIZON) is fitted


def test_the_same_history_twice_is_learnt_once(fitted: Ensemble) -> None:
    batch = until(a_load_that_becomes_noisy(), FITTED + 30)

    once = fitted.learn(batch, HORIZON)

    assert numbers(once) != numbers(fitted)
    assert once.learn(batch, HORIZON) is once


def test_many_steps_at_once_are_learnt_like_a_few_at_a_time(fitted: Ensemble) -> None:
    batch = a_load_that_becomes_noisy()

    slowly = fitted
    for steps in range(FITTED + EVERY, FITTED + 6 * EVERY + 1, EVERY):
        slowly = slowly.learn(until(batch, steps), HORIZON)
    at_once = fitted.learn(until(batch, FITTED + 6 * EVERY), HORIZON)

    assert slowly.points is not None
    assert at_once.points is not None
    assert slowly.learnt_to_s == at_once.learnt_to_s
    np.testing.assert_allclose(slowly.points.loss, at_once.points.loss, rtol=1e-9)
    assert slowly.points.seen.tolist() == at_once.points.seen.tolist()


def test_every_outcome_counts_once(fitted: Ensemble) -> None:
    batch = a_load_that_becomes_noisy()
    assert fitted.points is not None

    later = fitted.learn(until(batch, FITTED + 100), HORIZON)

    assert later.points is not None
    assert later.points.seen - fitted.points.seen == 100


def test_other_series_or_another_step_teach_it_nothing(fitted: Ensemble) -> None:
    batch = until(a_load_that_becomes_noisy(), FITTED + 30)
    both = a_batch(np.repeat(batch.values, 2, axis=0))

    assert fitted.learn(both, a_horizon(2)) is fitted
    assert fitted.learn(only(both, 1), HORIZON) is fitted
    assert fitted.learn(dataclasses.replace(batch, step_s=30), HORIZON) is fitted
    unfitted = Ensemble()
    assert unfitted.learn(batch, HORIZON) is unfitted


def test_what_was_handed_in_stays_as_it_was(fitted: Ensemble) -> None:
    batch = until(a_load_that_becomes_noisy(), FITTED + 60)
    before, values = numbers(fitted), batch.values.tobytes()

    fitted.learn(batch, HORIZON)

    assert numbers(fitted) == before
    assert batch.values.tobytes() == values


def test_an_outcome_that_is_not_known_yet_is_not_learnt(fitted: Ensemble) -> None:
    batch = a_load_that_becomes_noisy()
    values = batch.values.copy()
    values[:, FITTED + 60 :] = 1e9

    learnt = [
        fitted.learn(until(one, FITTED + 60), HORIZON)
        for one in (batch, dataclasses.replace(batch, values=values))
    ]

    assert numbers(learnt[0]) == numbers(learnt[1])


def test_a_gap_teaches_nothing_and_breaks_nothing(fitted: Ensemble) -> None:
    batch = until(a_load_that_becomes_noisy(), FITTED + 120)
    batch.values[:, FITTED : FITTED + 90] = np.nan
    assert fitted.points is not None

    learnt = fitted.learn(batch, HORIZON)

    assert learnt.points is not None
    assert 20 <= learnt.points.seen - fitted.points.seen < 35
    assert np.isfinite(learnt.forecast(batch, HORIZON).peak).all()


def test_each_row_learns_under_its_own_lead() -> None:
    batch = a_batch(np.stack([a_quiet_load(200, 10.0, seed) for seed in (1, 2)]))
    horizon = Horizon(np.array([0.0, 1800.0]), np.array([300.0, 600.0]))

    fitted = fit_ensemble(until(batch, 140), horizon)
    together = fitted.learn(batch, horizon).forecast(batch, horizon)

    for row in range(2):
        own = Horizon(horizon.lead_s[[row]], horizon.hold_s[[row]])
        one = only(batch, row)
        alone = fit_ensemble(until(one, 140), own).learn(one, own).forecast(one, own)
        assert alone.reasons[0].code is ForecastCode.ENSEMBLE
        np.testing.assert_allclose(together.peak[row], alone.peak[0], rtol=1e-9)


def test_fitting_again_keeps_what_was_learnt_and_young_trees(fitted: Ensemble) -> None:
    batch = a_load_that_becomes_noisy()
    learnt = fitted.learn(until(batch, FITTED + 60), HORIZON)

    again = fit_ensemble(until(batch, FITTED + 60), HORIZON, former=learnt)

    assert again.trees is learnt.trees
    assert again.points is learnt.points
    assert again.mix is learnt.mix


def test_old_trees_are_grown_again_and_what_was_learnt_is_kept(fitted: Ensemble) -> None:
    batch = until(a_load_that_becomes_noisy(), 2 * FITTED)
    learnt = fitted.learn(batch, HORIZON)

    with few_trees():
        again = fit_ensemble(batch, HORIZON, former=learnt)

    assert again.trees is not learnt.trees
    assert again.trees_to_s == batch.end_s
    assert again.points is learnt.points


def test_a_short_history_borrows_the_trees_of_a_trained_model(fitted: Ensemble) -> None:
    batch = a_load_that_becomes_noisy()
    short = SeriesBatch(batch.keys, batch.end_s, 60, a_quiet_load(200)[None])

    made = fit_ensemble(short, HORIZON, prior=fitted)

    assert made.trees is fitted.trees
    assert made.trees_to_s == fitted.trees_to_s


def test_a_history_of_days_is_walked_at_a_bounded_number_of_moments() -> None:
    batch = a_batch(a_daily_load(2.0))

    with few_trees():
        made = fit_ensemble(batch, HORIZON)

    assert made.points is not None
    assert DAY_STEPS < made.points.seen <= 4000
