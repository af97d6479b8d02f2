"""The usual peak is what days have as a rule: no forged hour makes it, no quiet day hides it."""

from __future__ import annotations

import numpy as np

from models.series import FloatArray, SeriesBatch, SeriesKey
from predictor.core.usual_peak import UsualPeaks
from tests.core.core_values import CORE

DAY_STEPS, STEP_S = 1440, 60
START_S = 1_800_000_000 // 86_400 * 86_400


def batch_of(days: list[FloatArray], start_s: int = START_S) -> SeriesBatch:
    values = np.concatenate(days)[None, :]
    return SeriesBatch((SeriesKey(*CORE),), start_s, STEP_S, values)


def a_day(peak: float, at: int = 600, width: int = 60) -> FloatArray:
    """10/s all day, and so much for some minutes."""
    day = np.full(DAY_STEPS, 10.0)
    day[at : at + width] = peak
    return day


def usual(batch: SeriesBatch, peaks: UsualPeaks | None = None) -> float:
    return float((peaks or UsualPeaks()).at(batch, batch.end_s)[0])


def test_a_peak_of_every_week_counts_and_one_forged_day_does_not() -> None:
    quiet, monday, forged = a_day(50.0), a_day(400.0), a_day(90_000.0)
    today = a_day(10.0)

    assert usual(batch_of([monday, *[quiet] * 6, monday, quiet, today])) == 400.0
    assert usual(batch_of([quiet, forged, quiet, quiet, today])) == 50.0


def test_what_came_today_is_no_witness() -> None:
    assert usual(batch_of([a_day(50.0), a_day(90_000.0, at=0, width=DAY_STEPS)])) == 50.0


def test_a_minute_is_no_peak_and_a_gap_is_no_demand() -> None:
    day = a_day(50.0)
    day[700] = 600.0  # one minute of five
    day[800:804] = np.nan
    day[804] = 90_000.0  # four of its five minutes are not known

    assert usual(batch_of([day, a_day(10.0)])) == (600.0 + 4 * 10.0) / 5


def test_before_a_day_is_over_nothing_is_usual() -> None:
    assert np.isnan(usual(batch_of([a_day(50.0)])))
    assert np.isnan(UsualPeaks().at(batch_of([np.zeros(0)]), START_S)).all()


def test_days_that_left_the_history_are_forgotten_and_older_ones_laid_under_are_seen() -> None:
    peaks, quiet = UsualPeaks(), a_day(20.0)
    week = [a_day(300.0), a_day(310.0), quiet, quiet, quiet]
    later = START_S + 2 * 86_400

    assert usual(batch_of(week[2:], later), peaks) == 20.0
    assert usual(batch_of(week), peaks) == 300.0
    assert usual(batch_of(week[2:], later), peaks) == 20.0
