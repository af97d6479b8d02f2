"""The weights of ours that stand on a cluster now, as any account that may list routes reads them.

`route_restorer.py` reads them before each pass, and one again where it changed meanwhile. Only what
stands on the object is gone by, never a memory or a configuration. It must never write, and never
need Istio: where there is none, nobody is told.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from predictor.actuators.cluster_settings import RouteTarget
from predictor.actuators.connection import Connection
from predictor.actuators.listing import listed
from predictor.actuators.virtual_service import Routing, VirtualService, read_route
from predictor.core.cluster import RouteView
from predictor.core.opt_in import EPOCH, KEPT_ON_ROUTES, forget_command, read_kept_weights
from predictor.core.reasons import Code, Reason
from predictor.core.restore_weights import OurWeights
from predictor.core.route_home import annotation_objection, is_taken, kept_home
from predictor.core.routes import route_weights


class RouteObject(msgspec.Struct, frozen=True, order=True):
    """One VirtualService."""

    namespace: str
    name: str

    @property
    def title(self) -> str:
        """The object as a sentence names it."""
        return f"VirtualService {self.namespace}/{self.name}"

    @property
    def for_kubectl(self) -> str:
        """As a command names it."""
        return f"virtualservice {self.name} -n {self.namespace}"


class HeldWeights(msgspec.Struct, frozen=True):
    """One VirtualService whose weights we moved.

    `left` says why it is not touched: somebody set the weights after us, or nothing can be read.
    Then `view` and `ours` may be None, which else are the route and its weights.
    """

    at: RouteObject
    found: VirtualService
    view: RouteView | None = None
    ours: OurWeights | None = None
    left: Reason | None = None


async def held_weights(
    connection: Connection, routing: Routing, namespaces: Sequence[str]
) -> tuple[list[HeldWeights], list[Reason]]:
    """All of them in these namespaces (none named: everywhere), and what could not be read.

    Raises `ClusterUnreachable`.
    """
    if not await routing.is_served():
        return [], []
    found: list[HeldWeights] = []
    problems: list[Reason] = []
    for namespace in namespaces or [""]:
        routes = await listed(connection, routing.places(namespace), VirtualService)
        if isinstance(routes, Reason):
            problems.append(routes)
        else:
            found += [one for route in routes if (one := held_on(route)) is not None]
    return found, problems


async def held_again(routing: Routing, at: RouteObject) -> HeldWeights | Reason | None:
    """One of them as it is now; None where it is gone or not ours. Raises `ClusterUnreachable`."""
    found = await routing.read(_target(at, ()))
    if isinstance(found, Reason):
        return None if found.code is Code.ROUTE_NOT_FOUND else found
    return held_on(found)


def held_on(found: VirtualService) -> HeldWeights | None:
    """What of it is ours; None where nothing is."""
    at = RouteObject(found.metadata.namespace, found.metadata.name)
    kept = read_kept_weights(found.metadata.annotations)
    if not kept.stands:
        return None
    unreadable = annotation_objection(at.title, at.for_kubectl, kept, tuple(kept.home))
    if unreadable is None and not kept.home:
        # An expiry alone: there is nothing to go home to, and nothing that was moved.
        unreadable = Reason(Code.ANNOTATION_UNREADABLE, f"{at.title}: {_no_home(at)}")
    if unreadable is not None:
        return HeldWeights(at, found, left=unreadable)
    view = read_route(_target(at, tuple(kept.home)), found)
    if isinstance(view, Reason):
        return HeldWeights(at, found, left=view)
    weights = route_weights(view)
    if weights is None:
        sentence = f"the default route of {at.title} carries no weight at all"
        return HeldWeights(at, found, left=Reason(Code.ROUTE_UNUSABLE, sentence))
    now = tuple(weights.tolist())
    names = short_names([one.host for one in view.destinations])
    ours = OurWeights(names, now, kept_home(view), kept.until_s)
    return HeldWeights(at, found, view, ours, _taken(at, ours) if is_taken(view, now) else None)


def short_names(hosts: Sequence[str]) -> tuple[str, ...]:
    """What tells the hosts from each other: without the labels that all of them begin or end with.

    Without a configuration nobody says which region a host is.
    """
    labels = [host.split(".") for host in hosts]
    fewest = min(map(len, labels))
    first = last = 0
    while first < fewest - 1 and len({one[first] for one in labels}) == 1:
        first += 1
    while last < fewest - 1 - first and len({one[-1 - last] for one in labels}) == 1:
        last += 1
    return tuple(".".join(one[first : len(one) - last]) for one in labels)


def _target(at: RouteObject, hosts: tuple[str, ...]) -> RouteTarget:
    """Without a configuration a destination has no name but its host."""
    return RouteTarget("", at.namespace, at.name, {host: host for host in hosts})


def _no_home(at: RouteObject) -> str:
    forget = forget_command(at.for_kubectl, (EPOCH, *KEPT_ON_ROUTES))
    return f"no annotation says what its weights were before we moved them; {forget}"


def _taken(at: RouteObject, ours: OurWeights) -> Reason:
    said = ", ".join(f"{name} {one}" for name, one in zip(ours.names, ours.now, strict=True))
    forget = forget_command(at.for_kubectl, KEPT_ON_ROUTES)
    sentence = (
        f"{at.title}: somebody set {said} after us, and it stays theirs; to end this: {forget}"
    )
    return Reason(Code.CONFLICT, sentence)
