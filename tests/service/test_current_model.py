"""What the service asks for forecasts keeps out of the way of all else it does."""

from __future__ import annotations

import asyncio
import contextlib

import numpy as np

from models.ensemble import Ensemble
from models.forecast import ForecastBatch, Horizon
from models.series import SeriesBatch
from predictor.current_model import ROWS_IN_LOOP_MAX, CurrentModel
from tests.models.series_builders import a_batch, a_horizon

STEPS = 9
"""Too few for a fit."""


async def turns_during_a_forecast(rows: int) -> int:
    """How often another task had its turn meanwhile."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    batch, model = a_batch(np.ones((rows, STEPS))), CurrentModel(refit_s=1e9)
    beside = asyncio.create_task(others())
    await model.forecaster(batch, a_horizon(rows))
    turns = 0
    made = await model.forecast(batch, a_horizon(rows))
    beside.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await beside
    assert len(made.keys) == rows
    return turns


class FaultyModel(Ensemble):
    """One that a library's update has broken."""

    def forecast(self, batch: SeriesBatch, horizon: Horizon) -> ForecastBatch:
        raise FloatingPointError("as the test wants it")

    def learn(self, batch: SeriesBatch, horizon: Horizon) -> Ensemble:
        raise FloatingPointError("as the test wants it")


async def test_where_a_trained_model_fails_the_untrained_one_answers() -> None:
    batch, horizon = a_batch(np.full((2, 5 * STEPS), 40.0)), a_horizon(2)
    faulty, untrained = (
        CurrentModel(refit_s=1e9, prior=one) for one in (FaultyModel(), Ensemble())
    )

    made, wanted = await faulty.forecast(batch, horizon), await untrained.forecast(batch, horizon)

    np.testing.assert_array_equal(made.peak, wanted.peak)
    assert made.usable.all()


async def test_heartbeats_go_on_while_many_rows_are_forecast() -> None:
    rows = 6_000
    assert rows > ROWS_IN_LOOP_MAX
    assert await turns_during_a_forecast(rows) >= 5
