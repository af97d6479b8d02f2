"""Reads what is written behind an option: durations, times, speeds, zones.

`predictor/events_cli.py` hands these to typer, which turns a `typer.BadParameter` into exit code 2
and a sentence. Nothing heavy may be imported at the top, because `--help` loads it.
"""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

import typer

from streams.event_time import event_time_s
from streams.event_types import RefusalError

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", re.ASCII)
_UNITS_S = (86_400, 3600, 60, 1)


def duration_s(text: str) -> int:
    """Seconds of `90`, `10m`, `1h30m` or `14d`."""
    found = _DURATION.fullmatch(text.strip())
    if not text.strip() or found is None:
        raise typer.BadParameter(f"{text!r} is no duration; write 90, 10m, 1h30m or 14d")
    return sum(int(part or 0) * unit for part, unit in zip(found.groups(), _UNITS_S, strict=True))


def instant_s(text: str) -> int:
    """Whole epoch seconds of an RFC 3339 time."""
    try:
        return int(event_time_s(text, None, 0.0))
    except RefusalError as error:
        raise typer.BadParameter(str(error)) from error


def speed_factor(text: str) -> float:
    """How many times as fast; infinite for `max`."""
    try:
        speed = float("inf" if text == "max" else text)
    except ValueError:
        speed = 0.0
    if not speed > 0:
        raise typer.BadParameter(f"{text!r} is neither a number above 0 nor max")
    return speed


def zone_named(name: str) -> ZoneInfo:
    """A time zone by its name in the IANA database."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise typer.BadParameter(f"{name!r} is no zone such as Europe/Berlin or UTC") from error


def region_zone(text: str) -> tuple[str, str]:
    """Region and zone of `eu-west-1=Europe/Dublin`."""
    region, mark, name = text.partition("=")
    if not (region and mark):
        raise typer.BadParameter(f"{text!r} is not REGION=Area/City")
    return region, zone_named(name).key
