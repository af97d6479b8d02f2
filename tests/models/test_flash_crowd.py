from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.flash_crowd import (
    GROWTH_MAX,
    BurstHabits,
    Crowds,
    find_crowds,
    learn_bursts,
    lifted,
    unannounced,
)
from models.series import FloatArray
from tests.models.series_builders import DAY_STEPS, a_daily_load

LEVELS = (0.1, 0.5, 0.75, 0.9, 0.95, 0.99)
AT_95 = LEVELS.index(0.95)
WINDOW = (2, 12)
MINUTES = 240
"""How many of the newest minutes are looked at."""


def habits_of(past: FloatArray, expected: FloatArray | None = None) -> BurstHabits:
    shape = np.ones(past.shape) if expected is None else expected
    return learn_bursts(past, shape, 60, WINDOW, LEVELS)


def crowds_in(newest: FloatArray, habits: BurstHabits) -> Crowds:
    return find_crowds(newest, np.ones(newest.shape), 60, habits)


def steady(minutes: int, deviation: float = 0.05, seed: int = 3, rows: int = 1) -> FloatArray:
    drawn = np.random.default_rng(seed).standard_normal((rows, minutes))
    return np.asarray(100.0 * np.exp(deviation * drawn))


def a_forecast(demand: FloatArray) -> FloatArray:
    """What a slow method would say: a little around the mean of the last hour."""
    level = np.nanmean(demand[:, -60:], axis=1)[:, None]
    return np.asarray(level * np.array([[0.9, 1.0, 1.05, 1.1, 1.15, 1.2]]))


RISES = {
    "at once": [500.0],
    "within three minutes": [200.0, 350.0, 500.0],
    "within five minutes": [150.0, 220.0, 320.0, 430.0, 500.0],
}


@pytest.mark.parametrize("rise", RISES.values(), ids=RISES.keys())
def test_second_bucket_of_a_crowd_is_enough_to_cover_it(rise: list[float]) -> None:
    habits = habits_of(steady(3 * DAY_STEPS))
    # ------ 100/s ------ | two buckets of the rise | now ... 500/s
    seen = np.append(steady(MINUTES), ([*rise, 500.0])[:2])[None]

    crowds = crowds_in(seen, habits)
    quantiles = lifted(a_forecast(seen), crowds, habits, WINDOW[1])

    assert crowds.present.tolist() == [True]
    assert quantiles[0, AT_95] >= 500.0


def test_lift_is_bounded_by_the_newest_demand() -> None:
    habits = habits_of(steady(3 * DAY_STEPS))
    seen = np.append(steady(MINUTES), [1e3, 1e5, 1e7])[None]

    quantiles = lifted(a_forecast(seen), crowds_in(seen, habits), habits, WINDOW[1])

    assert 1e7 < quantiles.max() <= GROWTH_MAX * 1e7


def test_lift_is_gone_when_the_crowd_is() -> None:
    habits = habits_of(steady(3 * DAY_STEPS))
    crowd = np.concatenate([steady(MINUTES)[0], np.full(3, 500.0), steady(10, seed=4)[0]])[None]

    crowds = crowds_in(crowd, habits)
    quantiles = lifted(a_forecast(crowd), crowds, habits, WINDOW[1])

    assert crowds.ended_ago_s.tolist() == [10 * 60]
    np.testing.assert_array_equal(quantiles, a_forecast(crowd))


def test_lift_fades_while_a_crowd_stays() -> None:
    habits = habits_of(steady(3 * DAY_STEPS))
    heights = []
    for minutes in (3, 30, 90):
        seen = np.append(steady(MINUTES), np.full(minutes, 500.0))[None]
        made = lifted(np.zeros((1, len(LEVELS))), crowds_in(seen, habits), habits, WINDOW[1])
        heights.append(made[0, AT_95])

    assert heights[0] >= 1000.0
    assert heights[0] > heights[1] > heights[2]
    assert heights[2] < 100.0


def test_crowd_that_grows_is_followed_although_earlier_ones_vanished() -> None:
    past = steady(60 * DAY_STEPS)
    past[0, 700::1000] = 1000.0
    habits = habits_of(past)
    # 200, 300, 450: half as much again each minute
    seen = np.append(steady(MINUTES), [200.0, 300.0, 450.0])[None]
    lasting = np.append(steady(MINUTES), [450.0, 450.0, 450.0])[None]

    growing, standing = (
        lifted(a_forecast(load), crowds_in(load, habits), habits, WINDOW[1])[0, AT_95]
        for load in (seen, lasting)
    )

    assert growing > 450 * 1.5
    assert 450.0 <= standing < 450 * 1.25


