"""Which weights a default route returns to, and who says so.

`predictor/core/routes.py` asks it before it allocates. Weights that differ from what we wrote last
are somebody's own: they are home from then on. Else the configured home counts, then the one that
stands on the object since we first moved them, then what is seen. It must never take weights of
ours for home, and never guess at an annotation that cannot be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from predictor.core.cluster import RouteView
from predictor.core.opt_in import (
    EPOCH,
    HOME,
    KEPT_ON_ROUTES,
    SHIFT,
    SHIFT_ENABLED,
    KeptWeights,
    forget_command,
)
from predictor.core.reasons import Code, Reason
from predictor.core.state import RouteState
from predictor.core.weights import TOTAL


class Home(NamedTuple):
    """The weights to return to, in the order of the route's destinations.

    `by_hand` are those that somebody set in place of the configured ones, empty where nobody did.
    `reason` says who chose, None where nothing is worth telling.
    """

    weights: tuple[int, ...]
    by_hand: tuple[int, ...] = ()
    reason: Reason | None = None


def home_of(
    route: RouteView,
    seen: tuple[int, ...],
    configured: tuple[int, ...],
    before: RouteState | None,
) -> Home | Reason:
    """The home of a route that shows `seen`, or why nothing may be touched.

    `configured` is empty, or does not sum to 100, where nothing is configured. `before` is what was
    remembered of the same regions, None after a restart.
    """
    unreadable = annotation_objection(route.title, route.for_kubectl, route.kept, _hosts(route))
    if unreadable is not None:
        return unreadable
    is_configured = sum(configured) == TOTAL
    taken = is_taken(route, seen)
    if not is_configured:
        return _unconfigured(route, seen, taken)
    by_hand = _by_hand(route, seen, before, taken)
    if by_hand and by_hand != configured:
        return Home(by_hand, by_hand, _set_by_hand(route, by_hand, configured))
    kept = kept_home(route)
    if taken or kept in ((), configured):
        return Home(configured)
    sentence = (
        f"home is {said(route, configured)}, as configured; {HOME} says {said(route, kept)}"
        " and is passed over"
    )
    return Home(configured, (), Reason(Code.HOME_WEIGHTS, sentence))


def is_taken(route: RouteView, seen: tuple[int, ...]) -> bool:
    """Whether somebody set the weights after us."""
    written = _of(route, route.kept.written)
    return written not in ((), seen)


def kept_home(route: RouteView) -> tuple[int, ...]:
    """What stands on the object as home, in the order of its destinations; empty: nothing."""
    return _of(route, route.kept.home)


def shift_objection(route: RouteView) -> Reason | None:
    """Why no weight of it may be written: its owner has not said that they may move."""
    if route.is_shift_enabled:
        return None
    mend = f"kubectl annotate {route.for_kubectl} {SHIFT}={SHIFT_ENABLED} --overwrite"
    sentence = f"the owner of {route.title} has not said that its weights may move: {mend}"
    return Reason(Code.NOT_OPTED_IN, sentence)


def annotation_objection(
    title: str, for_kubectl: str, kept: KeptWeights, hosts: Sequence[str]
) -> Reason | None:
    """Why our own annotations say nothing that could be gone by, with the command that ends it."""
    fault = kept.faults[0] if kept.faults else ""
    if not fault and kept.home and set(kept.home) != set(hosts):
        fault = f"{HOME} names {', '.join(kept.home)}, not the route's {', '.join(hosts)}"
    if not fault:
        return None
    mend = forget_command(for_kubectl, (EPOCH, *KEPT_ON_ROUTES))
    sentence = f"{title}: {fault}; to make the weights that stand the owner's own: {mend}"
    return Reason(Code.ANNOTATION_UNREADABLE, sentence)


def said(route: RouteView, weights: Sequence[int]) -> str:
    """Weights as a person reads them."""
    pairs = zip(route.destinations, weights, strict=True)
    return ", ".join(f"{one.region} {weight}" for one, weight in pairs)


def _unconfigured(route: RouteView, seen: tuple[int, ...], taken: bool) -> Home:
    if taken:
        written = said(route, _of(route, route.kept.written))
        sentence = f"somebody set {said(route, seen)} after our {written}: that is home from now on"
        return Home(seen, (), Reason(Code.HOME_WEIGHTS, sentence))
    kept = kept_home(route)
    if kept in ((), seen):
        return Home(seen)
    sentence = f"home is {said(route, kept)}, as it was before the weights were moved ({HOME})"
    return Home(kept, (), Reason(Code.HOME_WEIGHTS, sentence))


def _by_hand(
    route: RouteView, seen: tuple[int, ...], before: RouteState | None, taken: bool
) -> tuple[int, ...]:
    """The weights that somebody set after us, or while we looked on; empty where nobody did."""
    if taken:
        return seen
    known = () if before is None else before.weights_by_hand
    if route.kept.written:
        # They are ours, on the way to or from what somebody had set.
        return known if known == kept_home(route) else ()
    if before is not None and seen not in (before.weights_seen, before.weights_home):
        return seen
    return known if known == seen else ()


def _set_by_hand(route: RouteView, by_hand: tuple[int, ...], configured: tuple[int, ...]) -> Reason:
    sentence = (
        f"somebody set {said(route, by_hand)}: that is home, in place of the configured "
        f"{said(route, configured)}, until these are set again"
    )
    return Reason(Code.HOME_WEIGHTS, sentence)


def _hosts(route: RouteView) -> tuple[str, ...]:
    return tuple(one.host for one in route.destinations)


def _of(route: RouteView, by_host: dict[str, int]) -> tuple[int, ...]:
    """Weights by host in the order of the route's destinations, whose hosts they have."""
    return tuple(by_host[host] for host in _hosts(route)) if by_host else ()
