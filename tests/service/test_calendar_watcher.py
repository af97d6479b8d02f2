"""A calendar that changes while the service runs comes into use, and a broken one ends nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from models.planned_events import PlannedEvents
from predictor.calendar_file import CalendarFault, CalendarFile
from predictor.calendar_watcher import CalendarWatcher
from predictor.config import load_settings
from predictor.settings import CalendarSettings
from predictor.wiring import new_calendar
from tests.service.calendar_bodies import a_calendar, an_entry, at

NOW_S = at("2026-11-20T12:00+00:00")
LAUNCH = an_entry("DTSTART:20261121T140000Z", "DURATION:PT1H")


Taken = asyncio.Queue[PlannedEvents]


def a_watcher(path: Path, taken: Taken, now_s: float = NOW_S) -> CalendarWatcher:
    settings = CalendarSettings(files=(str(path),))
    file = CalendarFile(settings, frozenset({"core"}), frozenset({"eu-west-1"}))
    return CalendarWatcher(file, now_s=lambda: now_s, take=taken.put_nowait, poll_s=0.01)


async def test_changed_file_is_taken_while_it_runs_and_only_once(tmp_path: Path) -> None:
    path, taken = tmp_path / "launches.ics", Taken()
    path.write_bytes(a_calendar())
    watcher = a_watcher(path, taken)
    running = asyncio.create_task(watcher.run())

    async with asyncio.timeout(10):
        assert (await taken.get()).events == ()
        path.write_bytes(a_calendar(LAUNCH))
        assert len((await taken.get()).events) == 1
        await asyncio.sleep(0.05)
        watcher.stop()
        await running

    assert taken.empty()


async def test_broken_file_leaves_the_calendar_that_was_taken(tmp_path: Path) -> None:
    path, taken = tmp_path / "launches.ics", Taken()
    path.write_bytes(a_calendar(LAUNCH))
    watcher = a_watcher(path, taken)
    await watcher.look()

    path.write_bytes(b"BEGIN:VCALENDAR\r\nBEGIN:VEV")
    with capture_logs() as lines:
        await watcher.look()
        await watcher.look()

    assert len(taken.get_nowait().events) == 1
    assert taken.empty()
    assert [line["event"] for line in lines] == ["calendar_file_refused"]


async def test_nothing_is_read_before_events_have_told_the_time(tmp_path: Path) -> None:
    taken = Taken()

    await a_watcher(tmp_path / "none.ics", taken, now_s=0.0).look()

    assert taken.empty()


def test_calendar_that_cannot_be_used_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("calendar: {regions: {eu-west-1: {zone: Europe/Atlantis, country: IE}}}")

    with pytest.raises(CalendarFault, match="'Europe/Atlantis' is no time zone"):
        new_calendar(load_settings(config, {}))
