"""What a backtest raises at a past origin is what the service would have raised there and then."""

from __future__ import annotations

import numpy as np
import pytest

from models.forecast import QUANTILE_LEVELS, ForecastBatch, ForecastCode, ForecastReason
from models.past_surprises import Learnt, learnt_before, raised_at
from models.series import FloatArray, SeriesBatch
from models.sight import Window
from models.step_windows import IntArray, StepWindows
from models.surprises import Known, raised
from tests.models.ensemble_builders import until
from tests.models.series_builders import DAY_STEPS, a_batch, a_daily_load

LEARNT_STEPS = 4 * DAY_STEPS
CROWD, OUTAGE = LEARNT_STEPS + 200, LEARNT_STEPS + 800
WINDOW = Window(2, 12)
ORIGINS = np.concatenate(
    [
        np.arange(LEARNT_STEPS, LEARNT_STEPS + DAY_STEPS, 90),
        CROWD + np.arange(0, 60, 4),
        OUTAGE + np.arange(0, 70, 4),
    ]
)


def a_history() -> SeriesBatch:
    """A crowd in one row, half an hour without demand in the other."""
    loads = np.stack([a_daily_load(5.0, seed=1), a_daily_load(5.0, seed=2)])
    loads[0, CROWD : CROWD + 30] *= 4.0
    loads[1, OUTAGE : OUTAGE + 30] = 0.0
    return a_batch(loads)


def low_quantiles(history: SeriesBatch, origins: IntArray) -> FloatArray:
    """The newest demand, give or take: what a method would say that looks at no more."""
    spread = 1.0 + 0.1 * np.arange(len(QUANTILE_LEVELS))
    return np.asarray(history.values[:, origins - 1][:, :, None] * spread)


@pytest.fixture(scope="module")
def learnt() -> Learnt:
    return learnt_before(a_history(), LEARNT_STEPS, WINDOW)


def served(history: SeriesBatch, origin: int, learnt: Learnt) -> FloatArray:
    """The newest forecast as it is raised in the service, at the end of a history that ends."""
    now = until(history, origin)
    peak = low_quantiles(history, np.array([origin]))[:, 0]
    steps = peak[:, :, None] * np.ones(WINDOW.stop)
    said = (ForecastReason(ForecastCode.ENSEMBLE, "for a test"),) * 2
    made = ForecastBatch(now.keys, now.end_s, now.step_s, QUANTILE_LEVELS, peak, steps, said)
    windows = StepWindows(np.full(2, WINDOW.first), np.full(2, WINDOW.stop))
    return raised(made, Known(now, windows, learnt.profile, learnt.habits, np.arange(2))).peak


def test_every_past_forecast_is_raised_as_the_service_raises_the_newest(learnt: Learnt) -> None:
    history = a_history()
    before = low_quantiles(history, ORIGINS)

    found = raised_at(before, history, ORIGINS, WINDOW, learnt)

    wanted = np.stack([served(history, int(origin), learnt) for origin in ORIGINS], axis=1)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    for row in range(2):
        assert (found[row] > before[row]).any(axis=1).sum() >= 4


def test_what_comes_after_an_origin_raises_nothing_there(learnt: Learnt) -> None:
    history, at = a_history(), CROWD + 20
    changed = a_history()
    changed.values[:, at:] = np.random.default_rng(1).uniform(0.0, 500.0, (2, DAY_STEPS - 220))
    early = ORIGINS[at >= ORIGINS]

    found, other = (
        raised_at(low_quantiles(history, early), one, early, WINDOW, learnt)
        for one in (history, changed)
    )

    assert found.tobytes() == other.tobytes()
