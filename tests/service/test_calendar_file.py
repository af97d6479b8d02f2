from __future__ import annotations

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from predictor.calendar_file import CalendarFault, CalendarFile
from predictor.settings import CalendarSettings, RegionCalendarSettings
from tests.service.calendar_bodies import a_calendar, an_entry, at

MODULES = frozenset({"core"})
REGIONS = frozenset({"eu-west-1", "cn-north-1"})
NOW_S = at("2026-11-20T12:00+00:00")


def launch(day: int, uid: str = "launch") -> str:
    return an_entry(f"DTSTART:202611{day}T140000Z", f"DTEND:202611{day}T150000Z", uid=uid)


def a_reader(path: Path, **settings: object) -> CalendarFile:
    known = CalendarSettings(files=(str(path),), **settings)  # type: ignore[arg-type]
    return CalendarFile(known, MODULES, REGIONS)


def write(path: Path, body: bytes) -> None:
    """Replaced as a mounted ConfigMap is: by another file in its place."""
    beside = path.with_suffix(".new")
    beside.write_bytes(body)
    stamp = path.stat().st_mtime_ns + 1_000_000 if path.exists() else 0
    os.utime(beside, ns=(stamp, stamp))
    beside.replace(path)


def starts(reader: CalendarFile, now_s: float = NOW_S) -> list[int]:
    return [event.start_s for event in reader.read(now_s).events]


def test_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "launches.ics"
    write(path, a_calendar(launch(21)))
    reader = a_reader(path)
    before = reader.read(NOW_S)

    unchanged = reader.read(NOW_S + 60)
    write(path, a_calendar(launch(22)))

    assert unchanged is before
    assert starts(reader) == [at("2026-11-22T14:00+00:00")]


@pytest.mark.parametrize("broken", [b"", b"BEGIN:VCALENDAR\r\nBEGIN:VEV", b"\xff\xff"])
def test_broken_file_leaves_the_former_in_use_and_says_so_once(
    tmp_path: Path, broken: bytes
) -> None:
    path = tmp_path / "launches.ics"
    write(path, a_calendar(launch(21)))
    reader = a_reader(path)
    reader.read(NOW_S)

    write(path, broken)
    with capture_logs() as lines:
        found = [starts(reader), starts(reader, NOW_S + 86_400)]

    assert found == [[at("2026-11-21T14:00+00:00")]] * 2
    (line,) = lines
    assert line["event"] == "calendar_file_refused"
    assert line["in_use"] == "its former content"
    assert "is no calendar" in line["fault"]


def test_missing_file_is_said_and_taken_up_when_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "launches.ics"
    reader = a_reader(path)

    with capture_logs() as lines:
        assert [starts(reader), starts(reader, NOW_S + 10)] == [[], []]
    write(path, a_calendar(launch(21)))

    (line,) = lines
    assert line["fault"] == "cannot be read: No such file or directory"
    assert starts(reader) == [at("2026-11-21T14:00+00:00")]


def test_bad_entry_is_said_once_and_named(tmp_path: Path) -> None:
    path = tmp_path / "launches.ics"
    write(path, a_calendar(launch(21), an_entry(uid="empty")))
    reader = a_reader(path)

    with capture_logs() as lines:
        found = [starts(reader), starts(reader, NOW_S + 86_400)]

    assert found == [[at("2026-11-21T14:00+00:00")]] * 2
    assert reader.set_aside == (f"{path}: entry empty: has no DTSTART",)
    assert len(lines) == 1


def test_file_beyond_its_bound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "launches.ics"
    path.write_bytes(b"x" * (4 * 2**20 + 1))

    with capture_logs() as lines:
        assert starts(a_reader(path)) == []

    assert lines[0]["fault"] == "4194305 bytes; at most 4194304"


def test_only_what_lies_within_the_days_asked_for_is_read(tmp_path: Path) -> None:
    path = tmp_path / "launches.ics"
    daily = an_entry("DTSTART:20261101T140000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY")
    write(path, a_calendar(daily))
    reader = a_reader(path, look_back_days=2, look_ahead_days=3)

    today = starts(reader)
    tomorrow = starts(reader, NOW_S + 86_400)

    assert today[0] == at("2026-11-18T14:00+00:00")
    assert today[-1] == at("2026-11-23T14:00+00:00")
    assert tomorrow == [start_s + 86_400 for start_s in today]


def test_holidays_and_swapped_workdays_are_days_of_the_regions_zone() -> None:
    region = RegionCalendarSettings(zone="Asia/Shanghai", country="CN")
    settings = CalendarSettings(regions={"cn-north-1": region}, look_ahead_days=60)

    events = CalendarFile(settings, MODULES, REGIONS).read(at("2026-09-15T00:00+08:00")).events

    found = {event.start_s: event for event in events}
    national_day = found[at("2026-10-01T00:00+08:00")]
    assert (national_day.name, national_day.category) == ("National Day", "holiday on a weekday")
    assert national_day.regions == frozenset({"cn-north-1"})
    # A Saturday on which people work for a free Wednesday.
    assert found[at("2026-10-10T00:00+08:00")].category == "workday on a weekend"


@pytest.mark.parametrize(
    ("region", "settings", "sentence"),
    [
        ("eu-west-1", {"country": "XX"}, "no public holidays are known: Country XX"),
        ("eu-west-1", {"country": "IE", "subdivision": "ZZ"}, "does not have subdivision ZZ"),
        ("eu-west-1", {"zone": "Europe/Atlantis"}, "'Europe/Atlantis' is no time zone"),
        ("eu-west-1", {"zone": "../etc/passwd"}, "'../etc/passwd' is no time zone"),
        ("mars", {}, "calendar.regions.mars: expected a key of regions"),
    ],
)
def test_settings_that_cannot_be_used_are_an_error_at_the_start(
    region: str, settings: dict[str, str], sentence: str
) -> None:
    known = CalendarSettings(regions={region: RegionCalendarSettings(**settings)})

    with pytest.raises(CalendarFault, match=sentence):
        CalendarFile(known, MODULES, REGIONS)
