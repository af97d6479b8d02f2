"""Finds each routed module's default route, asks for its allocation and remembers when it moved.

`predictor/core/decide.py` calls it between rates and sizing: the shares it gives are what floors
are sized for. A route that cannot be read or makes no sense is left alone with its reason. What is
written is made in `weight_intents.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.series import FloatArray
from predictor.core.allocation import Allocation, RouteFacts, allocate
from predictor.core.capacity import RatesPerPod
from predictor.core.cluster import RouteView, TargetKey
from predictor.core.decision import WeightDecision
from predictor.core.opt_in import Mode
from predictor.core.policy import Policy, RoutePolicy
from predictor.core.reasons import Code, Reason
from predictor.core.route_home import Home, home_of, shift_objection
from predictor.core.state import RouteState
from predictor.core.targets import Targets
from predictor.core.weight_intents import weight_intent, weight_reasons
from predictor.core.weights import TOTAL, IntArray, percent


@dataclass(frozen=True, slots=True)
class Routed:
    """Decisions per routed module, the new memory, and each target's share of unpinned demand.

    `share_now` is what a target serves today, `share_sized` what its floor must carry: the larger
    of today's share and the one wanted, because capacity comes before traffic and leaves after it.
    Both have shape (targets,) and lie in 0..1.
    """

    decisions: tuple[WeightDecision, ...]
    states: tuple[RouteState, ...]
    share_now: FloatArray
    share_sized: FloatArray


def shares_now(targets: Targets, routes: tuple[RouteView, ...], policy: Policy) -> FloatArray:
    """The share of its module's unpinned demand that each target serves today, shape (n,)."""
    share = np.where(targets.unpinned_row >= 0, np.nan, 0.0)
    place = {key: row for row, key in enumerate(targets.keys)}
    for route in routes:
        weights = route_weights(route)
        if weights is None:
            continue
        for destination, weight in zip(route.destinations, weights.tolist(), strict=True):
            row = place.get(TargetKey(route.module, destination.region))
            if row is not None:
                share[row] = weight / TOTAL
    for row in np.flatnonzero(np.isnan(share)).tolist():
        share[row] = _assumed_share(targets, row, routes, policy)
    return share


def spread_routes(
    targets: Targets,
    rates: RatesPerPod,
    routes: tuple[RouteView, ...],
    policy: Policy,
    before: tuple[RouteState, ...],
    *,
    blocked: Mapping[int, str],
    gone: Mapping[int, str],
    share_now: FloatArray,
    held: Reason | None,
    number: int,
    now_s: float,
) -> Routed:
    """Decide the weights of every module that the policy names as routed.

    `blocked` and `gone` say of targets that pods do not become Ready, and that none is.
    """
    by_module = {route.module: route for route in routes}
    memory = {state.module: state for state in before}
    place = {key: row for row, key in enumerate(targets.keys)}
    sized = share_now.copy()
    decisions, states = [], []
    for module, settings in policy.routes.items():
        route = by_module.get(module)
        weights = None if route is None else route_weights(route)
        if route is None or weights is None:
            decisions.append(_unreadable(module, route))
            continue
        home = route.held_back or _home(route, weights, settings, memory.get(module))
        unreadable = home if isinstance(home, Reason) else None
        state = _remembered(route, weights, home, memory.get(module), now_s)
        rows = [place.get(TargetKey(module, region), -1) for region in state.regions]
        facts = _facts(
            targets, rates, state, rows, held=unreadable or held, blocked=blocked, gone=gone
        )
        allocation = allocate(facts, policy.regions, now_s)
        for row, wanted in zip(rows, allocation.wanted.tolist(), strict=True):
            if row >= 0:
                sized[row] = max(sized[row], wanted / TOTAL)
        recorded = _why_only_recorded(targets, rows) or shift_objection(route)
        beside = None if isinstance(home, Reason) else home
        decisions.append(
            _decision(
                route,
                state,
                allocation,
                beside,
                number=number,
                only_recorded=recorded,
                expiry_s=policy.expiry_s,
                now_s=now_s,
            )
        )
        states.append(state)
    return Routed(tuple(decisions), tuple(states), share_now, sized)


def route_weights(route: RouteView) -> IntArray | None:
    """The route's weights in points of 100; None where they are no split over regions."""
    weights = np.array([d.weight for d in route.destinations], dtype=np.int64)
    regions = {d.region for d in route.destinations}
    is_split = len(regions) == len(weights) > 0 and bool((weights >= 0).all())
    if not is_split or not 0 < int(weights.sum()) < 1_000_000:
        return None
    return percent(weights)


def _assumed_share(
    targets: Targets, row: int, routes: tuple[RouteView, ...], policy: Policy
) -> float:
    """Where the route cannot be read: the owner's weight, else an equal split."""
    module, region = targets.keys[row]
    route = next((r for r in routes if r.module == module and route_weights(r) is not None), None)
    if route is not None:
        return 0.0  # the route is there and sends nothing to this region
    home = policy.routes[module].home_weights if module in policy.routes else {}
    if home:
        return home.get(region, 0) / TOTAL
    return 1.0 / sum(key.module == module for key in targets.keys)


