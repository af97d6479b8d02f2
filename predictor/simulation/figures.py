"""What a simulation came to, as values that are written to JSON and read back.

`play.py` makes them, tables and pages show them, `frontier.py` compares them. Every figure that is
shown anywhere is a sum or a ratio of what stands here; nothing may be shown that is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

VERSION = 1
NAMES = {"hpa": "HPA alone", "ours": "our floor"}
"""What the two arms that always play are called in tables; peers go by their own names."""


class DayFigures(msgspec.Struct, frozen=True):
    """One target on one UTC day (`YYYY-MM-DD`), judged time only; `judged_minutes` says how much.

    `slow` counts requests by response time: bounds of the counts are the result's
    `response_bounds_s`, the last one everything beyond.
    """

    day: str
    target: str
    judged_minutes: float
    violation_minutes: float
    pod_hours: float
    requests: float
    unserved: float
    scale_actions: int
    floor_changes: int
    slow: tuple[float, ...] = ()


class ArmFigures(msgspec.Struct, frozen=True):
    """One way of scaling at one setting."""

    arm: str
    """`hpa`, `ours`, or a peer's name."""
    setting: str
    """What was set, in words: "quantile 0.9", "factor 1.2"; empty where nothing can be."""
    is_usual: bool
    """Whether this is the setting that the arm comes with."""
    days: tuple[DayFigures, ...]

    @property
    def label(self) -> str:
        """Arm and setting as people read them."""
        name = NAMES.get(self.arm, self.arm)
        return f"{name}, {self.setting}" if self.setting else name

    @property
    def violation_minutes(self) -> float:
        """Of all targets and days together."""
        return sum(day.violation_minutes for day in self.days)

    @property
    def pod_hours(self) -> float:
        """Of all targets and days together."""
        return sum(day.pod_hours for day in self.days)

    @property
    def unserved(self) -> float:
        """Requests that nobody answered."""
        return sum(day.unserved for day in self.days)

    @property
    def requests(self) -> float:
        """Requests that came."""
        return sum(day.requests for day in self.days)

    @property
    def scale_actions(self) -> int:
        """How often replicas were changed."""
        return sum(day.scale_actions for day in self.days)

    @property
    def floor_changes(self) -> int:
        """How often minReplicas was changed."""
        return sum(day.floor_changes for day in self.days)

    def by_day(self) -> dict[str, float]:
        """Violation minutes of each day, all targets together."""
        days: dict[str, float] = {}
        for one in self.days:
            days[one.day] = days.get(one.day, 0.0) + one.violation_minutes
        return days


class Trail(msgspec.Struct, frozen=True):
    """One target on one drawn day under one arm, a value a minute from `start_s` on."""

    arm: str
    target: str
    start_s: int
    step_s: int
    demand_per_s: tuple[float, ...]
    ready: tuple[int, ...]
    floor: tuple[int, ...]
    violated: tuple[bool, ...]


class SimulationResult(msgspec.Struct, frozen=True):
    """All of one simulation; rates and limits of a pod by target, requests per second."""

    version: int
    source: str
    from_s: int
    until_s: int
    step_s: int
    targets: tuple[str, ...]
    assumptions: tuple[str, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    """What of the owner's HPA works against a floor, in words."""
    rates_per_pod_per_s: dict[str, float]
    pod_limits_per_s: dict[str, float]
    response_bounds_s: tuple[float, ...]
    arms: tuple[ArmFigures, ...]
    trails: tuple[Trail, ...] = ()

    def arm(self, name: str) -> ArmFigures:
        """An arm at its usual setting; raises `KeyError`."""
        for one in self.arms:
            if one.arm == name and one.is_usual:
                return one
        raise KeyError(name)


def response_time_s(
    days: Iterable[DayFigures], bounds_s: Sequence[float], quantile: float
) -> float | None:
    """The response time that so many of the answered requests did not exceed; None without any.

    It is the upper bound of the count that the quantile falls into, the last bound for those
    beyond.
    """
    counts = [0.0] * (len(bounds_s) + 1)
    for day in days:
        for place, count in enumerate(day.slow):
            counts[place] += count
    total = sum(counts)
    if total <= 0:
        return None
    passed = 0.0
    for place, count in enumerate(counts):
        passed += count
        if passed >= quantile * total:
            return bounds_s[min(place, len(bounds_s) - 1)]
    return bounds_s[-1]
