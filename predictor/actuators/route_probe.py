"""Whether the server itself refuses weights that move too far: tried, not assumed.

`gate.py` asks. The try is a dry run that is right in everything but the step, on one VirtualService
of each namespace whose owner lets weights move: all of the traffic to the region that has least of
it. It must never write anything, and never try where the owner has said nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from predictor.actuators.cluster_settings import RouteTarget
from predictor.actuators.connection import JSON_PATCH, Connection
from predictor.actuators.gate_state import GuardState
from predictor.actuators.guard_proofs import GuardProofs
from predictor.actuators.port import ClusterUnreachable
from predictor.actuators.virtual_service import (
    Routing,
    VirtualService,
    annotation_operations,
    written_annotations,
)
from predictor.core.cluster import RouteView, WeightIntent
from predictor.core.opt_in import FIELD_MANAGER, SHIFT, SHIFT_ENABLED
from predictor.core.reasons import Reason
from predictor.core.weights import TOTAL

ROUTE_POLICY = "mplp-predictor-virtual-service"
"""The ValidatingAdmissionPolicy that the server names when it denies."""
_KIND = "VirtualService"
_FOLDER = "deploy/guard"
_TRIED_MAX = 5
_DRY_RUN = [("dryRun", "All"), ("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")]
_REASON = "a dry run of too large a step, to see that it is refused"
_UNTRIED = "no VirtualService whose weights may move to try the guard on yet"
_FAR_AHEAD_S = 4_000_000_000.0


class RouteProbe:
    """Which namespaces' routes are guarded."""

    def __init__(
        self, connection: Connection, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._routing = Routing(connection)
        self._proofs: GuardProofs[str] = GuardProofs(monotonic)
        self._places: tuple[str, ...] = ()

    def objection(self, namespace: str) -> Reason | None:
        """Why no weight may be written in this namespace, or None."""
        return self._proofs.objection(namespace, namespace, _UNTRIED)

    def states(self) -> tuple[GuardState, ...]:
        """Each namespace in which the last look saw weights that may move."""
        return tuple(
            GuardState(namespace, _KIND, self.objection(namespace) is None)
            for namespace in self._places
        )

    async def look(self, routes: Sequence[RouteView]) -> None:
        """Try the guard where that is due, on the routes of each namespace until one tells."""
        candidates: dict[str, list[RouteView]] = {}
        for route in routes:
            if route.is_shift_enabled and not route.kept.faults:
                candidates.setdefault(route.namespace, []).append(route)
        self._places = tuple(sorted(candidates))
        for namespace, among in candidates.items():
            if self._proofs.is_due(namespace):
                for route in among[:_TRIED_MAX]:
                    if await self._tells(route):
                        break

    async def _tells(self, route: RouteView) -> bool:
        target = RouteTarget(route.module, route.namespace, route.name, {})
        try:
            found = await self._routing.read(target)
            if isinstance(found, Reason):
                self._proofs.silent(route.namespace, found.sentence)
                return False
            path = self._routing.path(target)
            patch = too_far(found, route)
            answer = await self._connection.patch(path, patch, JSON_PATCH, _DRY_RUN)
        except ClusterUnreachable as error:
            self._proofs.silent(route.namespace, str(error))
            return True
        return self._proofs.answered(
            route.namespace,
            answer,
            policy=ROUTE_POLICY,
            title=route.title,
            taken="too large a step of the weights",
            folder=_FOLDER,
        )


def too_far(found: VirtualService, route: RouteView) -> list[dict[str, Any]]:
    """A patch that only the guard speaks against; of one region alone, weights that are no whole.

    The owner's word is tested: where it is gone, the server refuses the patch and not the step.
    """
    weights = [one.weight for one in route.destinations]
    least = weights.index(min(weights))
    wanted = [TOTAL if place == least else 0 for place in range(len(weights))]
    if len(weights) == 1:
        wanted = [TOTAL - 1]
    intent = WeightIntent(
        route=route,
        weights=tuple(wanted),
        decision_number=0,
        home=tuple(route.kept.home.get(one.host, one.weight) for one in route.destinations),
        until_s=_FAR_AHEAD_S,
        reason=_REASON,
        epoch=route.kept.epoch or 0,
    )
    place = f"/spec/http/{route.route_index}/route"
    word = f"/metadata/annotations/{SHIFT.replace('/', '~1')}"
    return [
        {"op": "test", "path": word, "value": SHIFT_ENABLED},
        *(
            {"op": "add", "path": f"{place}/{index}/weight", "value": weight}
            for index, weight in enumerate(wanted)
        ),
        *annotation_operations(found.metadata.annotations, written_annotations(intent)),
    ]
