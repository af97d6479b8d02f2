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

import msgspec

from predictor.actuators.connection import APPLY, TOO_MANY_REQUESTS, Connection
from predictor.actuators.floor_write import floor_body
from predictor.actuators.port import ClusterUnreachable
from predictor.actuators.refusal import refusal
from predictor.core.cluster import FloorIntent, HpaView
from predictor.core.floor_object import HPA_KIND, SCALED_OBJECT_KIND, FloorKind
from predictor.core.opt_in import FIELD_MANAGER
from predictor.core.reasons import Code, Reason

GUARD_POLICIES = {
    HPA_KIND: "mplp-predictor-hpa",
    SCALED_OBJECT_KIND: "mplp-predictor-scaled-object",
}
"""The ValidatingAdmissionPolicy of each kind, which the server names when it denies."""
PROVEN_AGAIN_S = 300.0
"""A policy can be deleted while the service runs."""
PROOF_LASTS_S = 900.0
"""A server that cannot be asked again takes no writes either; but not for ever."""
TRIED_AGAIN_S = 10.0
MEND = "apply the policies of {}, or set guard.required: false to act without them"
_FOLDERS = {HPA_KIND: "deploy/guard", SCALED_OBJECT_KIND: "deploy/guard-keda"}
_AT_ONCE_MAX = 8
_TRIED_MAX = 5
_SERVER_ERROR = 500
_Place = tuple[str, FloorKind]
_DRY_RUN = [
    ("dryRun", "All"),
    ("fieldManager", FIELD_MANAGER),
    ("fieldValidation", "Strict"),
    ("force", "true"),
]
_REASON = "a dry run outside the band, to see that it is refused"


class _Proof(msgspec.Struct):
    """What is known of one kind in one namespace; times by the monotonic clock."""

    tried_at_s: float
    proven_at_s: float | None = None
    objection: str = ""


class GuardProbe:
    """Which namespaces are guarded."""

    def __init__(
        self, connection: Connection, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._monotonic = monotonic
        self._proofs: dict[_Place, _Proof] = {}

    def objection(self, namespace: str, kind: FloorKind = HPA_KIND) -> Reason | None:
        """Why no floor may be written to objects of this kind in this namespace, or None."""
        proof = self._proofs.get((namespace, kind))
        if proof is None:
            sentence = f"namespace {namespace}: no {kind.title} with a band to try the guard on yet"
            return Reason(Code.NOT_GUARDED, sentence)
        if proof.proven_at_s is not None:
            age_s = self._monotonic() - proof.proven_at_s
            if age_s <= PROOF_LASTS_S:
                return None
            sentence = f"the guard was last proven {age_s:.0f} s ago: {proof.objection}"
            return Reason(Code.NOT_GUARDED, f"namespace {namespace}: {sentence}")
        return Reason(Code.NOT_GUARDED, f"namespace {namespace}: {proof.objection}")

    async def look(self, hpas: Sequence[HpaView]) -> None:
        """Try the guard where that is due, on those with a band of each place until one tells."""
        candidates: dict[_Place, list[HpaView]] = {}
        for hpa in hpas:
            if hpa.opt_in.has_band and not hpa.opt_in.faults:
                candidates.setdefault((hpa.namespace, hpa.floor_object.kind), []).append(hpa)
        at_once = asyncio.Semaphore(_AT_ONCE_MAX)

        async def one(among: Sequence[HpaView]) -> None:
            async with at_once:
                for hpa in among[:_TRIED_MAX]:
                    if await self._tells(hpa):
                        return

        await asyncio.gather(
            *(one(among) for place, among in candidates.items() if self._is_due(place))
        )

    def _is_due(self, place: _Place) -> bool:
        proof = self._proofs.get(place)
        if proof is None:
            return True
        is_proven = proof.proven_at_s is not None and not proof.objection
        gap_s = PROVEN_AGAIN_S if is_proven else TRIED_AGAIN_S
        return self._monotonic() - proof.tried_at_s >= gap_s

    async def _tells(self, hpa: HpaView) -> bool:
        """Try it on one object; whether the answer is about the guard, or nothing can be known."""
        at = hpa.floor_object
        proof = self._proofs.setdefault((hpa.namespace, at.kind), _Proof(0.0))
        proof.tried_at_s = self._monotonic()
        try:
            answer = await self._connection.patch(at.path, outside_body(hpa), APPLY, _DRY_RUN)
        except ClusterUnreachable as error:
            proof.objection = f"the guard could not be tried: {error}"
            return True
        if answer.ok:
            proof.proven_at_s = None
            mend = MEND.format(_FOLDERS[at.kind])
            taken = f"the server would take a write outside the band of {at.title}"
            proof.objection = f"{taken}; {mend}"
            return True
        said = refusal(answer, at.title).sentence
        if f"'{GUARD_POLICIES[at.kind]}'" in said:
            proof.proven_at_s, proof.objection = proof.tried_at_s, ""
            return True
        # A busy or failing server says nothing against what was proven a moment ago.
        proof.objection = f"the guard could not be tried: {said}"
        return answer.status == TOO_MANY_REQUESTS or answer.status >= _SERVER_ERROR


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
