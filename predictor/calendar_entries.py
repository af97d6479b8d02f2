"""Turns the bytes of an iCalendar file (RFC 5545) into planned events; sets bad entries aside.

`predictor/calendar_file.py` calls it. Recurrence, exceptions and time zones are left to the
packages `icalendar` and `recurring_ical_events` (the extra `calendar`). An entry that cannot be
used is a sentence beside the others; only a file that is no calendar at all raises. It must never
open a file nor ask for the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, NamedTuple

import recurring_ical_events
from icalendar import Calendar, Event

from models.planned_events import NAME_CHARACTERS_MAX, PlannedEvent

FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
"""What repeats within a day is the usual load, and a rule of seconds would never be expanded."""
TIMES_A_DAY_MAX = 24
YEAR_MIN = 2000
"""A rule is expanded from its first occurrence on."""
ENTRIES_MAX = 2000
OCCURRENCES_MAX = 1000
SURROUNDING = timedelta(days=2)
"""A time without zone is some hours away from the same one in UTC."""


class Place(NamedTuple):
    """What entries are read for: the modules there are, and each region's time zone."""

    modules: frozenset[str]
    zones: Mapping[str, tzinfo]


class Entries(NamedTuple):
    """The events of a file, and a sentence for each entry that was set aside."""

    events: list[PlannedEvent]
    set_aside: list[str]


class EntryFault(Exception):  # noqa: N818 - it says what is wrong
    """Why one entry cannot be used."""


def read_entries(body: bytes, place: Place, from_s: float, until_s: float) -> Entries:
    """Every occurrence that touches [from_s, until_s); raises `ValueError` for no calendar."""
    try:
        calendar = Calendar.from_ical(body)
    except ValueError:
        raise
    except Exception as error:
        # Hostile text reaches code of the package that expects none.
        raise ValueError(f"cannot be parsed: {error}") from error
    if not isinstance(calendar, Calendar):
        raise ValueError("holds no VCALENDAR")  # noqa: TRY004 - the file's fault, no programmer's
    found = Entries([], [])
    series = _by_identity(calendar)
    for number, (identity, components) in enumerate(series.items()):
        if number == ENTRIES_MAX:
            found.set_aside.append(f"{len(series) - ENTRIES_MAX} entries beyond {ENTRIES_MAX}")
            break
        try:
            made = _events_of(components, place, from_s, until_s)
        except EntryFault as fault:
            found.set_aside.append(f"entry {identity}: {fault}")
        except Exception as error:  # noqa: BLE001 - the packages raise anything on a strange entry
            found.set_aside.append(f"entry {identity}: cannot be expanded: {error}"[:300])
        else:
            found.events.extend(made)
    return found


def _by_identity(calendar: Calendar) -> dict[str, list[Event]]:
    """A recurring entry and the exceptions to it, which share its UID."""
    found: dict[str, list[Event]] = {}
    for number, component in enumerate(calendar.events, 1):
        identity = str(component.get("UID") or f"number {number}")[:NAME_CHARACTERS_MAX]
        found.setdefault(identity, []).append(component)
    return found


def _events_of(
    components: list[Event], place: Place, from_s: float, until_s: float
) -> list[PlannedEvent]:
    for component in components:
        _check(component)
    alone = Calendar()
    for component in components:
        alone.add_component(component)
    start = datetime.fromtimestamp(from_s, UTC) - SURROUNDING
    stop = datetime.fromtimestamp(until_s, UTC) + SURROUNDING
    occurrences: list[Event] = recurring_ical_events.of(alone).between(start, stop)
    if len(occurrences) > OCCURRENCES_MAX:
        raise EntryFault(f"has {len(occurrences)} occurrences; at most {OCCURRENCES_MAX}")
    made = [event for one in occurrences for event in _planned(one, place)]
    return [event for event in made if event.start_s < until_s and event.end_s > from_s]


def _check(component: Event) -> None:
    """Refuse what would be misread, or expanded for ever."""
    for broken, message in component.errors:
        raise EntryFault(f"{broken} cannot be read: {message}"[:200])
    if "DTSTART" not in component:
        raise EntryFault("has no DTSTART")
    for name in ("DTSTART", "DTEND"):
        _check_time(name, component.get(name))
    rules: Any = component.get("RRULE", [])
    for rule in rules if isinstance(rules, list) else [rules]:
        _check_rule(rule)


