"""The tick: gather, decide, act, record. It reads like a table of contents and holds no arithmetic.

`predictor/worker.py` (live) and `predictor/demo.py` (event time) call `tick`; the same code serves
both. It must never decide anything itself, and never let one failing write or an unreachable
cluster end the service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec
import structlog

from predictor.actuators.gate import Gate, OpenGate
from predictor.actuators.port import Cluster
from predictor.core.audit import encode_record
from predictor.core.cluster import (
    Applied,
    FloorIntent,
    NotApplied,
    Outcome,
    TargetKey,
    WeightIntent,
)
from predictor.core.decide import decide
from predictor.core.decision import Decision
from predictor.core.inputs import Inputs
from predictor.core.policy import Policy
from predictor.core.reasons import Code, Reason
from predictor.core.state import State, new_state
from predictor.gather import Gatherer

Mode = Literal["shadow", "active"]
WRITES_AT_ONCE_MAX = 8
"""Concurrent writes: the API server's priority levels queue beyond this anyway."""
TICK_OVER = Reason(
    Code.CHANGES_LIMITED, "the tick's time was over before this write's turn; the next one decides"
)
SHADOW = NotApplied(Reason(Code.SHADOW, "in shadow mode nothing is written"))

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick saw, decided and brought about; `outcomes` follow the decision's intents."""

    inputs: Inputs
    decision: Decision
    outcomes: tuple[tuple[TargetKey, Outcome], ...]


class Service:
    """Decides for the modules it owns, again and again."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        gatherer: Gatherer,
        policy: Policy,
        mode: Mode,
        record: Callable[[bytes], None],
        gate: Gate | None = None,
    ) -> None:
        self._cluster = cluster
        self._gate = gate or OpenGate()
        self._gatherer = gatherer
        self._policy = policy
        self._mode = mode
        self._record = record
        self.state: State = new_state()

    def look_first(self) -> None:
        """After a change of ownership: the next decision changes nothing and a warm-up begins.

        Whoever decided before may have raised a floor a moment ago, which nobody here remembers.
        What was learned of pods and lead times stays.
        """
        self.state = msgspec.structs.replace(self.state, started_at_s=None)

    async def tick(self, now_s: float) -> Tick:
        """One round; raises `ClusterUnreachable` and then has decided and changed nothing."""
        before = self.state
        inputs = await self._gatherer.gather(before, now_s)
        decision, self.state = decide(inputs, self._policy, before, now_s)
        if self._mode == "active":
            await self._gate.look(inputs.cluster.hpas, inputs.cluster.routes)
        outcomes = await self._act(decision)
        self._record(encode_record(inputs, self._policy, before, decision, outcomes))
        return Tick(inputs, decision, outcomes)

    async def _act(self, decision: Decision) -> tuple[tuple[TargetKey, Outcome], ...]:
        intents: list[FloorIntent | WeightIntent] = []
        intents += decision.floor_intents
        intents += decision.weight_intents
        if self._mode == "shadow":
            return tuple((_key(intent), SHADOW) for intent in intents)
        at_once = asyncio.Semaphore(WRITES_AT_ONCE_MAX)
        loop = asyncio.get_running_loop()
        ends_at_s = loop.time() + self._policy.tick_s

        async def write(intent: FloorIntent | WeightIntent) -> Outcome:
            async with at_once:
                if loop.time() > ends_at_s:
                    return NotApplied(TICK_OVER)
                try:
                    return await self._write(intent)
                except Exception as error:  # noqa: BLE001 - the record of all others must be kept
                    _log.exception("write_failed", target=_key(intent))
                    return NotApplied(Reason(Code.REFUSED, f"the write failed: {error!r}"))

        outcomes = await asyncio.gather(*(write(intent) for intent in intents))
        return tuple(zip((_key(intent) for intent in intents), outcomes, strict=True))

    async def _write(self, intent: FloorIntent | WeightIntent) -> Outcome:
        """Ask whether it may be written, then write it at once: the answer is of this moment."""
        if intent.only_recorded is not None:
            return NotApplied(intent.only_recorded)
        permitted = await self._gate.permit(_key(intent))
        if isinstance(permitted, Reason):
            return NotApplied(permitted)
        replace = msgspec.structs.replace
        if isinstance(intent, FloorIntent):
            outcome = await self._cluster.set_floor(replace(intent, epoch=permitted))
        else:
            outcome = await self._cluster.set_weights(replace(intent, epoch=permitted))
        return replace(outcome, epoch=permitted) if isinstance(outcome, Applied) else outcome


def _key(intent: FloorIntent | WeightIntent) -> TargetKey:
    return intent.key if isinstance(intent, FloorIntent) else TargetKey(intent.route.module, "*")
