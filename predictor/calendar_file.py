"""Keeps what is planned up to date: reads the calendar files when they change, and the holidays.

The composition root makes one from the settings and asks it before each fit. A file that cannot be
read leaves its former content in use, with one line that says so; an entry that cannot be used is
said once and left out. It blocks for some milliseconds per file, so ask it beside the event loop.
It must never raise for what stands in a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog

from models.planned_events import DAY_S, EVENTS_MAX, PlannedEvent, PlannedEvents
from predictor.settings import CalendarSettings

if TYPE_CHECKING:
    from predictor.calendar_entries import Place

FILE_BYTES_MAX = 4 * 2**20
LINES_MAX = 20
"""So many faults of one reading are said in full; the rest is a number."""

_log = structlog.get_logger(__name__)


class CalendarFault(Exception):  # noqa: N818 - it says what is wrong
    """The settings cannot be used: an unknown region, zone or country, or a missing package."""


@dataclass(slots=True)
class _File:
    """One calendar file: its newest usable content, and what stood there when it was last seen."""

    path: Path
    body: bytes | None = None
    seen: tuple[int, int] | None = None
    digest: str = ""
    fault: str = ""
    events: list[PlannedEvent] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)


class CalendarFile:
    """The planned events of all files and regions; raises `CalendarFault` for unusable settings."""

    def __init__(
        self, settings: CalendarSettings, modules: frozenset[str], regions: frozenset[str]
    ) -> None:
        self.set_aside: tuple[str, ...] = ()
        self._settings = settings
        self._files = [_File(Path(name)) for name in settings.files]
        self._zones = zones_of(settings, regions)
        self._modules = modules
        self._day: int | None = None
        self._planned = PlannedEvents()
        if self._files or any(region.country for region in settings.regions.values()):
            _require_packages()
        self._holidays(0.0, float(DAY_S))

    def read(self, now_s: float) -> PlannedEvents:
        """What is planned around `now_s`; the same value as before while nothing has changed."""
        day = int(now_s // DAY_S)
        from_s = float(DAY_S * (day - self._settings.look_back_days))
        until_s = float(DAY_S * (day + 1 + self._settings.look_ahead_days))
        moved = day != self._day
        changed = [file for file in self._files if self._is_changed(file)]
        if not moved and not changed:
            return self._planned
        for file in self._files if moved else changed:
            self._expand(file, from_s, until_s)
        self._day = day
        events = [event for file in self._files for event in file.events]
        events += self._holidays(from_s, until_s)
        aside = [f"{file.path}: {fault}" for file in self._files for fault in file.set_aside]
        self._planned = PlannedEvents(tuple(_nearest(events, now_s, aside)))
        self._say(tuple(aside))
        return self._planned

    def _is_changed(self, file: _File) -> bool:
        """Whether the file holds something new that can be read; says what is wrong if not."""
        try:
            status = file.path.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if seen == file.seen:
                return False
            if status.st_size > FILE_BYTES_MAX:
                self._refuse(file, f"{status.st_size} bytes; at most {FILE_BYTES_MAX}")
                return False
            body = file.path.read_bytes()
        except OSError as error:
            file.seen = None
            self._refuse(file, f"cannot be read: {error.strerror}")
            return False
        file.seen = seen
        digest = hashlib.sha256(body).hexdigest()
        if digest == file.digest:
            file.fault = ""
            return False
        return self._take(file, body, digest)

    def _take(self, file: _File, body: bytes, digest: str) -> bool:
        """Put the new content in the place of the former, if it is a calendar."""
        from predictor.calendar_entries import read_entries  # noqa: PLC0415 - of an extra

        try:
            read_entries(body, self._place(), 0.0, 1.0)
        except ValueError as error:
            self._refuse(file, f"is no calendar: {error}"[:300])
            return False
        file.body, file.digest, file.fault = body, digest, ""
        return True

    def _refuse(self, file: _File, fault: str) -> None:
        if fault != file.fault:
            file.fault = fault
            kept = "nothing" if file.body is None else "its former content"
            _log.warning("calendar_file_refused", file=str(file.path), fault=fault, in_use=kept)

    def _expand(self, file: _File, from_s: float, until_s: float) -> None:
        if file.body is not None:
            from predictor.calendar_entries import read_entries  # noqa: PLC0415 - of an extra

            file.events, file.set_aside = read_entries(file.body, self._place(), from_s, until_s)

    def _place(self) -> Place:
        from predictor.calendar_entries import Place  # noqa: PLC0415 - of an extra

        return Place(self._modules, self._zones)

    def _holidays(self, from_s: float, until_s: float) -> list[PlannedEvent]:
        found: list[PlannedEvent] = []
        for name, region in self._settings.regions.items():
            if region.country is None:
                continue
            from predictor.holiday_days import HolidayRegion, holiday_events  # noqa: PLC0415

            kept = HolidayRegion(name, self._zones[name], region.country, region.subdivision)
            try:
                found += holiday_events(kept, from_s, until_s)
            except ValueError as error:
                raise CalendarFault(f"calendar.regions.{name}: {error}") from error
        return found

    def _say(self, aside: tuple[str, ...]) -> None:
        """A line for each entry that is new among those set aside."""
        new = [fault for fault in aside if fault not in set(self.set_aside)]
        self.set_aside = aside
        for fault in new[:LINES_MAX]:
            _log.warning("calendar_entry_set_aside", fault=fault)
        if len(new) > LINES_MAX:
            _log.warning("calendar_entries_set_aside", more=len(new) - LINES_MAX)


def zones_of(settings: CalendarSettings, regions: frozenset[str]) -> Mapping[str, tzinfo]:
    """The time zone of every region; UTC where none is set."""
    for name in settings.regions:
        if name not in regions:
            raise CalendarFault(f"calendar.regions.{name}: expected a key of regions")
    zones: dict[str, tzinfo] = {}
    for name in sorted(regions):
        zone = settings.regions[name].zone if name in settings.regions else "UTC"
        try:
            zones[name] = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise CalendarFault(
                f"calendar.regions.{name}.zone: {zone!r} is no time zone"
            ) from error
    return zones


def _require_packages() -> None:
    try:
        import predictor.calendar_entries  # noqa: PLC0415
        import predictor.holiday_days  # noqa: F401, PLC0415
    except ImportError as error:
        raise CalendarFault(
            f"calendar: the package {error.name!r} is missing; install mplp-predictor[calendar]"
        ) from error


def _nearest(events: list[PlannedEvent], now_s: float, aside: list[str]) -> list[PlannedEvent]:
    """As many as memory is made for, those nearest to now; the rest is set aside in one line."""
    if len(events) <= EVENTS_MAX:
        return events
    aside.append(f"{len(events)} planned events; the {EVENTS_MAX} nearest to now are used")
    return sorted(events, key=lambda event: abs(event.start_s - now_s))[:EVENTS_MAX]
