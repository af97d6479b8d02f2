"""What a calendar knows is in the forecast, and demand that it explains bends nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cascade import Cascade, fit_cascade
from models.coarse_history import CoarseHistory, packed
from models.event_uplift import learn_uplift
from models.forecast import ForecastBatch, ForecastCode
from models.planned_events import DAY_S, PlannedEvent, PlannedEvents
from models.planned_forecast import PlannedForecast, event_free
from models.series import ALL_REGIONS, SeriesBatch, SeriesKey, until
from models.step_windows import uniform_horizon
from tests.models.ensemble_builders import assert_whole
from tests.models.event_builders import KEY, a_launch, weeks_of_demand

SALES = tuple(a_launch(day, name="sale") for day in (15, 22, 29))
WINDOW = uniform_horizon(1, 120.0, 900.0)
TWO = uniform_horizon(2, 120.0, 900.0)
WEEKS = weeks_of_demand(*[(sale, 3.0) for sale in SALES], days=30)


def before(event: PlannedEvent, minutes: int, history: SeriesBatch = WEEKS) -> SeriesBatch:
    """What was known so many minutes before the event began."""
    return until(history, (event.start_s - history.start_s) // 60 - minutes)


def forecast(known: SeriesBatch, *planned: PlannedEvent) -> ForecastBatch:
    uplift = learn_uplift(known, PlannedEvents(planned))
    quiet = event_free(known, uplift)
    method = fit_cascade(quiet, WINDOW)
    return PlannedForecast(method, uplift, known, quiet).forecast(known, WINDOW)


def actual_peak(known: SeriesBatch, history: SeriesBatch = WEEKS) -> float:
    now = known.values.shape[1]
    return float(history.values[0, now + 2 : now + 17].max())


def test_announced_sale_is_in_the_forecast_ten_minutes_before_it() -> None:
    known = before(SALES[2], 10)

    told, untold = forecast(known, *SALES), forecast(known)

    at = told.levels.index(0.95)
    assert untold.peak[0, at] < 0.5 * actual_peak(known)
    assert actual_peak(known) < told.peak[0, at] < 1.6 * actual_peak(known)
    assert told.reasons[0].code is ForecastCode.PLANNED_EVENT
    assert "past 2 changed demand 3.0-fold" in told.reasons[0].sentence


def test_sale_under_way_is_not_counted_twice_and_ends_when_it_ends() -> None:
    under_way, ending = before(SALES[2], -30), before(SALES[2], -59)

    for known in (under_way, ending):
        told = forecast(known, *SALES)
        assert told.peak[0, told.levels.index(0.5)] == pytest.approx(actual_peak(known), rel=0.35)


def test_holiday_that_halves_demand_halves_the_forecast() -> None:
    holidays = [a_launch(day, hour=0, hours=24, name="holiday") for day in (15, 22, 29)]
    history = weeks_of_demand(*[(one, 0.5) for one in holidays], days=30)
    known = before(holidays[2], -60, history)
    usual = forecast(before(holidays[2], -60, weeks_of_demand(days=30)))

    told = forecast(known, *holidays)

    middle = told.levels.index(0.5)
    assert told.peak[0, middle] == pytest.approx(0.5 * usual.peak[0, middle], rel=0.15)


def test_event_in_a_part_of_the_window_lifts_the_peak_and_a_fall_in_a_part_does_not_lower_it() -> (
    None
):
    known = before(SALES[2], 10)
    plain = forecast(known).peak[0, 1]
    soon = dataclasses.replace(SALES[2], stated_factor=4.0)
    quiet = dataclasses.replace(soon, name="maintenance", stated_factor=0.3)

    assert forecast(known, soon).peak[0, 1] == pytest.approx(4 * plain, rel=0.05)
    assert forecast(known, quiet).peak[0, 1] == pytest.approx(plain, rel=0.05)


def test_event_of_which_nothing_is_known_changes_no_number_and_says_so() -> None:
    known = before(SALES[0], 10)

    told, untold = forecast(known, SALES[0]), forecast(known)

    assert np.array_equal(told.peak, untold.peak)
    assert np.array_equal(told.steps, untold.steps)
    assert "has no past and states no uplift: nothing is changed" in told.reasons[0].sentence


def test_far_from_any_event_the_forecast_is_the_methods_own_to_the_last_bit() -> None:
    known = until(weeks_of_demand(days=12), 11 * 1440)
    uplift = learn_uplift(known, PlannedEvents(SALES))
    method = fit_cascade(known, WINDOW)

    assert event_free(known, uplift) is known
    made = PlannedForecast(method, uplift, known, known).forecast(known, WINDOW)

    assert made.peak.tobytes() == method.forecast(known, WINDOW).peak.tobytes()
    assert made.reasons == method.forecast(known, WINDOW).reasons


def test_day_after_a_sale_is_forecast_as_if_there_had_been_none() -> None:
    steps = (SALES[1].start_s + DAY_S - WEEKS.start_s) // 60 - 10
    without = forecast(until(weeks_of_demand(days=30), steps))

    told, untold = (forecast(until(WEEKS, steps), *planned) for planned in (SALES, ()))

    assert told.peak[0] == pytest.approx(without.peak[0], rel=0.04)
    assert untold.peak[0] != pytest.approx(without.peak[0], rel=0.04)


def test_sale_of_another_module_changes_nothing_here() -> None:
    others = [dataclasses.replace(sale, modules=frozenset({"plan"})) for sale in SALES]
    known = before(SALES[2], 10)

    assert np.array_equal(forecast(known, *others).peak, forecast(known).peak)


def test_forecast_of_series_unknown_at_the_fit_holds_to_the_rows_it_has() -> None:
    known = before(SALES[2], 10)
    uplift = learn_uplift(known, PlannedEvents(SALES))
    strange = SeriesKey("new", ALL_REGIONS)
    both = SeriesBatch((strange, KEY), known.start_s, 60, np.repeat(known.values, 2, axis=0))
    quiet = event_free(both, uplift)

    assert np.array_equal(quiet.values[1], event_free(known, uplift).values[0])
    assert_whole(PlannedForecast(Cascade(), uplift, both, quiet).forecast(both, TWO))


def test_older_coarse_history_teaches_what_a_sale_does_and_is_freed_of_it() -> None:
    known, usual = before(SALES[2], 10), before(SALES[2], 10, weeks_of_demand(days=30))
    split = 21 * 1440
    means = known.values[:, :split].reshape(1, -1, 5).mean(axis=2)
    older = CoarseHistory(known.start_s, 300, packed(means))
    newer = SeriesBatch(
        (KEY,), known.start_s + split * 60, 60, known.values[:, split:], None, older
    )
    uplift = learn_uplift(newer, PlannedEvents(SALES))

    quiet = event_free(newer, uplift)

    assert np.exp(uplift.occurrences.log_ratio[:, 0, 1:5]) == pytest.approx(3.0, rel=0.1)
    assert quiet.coarser is not None
    wanted = usual.values[:, :split].reshape(1, -1, 5).mean(axis=2)
    assert quiet.coarser.rates() == pytest.approx(wanted, rel=0.15)


def test_sampled_demand_keeps_its_relative_noise() -> None:
    known = before(SALES[2], 10)
    added = known.values * 10.0
    sampled = dataclasses.replace(known, sampling_variance=added)
    uplift = learn_uplift(known, PlannedEvents(SALES))

    quiet = event_free(sampled, uplift)

    assert quiet.sampling_variance is not None
    assert quiet.sampling_variance / quiet.values**2 == pytest.approx(added / known.values**2)


@settings(max_examples=15, deadline=None)
@given(
    rates=st.lists(st.just(np.nan) | st.floats(0.0, 1e12), max_size=90),
    stated=st.none() | st.floats(0.3, 10.0),
    start=st.integers(-90, 120),
)
def test_any_history_gives_whole_quantiles_or_none(
    rates: list[float], stated: float | None, start: int
) -> None:
    values = np.array(rates, dtype=np.float64).reshape(1, -1)
    known = SeriesBatch((KEY,), WEEKS.start_s, 60, values)
    event = a_launch(0, hour=start / 60, stated_factor=stated)

    assert_whole(forecast(known, event))
