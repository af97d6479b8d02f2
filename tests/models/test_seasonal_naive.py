from __future__ import annotations

import numpy as np

from models.seasonal_naive import SeasonalNaive
from models.series import SeriesBatch
from tests.models.series_builders import a_batch, a_daily_load, a_horizon

STEP_S, DAY_STEPS = 300, 288


def at_five_minutes(days: int, by_day: list[float], noise: float = 0.02) -> SeriesBatch:
    """A flat load at one rate for each day of the week, from a Monday on."""
    rates = np.array([by_day[day % 7] for day in range(days)])
    drawn = np.random.default_rng(5).standard_normal(days * DAY_STEPS)
    return a_batch(np.repeat(rates, DAY_STEPS) * np.exp(noise * drawn), STEP_S)


def test_where_weekends_differ_a_week_ago_is_repeated() -> None:
    """Up to the end of a Sunday at 20/s: yesterday says 20, last Monday says 100."""
    batch = at_five_minutes(21, [100.0] * 5 + [20.0, 20.0])

    made = SeasonalNaive().forecast(batch, a_horizon(1, 600.0, 900.0))

    assert made.reasons[0].sentence.startswith("as a week before")
    assert 90 < made.peak[0, 1] < 120
    assert (np.abs(made.steps[0, 1] - 100) < 15).all()


def test_a_level_that_moved_since_last_week_is_told_by_yesterday() -> None:
    batch = at_five_minutes(14, [100.0] * 7)
    batch.values[:, 9 * DAY_STEPS :] *= 3.0

    made = SeasonalNaive().forecast(batch, a_horizon(1, 600.0, 900.0))

    assert made.reasons[0].sentence.startswith("as 24 hours before")
    assert 250 < made.peak[0, 1] < 350


def test_each_row_has_its_own_season() -> None:
    weekly = at_five_minutes(21, [100.0] * 5 + [20.0, 20.0])
    daily = at_five_minutes(21, [50.0] * 7)
    daily.values[:, -5 * DAY_STEPS :] *= 2.0
    both = a_batch(np.concatenate([weekly.values, daily.values]), STEP_S)

    made = SeasonalNaive().forecast(both, a_horizon(2, 600.0, 900.0))

    assert [reason.sentence[:9] for reason in made.reasons] == ["as a week", "as 24 hou"]


def test_before_a_week_is_over_yesterday_is_all_there_is() -> None:
    made = SeasonalNaive().forecast(a_batch(a_daily_load(5)), a_horizon(1))

    assert made.usable[0]
    assert made.reasons[0].sentence.startswith("as 24 hours before")
