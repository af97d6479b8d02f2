"""Rules about what is really there: demand, pods that became Ready, metrics that can be read.

A forecast alone takes nothing away and buys no pods without end; an HPA whose own metrics fail
keeps what it has, for a while; pods that cannot start are not asked for in larger numbers.
"""

from __future__ import annotations

import numpy as np

from predictor.core.guardrails.facts import BoolArray, Facts, IntArray, at_most_the_floor


def demand_that_is_there_is_never_released(wish: IntArray, facts: Facts) -> IntArray:
    """A floor falls only as far as what is asked for now lets it, whatever a forecast says.

    Where that is not known nothing is lowered, unless telemetry is so old that floors are handed
    back: then what is still seen counts, and after a silence nothing is.
    """
    if facts.is_silent_for_good:
        return wish
    unknown = 0 if facts.is_handed_back else facts.floor_now
    needed = np.where(np.isfinite(facts.needed_now), facts.needed_now, unknown)
    return np.maximum(wish, np.minimum(needed, facts.floor_now).astype(np.int64))


def say_still_there(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """How many replicas the demand of now needs."""
    needed = facts.needed_now[row]
    if not np.isfinite(needed):
        return f"what is asked for now is not known; wanted {wish}, held {allowed}"
    return f"what is asked for now needs {needed:.0f} replicas; wanted {wish}, held {allowed}"


def uncorroborated_demand_buys_little(wish: IntArray, facts: Facts) -> IntArray:
    """A raise needs a witness beside the forecast: the pods' own load, or the usual peak.

    It goes to at most `corroboration_ratio_max` times what they account for. Where neither is
    known nothing is raised. It never lowers a floor, and never goes below the baseline.
    """
    seen = np.where(np.isfinite(facts.corroborated), facts.corroborated, 0.0)
    # By a share of a replica more, so that 1.1 times 10 is not 12 by the last bit of the product.
    most = np.ceil(seen * facts.policy.corroboration_ratio_max * (1.0 - 1e-9))
    most = np.clip(most, 0, 1e12).astype(np.int64)
    return np.minimum(wish, np.maximum(most, np.maximum(facts.baseline, facts.floor_now)))


def say_uncorroborated(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """What accounts for how many replicas."""
    seen, ratio = facts.corroborated[row], facts.policy.corroboration_ratio_max[row]
    if not np.isfinite(seen):
        return f"neither load of now nor a usual peak is known; wanted {wish}, allowed {allowed}"
    return (
        f"load of now and the usual peak account for {seen:.0f} replicas, a floor is raised to at "
        f"most {ratio:g} times as many; wanted {wish}, allowed {allowed}"
    )


def blocked_pods_are_not_multiplied(wish: IntArray, facts: Facts) -> IntArray:
    """While pods that were asked for do not become Ready, no more are asked for.

    Judged by Ready pods: an HPA's status counts pods that a quota never let be created (v1.37).
    """
    return at_most_the_floor(wish, facts, facts.blocked)


def say_blocked(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """What keeps the pods."""
    return f"{facts.blocked.get(row, '')}; wanted {wish}, held {allowed}"


def failing_metrics_never_lower(wish: IntArray, facts: Facts) -> IntArray:
    """An HPA that cannot read a metric may not scale up again by itself, so it keeps its floor.

    Not for ever, or each raise would stay until somebody mends the metric: after
    `metrics_failing_hold_s` what demand as it is seen needs is the least.
    """
    if not facts.metrics_failing:
        return wish
    held, places = wish.copy(), list(facts.metrics_failing)
    needed = np.where(np.isfinite(facts.needed_now), facts.needed_now, 0).astype(np.int64)
    least = np.where(released_blindly(facts), np.minimum(needed, facts.floor_now), facts.floor_now)
    held[places] = np.maximum(wish, least)[places]
    return held


def released_blindly(facts: Facts) -> BoolArray:
    """Rows whose metrics fail for so long that seen demand alone decides, where that is known."""
    failing = np.zeros(len(facts.floor_now), np.bool_)
    failing[list(facts.metrics_failing)] = not facts.is_handed_back
    is_long = facts.metrics_failing_s > facts.metrics_failing_hold_s
    return failing & is_long & np.isfinite(facts.needed_now)


def say_metrics_failing(row: int, wish: int, allowed: int, facts: Facts) -> str:
    """Which metric cannot be read, and for how long."""
    return f"{_said_failing(row, facts)}; wanted {wish}, held {allowed}"


def say_released_blindly(row: int, facts: Facts) -> str:
    """That the floor falls although the HPA could not raise it again by itself."""
    return (
        f"{_said_failing(row, facts)}: released in steps to the {facts.needed_now[row]:.0f} "
        "replicas that demand as it is seen needs"
    )


def _said_failing(row: int, facts: Facts) -> str:
    said, failing_s = facts.metrics_failing.get(row, ""), facts.metrics_failing_s[row]
    if not np.isfinite(failing_s):
        return said
    limit = f"limit {facts.metrics_failing_hold_s / 3600:.1f} h"
    return f"{said}; failing for {failing_s / 3600:.1f} h, {limit}"
