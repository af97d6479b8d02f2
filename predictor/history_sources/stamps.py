"""Reads a time as files of history write it: ISO 8601 in UTC, or seconds since 1970.

The tables of `predictor/history_sources` use it. A time without a zone is UTC. It must never guess
a local zone.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

EARLIEST_S, LATEST_S = 0.0, 4_102_444_800.0
"""1970 to 2100: an instant outside of it is a wrong unit or a wrong column."""
# Epoch seconds of that span end below 4.2e9, so each larger unit is told by its size.
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))


def stamp_s(text: str) -> float:
    """Epoch seconds; raises `ValueError` with a sentence. Milli-, micro- and nanoseconds count."""
    try:
        return epoch_s(float(text))
    except ValueError as error:
        if not _looks_iso(text):
            raise ValueError(f"time {text[:40]!r}: {error}") from None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no time in ISO 8601") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _within(moment.timestamp())


def epoch_s(number: float) -> float:
    """Seconds of an epoch number in whichever unit it is; raises `ValueError`."""
    if not math.isfinite(number):
        raise ValueError("no finite number")
    for least, per_second in _UNITS:
        if abs(number) >= least:
            return _within(number / per_second)
    return _within(number)


def _within(at_s: float) -> float:
    if not EARLIEST_S <= at_s <= LATEST_S:
        raise ValueError("not between the years 1970 and 2100")
    return at_s


def _looks_iso(text: str) -> bool:
    return text.count("-") >= 2 or "T" in text or ":" in text
