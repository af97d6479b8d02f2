"""Takes floors back to their owners: one pass over the cluster, each floor at most one write.

`mplp-predictor restore` runs it each minute, `mplp-predictor off` at once. It needs an API server
and nothing else: no broker, no model, no memory of its own. It must never raise a floor, never take
one that somebody else has set since, and never stop at the first that fails.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Sequence

import msgspec

from predictor.actuators.connection import APPLY, Connection
from predictor.actuators.floor_write import floor_body, floor_query, floor_refusal
from predictor.actuators.port import ClusterUnreachable
from predictor.core.cluster import FloorIntent, TargetKey
from predictor.core.floor_object import FloorObject
from predictor.core.reasons import Code, Reason
from predictor.core.restore_step import STEP_GAP_S, Pace, Restored, restored
from predictor.way_back.held_floors import HeldFloor, held_floor, held_floors

_AT_ONCE_MAX = 8
_TRIES_MAX = 5
"""The HPA's controller writes its status every few seconds, and each write is another version."""
_PAUSE_S, _PAUSE_MAX_S = 0.5, 10.0
_THEIRS = (Code.CONFLICT, Code.NOT_OPTED_IN, Code.ANNOTATION_UNREADABLE)


class Verdict(enum.StrEnum):
    """What became of one floor, or of one route's weights, in one pass."""

    LOWERED = "lowered"
    MOVED = "moved"
    """Weights, towards home."""
    OWNERS = "owner's"
    """At the owner's floor, or home, already."""
    WAITS = "waits"
    LEFT = "left"
    """Somebody else's, or nobody says how low it may go."""
    FAILED = "failed"


class Row(msgspec.Struct, frozen=True):
    """One floor; `floor` is what holds after the pass (in a dry run: would hold)."""

    at: FloorObject
    floor_was: int
    floor: int
    verdict: Verdict
    reason: Reason


class Pass(msgspec.Struct, frozen=True):
    """One look at everything; `problems` are namespaces that could not be read."""

    rows: tuple[Row, ...]
    problems: tuple[Reason, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Everything could be read, and nothing failed."""
        return not self.problems and all(row.verdict is not Verdict.FAILED for row in self.rows)


class Restorer:
    """Passes over some namespaces, or over all where none is named."""

    def __init__(
        self,
        connection: Connection,
        namespaces: Sequence[str],
        *,
        now_s: Callable[[], float],
        step_gap_s: float = STEP_GAP_S,
        is_dry_run: bool = False,
    ) -> None:
        self._connection = connection
        self._namespaces = namespaces
        self._now_s = now_s
        self._step_gap_s = step_gap_s
        self._dry_run = [("dryRun", "All")] if is_dry_run else []

    async def run_pass(self, pace: Pace) -> Pass:
        """Take back what is due; raises `ClusterUnreachable` where nothing could be read."""
        found, problems = await held_floors(self._connection, self._namespaces)
        gate = asyncio.Semaphore(_AT_ONCE_MAX)

        async def one(floor: HeldFloor) -> Row:
            async with gate:
                try:
                    return await self._take_back(floor, pace)
                except Exception as error:  # noqa: BLE001 - one odd object must not end the pass
                    return _row(floor, Verdict.FAILED, Reason(Code.REFUSED, repr(error)))

        rows = await asyncio.gather(*(one(floor) for floor in found))
        return Pass(tuple(sorted(rows, key=lambda row: row.at)), tuple(problems))

    async def _take_back(self, floor: HeldFloor, pace: Pace) -> Row:
        """Again where the object moved on since it was read, or the server did not answer."""
        row = await self._tried(floor, pace)
        for _ in range(_TRIES_MAX - 1):
            if row.reason.code not in (Code.MOVED_ON, Code.UNREACHABLE):
                break
            if row.reason.code is Code.UNREACHABLE:
                await asyncio.sleep(min(max(self._connection.wait_s, _PAUSE_S), _PAUSE_MAX_S))
            row = await self._again(floor, pace)
        return row

    async def _again(self, floor: HeldFloor, pace: Pace) -> Row:
        """By what is there now: a write whose answer was lost may have been done."""
        try:
            seen = await held_floor(self._connection, floor.at)
        except ClusterUnreachable as error:
            return _row(floor, Verdict.FAILED, Reason(Code.UNREACHABLE, str(error)))
        if isinstance(seen, Reason):
            return _row(floor, Verdict.FAILED, seen)
        if seen is None:
            gone = f"{floor.at.title} is gone, or not ours any more"
            return _row(floor, Verdict.LEFT, Reason(Code.TARGET_MISSING, gone))
        return await self._tried(seen, pace)

    async def _tried(self, floor: HeldFloor, pace: Pace) -> Row:
        try:
            return await self._once(floor, pace)
        except ClusterUnreachable as error:
            return _row(floor, Verdict.FAILED, Reason(Code.UNREACHABLE, str(error)))

    async def _once(self, floor: HeldFloor, pace: Pace) -> Row:
        if floor.taken is not None:
            return _row(floor, Verdict.LEFT, floor.taken)
        step = restored(floor.held, self._now_s(), pace, self._step_gap_s)
        if isinstance(step, Reason):
            return _row(floor, _verdict(step), step)
        intent, at = _intent(floor, step), floor.at
        query = [*floor_query(intent, floor.hpa), *self._dry_run]
        answer = await self._connection.patch(at.path, floor_body(intent, at), APPLY, query)
        if answer.ok:
            lowered = step.floor < floor.held.floor_now
            verdict = Verdict.LOWERED if lowered else Verdict.OWNERS
            return _row(floor, verdict, step.reason, step.floor)
        reason = floor_refusal(answer, intent, at, floor.hpa)
        return _row(floor, Verdict.LEFT if reason.code in _THEIRS else Verdict.FAILED, reason)


def _verdict(reason: Reason) -> Verdict:
    if reason.code in _THEIRS:
        return Verdict.LEFT
    return Verdict.OWNERS if reason.code is Code.BASELINE else Verdict.WAITS


def _row(floor: HeldFloor, verdict: Verdict, reason: Reason, after: int | None = None) -> Row:
    was = floor.held.floor_now
    return Row(floor.at, was, was if after is None else after, verdict, reason)


def _intent(floor: HeldFloor, step: Restored) -> FloorIntent:
    metadata = floor.hpa.metadata
    return FloorIntent(
        key=TargetKey(metadata.name, metadata.namespace),
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        floor_now=floor.held.floor_now,
        floor=step.floor,
        decision_number=0,
        until_s=step.until_s,
        reason=step.reason.sentence,
        epoch=floor.epoch or 0,
    )
