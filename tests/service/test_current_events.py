"""A calendar file's events are in the forecasts of a running service, and leave its model alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from models import ensemble_fit
from models.forecast import ForecastBatch, ForecastCode
from models.series import SeriesBatch, until
from predictor.calendar_file import CalendarFile
from predictor.calendar_watcher import CalendarWatcher
from predictor.config import load_settings
from predictor.current_events import CurrentEvents
from predictor.current_model import CurrentModel
from predictor.settings import CalendarSettings, RegionCalendarSettings
from predictor.wiring import new_calendar
from tests.models.ensemble_builders import few_trees
from tests.models.event_builders import DAY_S, KEY, a_launch, weeks_of_demand
from tests.models.series_builders import a_horizon
from tests.service.calendar_bodies import a_calendar, an_entry, at

MODULES, REGIONS = frozenset({"core"}), frozenset({"us-east-1"})
STEP_S = 300
HORIZON = a_horizon(1, 300.0, 900.0)
SALES = tuple(a_launch(day, name="sale") for day in (9, 14, 22))
ENTRY = an_entry(
    "SUMMARY:sale", "DTSTART:20200923T140000Z", "DTEND:20200923T150000Z",
    "RDATE:20200928T140000Z,20201006T140000Z",
).replace("SUMMARY:launch\r\n", "")  # fmt: skip


def five_minutes(history: SeriesBatch) -> SeriesBatch:
    means = history.values.reshape(1, -1, 5).mean(axis=2)
    return SeriesBatch((KEY,), history.start_s, STEP_S, means)


WITH_SALES = five_minutes(weeks_of_demand(*[(one, 3.0) for one in SALES], days=23))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(ensemble_fit, "ORIGINS_MAX", 150)
    with few_trees():
        yield


def known_at(history: SeriesBatch, day: float, hour: float) -> SeriesBatch:
    return until(history, int((day * DAY_S + hour * 3600) // STEP_S))


def a_model(events: CurrentEvents | None) -> CurrentModel:
    return CurrentModel(refit_s=3600, events=events, wait=True)


async def with_calendar(calendar: CalendarSettings, known: SeriesBatch) -> ForecastBatch:
    """What a service with this calendar forecasts at the end of what is known."""
    events = CurrentEvents({"us-east-1": 1.0})
    file = CalendarFile(calendar, MODULES, REGIONS)
    await CalendarWatcher(file, now_s=lambda: known.end_s, take=events.plan).look()
    return await a_model(events).forecast(known, HORIZON)


async def without_calendar(known: SeriesBatch) -> ForecastBatch:
    return await a_model(None).forecast(known, HORIZON)


async def test_sale_announced_in_a_file_is_covered_ten_minutes_before_it(tmp_path: Path) -> None:
    path = tmp_path / "sales.ics"
    path.write_bytes(a_calendar(ENTRY))
    known = known_at(WITH_SALES, 22, 13 + 50 / 60)
    now = known.values.shape[1]
    came = WITH_SALES.values[0, now + 1 : now + 4].max()

    told = await with_calendar(CalendarSettings(files=(str(path),)), known)
    untold = await without_calendar(known)

    upper = told.levels.index(0.95)
    assert untold.peak[0, upper] < 0.6 * came
    assert came < told.peak[0, upper] < 1.6 * came
    assert told.reasons[0].code is ForecastCode.PLANNED_EVENT
    assert "sale 2020-10-06 14:00 to 15:00 UTC, past 2 changed" in told.reasons[0].sentence


async def test_public_holiday_that_halves_demand_is_forecast_by_those_before_it() -> None:
    # Good Friday, Easter Monday and the early May bank holiday of 2020, from 30 March on.
    usual = five_minutes(weeks_of_demand(days=40)).values
    values = usual.copy()
    for day in (11, 14, 39):
        values[:, day * 288 : (day + 1) * 288] *= 0.5
    history = SeriesBatch((KEY,), at("2020-03-30T00:00+00:00"), STEP_S, values)
    known = known_at(history, 39, 6)
    now = known.values.shape[1]
    region = RegionCalendarSettings(zone="UTC", country="GB", subdivision="ENG")

    told = await with_calendar(CalendarSettings(regions={"us-east-1": region}), known)

    came = values[0, now + 1 : now + 4].max()
    assert told.peak[0, told.levels.index(0.5)] == pytest.approx(came, rel=0.15)
    assert "2020-05-08 00:00 to 2020-05-09 00:00 UTC" in told.reasons[0].sentence


async def test_calendar_that_changes_is_followed_without_another_fit(tmp_path: Path) -> None:
    known = known_at(WITH_SALES, 21, 13 + 50 / 60)
    path = tmp_path / "sales.ics"
    path.write_bytes(a_calendar())
    events = CurrentEvents()
    file = CalendarFile(CalendarSettings(files=(str(path),)), MODULES, REGIONS)
    watcher = CalendarWatcher(file, now_s=lambda: known.end_s, take=events.plan)
    model = a_model(events)
    await watcher.look()
    before = await model.forecast(known, HORIZON)
    fitted = await model.forecaster(known, HORIZON)

    start = "DTSTART:20201005T140000Z"
    path.write_bytes(a_calendar(an_entry(start, "DURATION:PT1H", "X-MPLP-UPLIFT:4")))
    await watcher.look()
    after = await model.forecast(known, HORIZON)

    middle = after.levels.index(0.5)
    assert after.peak[0, middle] == pytest.approx(4 * before.peak[0, middle], rel=0.05)
    assert await model.forecaster(known, HORIZON) is fitted


async def test_settings_without_a_calendar_make_none() -> None:
    assert new_calendar(load_settings(None, {})) is None
