"""Reads the time of an event: RFC 3339 with a zone, or a number since the Unix epoch.

The formats call it for every event, so the calendar arithmetic is done once for each distinct
second. A time without zone is refused: guessing one moves demand by hours. No clock is read here;
whether a time is too far in the future is judged against the record's own timestamp, so that a
second reading of the topic gives the same verdict.
"""

from __future__ import annotations

import math
import re
from datetime import datetime

from streams.event_types import RefusalError, RejectReason

TIME_CHARACTERS_MAX = 64
EARLIEST_S = 631_152_000.0
"""1990-01-01: before it is a broken clock or another unit; public load traces begin in 1995."""

LATEST_S = 1e11
"""Where numbers begin to be milliseconds."""

# Seconds reach 1e11 in the year 5138; the same instant in milliseconds is a thousand times more.
_SCALES = ((10**11, 1.0), (10**14, 1e3), (10**17, 1e6), (10**20, 1e9))

_SECOND = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_SECONDS_KEPT = 4096
_seconds: dict[str, float] = {}


def event_time_s(
    time: str | int | float | None, record_time_s: float | None, future_skew_max_s: float
) -> float:
    """Epoch seconds; raises `RefusalError` with INVALID_TIME or FUTURE_TIME.

    Without a time of its own the event happened at the record's timestamp. One that claims to have
    happened after it was written comes from a fast clock and is set to the timestamp: were it
    believed, it would push the watermark ahead and make everybody else late.
    """
    if isinstance(time, str):
        time_s = rfc3339_s(time)
    elif time is not None:
        time_s = _scaled_s(time)
    elif record_time_s is not None:
        time_s = record_time_s
    else:
        raise RefusalError(RejectReason.INVALID_TIME, "neither the event nor the record has a time")
    return checked_time_s(time_s, record_time_s, future_skew_max_s)


def checked_time_s(time_s: float, record_time_s: float | None, future_skew_max_s: float) -> float:
    """The same for a time that is in epoch seconds already; one that is no number is refused."""
    if not EARLIEST_S <= time_s < LATEST_S:
        sentence = f"{time_s:g} s since 1970 lies before 1990 or after the year 5138"
        raise RefusalError(RejectReason.INVALID_TIME, sentence)
    if record_time_s is None or time_s <= record_time_s:
        return time_s
    ahead_s = time_s - record_time_s
    if ahead_s > future_skew_max_s:
        raise RefusalError(
            RejectReason.FUTURE_TIME,
            f"{time_s:.3f} is {ahead_s:.0f} s after the record, at most {future_skew_max_s:.0f} s",
        )
    return record_time_s


def rfc3339_s(text: str) -> float:
    """Epoch seconds: RFC 3339 section 5.6, any number of fraction digits, seconds 00 to 60.

    Raises `RefusalError` with INVALID_TIME.
    """
    if text[-1:] in ("Z", "z"):
        zone, fraction = "Z", text[19:-1]
    else:
        zone, fraction = text[-6:], text[19:-6]
    second = text[:19] + zone
    whole_s = _seconds.get(second)
    if whole_s is None:
        whole_s = _whole_seconds(second, text)
    if not fraction:
        return whole_s
    digits = fraction[1:]
    if fraction[0] != "." or not (digits.isascii() and digits.isdecimal()):
        raise _not_a_time(text)
    # A fraction of many nines rounds up to the next second, which may be another bucket's.
    return min(whole_s + float(fraction), math.nextafter(whole_s + 1, 0.0))


def _whole_seconds(second: str, text: str) -> float:
    if len(text) > TIME_CHARACTERS_MAX or not _SECOND.fullmatch(second):
        raise _not_a_time(text)
    leap = second[17:19] == "60"
    readable = second[:17] + "59" + second[19:] if leap else second
    try:
        # An upper-case T and Z are all that `fromisoformat` is sure to take.
        found_s = datetime.fromisoformat(readable.upper()).timestamp() + leap
    except (ValueError, OverflowError):
        raise _not_a_time(text) from None
    if len(_seconds) >= _SECONDS_KEPT:
        _seconds.clear()
    _seconds[second] = found_s
    return found_s


def _scaled_s(time: int | float) -> float:
    """A number's unit is told by its magnitude: s, ms, us or ns since the epoch."""
    for limit, scale in _SCALES:
        if 0 <= time < limit:
            return time / scale
    raise RefusalError(RejectReason.INVALID_TIME, "a number below 0 or above 1e20 is no time")


def _not_a_time(text: str) -> RefusalError:
    shown = text[:TIME_CHARACTERS_MAX]
    return RefusalError(RejectReason.INVALID_TIME, f"{shown!r} is not RFC 3339 with a zone")
