"""Spreads a routed module's unpinned demand over the regions.

`predictor/core/decide.py` calls it with one module at a time; routed modules are few. Weights stay
where the owner put them as long as every region can carry its share; they leave only when one
cannot, and go back when it can again with room to spare. A region that has no Ready pod any more
gives what the others can carry, down to `weight_min`. Capacity comes before traffic: `wanted` is
what the floors are sized for at once, `weights` moves towards it only as far as Ready pods can
carry it. Pinned demand is never moved. Demand is counted where users are, not where it was served,
so a move does not feed back into what it was made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from models.series import FloatArray
from predictor.core.guardrails import BoolArray
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
    move now, None when it may. `moved_at_s` is None before the first move. `gone` has a sentence
    for each region, by its place, that has had no Ready pod for too long.
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
    gone: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Allocation:
    """Where the weights should be in the end, where they may go now, and why. Each sums to 100.

    `is_decided` is false where too little is known: then they stay, and are not asked to.
    """

    wanted: IntArray
    weights: IntArray
    reasons: tuple[Reason, ...]
    is_decided: bool = True


def allocate(facts: RouteFacts, policy: RegionPolicy, now_s: float) -> Allocation:
    """Choose the weights to aim for and the step that may be taken now."""
    if facts.held is not None:
        return Allocation(facts.weights_now, facts.weights_now, (facts.held,), is_decided=False)
    alive = _alive(facts)
    # What is pinned to a region without a pod is lost to it, and in nobody's way.
    facts = replace(facts, pinned_per_s=np.where(alive, facts.pinned_per_s, 0.0))
    unknown = np.flatnonzero(~np.isfinite(facts.pinned_per_s))
    if not np.isfinite(facts.unpinned_per_s) or unknown.size:
        what = (
            f"pinned demand of {facts.regions[unknown[0]]}" if unknown.size else "unpinned demand"
        )
        reason = Reason(Code.NO_FORECAST, f"there is no forecast of the {what}")
        return Allocation(facts.weights_now, facts.weights_now, (reason,), is_decided=False)
    wanted, why = _wanted(facts, policy) if alive.all() else _evacuated(facts, policy, alive)
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


def _evacuated(
    facts: RouteFacts, policy: RegionPolicy, alive: BoolArray
) -> tuple[IntArray, Reason]:
    """Away from regions without a Ready pod, as far as the others carry it at maxReplicas.

    What they cannot carry stays: it would take them down, too. A region without a pod is never
    given more than it has, and keeps `weight_min`, for the server takes no less.
    """
    now, home = facts.weights_now, facts.weights_home
    dead = " and ".join(f"{facts.regions[place]}: {facts.gone[place]}" for place in facts.gone)
    if not alive.any():
        return now, Reason(Code.NO_HEADROOM, f"no region has a Ready pod, weights stay; {dead}")
    least = np.minimum(np.minimum(home, now), policy.weight_min).astype(np.float64)
    most = np.maximum(np.maximum(home, now), policy.weight_max).astype(np.float64)
    full = _share_carried(facts, facts.carries_max_per_s)
    spared = _share_carried(facts, facts.carries_max_per_s * (1.0 - policy.headroom_ratio))
    for carried in (spared, full):
        highest = np.where(alive, np.clip(carried, least, most), least)
        if highest.sum() >= TOTAL:
            wanted = rounded(spread(home, least, highest), TOTAL)
            return wanted, Reason(
                Code.WEIGHTS_FOLLOW_CAPACITY, f"{dead}; wanted {_said(facts, wanted)}"
            )
    wanted = rounded(_shared_out(now, highest, alive), TOTAL)
    return wanted, Reason(
        Code.NO_HEADROOM,
        f"{dead}; the other regions carry {full[alive].sum():.0f} of 100 points at maxReplicas; "
        f"wanted {_said(facts, wanted)}",
    )


def _shared_out(now: IntArray, highest: FloatArray, alive: BoolArray) -> FloatArray:
    """All that living regions carry; the rest stays with the dead, as far as they have it.

    Where the living have more than they carry already, everything stays as it is.
    """
    there, least = float(now[~alive].sum()), float(highest[~alive].sum())
    stays = TOTAL - float(highest[alive].sum())
    if stays >= there:
        return now.astype(np.float64)
    kept = highest + (now - highest) * (stays - least) / (there - least)
    shares: FloatArray = np.where(alive, highest, kept)
    return shares


def _alive(facts: RouteFacts) -> BoolArray:
    return np.array([place not in facts.gone for place in range(len(facts.regions))], np.bool_)


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
