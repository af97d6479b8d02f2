"""What is known of admission policies that were tried: since when, how well, and when to try again.

`guard_probe.py` and `route_probe.py` keep one for each place that they try. It must never take
another refusal (no right to patch, an invalid value) for the policy's, and never talk to a server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import msgspec

from predictor.actuators.connection import TOO_MANY_REQUESTS, Answer
from predictor.actuators.refusal import refusal
from predictor.core.reasons import Code, Reason

PROVEN_AGAIN_S = 300.0
"""A policy can be deleted while the service runs."""
PROOF_LASTS_S = 900.0
"""A server that cannot be asked again takes no writes either; but not for ever."""
TRIED_AGAIN_S = 10.0
MEND = "apply the policies of {}, or set guard.required: false to act without them"
_SERVER_ERROR = 500

_Place = TypeVar("_Place", bound=Hashable)


class _Proof(msgspec.Struct):
    """What is known of one place; times by the monotonic clock."""

    tried_at_s: float
    proven_at_s: float | None = None
    objection: str = ""


class GuardProofs(Generic[_Place]):
    """Which places are guarded; as many as there are places with objects of ours."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._proofs: dict[_Place, _Proof] = {}

    def objection(self, place: _Place, namespace: str, untried: str) -> Reason | None:
        """Why nothing may be written there, or None; `untried` is said where nothing was tried."""
        proof = self._proofs.get(place)
        if proof is None:
            return Reason(Code.NOT_GUARDED, f"namespace {namespace}: {untried}")
        if proof.proven_at_s is not None:
            age_s = self._monotonic() - proof.proven_at_s
            if age_s <= PROOF_LASTS_S:
                return None
            sentence = f"the guard was last proven {age_s:.0f} s ago: {proof.objection}"
            return Reason(Code.NOT_GUARDED, f"namespace {namespace}: {sentence}")
        return Reason(Code.NOT_GUARDED, f"namespace {namespace}: {proof.objection}")

    def is_due(self, place: _Place) -> bool:
        """Whether to try it now."""
        proof = self._proofs.get(place)
        if proof is None:
            return True
        is_proven = proof.proven_at_s is not None and not proof.objection
        gap_s = PROVEN_AGAIN_S if is_proven else TRIED_AGAIN_S
        return self._monotonic() - proof.tried_at_s >= gap_s

    def silent(self, place: _Place, why: str) -> None:
        """It was tried and not answered, which says nothing against what was proven before."""
        self._tried(place).objection = f"the guard could not be tried: {why}"

    def answered(
        self, place: _Place, answer: Answer, *, policy: str, title: str, taken: str, folder: str
    ) -> bool:
        """It was tried on `title`; whether the answer is about the guard, or nothing can be known.

        `taken` says what the server would have taken, `folder` where `policy` lies.
        """
        proof = self._tried(place)
        if answer.ok:
            proof.proven_at_s = None
            would = f"the server would take {taken} of {title}"
            proof.objection = f"{would}; {MEND.format(folder)}"
            return True
        said = refusal(answer, title).sentence
        if f"'{policy}'" in said:
            proof.proven_at_s, proof.objection = proof.tried_at_s, ""
            return True
        # A busy or failing server says nothing against what was proven a moment ago.
        proof.objection = f"the guard could not be tried: {said}"
        return answer.status == TOO_MANY_REQUESTS or answer.status >= _SERVER_ERROR

    def _tried(self, place: _Place) -> _Proof:
        proof = self._proofs.setdefault(place, _Proof(0.0))
        proof.tried_at_s = self._monotonic()
        return proof
