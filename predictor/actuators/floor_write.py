"""One floor as a server-side apply: its body, its query, and what the server's refusal means.

`kubernetes.py` sends it. An apply is everything that we own of the object: the floor and our own
annotations, and what is left out is given up. uid and resourceVersion are of what was decided on,
so the server itself refuses a write that would be blind. Pure.

Source: Kubernetes 1.37, `staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go` (applyPatch:
an apply that names a uid creates nothing) and "Server-Side Apply" in the documentation.
"""

from __future__ import annotations

import re
from typing import Any

from predictor.actuators.connection import Answer
from predictor.actuators.objects import Hpa
from predictor.actuators.ownership import Holding, holding, taken_sentence
from predictor.actuators.refusal import refusal
from predictor.core.cluster import FloorIntent
from predictor.core.floor_object import FloorObject
from predictor.core.opt_in import FIELD_MANAGER, kept_annotations, read_opt_in
from predictor.core.reasons import Code, Reason

_CONFLICT = 409
_UNPROCESSABLE = 422
_MANAGER_NAMED = re.compile(r'conflicts? with "([^"]{1,128})"')


def floor_body(intent: FloorIntent, at: FloorObject) -> dict[str, Any]:
    """All that we apply to `at`: anything more here, and we would own it."""
    return {
        "apiVersion": at.kind.api_version,
        "kind": at.kind.kind,
        "metadata": {
            "name": at.name,
            "namespace": at.namespace,
            "uid": intent.uid,
            "resourceVersion": intent.resource_version,
            "annotations": kept_annotations(intent.until_s, intent.epoch, intent.reason),
        },
        "spec": {at.kind.minimum: intent.floor},
    }


def floor_query(intent: FloorIntent, seen: Hpa) -> list[tuple[str, str]]:
    """How it is sent: by force where we adopt, and else so that a taken field is a conflict.

    A field that is ours alone is written by force too: only our own annotations can be in dispute
    then, and who takes the field in that moment makes another version, which the server refuses.
    Where an owner declared once more the value that we had handed back (an unchanged manifest
    applied again), the field is shared at the baseline: raising it is adopting it anew.
    """
    part = holding(seen.metadata.managed_fields)
    declared = read_opt_in(seen.metadata.annotations).floor
    handed_back = part is Holding.SHARED and declared == intent.floor_now <= intent.floor
    forced = part in (Holding.NEVER, Holding.OURS) or handed_back
    return [
        ("fieldManager", FIELD_MANAGER),
        ("fieldValidation", "Strict"),
        ("force", "true" if forced else "false"),
    ]


def floor_refusal(
    answer: Answer, intent: FloorIntent, at: FloorObject, now: Hpa | None = None
) -> Reason:
    """The server's answer to a floor that `at` did not take, and the object as it is `now`.

    The server looks for conflicts of managers before it looks at uid and version, so an object
    that was made anew by its owner answers like one whose floor was taken.
    """
    place = at.title
    said = refusal(answer, place)
    if now is not None and now.metadata.uid != intent.uid:
        return Reason(Code.MOVED_ON, f"{place} was deleted and created anew since the decision")
    if said.code is Code.CONFLICT:
        named = _MANAGER_NAMED.search(said.sentence)
        manager = named[1] if named else "another manager"
        replicas_min = None if now is None else now.spec.min_replicas
        sentence = taken_sentence(at, manager, replicas_min)
        return Reason(Code.CONFLICT, sentence)
    if answer.status == _CONFLICT and b"uid mismatch" in answer.body:
        return Reason(Code.TARGET_MISSING, f"{place} does not exist any more")
    if answer.status == _UNPROCESSABLE and b"metadata.uid" in answer.body:
        return Reason(Code.MOVED_ON, f"{place} was deleted and created anew since the decision")
    return said
