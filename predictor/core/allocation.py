"""Spreads a routed module's unpinned demand over the regions.

`predictor/core/decide.py` calls it with one module at a time; routed modules are few. Weights stay
where the owner put them as long as every region can carry its share; they leave only when one
cannot, and go back when it can again with room to spare. Capacity comes before traffic: `wanted` is
what the floors are sized for at once, `weights` moves towards it only as far as Ready pods can
carry it. Pinned demand is never moved. Demand is counted where users are, not where it was served,
so a move does not feed back into what it was made from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.series import FloatArray
from predictor.core.policy import RegionPolicy
from predictor.core.reasons import Code, Reason
from predictor.core.weights import TOTAL, IntArray, limited, rounded, spread, stepped

UNPINNED_MIN_PER_S = 1e-6
"""Less is as good as none: then any region with room to spare can carry everything."""


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """One routed module, arrays of shape (regions,) in the order of `regions`.

    `unpinned_per_s` is the forecast quantile of demand that may go anywhere, `pinned_per_s` of what
    may not; `carries_max_per_s` is maxReplicas times the rate per pod, `carries_ready_per_s` Ready
    pods times what a floor plans them to carry (NaN where unknown). `held` says why nothing may
    move now, None when it may. `moved_at_s` is None before the first move.
    """

    regions: tuple[str, ...]
    weights_now: IntArray
    weights_home: IntArray
    unpinned_per_s: float
    pinned_per_s: FloatArray
    carries_max_per_s: FloatArray
    carries_ready_per_s: FloatArray
    moved_at_s: float | None
    held: Reason | None = None


@dataclass(frozen=True, slots=True)
class Allocation:
    """Where the weights should be in the end, where they may go now, and why. Each sums to 100."""

    wanted: IntArray
    weights: IntArray
    reasons: tuple[Reason, ...]


def allocate(facts: RouteFacts, policy: RegionPolicy, now_s: float) -> Allocation:
    """Choose the weights to aim for and the step that may be taken now."""
    if facts.held is not None:
        return Allocation(facts.weights_now, facts.weights_now, (facts.held,))
    unknown = np.flatnonzero(~np.isfinite(facts.pinned_per_s))
    if not np.isfinite(facts.unpinned_per_s) or unknown.size:
        what = (
            f"pinned demand of {facts.regions[unknown[0]]}" if unknown.size else "unpinned demand"
        )
        reason = Reason(Code.NO_FORECAST, f"there is no forecast of the {what}")
        return Allocation(facts.weights_now, facts.weights_now, (reason,))
    wanted, why = _wanted(facts, policy)
    if np.array_equal(wanted, facts.weights_now):
        return Allocation(wanted, wanted, (why,))
    weights, limits = _next_step(facts, wanted, policy, now_s)
    return Allocation(wanted, weights, (why, *limits))


def _wanted(facts: RouteFacts, policy: RegionPolicy) -> tuple[IntArray, Reason]:
    home, now = facts.weights_home, facts.weights_now
    is_home = np.array_equal(home, now)
    room = _share_carried(facts, facts.carries_max_per_s)
    with_headroom = _share_carried(facts, facts.carries_max_per_s * (1.0 - policy.headroom_ratio))
    full = np.flatnonzero(home > (room if is_home else with_headroom))
    if not full.size:
        return home, Reason(
            Code.WEIGHTS_BALANCED, f"every region can carry its share of {_said(facts, home)}"
        )
    fullest = int(full[np.argmax((home - room)[full])])
    if not is_home and bool((now <= room).all()):
        return now, Reason(
            Code.WEIGHTS_FOLLOW_CAPACITY,
            f"every region carries its share of {_said(facts, now)}; at home "
            f"{_said_overload(facts, home, fullest)}",
        )
    lowest = np.minimum(np.minimum(home, now), policy.weight_min).astype(np.float64)
    highest = np.maximum(np.maximum(home, now), policy.weight_max).astype(np.float64)
    bound = np.minimum(highest, with_headroom)
    wanted = rounded(spread(home, lowest, bound), TOTAL)
    if bound.sum() < TOTAL:
        return wanted, Reason(
            Code.NO_HEADROOM,
            f"all regions together carry {max(bound.sum(), 0.0):.0f} of 100 points at maxReplicas",
        )
    return wanted, Reason(
        Code.WEIGHTS_FOLLOW_CAPACITY,
        f"{_said_overload(facts, home, fullest)}; wanted {_said(facts, wanted)}",
    )


def _next_step(
    facts: RouteFacts, wanted: IntArray, policy: RegionPolicy, now_s: float
) -> tuple[IntArray, tuple[Reason, ...]]:
    """How far towards `wanted` the weights may go now."""
    now = facts.weights_now
    since_s = np.inf if facts.moved_at_s is None else now_s - facts.moved_at_s
    if since_s < policy.weight_step_interval_s:
        return now, (
            Reason(
                Code.WEIGHT_STEP_LIMITED,
                f"moved {since_s:.0f} s ago, steps are {policy.weight_step_interval_s:.0f} s apart",
            ),
        )
    reasons: list[Reason] = []
    step = stepped(now, wanted, policy.weight_step_max)
    if not np.array_equal(step, wanted):
        reasons.append(
            Reason(
                Code.WEIGHT_STEP_LIMITED,
                f"wanted {_said(facts, wanted)}, at most {policy.weight_step_max} points a step "
                f"from {_said(facts, now)}",
            )
        )
    ready = np.floor(_share_carried(facts, facts.carries_ready_per_s) + 1e-9)
    gains, losses = np.maximum(step - now, 0), np.maximum(now - step, 0)
    carried = np.minimum(gains, np.maximum(ready - now, 0)).astype(np.int64)
    reasons.extend(
        Reason(
            Code.CAPACITY_NOT_READY,
            f"{facts.regions[row]} has Ready pods for {max(ready[row], 0):.0f} points, not for "
            f"{int(step[row])}",
        )
        for row in np.flatnonzero(carried < gains).tolist()
    )
    taken = limited(losses, losses.astype(np.float64), int(carried.sum()))
    return now + carried - taken, tuple(reasons)


def _share_carried(facts: RouteFacts, carries_per_s: FloatArray) -> FloatArray:
    """How many points each region can carry beside its pinned demand.

    A region of which nothing is known keeps what it has and is given no more.
    """
    left = np.maximum(carries_per_s - facts.pinned_per_s, 0.0)
    points = np.minimum(left / max(facts.unpinned_per_s, UNPINNED_MIN_PER_S) * TOTAL, TOTAL)
    kept = np.minimum(facts.weights_home, facts.weights_now)
    return np.where(np.isfinite(carries_per_s), points, kept)


def _said(facts: RouteFacts, weights: IntArray) -> str:
    return ", ".join(
        f"{region} {weight}" for region, weight in zip(facts.regions, weights.tolist(), strict=True)
    )


def _said_overload(facts: RouteFacts, weights: IntArray, row: int) -> str:
    share_per_s = facts.pinned_per_s[row] + facts.unpinned_per_s * weights[row] / TOTAL
    carries = facts.carries_max_per_s[row]
    most = f"{carries:.0f}/s at maxReplicas" if np.isfinite(carries) else "an unknown amount"
    return f"{facts.regions[row]} would get {share_per_s:.0f}/s and carries {most}"
