from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.outage import OutageRules, Outages, find_outages, held_level
from models.profile import learn_profile
from models.series import FloatArray
from tests.models.series_builders import DAY_STEPS, a_batch, a_daily_load

NOON = 12 * 60


def outages_of(load: FloatArray, rules: OutageRules | None = None, step_s: int = 60) -> Outages:
    return find_outages(a_batch(load, step_s), np.ones(np.atleast_2d(load).shape), rules)


def a_load_without(first: int, minutes: int, days: float = 4.0) -> FloatArray:
    load = a_daily_load(days)
    load[first : first + minutes] = 0.0
    return load


def counted(rate_per_step: FloatArray, seed: int = 3) -> FloatArray:
    """Counts of requests per minute as a rate per second."""
    return np.random.default_rng(seed).poisson(rate_per_step) / 60.0


def test_outage_at_noon_is_masked_to_the_minute() -> None:
    first = 3 * DAY_STEPS + NOON
    load = a_load_without(first, 30)

    masked = np.flatnonzero(outages_of(load).mask[0])

    assert masked.tolist() == list(range(first, first + 30))


@pytest.mark.parametrize("back", [0, 10], ids=["while it lasts", "ten minutes after it"])
def test_forecast_is_held_at_profile_times_the_level_before(back: int) -> None:
    first = 3 * DAY_STEPS + NOON
    batch = a_batch(a_load_without(first, 30)[: first + 30 + back])
    learnt = learn_profile(batch, np.array([0.02]), np.array([12]))

    found = find_outages(batch, learnt.known_then)
    ahead = learnt.profile.at(np.array([0]), batch.end_s, 60, 60)

    assert found.in_outage.tolist() == [back == 0]
    usual = a_daily_load(4, noise=0.0)[first + 30 + back :][:60]
    np.testing.assert_allclose(held_level(found, ahead)[0], usual, rtol=0.1)


def test_outage_is_seen_within_two_minutes() -> None:
    load = a_load_without(3 * DAY_STEPS + NOON, 2)[: 3 * DAY_STEPS + NOON + 2]

    assert outages_of(load).in_outage.tolist() == [True]


def test_collapse_is_the_new_normal_after_a_day() -> None:
    first = 4 * DAY_STEPS + NOON
    load = a_load_without(first, 3 * DAY_STEPS, days=7)

    young, old = (outages_of(load[: first + steps]) for steps in (DAY_STEPS, DAY_STEPS + 1))

    assert young.in_outage.tolist() == [True]
    assert young.mask.any()
    assert old.held.tolist() == [False]
    assert not old.mask.any()
    assert not outages_of(load).mask.any()


def test_collapse_is_held_for_an_hour_and_again_as_soon_as_demand_is_back() -> None:
    first = 3 * DAY_STEPS + NOON
    load = a_load_without(first, 150)

    held = [outages_of(load[: first + steps]).held.tolist() for steps in (59, 61, 149, 151)]

    assert held == [[True], [False], [False], [True]]


def test_attempts_to_restart_do_not_split_an_outage_nor_make_a_level() -> None:
    first = 3 * DAY_STEPS + NOON
    load = a_load_without(first, 180)
    load[first + 20 : first + 180 : 40] = 15.0

    found = outages_of(load[: first + 150])

    assert found.in_outage.tolist() == [True]
    assert found.age_s.tolist() == [150 * 60]
    assert found.level_before[0] == pytest.approx(100, rel=0.1)


def test_minutes_of_full_demand_do_not_end_an_outage() -> None:
    first = 3 * DAY_STEPS + NOON
    load = a_load_without(first, 300)
    load[first + 60 : first + 62] = load[first + 180 : first + 183] = 80.0

    found = outages_of(load[: first + 290])

    assert found.age_s.tolist() == [290 * 60]
    assert found.mask[0, first : first + 290].all()


def test_second_outage_within_the_hour_is_held_at_the_level_before_the_first() -> None:
    first = 3 * DAY_STEPS + NOON
    load = a_load_without(first, 30)
    load[first + 50 : first + 80] = 0.0
    load[first + 30 : first + 50] *= 1.4

    found = outages_of(load[: first + 75])

    assert found.in_outage.tolist() == [True]
    assert found.level_before[0] < 130


