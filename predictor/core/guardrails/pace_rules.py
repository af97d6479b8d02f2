"""Rules about how fast a floor moves, up and down, beside an HPA that moves too."""

from __future__ import annotations

import numpy as np

from predictor.core.guardrails.facts import Facts, IntArray

REACH_RATIO, REACH_REPLICAS = 1, 4
"""The server refuses a raise by more than the floor itself and this many replicas, whatever is
configured, unless the owner's step is annotated (`deploy/guard/hpa.yaml`)."""
DUST = 1e-9
"""Relative: 0.29 of 100 is 29 replicas, whatever the last bit of the product says."""


def hold_after_raise(wish: IntArray, facts: Facts) -> IntArray:
    """What was just raised stays for a while, so that a floor does not flap."""
    held = facts.now_s - facts.raised_at_s < facts.policy.hold_after_raise_s
    return np.where(held, np.maximum(wish, facts.floor_now), wish)


def say_held(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """When it was raised."""
    since_s = facts.now_s - facts.raised_at_s[row]
    limit_s = facts.policy.hold_after_raise_s[row]
    return f"raised {since_s:.0f} s ago, held for {limit_s:.0f} s; wanted {wish}, held {allowed}"


def limit_step_up(wish: IntArray, facts: Facts) -> IntArray:
    """A floor bypasses the HPA's scale-up policies, so the service keeps a pace of its own."""
    is_early = facts.now_s - facts.raised_at_s < facts.policy.step_up_interval_s
    highest = np.where(is_early, facts.floor_now, facts.floor_now + _step_up(facts))
    return np.minimum(wish, np.maximum(highest, facts.floor_now))


def say_step_up(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """How far one step goes, or when the last one was."""
    floor = int(facts.floor_now[row])
    if allowed > floor:
        return f"wanted {wish} replicas, at most {allowed} in one step from {floor}"
    since_s = facts.now_s - facts.raised_at_s[row]
    interval_s = facts.policy.step_up_interval_s[row]
    return (
        f"wanted {wish} replicas, raised to {floor} {since_s:.0f} s ago, raises are "
        f"{interval_s:.0f} s apart"
    )


def metrics_that_ask_more_go_first(wish: IntArray, facts: Facts) -> IntArray:
    """A raise above the running replicas takes one sync from the HPA's metrics.

    The owner's ceiling cuts a raise too, and what is left of it counts.
    """
    reach = _within_ceiling(wish, facts)
    asked = np.minimum(facts.asked_by_metrics, facts.replicas_max)
    left = left_to_metrics(reach, facts.floor_now, facts.replicas, asked)
    return np.where(left < reach, left, wish)


def left_to_metrics(
    floor: IntArray, floor_now: IntArray, replicas: IntArray, asked: IntArray
) -> IntArray:
    """The floor, or the pods there are where it would fall short of what the metrics ask for.

    The controller jumps to minReplicas before it looks at any metric (v1.37, `horizontal.go`,
    `reconcileAutoscaler`), so a jump to less than they ask for would leave fewer pods for a sync
    than no floor would. All arrays of shape (n,), in replicas.
    """
    falls_short = (floor > replicas) & (floor < asked)
    return np.where(falls_short, np.minimum(np.maximum(floor_now, replicas), floor), floor)


def say_metrics_first(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """How many the metrics ask for."""
    asked, replicas = int(facts.asked_by_metrics[row]), int(facts.replicas[row])
    reach = int(_within_ceiling(np.array(wish), facts)[row])
    return (
        f"the HPA's metrics ask for {asked} replicas of {replicas}; a floor of {reach} would take "
        f"one sync from them; held {allowed}"
    )


def release_in_steps(wish: IntArray, facts: Facts) -> IntArray:
    """An HPA follows a lowered floor in one step, so the floor is lowered in small ones."""
    is_early = facts.now_s - facts.released_at_s < facts.policy.release_interval_s
    lowest = np.where(is_early, facts.floor_now, facts.floor_now - _step_down(facts))
    return np.maximum(wish, np.minimum(lowest, facts.floor_now))


def say_release(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """How far one step goes, or when the last one was."""
    floor = int(facts.floor_now[row])
    if allowed < floor:
        return f"wanted {wish} replicas, at least {allowed} in one step from {floor}"
    since_s = facts.now_s - facts.released_at_s[row]
    interval_s = facts.policy.release_interval_s[row]
    return (
        f"wanted {wish} replicas, released to {floor} {since_s:.0f} s ago, releases are "
        f"{interval_s:.0f} s apart"
    )


def _within_ceiling(wish: IntArray, facts: Facts) -> IntArray:
    return np.minimum(wish, np.maximum(facts.ceiling, facts.baseline))


def _step_up(facts: Facts) -> IntArray:
    owners = facts.policy.step_up_most
    ratio = np.floor(facts.floor_now * facts.policy.step_up_ratio_max * (1.0 + DUST))
    step = np.maximum(ratio, facts.policy.step_up_replicas_max)
    server = REACH_RATIO * facts.floor_now + REACH_REPLICAS
    return np.minimum(step, np.where(np.isfinite(owners), owners, server)).astype(np.int64)


def _step_down(facts: Facts) -> IntArray:
    ratio = np.ceil(facts.floor_now * facts.policy.release_step_ratio * (1.0 - DUST))
    return np.maximum(ratio, 1).astype(np.int64)
