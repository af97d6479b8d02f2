"""What all targets together may take: extra pods, changes per tick, and shares of what is shared.

Part of `predictor/core/policy.py`; `predictor/core/budgets.py` keeps to it. Pods are not limited
unless the operator says so.
"""

from __future__ import annotations

import msgspec


class BudgetPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits over all floors of this worker; None: no limit."""

    extra_replicas_max: int | None = None
    """Replicas that all floors together may stand above their baselines."""
    changes_per_tick_max: int | None = 500
    """Objects that one tick may change: what runs out soon first, then raises, other renewals,
    releases. Fifty writes a second for the usual ten seconds."""

    def __post_init__(self) -> None:
        for name, value in msgspec.structs.asdict(self).items():
            if value is not None and not 0 <= value <= 10_000_000:
                raise ValueError(f"{name} must lie in 0..10000000")


class SharedResource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that every pod takes a part of, such as connections of one database."""

    limit: float
    """How much of it there is for all pods."""
    per_replica: dict[str, float]
    """Module name to what one pod of it takes; a module that is not named takes nothing."""
    regions: tuple[str, ...] = ()
    """The regions whose pods share it; empty: all."""

    def __post_init__(self) -> None:
        parts = self.per_replica.values()
        if not 0 <= self.limit < 1e15 or any(not 0 < part < 1e15 for part in parts):
            raise ValueError("limit must not be negative, and each part in per_replica be above 0")
