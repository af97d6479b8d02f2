"""Rules that are the owner's word: baseline, ceiling, maxReplicas, and paused."""

from __future__ import annotations

import numpy as np

from predictor.core.guardrails.facts import BASELINE_UNKNOWN, Facts, IntArray


def baseline_unknown_never_lowers(wish: IntArray, facts: Facts) -> IntArray:
    """Nobody may lower a floor without knowing how far its owner would let it fall."""
    known = facts.baseline != BASELINE_UNKNOWN
    return np.where(known, wish, np.maximum(wish, facts.floor_now))


def say_baseline_unknown(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """That it is unknown."""
    return f"nobody knows the owner's minReplicas; wanted {wish}, held {allowed}"


def paused_goes_home(wish: IntArray, facts: Facts) -> IntArray:
    """The owner paused it: whatever demand says, the floor goes back to the baseline.

    How fast is left to the rules after it; where the baseline is unknown it stays where it is.
    """
    known = facts.paused & (facts.baseline != BASELINE_UNKNOWN)
    home = np.where(known, np.minimum(facts.baseline, facts.floor_now), facts.floor_now)
    return np.where(facts.paused, home, wish)


def say_paused(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """Where the floor goes instead."""
    return f"the owner paused this HPA; wanted {wish}, on the way to {allowed}"


def never_below_baseline(wish: IntArray, facts: Facts) -> IntArray:
    """The owner's minReplicas is the least there is."""
    return np.maximum(wish, facts.baseline)


def say_below_baseline(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """What the baseline is."""
    return f"wanted {wish} replicas, the baseline is {int(facts.baseline[row])}"


def stay_within_ceiling(wish: IntArray, facts: Facts) -> IntArray:
    """The owner's ceiling is the most that we may ask for; it takes nothing of the baseline.

    A ceiling that was lowered below the floor is obeyed in one step, because the server refuses
    every floor above it.
    """
    return np.minimum(wish, np.maximum(facts.ceiling, facts.baseline))


def say_above_ceiling(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """What the ceiling is."""
    return f"wanted {wish} replicas, the owner's ceiling is {int(facts.ceiling[row])}"


def stay_within_max(wish: IntArray, facts: Facts) -> IntArray:
    """The owner's maxReplicas is the most there is; the API server refuses a floor above it."""
    return np.minimum(wish, facts.replicas_max)


def say_above_max(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """What maxReplicas is."""
    return f"wanted {wish} replicas, maxReplicas is {int(facts.replicas_max[row])}"
