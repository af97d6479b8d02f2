"""One direction of an HPA's `behavior`: how fast it may scale, and how long it waits.

`spec.py` reads it from a manifest; `stabilisation.py` and `rate_limits.py` apply it. It must never
hold what has happened so far: that is `state.py`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NamedTuple


class SelectPolicy(enum.StrEnum):
    """Which of several scaling policies counts."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class Policy(NamedTuple):
    """At most `value` pods, or percent of the replicas at the period's start, per `period_s`."""

    is_percent: bool
    value: int
    period_s: int


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """One direction of `behavior`, its absent fields filled in.

    `stabilisation_s` is None where the controller's flag counts (scaleDown only), `tolerance` where
    its global one does.
    """

    stabilisation_s: int | None
    select: SelectPolicy
    policies: tuple[Policy, ...]
    tolerance: float | None = None
    longest_period_s: int = field(init=False)

    def __post_init__(self) -> None:
        longest_s = max((policy.period_s for policy in self.policies), default=0)
        object.__setattr__(self, "longest_period_s", longest_s)
