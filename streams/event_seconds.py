"""Reads the times of many events at once: whole epoch seconds from RFC 3339 texts, as arrays.

`streams/record_block.py` and `streams/batch_block.py` call it. It is quick for the usual spelling,
one length and UTC for all; `streams/event_time.py` decides what a time means. It must never take a
text that the other refuses, nor read another second from it.
"""

from __future__ import annotations

import contextlib
import math
from datetime import date

import numpy as np
from numpy.typing import NDArray

from streams.event_time import rfc3339_s
from streams.event_types import RefusalError

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_SEPARATORS = ((4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"))
_DIGITS = (11, 12, 14, 15, 17, 18)
_DATE = 10
_WHOLE = 19
_LONGEST = 40


def utc_seconds(texts: list[str]) -> NDArray[np.int64] | None:
    """Seconds since 1970 (events,), rounded down; None if one of them is written differently."""
    length, joined = len(texts[0]), "".join(texts)
    if not _WHOLE < length <= _LONGEST or len(joined) != length * len(texts):
        return None
    if not joined.isascii():
        return None
    rows = np.frombuffer(joined.encode(), np.uint8).reshape(len(texts), length)
    clock_s, days = _clock_seconds(rows), _days(rows)
    if clock_s is None or days is None or not _tail_is_utc(rows):
        return None
    return days * 86_400 + clock_s


def seconds_of(texts: list[str]) -> NDArray[np.int64]:
    """The same for texts of any spelling; 0 for one that is no time."""
    times_s = utc_seconds(texts)
    if times_s is not None:
        return times_s
    times_s = np.zeros(len(texts), np.int64)
    for row, text in enumerate(texts):
        with contextlib.suppress(RefusalError):
            times_s[row] = math.floor(rfc3339_s(text))
    return times_s


def _clock_seconds(rows: NDArray[np.uint8]) -> NDArray[np.int64] | None:
    """Seconds since midnight (events,), of texts whose separators stand where they should."""
    if not all((rows[:, place] == ord(sign)).all() for place, sign in _SEPARATORS):
        return None
    digits = rows[:, _DIGITS].astype(np.int64) - ord("0")
    hours, minutes, seconds = (digits[:, place] * 10 + digits[:, place + 1] for place in (0, 2, 4))
    are_digits = digits.min() >= 0 and digits.max() <= 9
    if not are_digits or hours.max() > 23 or minutes.max() > 59 or seconds.max() > 59:
        return None
    return np.asarray((hours * 60 + minutes) * 60 + seconds)


def _tail_is_utc(rows: NDArray[np.uint8]) -> bool:
    """Whether all end in a fraction, if any, and the same spelling of UTC."""
    tail = rows[0, _WHOLE:].tobytes()
    zone = b"Z" if tail.endswith(b"Z") else b"+00:00"
    if not tail.endswith(zone):
        return False
    end = rows.shape[1] - len(zone)
    if end < _WHOLE or not (rows[:, end:] == np.frombuffer(zone, np.uint8)).all():
        return False
    fraction = rows[:, _WHOLE:end]
    if not fraction.shape[1]:
        return True
    digits = fraction[:, 1:]
    return bool(
        digits.shape[1]
        and (fraction[:, 0] == ord(".")).all()
        and digits.min() >= ord("0")
        and digits.max() <= ord("9")
    )


def _days(rows: NDArray[np.uint8]) -> NDArray[np.int64] | None:
    """Days since 1970; a block of events seldom holds more than one date."""
    dates = rows[:, :_DATE]
    if (dates == dates[0]).all():
        day = _day(dates[0].tobytes())
        return None if day is None else np.full(len(rows), day, np.int64)
    texts = np.ascontiguousarray(dates).view(f"S{_DATE}")[:, 0]
    distinct, place = np.unique(texts, return_inverse=True)
    found = [_day(bytes(one)) for one in distinct.tolist()]
    known = [day for day in found if day is not None]
    return np.array(known, np.int64)[place] if len(known) == len(found) else None


def _day(text: bytes) -> int | None:
    try:
        return date.fromisoformat(text.decode()).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
