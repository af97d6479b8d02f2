"""iCalendar files in words, for the tests of the calendar."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from predictor.calendar_entries import Entries, Place, read_entries

PLACE = Place(
    frozenset({"core", "plan"}),
    {
        "us-east-1": ZoneInfo("America/New_York"),
        "eu-west-1": ZoneInfo("Europe/Dublin"),
    },
)


def an_entry(*lines: str, uid: str = "launch") -> str:
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", "SUMMARY:launch", *lines, "END:VEVENT"])


def a_calendar(*entries: str) -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tests//EN", *entries, "END:VCALENDAR", ""]
    return "\r\n".join(lines).encode()


def at(text: str) -> int:
    """Epoch seconds of a time with its offset."""
    return int(datetime.fromisoformat(text).timestamp())


def read(*entries: str, first: str = "2026-01-01", last: str = "2027-01-01") -> Entries:
    """What the entries give between two days in UTC."""
    from_s, until_s = at(f"{first}T00:00+00:00"), at(f"{last}T00:00+00:00")
    return read_entries(a_calendar(*entries), PLACE, from_s, until_s)
