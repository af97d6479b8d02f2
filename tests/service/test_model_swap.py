"""A newly promoted model comes into use while the service goes on deciding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from models.ensemble import Ensemble
from models.ensemble_fit import fit_ensemble
from models.series import SeriesBatch
from models.store import packed
from models.stored_ensemble import parameters_of
from predictor.config import load_settings
from predictor.current_model import CurrentModel
from predictor.model_store.model_store import ModelStore
from predictor.wiring import new_model_watcher
from tests.models.ensemble_builders import few_trees
from tests.models.series_builders import a_batch, a_daily_load, a_horizon
from tests.models.stored_builders import CREATED

DAYS = a_batch(np.stack([a_daily_load(3)]))


@pytest.fixture(autouse=True)
def _few_trees() -> Iterator[None]:
    with few_trees():
        yield


@cache
def old() -> Ensemble:
    return fit_ensemble(a_batch(np.stack([a_daily_load(2)])), a_horizon(1))


@cache
def new() -> Ensemble:
    return fit_ensemble(DAYS, a_horizon(1))


def young(steps: int) -> SeriesBatch:
    """The last `steps` of the history: too few for a season of its own."""
    start_s = DAYS.end_s - steps * DAYS.step_s
    return SeriesBatch(DAYS.keys, start_s, DAYS.step_s, DAYS.values[:, -steps:])


def top(model: Ensemble, batch: SeriesBatch) -> float:
    return float(model.forecast(batch, a_horizon(1)).peak[0, -1])


async def test_new_model_answers_at_once_before_the_service_has_fitted_any() -> None:
    current = CurrentModel(refit_s=3600, prior=old(), digest="old")

    current.replace_prior(new(), "new")

    assert await current.forecaster(young(5), a_horizon(1)) is new()
    assert current.digest == "new"


async def test_next_fit_begins_from_the_new_model_and_is_named_by_it() -> None:
    batch = young(120)
    current = CurrentModel(refit_s=3600, prior=old(), digest="old", wait=True)
    await current.forecaster(batch, a_horizon(1))
    assert current.digest == "old"

    current.replace_prior(new(), "new")
    found = await current.forecaster(batch, a_horizon(1))

    assert current.digest == "new"
    assert top(found, batch) == top(fit_ensemble(batch, a_horizon(1), new()), batch)
    assert top(found, batch) != top(fit_ensemble(batch, a_horizon(1), old()), batch)


@pytest.mark.parametrize(("step_s", "outcome"), [(60, "loaded"), (300, "refused")])
async def test_configured_store_gives_the_service_its_promoted_model_if_the_steps_are_the_same(
    tmp_path: Path, step_s: int, outcome: str
) -> None:
    store, config = ModelStore(str(tmp_path / "store")), tmp_path / "config.yaml"
    store.promote(store.publish(packed(parameters_of(new(), DAYS.start_s), CREATED)), {})
    config.write_text(f"{{model: {{store: {tmp_path}/store}}, history: {{step_s: {step_s}}}}}")
    current, counts = CurrentModel(refit_s=3600), Counter[str]()
    watcher = new_model_watcher(load_settings(config, {}), current.replace_prior, counts)
    assert watcher is not None

    await watcher.poll()

    model = await current.forecaster(young(5), a_horizon(1))
    assert counts == {outcome: 1}
    assert (model.cascade.model is not None) == (outcome == "loaded")
