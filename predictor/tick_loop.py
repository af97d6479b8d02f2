"""Calls the service's tick at its interval, keeps score of it, and answers the probes.

`predictor/worker.py` runs it. A tick that fails is logged and counted, and the next one tries
again: nothing here may end the worker, queue up missed ticks, or decide.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from predictor.actuators.port import ClusterUnreachable
from predictor.clock import EventClock, WallClock
from predictor.core.cluster import NotApplied
from predictor.demand_inbox import DemandInbox
from predictor.gather import Gatherer
from predictor.held_back import held_back, writes
from predictor.service import Service, Tick
from predictor.settings import Settings
from predictor.telemetry import Snapshot

EVENT_POLL_S = 0.05
LIVE_AFTER_TICKS = 6
"""A loop that has not turned for so many intervals (and at least a minute) hangs."""

_log = structlog.get_logger(__name__)


class TickLoop:
    """Wall time: a tick each `tick_s`. Event time: one each time events moved on by `tick_s`."""

    def __init__(
        self,
        settings: Settings,
        *,
        service: Service,
        gatherer: Gatherer,
        inbox: DemandInbox,
        clock: EventClock | WallClock,
        snapshot: Snapshot,
        may_decide: Callable[[], bool] = lambda: True,
        ready_file: Path | None = None,
    ) -> None:
        self._settings = settings
        self._service = service
        self._gatherer = gatherer
        self._inbox = inbox
        self._clock = clock
        self._snapshot = snapshot
        self._may_decide = may_decide
        self._ready_file = ready_file
        self._stopping = asyncio.Event()
        self._turned_s = time.monotonic()
        self._decided_at_s = 0.0
        self._cluster_problem: str | None = "not asked yet"

    def stop(self) -> None:
        """End after the tick under way."""
        self._stopping.set()

    async def run(self) -> None:
        """Tick until stopped."""
        while not self._stopping.is_set():
            self._snapshot.owned_modules = self._inbox.owned_modules
            if not self._decides():
                self._snapshot.forget_targets()
            elif self._is_due():
                await self._tick()
            self._turned_s = time.monotonic()
            pause_s = EVENT_POLL_S if self._settings.clock == "event" else self._settings.tick_s
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)

    def _decides(self) -> bool:
        """Some module is ours, and all that is known of it is here."""
        return self._inbox.owned_modules > 0 and self._may_decide()

    def _is_due(self) -> bool:
        if self._settings.clock == "wall":
            return True
        now_s = self._clock.now_s()
        return now_s > 0 and now_s - self._decided_at_s >= self._settings.tick_s

    async def _tick(self) -> None:
        started_s = time.monotonic()
        now_s = self._clock.now_s()
        self._decided_at_s = now_s
        if self._gatherer.history is not self._inbox.history:
            self._gatherer.history = self._inbox.history
            self._service.look_first()
        try:
            tick = await self._service.tick(now_s)
        except ClusterUnreachable as error:
            self._snapshot.tick_failures += 1
            self._cluster_problem = str(error)
            _log.warning("cluster_unreachable", error=str(error))
            return
        except Exception:  # noqa: BLE001 - one failing tick must not end the service
            self._snapshot.tick_failures += 1
            _log.exception("tick_failed")
            return
        self._cluster_problem = None
        self._take(tick, time.monotonic() - started_s)

    def _take(self, tick: Tick, duration_s: float) -> None:
        snapshot = self._snapshot
        snapshot.ticks += 1
        snapshot.tick_duration_s = duration_s
        snapshot.decision = tick.decision
        snapshot.watermark_s = self._inbox.watermark_s
        snapshot.lag_s = -1.0 if tick.inputs.lag_s is None else tick.inputs.lag_s
        snapshot.held_back = held_back(tick.decision, tick.outcomes)
        snapshot.writes.update(writes(tick.decision, tick.outcomes, tick.inputs.cluster.hpas))
        snapshot.floors_until_s = {
            hpa.key: hpa.kept.until_s
            for hpa in tick.inputs.cluster.hpas
            if hpa.kept.until_s is not None
        }
        for key, outcome in tick.outcomes:
            refused = isinstance(outcome, NotApplied)
            reason = str(outcome.reason.code) if isinstance(outcome, NotApplied) else "Applied"
            snapshot.decisions[reason, "not_applied" if refused else "applied"] += 1
            _log.info("acted", module=key.module, region=key.region, outcome=reason)
        self._say_ready()

    def _say_ready(self) -> None:
        """A full or read-only disk costs the file, and no decision."""
        if self._ready_file is None or self._ready_file.exists():
            return
        try:
            self._ready_file.write_text("ready\n")
        except OSError as error:
            _log.error("ready_file_not_written", error=str(error))

    def live(self) -> Mapping[str, str | None]:
        """See `Checks`."""
        silent_s = time.monotonic() - self._turned_s
        limit_s = max(LIVE_AFTER_TICKS * self._settings.tick_s, 60.0)
        late = silent_s > limit_s
        return {"tick": f"the loop has not turned for {silent_s:.0f} s" if late else None}

    def ready(self) -> Mapping[str, str | None]:
        """See `Checks`."""
        assigned = bool(self._inbox.owned) and self._may_decide()
        return {
            "partitions": None if assigned else "no demand partition is assigned and recovered",
            "cluster": self._cluster_problem,
        }