def _check_time(name: str, given: Any) -> None:
    if given is None:
        return
    if isinstance(given, list):
        raise EntryFault(f"has {len(given)} {name}; expected one")
    when, zone = given.dt, given.params.get("TZID")
    if not isinstance(when, date):
        raise EntryFault(f"{name} is no time of a calendar")
    if zone is not None and isinstance(when, datetime) and when.tzinfo is None:
        raise EntryFault(f"names the time zone {zone!r}, which is not known")
    if when.year < YEAR_MIN:
        raise EntryFault(f"{name} is in the year {when.year}; expected {YEAR_MIN} or later")


def _check_rule(rule: Mapping[str, Any]) -> None:
    frequency = str(rule.get("FREQ", ["none"])[0])
    if frequency not in FREQUENCIES:
        raise EntryFault(f"repeats {frequency}; expected one of {sorted(FREQUENCIES)}")
    if min((int(number) for number in rule.get("INTERVAL", [1])), default=1) < 1:
        raise EntryFault("repeats at an interval below 1")
    times = 1
    for part in ("BYHOUR", "BYMINUTE", "BYSECOND"):
        times *= max(len(rule.get(part, [])), 1)
    if times > TIMES_A_DAY_MAX:
        raise EntryFault(f"repeats {times} times a day; at most {TIMES_A_DAY_MAX}")


def _planned(component: Event, place: Place) -> Iterator[PlannedEvent]:
    """One occurrence; one for each time zone where it is given in local time."""
    if str(component.get("STATUS", "")).upper() == "CANCELLED":
        return
    regions = _names(component, "X-MPLP-REGIONS", frozenset(place.zones), "region")
    modules = _names(component, "X-MPLP-MODULES", place.modules, "module")
    start, end = component.start, component.end
    for zone, there in _zones(start, regions, place):
        try:
            yield PlannedEvent(
                name=str(component.get("SUMMARY") or "unnamed event").strip()[:NAME_CHARACTERS_MAX],
                start_s=_epoch_s(start, zone),
                end_s=_epoch_s(end, zone),
                category=_category(component),
                modules=modules,
                regions=there,
                stated_factor=_stated_factor(component),
            )
        except ValueError as error:
            raise EntryFault(str(error)) from error


def _zones(
    start: date, regions: frozenset[str] | None, place: Place
) -> list[tuple[tzinfo, frozenset[str] | None]]:
    """The zones to read a time in, each with the regions it holds for.

    A day, or a time without zone, is another instant in each zone; regions of one zone share it.
    """
    if isinstance(start, datetime) and start.tzinfo is not None:
        return [(UTC, regions)]
    of_zone: dict[str, tuple[tzinfo, set[str]]] = {}
    for region in sorted(place.zones if regions is None else regions):
        zone = place.zones[region]
        of_zone.setdefault(str(zone), (zone, set()))[1].add(region)
    if regions is None and len(of_zone) == 1:
        return [(zone, None) for zone, _ in of_zone.values()]
    return [(zone, frozenset(there)) for zone, there in of_zone.values()]


def _epoch_s(when: date, zone: tzinfo) -> int:
    if not isinstance(when, datetime):
        when = datetime.combine(when, time(0), zone)
    elif when.tzinfo is None:
        when = when.replace(tzinfo=zone)
    return int(when.timestamp())


def _names(component: Event, name: str, known: frozenset[str], what: str) -> frozenset[str] | None:
    """The names in a property of ours, separated by commas; None where it is absent."""
    given = component.get(name)
    if given is None:
        return None
    found = frozenset(part.strip() for part in str(given).replace("\\,", ",").split(","))
    unknown = sorted(found - known)
    if unknown:
        raise EntryFault(f"{name} names the {what} {unknown[0]!r}, which is not configured")
    return found


def _stated_factor(component: Event) -> float | None:
    given = component.get("X-MPLP-UPLIFT")
    if given is None:
        return None
    try:
        return float(str(given))
    except ValueError:
        raise EntryFault(f"X-MPLP-UPLIFT is {str(given)[:40]!r}; expected a number") from None


def _category(component: Event) -> str:
    """The first of its categories."""
    for name in component.categories:
        return str(name).strip()[:NAME_CHARACTERS_MAX]
    return ""
