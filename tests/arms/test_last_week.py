"""The seasonal floor: which moment it looks at, and what it does where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from predictor.arms.families import FAMILIES
from tests.arms.arm_scenes import UNHELD, a_learnt, a_scene

SEASONAL = FAMILIES["last-week"]
DAY = 144


@pytest.mark.parametrize(
    ("days", "back_days"),
    [
        pytest.param(8, 7, id="a week back once eight days are known"),
        pytest.param(7, 1, id="a day back before"),
    ],
)
def test_it_asks_for_what_was_asked_then_half_an_hour_ahead(days: int, back_days: int) -> None:
    learnt = a_learnt(np.full(days * DAY, 10.0))
    peak = (days - back_days) * DAY + 2  # the step that ends half an hour after the one now
    learnt.demand[peak] = 90.0
    arm = SEASONAL.make(1.0, UNHELD, learnt)
    floors = [
        arm.floor(a_scene(learnt, np.ones(3), learnt.end_s + now_s)) for now_s in (0, 599, 600)
    ]
    assert floors == [9, 9, 1]


def test_a_gap_then_is_no_floor_now() -> None:
    learnt = a_learnt(np.full(9 * DAY, 10.0))
    learnt.demand[2 * DAY + 2] = np.nan
    arm = SEASONAL.make(1.0, UNHELD, learnt)
    assert arm.floor(a_scene(learnt, np.ones(3), learnt.end_s)) == 0
