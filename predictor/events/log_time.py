"""Times as logs and tables write them; one without a zone is refused unless a zone is given.

`predictor/events/access_log.py` and `predictor/events/count_table.py` use it. Guessing a zone would
move demand by hours. Pure.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

from predictor.events.arrivals import SetAside
from streams.event_time import event_time_s
from streams.event_types import RefusalError

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""As web servers write them, whatever the locale."""
_NUMBER = re.compile(r"\d{9,20}(?:\.\d{1,9})?", re.ASCII)
_COMMON = re.compile(
    r"(\d{1,2})/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(?: ([+-])(\d\d)(\d\d))?", re.ASCII
)
_ZONED = re.compile(r"(?:[Zz]|[+-]\d\d:?\d\d)$")


def log_time_s(time: str | float | int, zone: ZoneInfo | None) -> float:
    """Epoch seconds of RFC 3339, `10/Oct/2000:13:55:36 -0700`, or a number; raises `SetAside`.

    A local time that the clocks show twice is the first one of the two.
    """
    return _text_time_s(time.strip(), zone) if isinstance(time, str) else _checked_s(time)


@lru_cache(maxsize=8192)
def _text_time_s(text: str, zone: ZoneInfo | None) -> float:
    if _NUMBER.fullmatch(text):
        return _checked_s(float(text))
    common = _COMMON.fullmatch(text)
    if common is not None:
        return _checked_s(_common_s(common, text, zone))
    if not _ZONED.search(text[10:]):
        return _checked_s(_local_s(_naive(text), zone))
    if re.search(r"[+-]\d{4}$", text):
        text = f"{text[:-2]}:{text[-2:]}"
    return _checked_s(text)


def _checked_s(time: str | float | int) -> float:
    try:
        return event_time_s(time, None, 0.0)
    except RefusalError as error:
        raise SetAside("invalid_time", str(error)) from error


def _common_s(found: re.Match[str], text: str, zone: ZoneInfo | None) -> float:
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = found.groups()
    try:
        naive = datetime(  # noqa: DTZ001 - its zone follows
            int(year), MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second)
        )
    except ValueError as error:
        raise SetAside("invalid_time", f"{text!r} is no time") from error
    if sign is None:
        return _local_s(naive, zone)
    offset = timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
    return naive.replace(tzinfo=timezone(-offset if sign == "-" else offset)).timestamp()


def _naive(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise SetAside("invalid_time", f"{text[:64]!r} is no time") from error


def _local_s(naive: datetime, zone: ZoneInfo | None) -> float:
    if zone is None:
        shown = naive.isoformat(sep=" ")
        raise SetAside("no_time_zone", f"{shown} has no zone; give one with --timezone")
    time_s = naive.replace(tzinfo=zone).timestamp()
    back = datetime.fromtimestamp(time_s, UTC).astimezone(zone).replace(tzinfo=None)
    if back != naive:
        raise SetAside("invalid_time", f"{naive} did not exist in {zone.key}")
    return time_s
