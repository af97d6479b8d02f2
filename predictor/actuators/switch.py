"""Whether somebody switched the whole service off, read from a ConfigMap.

`gate.py` asks before every write, the restorer before every pass. It must never take silence for
an order: a switch that cannot be read stays as it was last read, and one never read is not off.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec
import structlog

from predictor.actuators.connection import Connection
from predictor.actuators.port import ClusterUnreachable
from predictor.actuators.refusal import refusal
from predictor.core.reasons import Code, Reason

SWITCH = "mplp-predictor-switch"
"""The ConfigMap, in the service's own namespace."""
OFF_KEY = "off"
"""There: off. Its value says who, when and why, for people only."""
PACE_KEY = "pace"
IN_STEPS = "steps"
"""The pace in which floors are handed back; anything else is at once."""

READ_AGE_MAX_S = 1.0
"""So long a reading is believed: within a tick's writes it is asked once."""
_SENTENCE_MAX = 300
_NOT_FOUND = 404

_log = structlog.get_logger(__name__)


class SwitchState(msgspec.Struct, frozen=True):
    """How the switch stands; `off` is None while the service is on."""

    off: str | None = None
    in_steps: bool = False


class _ConfigMap(msgspec.Struct, frozen=True):
    data: dict[str, str] | None = None


def switch_path(namespace: str) -> str:
    """Where the ConfigMap lies."""
    return f"/api/v1/namespaces/{namespace}/configmaps/{SWITCH}"


async def read_switch(connection: Connection, namespace: str) -> SwitchState | Reason:
    """How it stands, or why that cannot be known; raises `ClusterUnreachable`."""
    place = f"ConfigMap {namespace}/{SWITCH}"
    answer = await connection.get(switch_path(namespace))
    if answer.status == _NOT_FOUND:
        return SwitchState()
    if not answer.ok:
        return refusal(answer, place)
    try:
        data = msgspec.json.decode(answer.body, type=_ConfigMap).data or {}
    except msgspec.MsgspecError as error:
        return Reason(Code.REFUSED, f"{place} cannot be read: {error}")
    return SwitchState(data.get(OFF_KEY), data.get(PACE_KEY) == IN_STEPS)


class Switch:
    """The switch as one worker sees it."""

    def __init__(
        self,
        connection: Connection,
        namespace: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._namespace = namespace
        self._monotonic = monotonic
        self._state = SwitchState()
        self._asked_at_s: float | None = None
        self._asking = asyncio.Lock()
        self.problem: str | None = None
        """Why it could not be read the last time."""

    @property
    def is_off(self) -> bool:
        """As it was last read."""
        return self._state.off is not None

    async def objection(self) -> Reason | None:
        """Why nothing may be written, or None; reads again what is older than a second."""
        async with self._asking:
            now_s = self._monotonic()
            if self._asked_at_s is None or now_s - self._asked_at_s > READ_AGE_MAX_S:
                await self._ask()
                self._asked_at_s = self._monotonic()
        off = self._state.off
        if off is None:
            return None
        sentence = f"switched off: {off[:_SENTENCE_MAX]}; `mplp-predictor on` ends it"
        return Reason(Code.SWITCHED_OFF, sentence)

    async def _ask(self) -> None:
        try:
            found = await read_switch(self._connection, self._namespace)
        except ClusterUnreachable as error:
            self._tell(str(error))
            return
        if isinstance(found, Reason):
            self._tell(found.sentence)
        else:
            self.problem, self._state = None, found

    def _tell(self, problem: str) -> None:
        """A worker that cannot read the switch does not obey it, and somebody has to know."""
        if self.problem is None:
            _log.warning("switch_unreadable", problem=problem, counts_as=self._state.off or "on")
        self.problem = problem
