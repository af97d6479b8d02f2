"""Takes weights home: one pass over the VirtualServices, each in steps that the server takes.

`rounds.py` runs it beside the floors' `restorer.py`. It needs an API server and nothing else: no
broker, no model, no configuration of routes. It must never move a weight away from its home, never
undo what somebody else has set since, and never stop at the first that fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from predictor.actuators.cluster_settings import RouteTarget
from predictor.actuators.connection import JSON_PATCH, Connection
from predictor.actuators.port import ClusterUnreachable
from predictor.actuators.refusal import patch_refusal
from predictor.actuators.virtual_service import Routing, weight_patch, written_annotations
from predictor.core.cluster import RouteView, WeightIntent
from predictor.core.opt_in import FIELD_MANAGER
from predictor.core.reasons import Code, Reason
from predictor.core.restore_step import STEP_GAP_S, Pace
from predictor.core.restore_weights import OurWeights, RestoredWeights, restored_weights
from predictor.way_back.held_weights import HeldWeights, RouteObject, held_again, held_weights
from predictor.way_back.restorer import Verdict

_AT_ONCE_MAX = 8
_TRIES_MAX = 5
_STEPS_MAX = 6
"""From one end to the other at 20 points each, and one to drop what stands of it."""
_PAUSE_S, _PAUSE_MAX_S = 0.5, 10.0
_WRITE = [("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")]


class WeightsRow(msgspec.Struct, frozen=True):
    """One route; `weights` by host are what holds after the pass (in a dry run: would hold)."""

    at: RouteObject
    weights_was: dict[str, int]
    weights: dict[str, int]
    verdict: Verdict
    reason: Reason


class WeightsPass(NamedTuple):
    """One look at everything; `problems` are namespaces that could not be read."""

    rows: tuple[WeightsRow, ...]
    problems: tuple[Reason, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Everything could be read, and nothing failed."""
        return not self.problems and all(row.verdict is not Verdict.FAILED for row in self.rows)


class RouteRestorer:
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
        self._routing = Routing(connection)
        self._namespaces = namespaces
        self._now_s = now_s
        self._step_gap_s = step_gap_s
        self._is_dry_run = is_dry_run

    async def run_pass(self, pace: Pace) -> WeightsPass:
        """Take home what is due; raises `ClusterUnreachable` where nothing could be read."""
        found, problems = await held_weights(self._connection, self._routing, self._namespaces)
        gate = asyncio.Semaphore(_AT_ONCE_MAX)

        async def one(held: HeldWeights) -> WeightsRow:
            async with gate:
                try:
                    return await self._take_home(held, pace)
                except Exception as error:  # noqa: BLE001 - one odd object must not end the pass
                    return _row(held, Verdict.FAILED, Reason(Code.REFUSED, repr(error)))

        rows = await asyncio.gather(*(one(held) for held in found))
        return WeightsPass(tuple(sorted(rows, key=lambda row: row.at)), tuple(problems))

    async def _take_home(self, held: HeldWeights, pace: Pace) -> WeightsRow:
        """One step; at once, the next ones too, each by what is there then."""
        first = row = await self._step(held, pace)
        for _ in range(_STEPS_MAX - 1):
            is_under_way = row.verdict is Verdict.MOVED and row.reason.code is Code.EXPIRED
            if pace is not Pace.AT_ONCE or self._is_dry_run or not is_under_way:
                break
            row = await self._again(held, pace)
        if row is first or first.verdict is not Verdict.MOVED:
            return row
        return msgspec.structs.replace(row, weights_was=first.weights_was)

    async def _step(self, held: HeldWeights, pace: Pace) -> WeightsRow:
        """Again where the object moved on since it was read, or the server did not answer."""
        row = await self._tried(held, pace)
        for _ in range(_TRIES_MAX - 1):
            if row.reason.code not in (Code.MOVED_ON, Code.UNREACHABLE):
                break
            if row.reason.code is Code.UNREACHABLE:
                await asyncio.sleep(min(max(self._connection.wait_s, _PAUSE_S), _PAUSE_MAX_S))
            row = await self._again_once(held, pace)
        return row

    async def _again(self, held: HeldWeights, pace: Pace) -> WeightsRow:
        seen = await self._seen(held)
        return seen if isinstance(seen, WeightsRow) else await self._step(seen, pace)

    async def _again_once(self, held: HeldWeights, pace: Pace) -> WeightsRow:
        seen = await self._seen(held)
        return seen if isinstance(seen, WeightsRow) else await self._tried(seen, pace)

    async def _seen(self, held: HeldWeights) -> HeldWeights | WeightsRow:
        """As it is there now: a write whose answer was lost may have been done."""
        try:
            seen = await held_again(self._routing, held.at)
        except ClusterUnreachable as error:
            return _row(held, Verdict.FAILED, Reason(Code.UNREACHABLE, str(error)))
        if isinstance(seen, Reason):
            return _row(held, Verdict.FAILED, seen)
        if seen is None:
            gone = f"{held.at.title} is gone, or not ours any more"
            return _row(held, Verdict.LEFT, Reason(Code.TARGET_MISSING, gone))
        return seen

    async def _tried(self, held: HeldWeights, pace: Pace) -> WeightsRow:
        try:
            return await self._once(held, pace)
        except ClusterUnreachable as error:
            return _row(held, Verdict.FAILED, Reason(Code.UNREACHABLE, str(error)))

    async def _once(self, held: HeldWeights, pace: Pace) -> WeightsRow:
        if held.left is not None or held.view is None or held.ours is None:
            reason = held.left or Reason(Code.ROUTE_NOT_FOUND, held.at.title)
            return _row(held, Verdict.LEFT, reason)
        step = restored_weights(held.ours, self._now_s(), pace, self._step_gap_s)
        if isinstance(step, Reason):
            return _row(held, Verdict.WAITS, step)
        annotations = written_annotations(_intent(held.view, held.ours, step))
        patch = weight_patch(held.found, held.view, step.weights, annotations)
        path = self._routing.path(RouteTarget("", held.at.namespace, held.at.name, {}))
        query = [*_WRITE, *([("dryRun", "All")] if self._is_dry_run else [])]
        answer = await self._connection.patch(path, patch, JSON_PATCH, query)
        if not answer.ok:
            return _row(held, Verdict.FAILED, patch_refusal(answer, held.at.title))
        verdict = Verdict.OWNERS if step.weights == held.ours.now else Verdict.MOVED
        return _row(held, verdict, step.reason, step.weights)


def _intent(view: RouteView, ours: OurWeights, step: RestoredWeights) -> WeightIntent:
    return WeightIntent(
        route=view,
        weights=step.weights,
        decision_number=0,
        home=ours.home,
        until_s=step.until_s,
        reason=step.reason.sentence,
        epoch=view.kept.epoch or 0,
    )


def _row(
    held: HeldWeights, verdict: Verdict, reason: Reason, after: tuple[int, ...] | None = None
) -> WeightsRow:
    ours = held.ours
    was = {} if ours is None else dict(zip(ours.names, ours.now, strict=True))
    now = was if ours is None or after is None else dict(zip(ours.names, after, strict=True))
    return WeightsRow(held.at, was, now, verdict, reason)
