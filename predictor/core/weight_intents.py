"""What is written of a default route's weights, and how long it is good for.

`predictor/core/routes.py` asks once the weights are allocated. Weights away from home run out by
themselves (`state.predictor.mplp.io/until`) and are renewed while they are wanted; weights that
nothing is known about are not, so they go home when telemetry stays away. At home nothing can run
out, and what was written of it is dropped. It must never choose a weight.
"""

from __future__ import annotations

from predictor.core.allocation import Allocation
from predictor.core.cluster import RouteView, WeightIntent
from predictor.core.expiry import CLOCKS_APART_MAX_S, RENEW_AT_SHARE
from predictor.core.reasons import Code, Reason
from predictor.core.route_home import Home, kept_home, said
from predictor.core.state import RouteState


def weight_intent(
    route: RouteView,
    state: RouteState,
    allocation: Allocation,
    home: Home | None,
    *,
    number: int,
    only_recorded: Reason | None,
    expiry_s: float,
    now_s: float,
) -> WeightIntent | None:
    """The write that is due, if any; `home` is None where the route must be left alone."""
    weights = tuple(allocation.weights.tolist())
    if home is None:
        return None
    is_home = weights == home.weights
    if weights == state.weights_seen:
        if is_home and not _is_dropped(route, home):
            return None
        if not is_home and not _is_renewed(route, allocation, expiry_s, now_s):
            return None
        until_s = None if is_home else now_s + expiry_s
    else:
        # The server takes weights without an expiry only where they are the home that stands on
        # the object: else that is written first, and dropped with the next decision.
        until_s = None if is_home and kept_home(route) == weights else now_s + expiry_s
    return WeightIntent(
        route=route,
        weights=weights,
        decision_number=number,
        home=home.weights,
        until_s=until_s,
        reason="" if until_s is None else allocation.reasons[0].sentence,
        only_recorded=only_recorded,
    )


def weight_reasons(
    route: RouteView,
    state: RouteState,
    allocation: Allocation,
    home: Home | None,
    intent: WeightIntent | None,
    *,
    now_s: float,
) -> tuple[Reason, ...]:
    """The allocation's reasons, then who says what home is and what a write is about."""
    reasons = list(allocation.reasons)
    if home is not None and home.reason is not None:
        reasons.append(home.reason)
    if intent is None:
        return tuple(reasons)
    if intent.weights == state.weights_seen:
        reasons.append(_why_written(route, intent, now_s))
    recorded = intent.only_recorded
    if recorded is not None and recorded.code is Code.NOT_OPTED_IN:
        reasons.append(recorded)
    return tuple(reasons)


def _is_dropped(route: RouteView, home: Home) -> bool:
    """Weights that somebody set in place of the configured ones are told by what we left there."""
    return route.kept.stands and not home.by_hand


def _is_renewed(route: RouteView, allocation: Allocation, expiry_s: float, now_s: float) -> bool:
    if not route.kept.written or not allocation.is_decided:
        return False
    until_s = route.kept.until_s
    if until_s is None:
        return True
    left_s = until_s - now_s
    return not RENEW_AT_SHARE * expiry_s <= left_s <= expiry_s + CLOCKS_APART_MAX_S


def _why_written(route: RouteView, intent: WeightIntent, now_s: float) -> Reason:
    stays = said(route, intent.weights)
    if intent.until_s is None:
        sentence = f"the weights {stays} are home; nothing of ours runs out"
        return Reason(Code.HANDED_BACK, sentence)
    until_s = route.kept.until_s
    left = "nothing said until when" if until_s is None else f"{until_s - now_s:.0f} s were left"
    sentence = f"the weights {stays} stay, good for another {intent.until_s - now_s:.0f} s; {left}"
    return Reason(Code.RENEWED, sentence)
