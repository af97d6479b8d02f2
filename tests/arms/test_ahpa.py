"""AHPA-like: how much history it wants, what its quantile means, and how far it looks."""

from __future__ import annotations

import numpy as np
import pytest

from predictor.arms.ahpa import Ahpa, quantile_ahead
from tests.arms.arm_scenes import SIZING, a_daily_load, a_learnt, a_scene

DAY = 144


@pytest.mark.parametrize(("days", "floor"), [(6.99, False), (7.0, True)])
def test_seven_days_are_needed_for_a_floor(days: float, floor: bool) -> None:
    learnt = a_learnt(a_daily_load(days))
    arm = Ahpa(0.95, SIZING, learnt)
    assert (arm.floor(a_scene(learnt, np.ones(3), learnt.end_s)) > 0) is floor


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95])
def test_as_many_outcomes_stay_below_as_the_quantile_says(quantile: float) -> None:
    demand = a_daily_load(15, noise=5.0)
    below = [
        demand[now : now + DAY] <= quantile_ahead(demand[:now], 600, quantile)
        for now in range(10 * DAY, 14 * DAY, DAY // 2)
    ]
    assert np.mean(below) == pytest.approx(quantile, abs=0.05)


def test_the_forecast_follows_the_level_of_the_last_day() -> None:
    demand = a_daily_load(10)
    grown = np.append(demand[: 9 * DAY], 3.0 * demand[9 * DAY :])
    expected = 3.0 * quantile_ahead(demand, 600, 0.5)
    assert quantile_ahead(grown, 600, 0.5) == pytest.approx(expected, rel=0.05)


def test_weekdays_are_told_apart_from_two_weeks_on() -> None:
    days = np.arange(20) % 7
    demand = np.where(days == 5, 300.0, 100.0).repeat(DAY)
    # Both times the day that comes is the sixth of a week; what counts is its first hour.
    assert quantile_ahead(demand[: 12 * DAY], 600, 0.5)[:6].max() < 120.0
    assert quantile_ahead(demand[: 19 * DAY], 600, 0.5)[:6].min() > 270.0


def test_the_floor_rises_one_lead_time_before_the_load() -> None:
    steps = np.tile(np.where(np.arange(DAY) < DAY // 2, 50.0, 150.0), 8)
    learnt = a_learnt(steps)
    arm = Ahpa(0.5, SIZING, learnt)
    half_s = learnt.end_s + 43_200
    early, soon = (a_scene(learnt, steps, half_s - back_s) for back_s in (121, 120))
    assert [arm.floor(early), arm.floor(soon)] == [5, 15]
