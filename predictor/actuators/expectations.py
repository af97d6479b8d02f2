"""Whether the world is still what a decision was made on; if not, which expectation failed.

Both clusters ask here right before writing, so that the same change is refused with the same code
and sentence. Values only: nothing here may talk to a cluster.
"""

from __future__ import annotations

import msgspec

from predictor.actuators.ownership import taken_sentence
from predictor.core.cluster import DestinationView, FloorIntent, RouteView, WeightIntent
from predictor.core.floor_object import floor_object
from predictor.core.reasons import Code, Reason
from predictor.core.route_home import shift_objection

WEIGHT_SUM = 100
"""Istio takes any ratio; whole percents that sum to 100 are what people read."""


class FloorSeen(msgspec.Struct, frozen=True):
    """A floor as known right before writing; `taken_by` names who took it from us.

    `scaled_object` names the one that holds it where that is not the HPA itself.
    """

    uid: str
    resource_version: str
    replicas_min: int
    replicas_max: int
    taken_by: str | None = None
    scaled_object: str = ""


def floor_objection(intent: FloorIntent, seen: FloorSeen | None) -> Reason | None:
    """Why the floor must not be written, or None."""
    if seen is None:
        gone = f"HPA {intent.namespace}/{intent.name} does not exist"
        return Reason(Code.TARGET_MISSING, gone)
    at = floor_object(intent.namespace, intent.name, seen.scaled_object)
    place = at.title
    if seen.uid == intent.uid and seen.taken_by is not None:
        sentence = taken_sentence(at, seen.taken_by, seen.replicas_min)
        return Reason(Code.CONFLICT, sentence)
    moved = _moved_on(place, intent, seen)
    if moved is not None:
        return moved
    if seen.replicas_min != intent.floor_now:
        floors = f"{at.kind.minimum} {seen.replicas_min}, decided on {intent.floor_now}"
        return Reason(Code.MOVED_ON, f"{place} has {floors}")
    if not 1 <= intent.floor <= seen.replicas_max:
        bounds = f"outside 1 to {at.kind.maximum} {seen.replicas_max}"
        return Reason(Code.REFUSED, f"{place}: a floor of {intent.floor} is {bounds}")
    return None


def weight_objection(intent: WeightIntent, seen: RouteView | None) -> Reason | None:
    """Why the weights must not be written, or None."""
    decided = intent.route
    place = f"VirtualService {decided.namespace}/{decided.name}"
    if seen is None:
        hosts = ", ".join(one.host for one in decided.destinations)
        return Reason(Code.ROUTE_NOT_FOUND, f"{place} has no route without match to {hosts}")
    moved = _moved_on(place, decided, seen)
    if moved is not None:
        return moved
    if seen.destinations != decided.destinations:
        routes = f"{_written(seen.destinations)}, decided on {_written(decided.destinations)}"
        return Reason(Code.MOVED_ON, f"{place} routes {routes}")
    if (not_opted_in := shift_objection(seen)) is not None:
        return not_opted_in
    weights = intent.weights
    fits = len(weights) == len(seen.destinations) and sum(weights) == WEIGHT_SUM
    if not fits or min(weights) < 0:
        count = len(seen.destinations)
        sentence = f"{place}: weights {weights} are not {count} shares that sum to {WEIGHT_SUM}"
        return Reason(Code.REFUSED, sentence)
    return None


def _moved_on(
    place: str, decided: FloorIntent | RouteView, seen: FloorSeen | RouteView
) -> Reason | None:
    if seen.uid != decided.uid:
        return Reason(Code.MOVED_ON, f"{place} was deleted and created anew since the decision")
    if seen.resource_version != decided.resource_version:
        versions = f"version {seen.resource_version}, decided on {decided.resource_version}"
        return Reason(Code.MOVED_ON, f"{place} is at {versions}")
    return None


def _written(destinations: tuple[DestinationView, ...]) -> str:
    return ", ".join(f"{one.host}={one.weight}" for one in destinations)
