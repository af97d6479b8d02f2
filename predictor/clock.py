"""Where `now` comes from: the wall live, the events themselves in demos, tests and replays.

The composition roots choose one and hand it to the service; nothing below the service may ask a
clock of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Something that knows what time it is."""

    def now_s(self) -> float:
        """Seconds since the epoch; never goes back."""
        ...


class WallClock:
    """The machine's own time, held still where the machine steps back."""

    def __init__(self) -> None:
        self._latest_s = 0.0

    def now_s(self) -> float:
        """Seconds since the epoch."""
        self._latest_s = max(self._latest_s, datetime.now(UTC).timestamp())
        return self._latest_s


class EventClock:
    """Event time: as far as the watermark has come, so that a day of events runs in seconds."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s

    def now_s(self) -> float:
        """The newest event time that was reached."""
        return self._now_s

    def advance(self, reached_s: float) -> None:
        """Move on to `reached_s`; an older time changes nothing."""
        self._now_s = max(self._now_s, reached_s)
