from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.coarse_history import CoarseHistory, packed
from models.profile import DAY_S, Profile, learn_profile
from models.series import FloatArray, SeriesBatch
from tests.models.series_builders import DAY_STEPS, a_batch, a_daily_load

REACH = np.array([12])


def learnt(batch: SeriesBatch) -> Profile:
    floor = np.full(len(batch.keys), 0.02)
    return learn_profile(batch, floor, np.repeat(REACH, len(batch.keys))).profile


def day_ahead(batch: SeriesBatch, days: int = 1) -> FloatArray:
    ahead = learnt(batch).at(np.array([0]), batch.end_s, 60, days * DAY_STEPS)
    return np.asarray(ahead[0])


def a_wave(days: int = 1) -> FloatArray:
    return a_daily_load(days, rate=1.0, noise=0.0)


def test_shape_of_the_day_is_found_whatever_the_level() -> None:
    growing = a_daily_load(6, noise=0.1) * np.linspace(1, 5, 6 * DAY_STEPS)

    np.testing.assert_allclose(day_ahead(a_batch(growing)), a_wave(), atol=0.15)


def test_shape_stays_at_its_time_when_history_ends_at_noon() -> None:
    load = a_daily_load(5)[: int(4.5 * DAY_STEPS)]

    expected = np.roll(a_wave(), -DAY_STEPS // 2)
    np.testing.assert_allclose(day_ahead(a_batch(load)), expected, atol=0.1)


@pytest.mark.parametrize("factor", [0.0, 30.0], ids=["an outage", "a flash crowd"])
def test_one_odd_hour_is_not_learnt(factor: float) -> None:
    load = a_daily_load(5, noise=0.02)
    usual = day_ahead(a_batch(load))

    load[3 * DAY_STEPS + 600 : 3 * DAY_STEPS + 660] *= factor

    np.testing.assert_allclose(day_ahead(a_batch(load)), usual, atol=0.08)


def test_gap_teaches_nothing() -> None:
    load = a_daily_load(5, noise=0.02)
    load[2 * DAY_STEPS + 100 : 2 * DAY_STEPS + 700] = np.nan

    np.testing.assert_allclose(day_ahead(a_batch(load)), a_wave(), atol=0.1)


def test_weekend_has_its_own_shape_after_three_weeks() -> None:
    # Monday to Friday a wave, Saturday and Sunday its mirror image; 21 days, so Monday is next.
    week = np.concatenate([a_wave(5), 2.0 - a_wave(2)])
    ahead = day_ahead(a_batch(100 * np.tile(week, 3)), days=7)

    morning, saturday = 6 * 60, 5 * DAY_STEPS + 6 * 60
    assert ahead[morning] == pytest.approx(1.6, abs=0.15)
    assert ahead[saturday] < 0.9


def test_nearly_idle_series_has_no_shape() -> None:
    idle = np.zeros(4 * DAY_STEPS)
    idle[::500] = 1 / 60

    np.testing.assert_allclose(day_ahead(a_batch(idle)), 1.0, atol=0.2)


@pytest.mark.parametrize(
    "changed", [DAY_STEPS, 2 * DAY_STEPS - 5, 2 * DAY_STEPS + 333, 4 * DAY_STEPS - 1]
)
def test_what_was_known_then_does_not_change_with_what_came_after(changed: int) -> None:
    batch = a_batch(a_daily_load(4))
    after = batch.values.copy()
    after[:, changed:] = 7.0
    floor = np.array([0.02])

    before = learn_profile(batch, floor, REACH).known_then
    now = learn_profile(dataclasses.replace(batch, values=after), floor, REACH).known_then

    # A forecast made at the changed step reaches twelve steps further.
    np.testing.assert_array_equal(before[:, : changed + 12], now[:, : changed + 12])


def test_profile_repeats_after_a_week() -> None:
    batch = a_batch(a_daily_load(15))
    profile, row = learnt(batch), np.array([0])

    first = profile.at(row, batch.end_s, 60, DAY_STEPS)
    np.testing.assert_array_equal(first, profile.at(row, batch.end_s + 7 * DAY_S, 60, DAY_STEPS))


def with_older_in_five_minutes(batch: SeriesBatch, days: int) -> SeriesBatch:
    """The same batch with all but its newest days as means over five minutes."""
    cut = batch.values.shape[1] - days * DAY_STEPS
    older = packed(batch.values[:, :cut].reshape(len(batch.keys), -1, 5).mean(axis=2))
    return SeriesBatch(
        batch.keys,
        batch.start_s + 60 * cut,
        60,
        batch.values[:, cut:],
        coarser=CoarseHistory(batch.start_s, 300, older),
    )


@pytest.mark.parametrize("minutes", [0, 2], ids=["on the grid", "off the grid"])
def test_weeks_in_five_minutes_teach_what_weeks_in_minutes_do(minutes: int) -> None:
    load = a_daily_load(15, noise=0.05)
    load[np.arange(len(load)) // DAY_STEPS % 7 >= 5] *= a_wave(1).mean() * 0.5
    load = np.append(load, load[:minutes])
    whole = a_batch(load)

    cut = SeriesBatch(whole.keys, whole.start_s, 60, whole.values[:, : 15 * DAY_STEPS])
    layered = with_older_in_five_minutes(cut, 8)
    newest = np.append(layered.values, whole.values[:, 15 * DAY_STEPS :], axis=1)
    layered = dataclasses.replace(layered, values=newest)

    expected, found = day_ahead(whole, 7), day_ahead(layered, 7)
    np.testing.assert_allclose(found, expected, rtol=0.03)
    assert learnt(layered).days.tolist() == learnt(whole).days.tolist() == [15]


def test_without_its_weeks_a_short_history_knows_no_weekday() -> None:
    batch = a_batch(a_daily_load(15))

    layered = with_older_in_five_minutes(batch, 8)

    assert learnt(layered).relative.shape[1] == 7
    assert learnt(dataclasses.replace(layered, coarser=None)).relative.shape[1] == 1