def test_retired_service_with_blips_is_not_held_for_ever() -> None:
    first = 3 * DAY_STEPS + NOON
    load = a_load_without(first, 2 * DAY_STEPS, days=6)[: first + 2 * DAY_STEPS]
    for at in range(first + 120, len(load), 120):
        load[at : at + 6] = 80.0

    assert not outages_of(load).held.any()


def test_outage_to_a_trickle_on_the_first_day_is_masked_whole() -> None:
    load = a_daily_load(0.5)
    load[500:620] *= 0.05

    assert np.flatnonzero(outages_of(load).mask[0]).tolist() == list(range(500, 620))


def test_night_that_is_new_is_taken_for_an_outage_only_at_first() -> None:
    # Six days that never sleep, then nights at a tenth.
    load = a_daily_load(11, swing=0.0)
    sleeps = (np.arange(11 * DAY_STEPS) % DAY_STEPS > NOON) & (
        np.arange(11 * DAY_STEPS) >= 6 * DAY_STEPS
    )
    load[sleeps] *= 0.1

    masked = outages_of(load).mask[0]

    assert masked[6 * DAY_STEPS : 7 * DAY_STEPS].any()
    assert not masked[8 * DAY_STEPS :].any()


def test_saturday_is_an_outage_only_the_first_time() -> None:
    weekday = np.arange(21 * DAY_STEPS) // DAY_STEPS % 7
    load = counted(np.where(weekday < 5, 3000.0, 0.0))
    two_hours_in = [(day * DAY_STEPS) + 120 for day in (5, 12, 19)]

    held = [bool(outages_of(load[:now]).in_outage[0]) for now in two_hours_in]

    assert held == [True, False, False]


def test_surge_after_an_outage_is_not_learnt_either() -> None:
    first = 3 * DAY_STEPS + NOON
    load = a_load_without(first, 30)
    load[first + 30 : first + 40] *= 4.0

    found = outages_of(load)

    assert found.mask[0, first : first + 40].all()
    assert found.mask.sum() == 40


def test_gap_is_no_outage() -> None:
    load = a_daily_load(4)
    load[3 * DAY_STEPS : 3 * DAY_STEPS + 300] = np.nan
    load[-60:] = np.nan

    found = outages_of(load)

    assert not found.mask.any()
    assert not found.held.any()


@pytest.mark.parametrize("stop", [19, 20.1], ids=["the evening before", "just now"])
def test_zero_of_every_night_is_no_outage(stop: float) -> None:
    minute = np.arange(5 * DAY_STEPS + int(stop * 60)) % DAY_STEPS
    load = counted(np.where((minute > 8 * 60) & (minute < 20 * 60), 3000.0, 0.0))

    # The first evening nobody can know; after it the nights are known.
    assert not outages_of(load).mask[0, 2 * DAY_STEPS :].any()


@pytest.mark.parametrize("factor", [0.4, 2.0, 0.6])
def test_level_step_is_no_outage(factor: float) -> None:
    load = a_daily_load(5)
    load[4 * DAY_STEPS + NOON :] *= factor

    assert not outages_of(load).mask.any()


def test_tweets_are_never_in_outage() -> None:
    # 77 % of the steps of five minutes are zero, and now and then a burst.
    drawn = np.random.default_rng(5)
    counts = drawn.poisson(0.26, (8, 14 * 288)).astype(np.float64)
    counts[:, 1000::700] += 400.0

    assert not outages_of(counts / 300.0, step_s=300).mask.any()


def test_users_who_leave_slowly_are_no_outage() -> None:
    load = a_daily_load(4)
    load[-300:] *= np.geomspace(1, 1e-3, 300)

    assert not outages_of(load).mask.any()


def test_noise_of_a_low_count_is_no_outage() -> None:
    low = counted(np.full((20, 7 * DAY_STEPS), 4.0))

    assert outages_of(low).mask.any(axis=1).sum() <= 1


ODD = st.sampled_from([0.0, 1e-9, 1.0, 100.0, 1e12, np.nan])


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 90).flatmap(lambda steps: arrays(np.float64, (2, steps), elements=ODD)),
    st.sampled_from([10, 60, 300, 7200, 90_000]),
)
def test_any_history_gives_finite_levels_and_masks_measured_steps_only(
    values: FloatArray, step_s: int
) -> None:
    found = outages_of(values, step_s=step_s)

    assert not (found.mask & np.isnan(values)).any()
    assert np.isfinite(held_level(found, np.ones((2, 5)))).all()
    assert (found.held >= found.in_outage).all()
