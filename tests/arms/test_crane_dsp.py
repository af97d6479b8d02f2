"""Crane's DSP: which periods it takes, what it does to samples, and what the HPA gets to see."""

from __future__ import annotations

import numpy as np
import pytest

from models.series import FloatArray
from predictor.arms.crane_dsp import CraneDsp
from predictor.arms.crane_estimators import DEFAULT, best_estimator, estimated, prediction_error
from predictor.arms.crane_signal import found_period_s, preprocessed
from predictor.arms.known_demand import DAY_S, WEEK_S
from tests.arms.arm_scenes import STEP_S, UNHELD, a_daily_load, a_learnt, a_scene

DAY = DAY_S // STEP_S
ELEVEN_S = 11 * 3600  # the hour to come ends at the peak


def waves(period_s: float, days: int) -> FloatArray:
    times_s = np.arange(days * DAY) * STEP_S
    noise = np.random.default_rng(5).standard_normal(len(times_s))
    return np.asarray(10 + 6 * np.sin(2 * np.pi * times_s / period_s) + 0.3 * noise)


@pytest.mark.parametrize(
    ("signal", "period_s"),
    [
        pytest.param(waves(DAY_S, 6), DAY_S, id="a day"),
        pytest.param(waves(WEEK_S, 28), WEEK_S, id="a week"),
        pytest.param(waves(DAY_S / 2, 6), None, id="half a day is refused"),
        pytest.param(waves(2 * DAY_S, 8), None, id="two days are refused"),
        pytest.param(waves(DAY_S, 1), None, id="one day is too little"),
        pytest.param(np.full(6 * DAY, 7.0), None, id="flat has no period"),
    ],
)
def test_only_a_day_or_a_week_is_taken_for_a_period(
    signal: FloatArray, period_s: int | None
) -> None:
    assert found_period_s(signal, STEP_S, np.random.default_rng(1)) == period_s


def test_samples_before_a_gap_of_over_an_hour_are_dropped_and_short_gaps_filled() -> None:
    signal = np.arange(36.0)
    signal[10:16] = np.nan  # the next sample comes 70 minutes later
    signal[20:22] = np.nan
    assert preprocessed(signal, STEP_S).tolist() == list(range(18, 36))


def test_an_outlier_takes_the_value_before_it() -> None:
    signal = np.tile([4.0, 6.0], 900)
    signal[501] = 1000.0
    assert preprocessed(signal, STEP_S)[499:503].tolist() == [6.0, 4.0, 4.0, 4.0]
    few = signal[:600]
    assert preprocessed(few, STEP_S)[501] == 1000.0


def test_falling_short_counts_more_than_overshooting() -> None:
    actual = np.array([2.0, 2.0])
    assert prediction_error(actual, np.array([3.0, 3.0])) == pytest.approx(0.5)
    assert prediction_error(actual, np.array([1.0, 1.0])) == pytest.approx(3.106, abs=1e-3)
    assert prediction_error(np.array([0.0, 2.0]), np.array([1.0, 1.0])) == pytest.approx(1.0)


def test_the_estimator_with_the_margin_that_the_last_period_wanted_is_chosen() -> None:
    steady = np.tile(waves(DAY_S, 1), 4)
    grown = np.concatenate([steady, 1.2 * steady[:DAY]])
    assert best_estimator(steady, STEP_S, DAY).margin == 0.01
    assert best_estimator(grown, STEP_S, DAY).margin == 0.20


def test_a_fast_weak_wave_is_taken_out_and_a_fast_strong_one_stays() -> None:
    places = np.arange(2 * DAY)
    slow = 20 + sum(6 * np.sin(2 * np.pi * wave * places / DAY) for wave in (1, 2, 3))
    fast = np.cos(np.pi * places)
    for strength, left in ((0.5, 0.0), (3.0, 3.0)):
        made = estimated(DEFAULT[0], slow + strength * fast, STEP_S, DAY) / 1.01
        assert np.abs(made - (slow + left * fast)[DAY:]).max() < 1e-6


def crane_floor(demand: FloatArray, *, truncated: bool, now_s: float = 0.0) -> int:
    learnt = a_learnt(demand)
    arm = CraneDsp(1.0, UNHELD, learnt, truncated=truncated)
    arm.floor(a_scene(learnt, np.empty(0), learnt.end_s))  # fitted then, for twelve hours
    return arm.floor(a_scene(learnt, np.ones(DAY), learnt.end_s + now_s))


def test_truncation_cuts_off_parts_of_a_core() -> None:
    # 20 to 180 per second at 10 a pod and 0.6 cores: 1.2 to 10.8 cores, 1 % margin: 10.908.
    assert crane_floor(a_daily_load(6), truncated=True, now_s=ELEVEN_S) == 17  # 10 cores
    assert crane_floor(a_daily_load(6), truncated=False, now_s=ELEVEN_S) == 19


def test_truncation_leaves_nothing_of_a_small_load() -> None:
    small = a_daily_load(6) / 12.0  # 0.9 cores at most
    assert crane_floor(small, truncated=True, now_s=ELEVEN_S) == 0
    assert crane_floor(small, truncated=False, now_s=ELEVEN_S) == 2


def test_the_largest_value_of_the_coming_hour_counts() -> None:
    steps = np.tile(np.where(np.arange(DAY) < DAY // 2, 50.0, 100.0), 6)
    steps = steps + np.random.default_rng(2).standard_normal(len(steps))
    before, within = (crane_floor(steps, truncated=False, now_s=s) for s in (36_000, 41_400))
    assert before <= 7
    assert within >= 10
