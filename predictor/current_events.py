"""What is planned and what past events taught, for the forecasts of one worker.

`predictor/current_model.py` asks it, `predictor/calendar_watcher.py` brings each new calendar.
Learning runs beside the event loop, and what was known before answers until it is done; a failure
leaves that in use. It must never read a file, nor do anything while nothing is planned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

import structlog

from models.event_uplift import learn_uplift
from models.forecast import Forecaster
from models.past_occurrences import PastOccurrences
from models.planned_events import PlannedEvents
from models.planned_forecast import PlannedForecast, event_free
from models.series import SeriesBatch
from models.uplift import Uplift

LEARN_AGAIN_S = 900
"""So soon after an event what it did is taken out of demand, and known for the next one."""

_log = structlog.get_logger(__name__)


class _Seen(NamedTuple):
    """A batch as it was measured and without events, and the knowledge it was made by.

    Where they are the same neither is held, since a held batch keeps its memory.
    """

    measured: SeriesBatch | None
    quiet: SeriesBatch | None
    uplift: Uplift


class CurrentEvents:
    """Holds the newest calendar and what was learnt. `region_shares` as in `learn_uplift`;
    `former` are occurrences that an earlier history taught."""

    def __init__(
        self,
        region_shares: Mapping[str, float] | None = None,
        former: PastOccurrences | None = None,
    ) -> None:
        self._region_shares = dict(region_shares or {})
        self._former = former
        self._planned = PlannedEvents()
        self._learnt_of = self._planned
        self._learnt_at_s = 0
        self._uplift: Uplift | None = None
        self._seen: _Seen | None = None
        self._lock = asyncio.Lock()
        self._learning: asyncio.Task[None] | None = None

    def plan(self, planned: PlannedEvents) -> None:
        """Take in a calendar; its uplifts are learnt at the next `refresh`."""
        self._planned = planned

    def refresh(self, history: SeriesBatch) -> None:
        """Begin to learn again if the calendar changed or a while has passed."""
        if self._is_stale(history) and (self._learning is None or self._learning.done()):
            self._learning = asyncio.create_task(self._learn(history))

    async def settled(self) -> None:
        """Wait for what is being learnt."""
        if self._learning is not None:
            await self._learning

    async def learnt_from(self, history: SeriesBatch) -> SeriesBatch:
        """Learn from a history now, and give it without its events: what a fit is made from."""
        if self._is_stale(history):
            await self._learn(history)
        return await self.without(history)

    async def without(self, batch: SeriesBatch) -> SeriesBatch:
        """The batch without the events in it, made once for each batch; itself where none lies."""
        uplift, seen = self._uplift, self._seen
        if uplift is None:
            self._seen = None
            return batch
        if seen is not None and seen.uplift is uplift and seen.measured is batch:
            assert seen.quiet is not None
            return seen.quiet
        self._seen = None
        quiet = await asyncio.to_thread(event_free, batch, uplift)
        is_same = quiet is batch
        self._seen = _Seen(None if is_same else batch, None if is_same else quiet, uplift)
        return quiet

    def around(self, method: Forecaster) -> Forecaster:
        """The method with planned events in its forecasts, as of the newest `without`."""
        seen = self._seen
        if seen is None:
            return method
        return PlannedForecast(method, seen.uplift, seen.measured, seen.quiet)

    def _is_stale(self, history: SeriesBatch) -> bool:
        if self._learnt_of is not self._planned:
            return True
        is_old = history.end_s - self._learnt_at_s >= LEARN_AGAIN_S
        return is_old and bool(self._planned.events)

    async def _learn(self, history: SeriesBatch) -> None:
        """One at a time, so that no older knowledge takes the place of a newer one."""
        async with self._lock:
            planned = self._planned
            try:
                learnt = await asyncio.to_thread(self._learnt, history, planned)
            except Exception:  # noqa: BLE001 - a calendar's fault must not end the service
                _log.exception("planned_events_failed", events=len(planned.events))
            else:
                self._uplift = learnt
                self._former = self._former if learnt is None else learnt.occurrences
                self._tell(planned, learnt)
            self._learnt_of, self._learnt_at_s = planned, history.end_s

    def _learnt(self, history: SeriesBatch, planned: PlannedEvents) -> Uplift | None:
        """Runs in a thread; None where nothing is planned."""
        if not planned.events:
            return None
        former = self._former
        if former is not None:
            former = former.still_planned(planned, history.start_s)
        return learn_uplift(history, planned, former, self._region_shares)

    def _tell(self, planned: PlannedEvents, learnt: Uplift | None) -> None:
        if planned is not self._learnt_of:
            past = 0 if learnt is None else len(learnt.occurrences.groups)
            _log.info("planned_events", events=len(planned.events), past_measured=past)
