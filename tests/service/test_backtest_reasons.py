"""The worst days are told with what really happened on them."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from models.series import FloatArray
from predictor.backtest_reasons import DayCode, WorstDay, worst_days
from tests.service.backtest_builders import DAY_STEPS, a_series, daily_load, judged

DAYS = 21
NOON = 19 * DAY_STEPS + DAY_STEPS // 2
"""Noon of Saturday, 24 January 2026."""


def burst(load: FloatArray) -> None:
    load[NOON : NOON + 6] *= 5


def burst_every_day(load: FloatArray) -> None:
    for day in range(DAYS):
        load[day * DAY_STEPS + 144 : day * DAY_STEPS + 150] *= 3
    load[NOON : NOON + 6] *= 2


def outage(load: FloatArray) -> None:
    load[NOON : NOON + 6] = 0


def level_step(load: FloatArray) -> None:
    load[NOON:] *= 4


def half_day_lost(load: FloatArray) -> None:
    load[NOON - 144 : NOON] = np.nan
    load[NOON : NOON + 12] *= 3


def busier(load: FloatArray) -> None:
    day = slice(19 * DAY_STEPS, 20 * DAY_STEPS)
    load[day] *= 1 + np.sin(np.pi * np.arange(DAY_STEPS) / DAY_STEPS)
    load[day] *= 1 + 0.4 * np.random.default_rng(3).random(DAY_STEPS)


def worst(happens: Callable[[FloatArray], None]) -> WorstDay:
    load = daily_load(DAYS)
    happens(load)
    return worst_days(judged(a_series(load)))[0]


@pytest.mark.parametrize(
    ("happens", "code", "words"),
    [
        (burst, DayCode.BURST, r"demand rose [45]\.\d-fold within 15 min at 12:00, no history"),
        (outage, DayCode.OUTAGE, r"demand fell to nothing at 12:00 for 30 min"),
        (level_step, DayCode.LEVEL_STEP, r"and stayed at \d\.\d times its level"),
        (half_day_lost, DayCode.GAP, r"nothing was measured in 1[12]\.\d of the 24 hours before"),
        (busier, DayCode.UNLIKE_WEEK_BEFORE, r"held [12]\.\d times the demand of the Saturday"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_day_is_told_with_its_cause(
    happens: Callable[[FloatArray], None], code: DayCode, words: str
) -> None:
    day = worst(happens)

    assert day.sentence.startswith("24 January 2026: ")
    assert code in [reason.code for reason in day.reasons]
    assert re.search(words, day.sentence), day.sentence


def test_a_burst_that_comes_every_day_is_not_called_unannounced() -> None:
    assert "as it had a week before" in worst(burst_every_day).sentence
    assert "no history announces it" in worst(burst).sentence


def test_the_share_of_the_loss_is_next_to_an_even_one() -> None:
    day = worst(burst)

    assert day.share > 3 * day.even_share
    assert f"{day.share:.0%} of all loss ({day.even_share:.0%} would be even)" in day.sentence


def test_of_a_steady_history_the_three_that_lost_most_are_told_with_their_shares() -> None:
    days = worst_days(judged(a_series(daily_load(DAYS))))

    assert len(days) == 3
    assert not any(day.is_out_of_line for day in days)
    assert [day.share for day in days] == sorted((day.share for day in days), reverse=True)
    assert all("of all loss" in day.sentence for day in days)


def test_of_a_single_day_there_is_nothing_to_tell() -> None:
    assert worst_days(judged(a_series(daily_load(1)))) == []
