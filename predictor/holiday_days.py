"""The public holidays of a region as planned events, and the weekends on which people work instead.

`predictor/calendar_file.py` calls it; the days come from the package `holidays` (the extra
`calendar`). A holiday is a whole day in the region's own time zone. Nothing here may ask for the
time; what the package does not know yet (a swapped workday that no government has announced) is not
there.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

import holidays

from models.planned_events import NAME_CHARACTERS_MAX, PlannedEvent

WEEKDAY_HOLIDAY = "holiday on a weekday"
WEEKEND_HOLIDAY = "holiday on a weekend"
WORKDAY = "workday on a weekend"
"""Day types, each learnt as a category of its own: a holiday on a Sunday changes little."""
_REMARK = re.compile(r"\s*\([^)]*\)")


class HolidayRegion(NamedTuple):
    """A region, its time zone, and whose holidays it keeps (ISO 3166 codes)."""

    name: str
    zone: tzinfo
    country: str
    subdivision: str | None = None


def holiday_events(region: HolidayRegion, from_s: float, until_s: float) -> list[PlannedEvent]:
    """The region's holidays that touch [from_s, until_s); raises `ValueError` if unknown."""
    first = datetime.fromtimestamp(from_s, UTC).date() - timedelta(days=1)
    last = datetime.fromtimestamp(until_s, UTC).date() + timedelta(days=1)
    years = range(first.year, last.year + 1)
    try:
        known = holidays.country_holidays(region.country, subdiv=region.subdivision, years=years)
    except NotImplementedError as error:
        raise ValueError(f"no public holidays are known: {error}") from error
    days = [(day, _name(name), _holiday_type(known, day)) for day, name in known.items()]
    days += [(day, WORKDAY, WORKDAY) for day in known.weekend_workdays]
    made = [
        PlannedEvent(
            name,
            _midnight_s(day, region.zone),
            _midnight_s(day + timedelta(days=1), region.zone),
            kind,
            regions=frozenset({region.name}),
        )
        for day, name, kind in sorted(days)
        if first <= day <= last
    ]
    return [event for event in made if event.start_s < until_s and event.end_s > from_s]


def _holiday_type(known: holidays.HolidayBase, day: date) -> str:
    return WEEKEND_HOLIDAY if day.weekday() in known.weekend else WEEKDAY_HOLIDAY


def _name(name: str) -> str:
    """One name for all years: `Day off (substituted from 01/04/2026)` is a day off."""
    return _REMARK.sub("", name)[:NAME_CHARACTERS_MAX] or "holiday"


def _midnight_s(day: date, zone: tzinfo) -> int:
    return int(datetime.combine(day, time(0), zone).timestamp())
