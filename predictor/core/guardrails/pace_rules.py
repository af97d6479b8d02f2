"""Rules about how fast a floor moves, up and down, beside an HPA that moves too."""

from __future__ import annotations

import numpy as np

from predictor.core.guardrails.facts import Facts, IntArray


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

    The controller jumps to minReplicas before it looks at any metric (v1.37, `horizontal.go`,
    `reconcileAutoscaler`), so a jump to less than they ask for would leave fewer pods for a sync
    than no floor would. Then the floor goes no further than the pods there are.
    """
    asked = np.minimum(facts.asked_by_metrics, facts.replicas_max)
    falls_short = (wish > facts.replicas) & (wish < asked)
    least = np.minimum(np.maximum(facts.floor_now, facts.replicas), wish)
    return np.where(falls_short, least, wish)


def say_metrics_first(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """How many the metrics ask for."""
    asked, replicas = int(facts.asked_by_metrics[row]), int(facts.replicas[row])
    return (
        f"the HPA's metrics ask for {asked} replicas of {replicas}; a floor of {wish} would take "
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


def _step_up(facts: Facts) -> IntArray:
    ratio = np.floor(facts.floor_now * facts.policy.step_up_ratio_max)
    step = np.maximum(ratio, facts.policy.step_up_replicas_max)
    return np.minimum(step, facts.policy.step_up_most).astype(np.int64)


def _step_down(facts: Facts) -> IntArray:
    ratio = np.ceil(facts.floor_now * facts.policy.release_step_ratio)
    return np.maximum(ratio, 1).astype(np.int64)
