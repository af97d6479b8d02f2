"""What the service asks for forecasts keeps out of the way of all else it does."""

from __future__ import annotations

import asyncio
import contextlib

import numpy as np

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


async def test_heartbeats_go_on_while_many_rows_are_forecast() -> None:
    rows = 6_000
    assert rows > ROWS_IN_LOOP_MAX
    assert await turns_during_a_forecast(rows) >= 5
