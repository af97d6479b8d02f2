"""Beside a worker's own work: takes back floors and weights that ran out, whoever moved them.

`predictor/worker.py` runs it in active mode. A worker that died renews nothing, and its partitions
may not have come over yet; the CronJob does the same and may be missing. What is renewed is never
due, so two who look at once do no harm. It must never end the worker, and never run by another
clock than that of the wall: an expiry is a time of day.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence

import structlog

from predictor.actuators.cluster_settings import ClusterSettings
from predictor.actuators.connection import Connection
from predictor.actuators.port import ClusterUnreachable
from predictor.way_back.rounds import Rounds

PAUSE_S = 60.0
_RANDOM = secrets.SystemRandom()

_log = structlog.get_logger(__name__)


class Standby:
    """A pass each minute, from a moment of its own on: workers start together."""

    def __init__(
        self,
        settings: ClusterSettings,
        namespaces: Sequence[str],
        service_namespace: str,
        pause_s: float = PAUSE_S,
        route_namespaces: Sequence[str] | None = None,
    ) -> None:
        self._connection = Connection(settings)
        self._pause_s = pause_s
        self._rounds = Rounds(
            self._connection,
            namespaces,
            service_namespace,
            tell=_tell,
            route_namespaces=route_namespaces,
        )
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Until stopped."""
        wait_s = self._pause_s * _RANDOM.random()
        while not await self._stopped_within(wait_s):
            wait_s = self._pause_s
            try:
                await self._rounds.once(shows_all=False)
            except ClusterUnreachable as error:
                _tell(f"nothing could be read: {error}", True)
            except Exception:  # noqa: BLE001 - the next pass tries again, and the worker goes on
                _log.exception("standby_failed")

    def stop(self) -> None:
        """End `run` after the pass under way."""
        self._stopping.set()

    async def close(self) -> None:
        """Close the connection, after `run` has ended."""
        await self._connection.close()

    async def _stopped_within(self, wait_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), wait_s)
        return self._stopping.is_set()


def _tell(line: str, is_wrong: bool) -> None:
    (_log.warning if is_wrong else _log.info)("standby", said=line)
