"""Brings a changed calendar into a running service.

`predictor/worker.py` runs it beside the ticks. It looks at the files at an interval, in a thread;
what cannot be read leaves the former calendar in use (`predictor/calendar_file.py` says why). It
must never hold up a tick, have two readings under way, or end the worker.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from models.planned_events import PlannedEvents
from predictor.calendar_file import CalendarFile

POLL_S = 30.0
"""A mounted ConfigMap takes about a minute to change anyway."""

_log = structlog.get_logger(__name__)


class CalendarWatcher:
    """Looks at one calendar. `take` is called in the event loop with each new content."""

    def __init__(
        self,
        calendar: CalendarFile,
        *,
        now_s: Callable[[], float],
        take: Callable[[PlannedEvents], None],
        poll_s: float = POLL_S,
    ) -> None:
        self._calendar = calendar
        self._now_s = now_s
        self._take = take
        self._poll_s = poll_s
        self._taken: PlannedEvents | None = None
        self._fault = ""
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End without another look."""
        self._stopping.set()

    async def run(self) -> None:
        """Look until stopped."""
        while not self._stopping.is_set():
            await self.look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._poll_s)

    async def look(self) -> None:
        """Read what changed, once; before there is a time (no event yet) nothing is read."""
        now_s = self._now_s()
        if now_s <= 0:
            return
        try:
            planned = await asyncio.to_thread(self._calendar.read, now_s)
        except Exception as error:  # noqa: BLE001 - a calendar's fault must not end the service
            if str(error) != self._fault:
                self._fault = str(error)
                _log.exception("calendar_look_failed")
            return
        self._fault = ""
        if planned is not self._taken:
            self._taken = planned
            self._take(planned)
