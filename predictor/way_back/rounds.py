"""Pass after pass, each by how the switch stands: what `restore` and `off` have in common.

`predictor/way_back_cli.py` runs it. It must never end because a pass failed, and never take an
unreadable switch for one that is off.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Sequence

from predictor.actuators.connection import Connection
from predictor.actuators.port import ClusterUnreachable
from predictor.actuators.switch import SwitchState, read_switch
from predictor.clock import WallClock
from predictor.core.reasons import Reason
from predictor.core.restore_step import STEP_GAP_S, Pace
from predictor.way_back.report import pass_lines
from predictor.way_back.restorer import Restorer
from predictor.way_back.route_restorer import RouteRestorer

Tell = Callable[[str, bool], None]
"""Prints a line; true for what went wrong."""


class Rounds:
    """Takes floors back and weights home, once or until stopped.

    `route_namespaces` are those of VirtualServices, None where they are the HPAs' own.
    """

    def __init__(
        self,
        connection: Connection,
        namespaces: Sequence[str],
        service_namespace: str,
        *,
        tell: Tell,
        is_now: bool = False,
        is_dry_run: bool = False,
        step_gap_s: float = STEP_GAP_S,
        route_namespaces: Sequence[str] | None = None,
    ) -> None:
        self._connection = connection
        self._service_namespace = service_namespace
        self._tell = tell
        self._is_now = is_now
        self._is_dry_run = is_dry_run
        self._restorer = Restorer(
            connection,
            namespaces,
            now_s=WallClock().now_s,
            step_gap_s=step_gap_s,
            is_dry_run=is_dry_run,
        )
        self._routes = RouteRestorer(
            connection,
            namespaces if route_namespaces is None else route_namespaces,
            now_s=WallClock().now_s,
            step_gap_s=step_gap_s,
            is_dry_run=is_dry_run,
        )

    async def once(self, *, shows_all: bool = True) -> bool:
        """One pass; whether all went well. Raises `ClusterUnreachable`."""
        pace = await self._pace()
        # Traffic leaves before the pods that were raised for it.
        weights = await self._routes.run_pass(pace)
        floors = await self._restorer.run_pass(pace)
        for line in pass_lines(floors, weights, is_dry_run=self._is_dry_run, shows_all=shows_all):
            self._tell(line, False)
        return floors.is_whole and weights.is_whole

    async def run(self, pause_s: float) -> None:
        """A pass each `pause_s` until SIGTERM or SIGINT."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        while not stopping.is_set():
            started_s = loop.time()
            try:
                await self.once(shows_all=False)
            except ClusterUnreachable as error:
                self._tell(f"nothing could be read: {error}", True)
            left_s = max(0.0, pause_s - (loop.time() - started_s))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), left_s)

    async def _pace(self) -> Pace:
        if self._is_now:
            return Pace.AT_ONCE
        found: SwitchState | Reason = await read_switch(self._connection, self._service_namespace)
        if isinstance(found, Reason):
            self._tell(f"the switch cannot be read, so it counts as on: {found.sentence}", True)
            return Pace.EXPIRED
        if found.off is None:
            return Pace.EXPIRED
        return Pace.STEPS if found.in_steps else Pace.AT_ONCE
