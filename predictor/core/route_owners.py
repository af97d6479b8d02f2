"""Who else moves the weights of a VirtualService, and so must be left alone with them.

The cluster's reader asks it for every route, `predictor/check/` for every VirtualService. A tool
that shifts traffic step by step puts its weights back, and two that do so send users to and fro.
The sentence ends with the mend. Pure: it must never guess from a name alone that somebody else is
in charge.

Sources: Flagger `pkg/router/istio.go` (a VirtualService is made with the Canary as its controlling
owner); Argo Rollouts `rollout/trafficrouting/istio/istio.go` and
`pkg/apis/rollouts/v1alpha1/types.go` (ManagedByRolloutsKey).
"""

from __future__ import annotations

from typing import NamedTuple

from predictor.core.other_controllers import OwnerReference
from predictor.core.reasons import Code, Reason

ROUTES_FIELD = "f:http"
"""The field of `spec`, as managedFields name it, whose managers move weights."""

_CANARY = ("Canary", "flagger.app")
_MANAGED_BY_ROLLOUTS = "argo-rollouts.argoproj.io/managed-by-rollouts"
_MANAGERS = {"flagger": "Flagger", "rollouts-controller": "Argo Rollouts"}
MEND = "give the regional weights a VirtualService of their own"


class RouteOwnerFacts(NamedTuple):
    """What is known of one VirtualService; everything but its title may be missing.

    `managers` are those of `spec.http`, `rollouts` the Rollouts that name it, where those are read.
    """

    title: str
    owners: tuple[OwnerReference, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    managers: tuple[str, ...] = ()
    rollouts: tuple[str, ...] = ()


def route_control(facts: RouteOwnerFacts) -> Reason | None:
    """Why its weights must not be moved: somebody else keeps them."""
    who = _keeper(facts)
    if who is None:
        return None
    sentence = f"{who} keeps the weights of {facts.title} and puts them back; {MEND}"
    return Reason(Code.OTHER_CONTROLLER, sentence)


def _keeper(facts: RouteOwnerFacts) -> str | None:
    for owner in facts.owners:
        if (owner.kind, owner.group) == _CANARY:
            return f"Flagger's Canary {owner.name}"
        if owner.is_controller:
            return f"the controller of {owner.kind} {owner.name}"
    named = dict(facts.annotations).get(_MANAGED_BY_ROLLOUTS, "")
    for rollout in (*facts.rollouts, *filter(None, (named,))):
        return f"Argo Rollouts' Rollout {rollout}"
    return next((_MANAGERS[one] for one in facts.managers if one in _MANAGERS), None)
