"""Workflows that say which modules they will ask raise those modules' forecasts before they do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from models import ensemble_fit
from models.forecast import ForecastBatch, ForecastCode
from models.series import SeriesBatch
from models.step_windows import uniform_horizon
from predictor.actuators.simulated import SimulatedCluster
from predictor.core.announced import AnnouncedWorkflows, Expected
from predictor.core.history import History
from predictor.core.state import new_state
from predictor.current_model import CurrentModel
from predictor.gather import Gatherer
from streams.demand import DemandPart
from tests.core.announced_world import BURST, END_S, LATER, PLAN, a_history, begun_again, live
from tests.core.core_values import US, a_policy
from tests.models.ensemble_builders import few_trees

DUE = LATER - 2
"""The step in which the last burst's requests come: it began two minutes before the end."""


@contextlib.contextmanager
def quick_fits() -> Iterator[None]:
    with few_trees(), pytest.MonkeyPatch.context() as quick:
        quick.setattr(ensemble_fit, "ORIGINS_MAX", 150)
        yield


@cache
def forecasts() -> tuple[ForecastBatch, ForecastBatch]:
    """The five minutes from the end on, of one model: with what was announced, and without."""
    history = live()
    batch = history.series(END_S)
    horizon = uniform_horizon(len(batch.keys), 0.0, 300.0)
    model = CurrentModel(refit_s=3600, wait=True)

    async def both() -> tuple[ForecastBatch, ForecastBatch]:
        return (
            await model.forecast(batch, horizon, history.announced),
            await model.forecast(batch, horizon),
        )

    with quick_fits():
        return asyncio.run(both())


def expected(history: History) -> Expected:
    history.announced.learn(history.series(END_S))
    found = history.announced.expected(END_S, 10)
    assert found is not None
    return found


def test_announced_burst_is_in_the_forecast_before_it_is_asked() -> None:
    announced, without = forecasts()

    row = announced.keys.index(PLAN)
    due_per_s = 2 * BURST / 60
    assert announced.peak[row, 1] == pytest.approx(due_per_s, rel=0.15)
    assert announced.steps[row, 1, DUE] == pytest.approx(due_per_s, rel=0.15)
    assert without.peak[row, 1] < due_per_s / 2
    assert announced.reasons[row].code == ForecastCode.ANNOUNCED_STAGES
    said = announced.reasons[row].sentence
    assert "workflows of the last 30 min announced plan and ask it 300 s later" in said
    assert said.endswith(without.reasons[row].sentence)


def test_announcements_lower_no_quantile_and_cross_none() -> None:
    announced, without = forecasts()

    assert (announced.peak >= without.peak).all()
    assert (announced.steps >= without.steps).all()
    assert (np.diff(announced.peak, axis=1) >= 0).all()
    assert (np.diff(announced.steps, axis=1) >= 0).all()


def test_module_that_nobody_announces_keeps_its_forecast_to_the_last_bit() -> None:
    announced, without = forecasts()

    row = 1 - announced.keys.index(PLAN)
    assert announced.peak[row].tobytes() == without.peak[row].tobytes()
    assert announced.reasons[row] == without.reasons[row]


def test_part_that_comes_again_announces_nothing_more() -> None:
    assert (expected(live(times=2)).rate_per_s == expected(live()).rate_per_s).all()


def test_restart_learns_the_same_from_the_demand_table() -> None:
    assert (expected(begun_again()).rate_per_s == expected(live()).rate_per_s).all()


def test_steps_told_one_by_one_teach_the_same_as_all_at_once() -> None:
    history = live()
    for end_s in range(END_S - 30 * 60, END_S, 60):
        history.announced.learn(history.series(end_s))

    at_once = expected(live()).rate_per_s
    assert expected(history).rate_per_s == pytest.approx(at_once, rel=0.02, abs=0.2)


def announcing(
    workflows: float, *, region: str = US, revision: int = 0, at_s: int = END_S
) -> DemandPart:
    return DemandPart("plan", at_s, 10, 0, (), revision=revision, announced=((region, workflows),))


def test_late_workflows_add_what_they_are_more() -> None:
    history, once = live(), live()
    for workflows, revision in ((100.0, 0), (400.0, 7), (100.0, 3), (400.0, 7)):
        history.add(announcing(workflows, revision=revision))
    once.add(announcing(400.0))

    assert (expected(history).rate_per_s == expected(once).rate_per_s).all()


def test_workflows_newer_than_the_last_whole_step_count_at_once() -> None:
    history = live()
    history.add(announcing(3000.0))

    more = expected(history).rate_per_s - expected(live()).rate_per_s
    assert more[0, LATER] == pytest.approx(2 * 3000 / 60, rel=0.1)


def test_what_is_announced_after_a_pause_of_days_is_expected_too() -> None:
    announced = live().announced
    announced.learn(live().series(END_S))
    later_s = END_S + 5 * 86_400
    announced.put(announcing(3000.0, at_s=later_s + 540))

    announced.learn(SeriesBatch(a_history().keys, later_s, 60, np.full((2, 10), 1.0)))

    found = announced.expected(later_s + 600, 10)
    assert found is not None
    assert found.rate_per_s[0, LATER - 1] == pytest.approx(2 * 3000 / 60, rel=0.1)


@pytest.mark.parametrize("workflows", [-1.0, 0.0, float("nan"), float("inf"), 1e12])
def test_impossible_number_of_workflows_is_counted_and_set_aside(workflows: float) -> None:
    history = a_history()
    history.add(announcing(workflows))

    assert history.set_aside == {"impossible announcement": 1}
    assert history.announced.is_empty


def test_announcement_for_another_region_is_counted_and_set_aside() -> None:
    history = a_history()
    history.add(announcing(5.0, region="mars-1"))

    assert history.set_aside == {"announced for an unknown region": 1}


def test_memory_is_bounded_whatever_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictor.core.announced.PARTS_MAX", 50)
    announced = AnnouncedWorkflows([PLAN], 60, 900)
    for place in range(8000):
        announced.put(DemandPart("plan", 60 * place, 10, 0, (), announced=((US, 1.0),)))

    assert len(announced._parts) <= 51
    assert len(announced._pending) <= 2 * 2880


async def test_tick_reads_what_its_history_was_announced() -> None:
    gatherer = Gatherer(
        cluster=SimulatedCluster([], END_S),
        history=live(),
        model=CurrentModel(refit_s=3600, wait=True),
        policy=a_policy(),
    )

    with quick_fits():
        inputs = await gatherer.gather(new_state(), END_S)

    row = inputs.keys.index(PLAN)
    assert inputs.peak[row, -1] > BURST / 60
    assert inputs.forecast_reasons[row][0] == "AnnouncedStages"
