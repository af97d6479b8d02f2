"""The option that names a calendar, shared by `train` and `backtest`, and what it gives.

`predictor/cli.py` and `predictor/backtest_cli.py` use it. Nothing heavy may be imported at the top,
because `--help` loads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from predictor.command import EXIT_UNREACHABLE, EXIT_USAGE, stop

if TYPE_CHECKING:
    from datetime import tzinfo

    from models.planned_events import PlannedEvent, PlannedEvents
    from predictor.history_sources.history import SourceHistory
    from predictor.settings import Settings

SET_ASIDE_SHOWN = 20

CalendarOption = Annotated[
    Path | None,
    typer.Option(
        "--calendar",
        metavar="FILE",
        help="iCalendar file of planned events. [default: `calendar` of the configuration]",
    ),
]


class Planned(NamedTuple):
    """The events of the stretch that histories cover, and sentences for the person."""

    events: PlannedEvents
    notes: tuple[str, ...]


def planned_of(
    path: Path | None, settings: Settings, histories: Sequence[SourceHistory]
) -> Planned | None:
    """What was planned while the histories were measured; None where no calendar is named.

    A file that cannot be read, or is no calendar, ends the command with a sentence.
    """
    files = settings.calendar.files if path is None else (str(path),)
    countries = [name for name, one in settings.calendar.regions.items() if one.country]
    if not files and not countries:
        return None
    from models.planned_events import EVENTS_MAX, PlannedEvents
    from predictor.calendar_file import CalendarFault

    try:
        events, notes = _read(files, settings, histories)
    except ImportError as error:
        stop(
            EXIT_USAGE,
            f"the package {error.name!r} is missing: pip install 'mplp-predictor[calendar]'",
        )
    except OSError as error:
        stop(EXIT_UNREACHABLE, str(error))
    except (CalendarFault, ValueError) as error:
        stop(EXIT_USAGE, f"calendar: {error}")
    if len(events) > EVENTS_MAX:
        stop(EXIT_USAGE, f"calendar: {len(events)} planned events, at most {EVENTS_MAX}")
    aside = len(notes) - SET_ASIDE_SHOWN
    shown = [*notes[:SET_ASIDE_SHOWN], *([f"and {aside} more set aside"] if aside > 0 else [])]
    head = f"calendar: {len(events)} planned events within the history"
    return Planned(PlannedEvents(tuple(events)), (head, *shown))


def without_events(
    histories: list[SourceHistory], path: Path | None, settings: Settings
) -> list[SourceHistory]:
    """The histories as they would have been without what was planned: what a model learns from."""
    planned = planned_of(path, settings, histories)
    if planned is None:
        return histories
    from models.event_uplift import learn_uplift
    from models.planned_forecast import event_free

    shares = {name: region.weight / 100 for name, region in settings.regions.items()}
    found = []
    for history in histories:
        uplift = learn_uplift(history.batch, planned.events, region_shares=shares)
        found.append(replace(history, batch=event_free(history.batch, uplift)))
    notes = (*planned.notes, "calendar: what they did is taken out of what is learnt")
    return [replace(found[0], notes=(*found[0].notes, *notes)), *found[1:]]


def _read(
    files: Sequence[str], settings: Settings, histories: Sequence[SourceHistory]
) -> tuple[list[PlannedEvent], list[str]]:
    """All events, and a sentence for each entry that was set aside."""
    from predictor.calendar_entries import Place, read_entries
    from predictor.calendar_file import FILE_BYTES_MAX, zones_of

    from_s = float(min(one.batch.start_s for one in histories))
    until_s = float(max(one.batch.end_s for one in histories))
    keys = {key for one in histories for key in one.batch.keys}
    zones = zones_of(settings.calendar, frozenset(settings.regions))
    modules = frozenset(settings.modules) | {key.module for key in keys}
    events = list(_holidays(settings, zones, from_s, until_s))
    notes: list[str] = []
    for name in files:
        with Path(name).open("rb") as file:
            body = file.read(FILE_BYTES_MAX + 1)
        if len(body) > FILE_BYTES_MAX:
            raise ValueError(f"{name} has more than {FILE_BYTES_MAX} bytes")
        found = read_entries(body, Place(modules, zones), from_s, until_s)
        events += found.events
        notes += [f"{name}: {fault}" for fault in found.set_aside]
    return events, notes


def _holidays(
    settings: Settings, zones: Mapping[str, tzinfo], from_s: float, until_s: float
) -> Iterator[PlannedEvent]:
    from predictor.holiday_days import HolidayRegion, holiday_events

    for name, one in settings.calendar.regions.items():
        if one.country is not None:
            region = HolidayRegion(name, zones[name], one.country, one.subdivision)
            yield from holiday_events(region, from_s, until_s)