def _home(
    route: RouteView, weights: IntArray, settings: RoutePolicy, before: RouteState | None
) -> Home | Reason:
    regions = _regions(route)
    configured = tuple(settings.home_weights.get(region, 0) for region in regions)
    known = before if before is not None and before.regions == regions else None
    return home_of(route, tuple(weights.tolist()), configured, known)


def _remembered(
    route: RouteView,
    weights: IntArray,
    home: Home | Reason,
    before: RouteState | None,
    now_s: float,
) -> RouteState:
    regions, seen = _regions(route), tuple(weights.tolist())
    if before is not None and before.regions != regions:
        before = None
    moved_at_s = None if before is None else before.moved_at_s
    if before is not None and before.weights_seen != seen:
        moved_at_s = now_s
    if isinstance(home, Reason):
        return RouteState(route.module, regions, seen, seen, moved_at_s)
    return RouteState(route.module, regions, home.weights, seen, moved_at_s, home.by_hand)


def _regions(route: RouteView) -> tuple[str, ...]:
    return tuple(destination.region for destination in route.destinations)


def _facts(
    targets: Targets,
    rates: RatesPerPod,
    state: RouteState,
    rows: list[int],
    *,
    held: Reason | None,
    blocked: Mapping[int, str],
    gone: Mapping[int, str],
) -> RouteFacts:
    place = np.array(rows, dtype=np.intp)
    known = place >= 0
    usable = known & np.array([row not in targets.left_alone for row in rows])

    def of(values: FloatArray, where: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> FloatArray:
        return np.where(where, values[np.maximum(place, 0)], np.nan)

    pinned = np.fmax(targets.peak.own, _observed(targets.complete.own, targets.provisional.own))
    unpinned = np.fmax(
        targets.peak.unpinned, _observed(targets.complete.unpinned, targets.provisional.unpinned)
    )
    unpinned = np.where(np.isfinite(targets.peak.unpinned), unpinned, np.nan)
    pinned = np.where(np.isfinite(targets.peak.own), pinned, np.nan)
    # Where pods do not become Ready there will be no more than there are.
    pods_max = targets.max_replicas.copy()
    stuck = [row for row in rows if row in blocked]
    pods_max[stuck] = np.minimum(pods_max[stuck], targets.ready_replicas[stuck])
    # A region of which no series is known has no pinned demand that could be known either.
    own = np.where(known, of(pinned, known), 0.0)
    shared = of(unpinned, known)[known]
    return RouteFacts(
        regions=state.regions,
        weights_now=np.array(state.weights_seen, dtype=np.int64),
        weights_home=np.array(state.weights_home, dtype=np.int64),
        unpinned_per_s=float(shared[0]) if shared.size else np.nan,
        pinned_per_s=own,
        carries_max_per_s=of(pods_max * rates.rate_per_s, usable),
        # As many pods as a floor is sized for are enough: the HPA adds none before traffic comes.
        carries_ready_per_s=of(targets.ready_replicas * rates.planned(targets.policy), usable),
        moved_at_s=state.moved_at_s,
        held=held,
        gone={place: gone[row] for place, row in enumerate(rows) if row in gone},
    )


def _observed(complete: FloatArray, provisional: FloatArray) -> FloatArray:
    highest: FloatArray = np.fmax(complete, provisional)
    return highest


def _why_only_recorded(targets: Targets, rows: list[int]) -> Reason | None:
    """Traffic is only moved where every region's floor may move too."""
    for row in rows:
        if row in targets.only_recorded:
            return targets.only_recorded[row]
        if row >= 0 and targets.modes[row] is Mode.PAUSED:
            module, region = targets.keys[row]
            sentence = f"{module} is paused in {region}, so no traffic of it is moved"
            return Reason(Code.PAUSED, sentence)
    return None


def _decision(
    route: RouteView,
    state: RouteState,
    allocation: Allocation,
    home: Home | None,
    *,
    number: int,
    only_recorded: Reason | None,
    expiry_s: float,
    now_s: float,
) -> WeightDecision:
    weights = tuple(allocation.weights.tolist())
    intent = weight_intent(
        route,
        state,
        allocation,
        home,
        number=number,
        only_recorded=only_recorded,
        expiry_s=expiry_s,
        now_s=now_s,
    )
    return WeightDecision(
        module=route.module,
        regions=state.regions,
        weights_now=state.weights_seen,
        weights_home=state.weights_home,
        weights_wanted=tuple(allocation.wanted.tolist()),
        weights=weights,
        reasons=weight_reasons(route, state, allocation, home, intent, now_s=now_s),
        intent=intent,
    )


def _unreadable(module: str, route: RouteView | None) -> WeightDecision:
    if route is None:
        reason = Reason(Code.ROUTE_NOT_FOUND, f"no default route of {module} was read")
    else:
        said = ", ".join(f"{d.region} {d.weight}" for d in route.destinations) or "nothing"
        reason = Reason(Code.ROUTE_UNUSABLE, f"the default route of {module} says {said}")
    return WeightDecision(module, (), (), (), (), (), (reason,))
