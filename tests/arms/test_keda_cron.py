"""Cron windows: when they are active, what they ask for, and which days they tell apart."""

from __future__ import annotations

import numpy as np
import pytest

from predictor.arms.arm import Learnt
from predictor.arms.families import FAMILIES
from predictor.arms.keda_cron import hourly_peaks
from tests.arms.arm_scenes import MONDAY_S, UNHELD, a_learnt, a_scene

CRON = FAMILIES["keda-cron"]


def nine_to_ten(days: int, weekend: float = 200.0) -> Learnt:
    """200 per second from 9 to 10 o'clock (another number on weekends), 10 at all other times."""
    hours = np.arange(days * 24)
    peak = np.where(hours // 24 % 7 >= 5, weekend, 200.0)
    return a_learnt(np.where(hours % 24 == 9, peak, 10.0).repeat(6))


@pytest.mark.parametrize(
    ("clock_s", "floor"),
    [
        pytest.param(9 * 3600 - 121, 1, id="before the lead time nothing is raised"),
        pytest.param(9 * 3600 - 120, 20, id="active from the lead time before"),
        pytest.param(10 * 3600 - 1, 20, id="active to the last second"),
        pytest.param(10 * 3600, 1, id="the end is not inside"),
    ],
)
def test_a_window_is_active_from_start_to_before_its_end(clock_s: int, floor: int) -> None:
    learnt = nine_to_ten(7)
    arm = CRON.make(1.0, UNHELD, learnt)
    assert arm.floor(a_scene(learnt, np.ones(144), learnt.end_s + clock_s)) == floor


def test_a_lead_time_is_rounded_up_to_whole_minutes() -> None:
    learnt = nine_to_ten(7)
    arm = CRON.make(1.0, UNHELD._replace(lead_time_s=61.0), learnt)
    assert arm.floor(a_scene(learnt, np.ones(144), learnt.end_s + 9 * 3600 - 120)) == 20


def test_weekends_are_told_apart_from_two_weeks_on() -> None:
    saturday_nine = 5 * 24 + 9
    assert hourly_peaks(nine_to_ten(14, weekend=30.0))[[9, saturday_nine]].tolist() == [200, 30]
    assert hourly_peaks(nine_to_ten(13, weekend=30.0))[[9, saturday_nine]].tolist() == [200, 200]


def test_the_windows_start_on_the_right_weekday() -> None:
    tuesday = Learnt(np.full(144, 7.0), MONDAY_S + 2 * 86400, 600)
    assert np.isfinite(hourly_peaks(tuesday)).all()
    monday_hour = Learnt(np.full(14 * 144, 1.0), MONDAY_S + 14 * 86400, 600)
    monday_hour.demand[:6] = 50.0
    assert hourly_peaks(monday_hour)[[0, 24, 120]].tolist() == [50.0, 50.0, 1.0]
