"""Rules about how much is known: nothing is taken away on silence, on a part, or on the past."""

from __future__ import annotations

import numpy as np

from predictor.core.guardrails.facts import BASELINE_UNKNOWN, Facts, IntArray


def hold_on_stale_telemetry(wish: IntArray, facts: Facts) -> IntArray:
    """Silence is not zero demand: hold, and after a longer silence go back to the baseline."""
    if facts.telemetry_age_s <= facts.telemetry_stale_after_s:
        return wish
    if not facts.is_silent_for_good:
        return facts.floor_now
    known = facts.baseline != BASELINE_UNKNOWN
    return np.where(known, np.minimum(facts.baseline, facts.floor_now), facts.floor_now)


def say_stale(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """How old the newest telemetry is, and its limit."""
    age = (
        f"the newest telemetry is {facts.telemetry_age_s:.0f} s old"
        if facts.telemetry_seen
        else f"no telemetry has arrived for {facts.telemetry_age_s:.0f} s"
    )
    if facts.is_silent_for_good:
        limit_s = facts.telemetry_handback_after_s
        return f"{age}, limit {limit_s:.0f} s; baseline {int(facts.baseline[row])}"
    return f"{age}, limit {facts.telemetry_stale_after_s:.0f} s; wanted {wish}, held {allowed}"


def incomplete_telemetry_never_lowers(wish: IntArray, facts: Facts) -> IntArray:
    """A part of the demand is not a drop in demand.

    Not for ever: a partition that is lost for good is handed back like all telemetry would be, and
    then the HPA sees the load that nobody counts.
    """
    is_whole = facts.demand_known & (not facts.incomplete)
    if facts.is_handed_back:
        return wish
    return np.where(is_whole, wish, np.maximum(wish, facts.floor_now))


def say_incomplete(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """What is missing."""
    missing = facts.incomplete or "no whole step of this target's demand is known"
    return f"{missing}; wanted {wish}, held {allowed}"


def lagging_telemetry_never_lowers(wish: IntArray, facts: Facts) -> IntArray:
    """What was asked for some time ago says nothing of a drop since; while catching up, hold."""
    if facts.lag_s <= facts.lag_max_s or facts.is_handed_back:
        return wish
    return np.maximum(wish, facts.floor_now)


def say_lagging(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """How old the newest whole demand is, and what it waits for."""
    slowest = f", {facts.slowest}" if facts.slowest else ""
    return (
        f"the newest whole demand is {facts.lag_s:.0f} s old, limit {facts.lag_max_s:.0f} s"
        f"{slowest}; wanted {wish}, held {allowed}"
    )


def warming_up_never_lowers(wish: IntArray, facts: Facts) -> IntArray:
    """A service that has just started has not seen enough to take anything away."""
    started_at_s = facts.started_at_s
    if started_at_s is not None and facts.now_s - started_at_s >= facts.warm_up_s:
        return wish
    return np.maximum(wish, facts.floor_now)


def say_warming_up(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """How long ago the service started."""
    since_s = 0.0 if facts.started_at_s is None else facts.now_s - facts.started_at_s
    return f"started {since_s:.0f} s ago of {facts.warm_up_s:.0f} s; wanted {wish}, held {allowed}"


def first_decision_changes_nothing(wish: IntArray, facts: Facts) -> IntArray:
    """After a start the first look at the world is a look only."""
    return facts.floor_now if facts.started_at_s is None else wish


def say_first(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """That this is the first."""
    return f"the first decision after a start; wanted {wish}, left at {allowed}"
