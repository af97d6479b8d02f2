"""What one decision says: floors and weights, each with its numbers and its reasons.

`predictor/core/decide.py` makes it; the service carries its intents out, and the audit record, the
metrics and the page show it. Values only; what cannot be known is None, never a made-up number.
"""

from __future__ import annotations

import msgspec

from predictor.core.cluster import FloorIntent, TargetKey, WeightIntent
from predictor.core.opt_in import Mode
from predictor.core.reasons import Reason


class FloorDecision(msgspec.Struct, frozen=True):
    """One target. Demand is in requests per second, floors in replicas, times in seconds.

    `floor_now` is what the cluster shows, `floor_wanted` what demand alone asks for, `floor` what
    the guardrails allow, and `floor_shadow` where the floor would stand if every decision since the
    start had been carried out. `intent` is there only if the floor is to change, or is to be good
    for longer. `mode` is what may be done with the target.
    """

    key: TargetKey
    floor_now: int | None
    floor_wanted: int | None
    floor: int | None
    floor_shadow: int | None
    demand_per_s: float | None
    forecast_peak_per_s: float | None
    quantile: float
    lead_time_s: float
    lead_time_source: str
    hold_s: float
    rate_per_pod_per_s: float | None
    rate_source: str
    ready_replicas: int | None
    baseline_replicas: int | None
    max_replicas: int | None
    reasons: tuple[Reason, ...]
    intent: FloorIntent | None = None
    mode: Mode = Mode.SHADOW


class WeightDecision(msgspec.Struct, frozen=True):
    """One routed module; each tuple of weights in the order of `regions`, summing to 100.

    `weights_wanted` is where they should end, `weights` the step that may be taken now. All are
    empty where the route cannot be read. `intent` is there only if a weight is to change, or is to
    be good for longer.
    """

    module: str
    regions: tuple[str, ...]
    weights_now: tuple[int, ...]
    weights_home: tuple[int, ...]
    weights_wanted: tuple[int, ...]
    weights: tuple[int, ...]
    reasons: tuple[Reason, ...]
    intent: WeightIntent | None = None


class Decision(msgspec.Struct, frozen=True):
    """One tick's decision; `number` grows by one with each."""

    number: int
    made_at_s: float
    floors: tuple[FloorDecision, ...]
    weights: tuple[WeightDecision, ...]

    @property
    def floor_intents(self) -> tuple[FloorIntent, ...]:
        """The floors to set, at most one per target."""
        return tuple(row.intent for row in self.floors if row.intent is not None)

    @property
    def weight_intents(self) -> tuple[WeightIntent, ...]:
        """The routes to change, at most one per module."""
        return tuple(row.intent for row in self.weights if row.intent is not None)
