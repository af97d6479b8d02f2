"""Whether the server itself refuses a write outside the owner's band: tried, not assumed.

`gate.py` asks. The try is a dry run that is right in everything but the band, on one opted-in HPA
of each namespace, since a policy may be bound to some namespaces only; and on one ScaledObject,
where floors are written to these, for that is another policy. It must never write
anything, and never take another refusal (no right to patch, an invalid value) for the guard's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from predictor.actuators.connection import APPLY, Connection
from predictor.actuators.floor_write import floor_body
from predictor.actuators.gate_state import GuardState
from predictor.actuators.guard_proofs import GuardProofs
from predictor.actuators.port import ClusterUnreachable
from predictor.core.cluster import FloorIntent, HpaView
from predictor.core.floor_object import HPA_KIND, SCALED_OBJECT_KIND, FloorKind
from predictor.core.opt_in import FIELD_MANAGER
from predictor.core.reasons import Reason

GUARD_POLICIES = {
    HPA_KIND: "mplp-predictor-hpa",
    SCALED_OBJECT_KIND: "mplp-predictor-scaled-object",
}
"""The ValidatingAdmissionPolicy of each kind, which the server names when it denies."""
_FOLDERS = {HPA_KIND: "deploy/guard", SCALED_OBJECT_KIND: "deploy/guard-keda"}
_AT_ONCE_MAX = 8
_TRIED_MAX = 5
_Place = tuple[str, FloorKind]
_DRY_RUN = [
    ("dryRun", "All"),
    ("fieldManager", FIELD_MANAGER),
    ("fieldValidation", "Strict"),
    ("force", "true"),
]
_REASON = "a dry run outside the band, to see that it is refused"


class GuardProbe:
    """Which namespaces are guarded."""

    def __init__(
        self, connection: Connection, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._proofs: GuardProofs[_Place] = GuardProofs(monotonic)
        self._places: tuple[_Place, ...] = ()

    def objection(self, namespace: str, kind: FloorKind = HPA_KIND) -> Reason | None:
        """Why no floor may be written to objects of this kind in this namespace, or None."""
        untried = f"no {kind.title} with a band to try the guard on yet"
        return self._proofs.objection((namespace, kind), namespace, untried)

    def states(self) -> tuple[GuardState, ...]:
        """Each place that the last look saw a band in."""
        return tuple(
            GuardState(namespace, kind.title, self.objection(namespace, kind) is None)
            for namespace, kind in self._places
        )

    async def look(self, hpas: Sequence[HpaView]) -> None:
        """Try the guard where that is due, on those with a band of each place until one tells."""
        candidates: dict[_Place, list[HpaView]] = {}
        for hpa in hpas:
            if hpa.opt_in.has_band and not hpa.opt_in.faults:
                candidates.setdefault((hpa.namespace, hpa.floor_object.kind), []).append(hpa)
        self._places = tuple(sorted(candidates))
        at_once = asyncio.Semaphore(_AT_ONCE_MAX)

        async def one(among: Sequence[HpaView]) -> None:
            async with at_once:
                for hpa in among[:_TRIED_MAX]:
                    if await self._tells(hpa):
                        return

        await asyncio.gather(
            *(one(among) for place, among in candidates.items() if self._proofs.is_due(place))
        )

    async def _tells(self, hpa: HpaView) -> bool:
        """Try it on one object; whether the answer is about the guard, or nothing can be known."""
        at = hpa.floor_object
        place = (hpa.namespace, at.kind)
        try:
            answer = await self._connection.patch(at.path, outside_body(hpa), APPLY, _DRY_RUN)
        except ClusterUnreachable as error:
            self._proofs.silent(place, str(error))
            return True
        return self._proofs.answered(
            place,
            answer,
            policy=GUARD_POLICIES[at.kind],
            title=at.title,
            taken="a write outside the band",
            folder=_FOLDERS[at.kind],
        )


def outside_body(hpa: HpaView) -> dict[str, Any]:
    """An apply that only the band or the fields speak against.

    Above the ceiling where maxReplicas and a step allow it, else below the floor; a band that is
    all that the API takes is tried by another maxReplicas.
    """
    at = hpa.floor_object
    floor, ceiling = hpa.opt_in.floor or 1, hpa.opt_in.ceiling or 1
    above_fits = ceiling < min(hpa.max_replicas, hpa.min_replicas + 1)
    wanted = ceiling + 1 if above_fits else floor - 1
    fits = 1 <= wanted <= hpa.max_replicas
    body = floor_body(
        FloorIntent(
            key=hpa.key,
            namespace=hpa.namespace,
            name=hpa.name,
            uid=hpa.uid,
            resource_version="",
            floor_now=hpa.min_replicas,
            floor=wanted if fits else hpa.min_replicas,
            decision_number=0,
            until_s=4_000_000_000.0,
            reason=_REASON,
            epoch=hpa.kept.epoch or 0,
        ),
        at,
    )
    # Its own controller writes all the time, and no decision hangs on its version here.
    del body["metadata"]["resourceVersion"]
    if not fits:
        body["spec"][at.kind.maximum] = hpa.max_replicas + 1
    return body