@pytest.mark.parametrize(
    ("goes_on", "bound"), [(0.2, (0.0, 1100.0)), (3.0, (2700.0, 4000.0))], ids=["gone", "triples"]
)
def test_lift_is_learnt_from_the_bursts_of_the_series(
    goes_on: float, bound: tuple[float, float]
) -> None:
    past = steady(60 * DAY_STEPS)
    for at in range(700, 60 * DAY_STEPS - 100, 1000):
        past[0, at] = 1000.0
        past[0, at + 1 : at + 9] = 1000.0 * goes_on
    seen = np.append(steady(MINUTES), 1000.0)[None]

    habits = habits_of(past)
    quantiles = lifted(a_forecast(seen), crowds_in(seen, habits), habits, WINDOW[1])

    assert habits.bursts[0] > 80
    assert bound[0] <= quantiles[0, AT_95] <= bound[1]


@pytest.mark.parametrize(
    ("newest", "is_lifted"),
    [([900.0, 900.0], False), ([1500.0], False), ([1500.0, 1400.0], True)],
    ids=["like those before", "a record of one step", "a record that lasts"],
)
def test_series_that_knows_bursts_is_lifted_over_a_lasting_record_alone(
    newest: list[float], is_lifted: bool
) -> None:
    past = steady(60 * DAY_STEPS)
    past[0, 700::1000] = 1000.0
    seen = np.append(steady(MINUTES), newest)[None]

    chosen = unannounced(crowds_in(seen, habits_of(past)), habits_of(past), np.array([1000.0]))

    assert chosen.tolist() == [is_lifted]


def rises_per_day(load: FloatArray) -> float:
    """How often a crowd begins in the second half, asked every half hour, by a row and day."""
    half = load.shape[1] // 2
    habits = habits_of(load[:, :half])
    began = 0
    for end in range(half + 30, load.shape[1], 30):
        crowds = crowds_in(load[:, end - MINUTES : end], habits)
        began += int((crowds.present & (crowds.age_s < 1800)).sum())
    return float(began / (load.shape[0] * half / DAY_STEPS))


@pytest.mark.parametrize("mean", [0.05, 1.0, 30.0, 1000.0])
def test_count_noise_is_hardly_ever_a_crowd(mean: float) -> None:
    counts = np.random.default_rng(8).poisson(mean, (30, 2 * DAY_STEPS)) / 60.0

    assert rises_per_day(counts) <= 0.05


def test_normal_morning_is_no_crowd() -> None:
    loads = np.stack([a_daily_load(4, noise=0.1, seed=seed) for seed in range(10)])

    assert rises_per_day(loads) == 0.0


def test_steep_morning_that_the_profile_knows_is_no_crowd() -> None:
    minute = np.arange(3 * DAY_STEPS) % DAY_STEPS
    shape = 20 + 180 * np.clip((minute - 480) / 30, 0, 1) * (minute < 1200)
    load = (steady(3 * DAY_STEPS) * shape / 100.0)[:, : 2 * DAY_STEPS + 500]
    expected = shape[None, : 2 * DAY_STEPS + 500]

    habits = habits_of(load, expected)

    assert not find_crowds(load, expected, 60, habits).present.any()


def test_rise_that_was_forecast_is_no_crowd() -> None:
    habits = habits_of(steady(3 * DAY_STEPS))
    seen = np.append(steady(MINUTES), [400.0, 500.0])[None]
    ones = np.ones(seen.shape)

    found = [find_crowds(seen, ones, 60, habits, upper=ones * above) for above in (600.0, 300.0)]

    assert [bool(crowds.present[0]) for crowds in found] == [False, True]


ODD = st.sampled_from([0.0, 1e-9, 1.0, 100.0, 1e12, np.nan])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 90).flatmap(lambda steps: arrays(np.float64, (2, steps), elements=ODD)))
def test_any_history_gives_finite_ordered_quantiles(values: FloatArray) -> None:
    habits = habits_of(values)
    forecast = np.broadcast_to(np.arange(6.0)[:, None], (2, 6, 3))

    made = lifted(forecast, crowds_in(values, habits), habits, WINDOW[1])

    assert np.isfinite(made).all()
    assert (np.diff(made, axis=1) >= 0).all()
    assert (made >= forecast).all()
