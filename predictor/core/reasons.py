"""Every reason a decision can give: a code, and when it is given.

Guardrails, sizing, allocation and actuators return these; the audit record, metrics and logs show
them. The sentence of a `Reason` states the fact with its numbers, never what the reader should do.
No code may be spelled anywhere else.
"""

from __future__ import annotations

import enum

import msgspec


class Code(enum.StrEnum):
    """What limited, caused or prevented a change."""

    # Why a value is wanted
    FORECAST_PEAK = "ForecastPeak"
    """The forecast's peak in the window, divided by the rate per pod, asks for this floor."""
    OBSERVED_DEMAND = "ObservedDemand"
    """There is no forecast above what is asked for right now."""
    NO_FORECAST = "NoForecast"
    """The forecaster gave nothing for this series; its own sentence is attached."""
    NO_RATE_PER_POD = "NoRatePerPod"
    """Neither the configuration nor the HPA's metrics say what one pod carries."""
    BASELINE = "Baseline"
    """Nothing asks for more than the owner's own minReplicas."""

    # What a guardrail did
    ABOVE_MAX_REPLICAS = "AboveMaxReplicas"
    STEP_UP_LIMITED = "StepUpLimited"
    RELEASE_IN_STEPS = "ReleaseInSteps"
    HELD_AFTER_RAISE = "HeldAfterRaise"
    STALE_TELEMETRY = "StaleTelemetry"
    INCOMPLETE_TELEMETRY = "IncompleteTelemetry"
    BASELINE_UNKNOWN = "BaselineUnknown"
    BELOW_BASELINE = "BelowBaseline"
    WARMING_UP = "WarmingUp"

    # Why a target is left alone
    TARGET_MISSING = "TargetMissing"
    SCALED_TO_ZERO = "ScaledToZero"
    AMBIGUOUS_SELECTOR = "AmbiguousSelector"
    SHADOW = "Shadow"
    NO_CHANGE = "NoChange"

    # Regions
    WEIGHT_STEP_LIMITED = "WeightStepLimited"
    NO_HEADROOM = "NoHeadroom"
    CAPACITY_NOT_READY = "CapacityNotReady"
    WEIGHTS_BALANCED = "WeightsBalanced"
    WEIGHTS_FOLLOW_CAPACITY = "WeightsFollowCapacity"
    ROUTE_NOT_FOUND = "RouteNotFound"
    ROUTE_UNUSABLE = "RouteUnusable"
    """The default route names a region twice or carries no weight at all."""

    # What came of an action
    MOVED_ON = "MovedOn"
    CONFLICT = "Conflict"
    FORBIDDEN = "Forbidden"
    UNREACHABLE = "Unreachable"
    REFUSED = "Refused"


class Reason(msgspec.Struct, frozen=True):
    """A code and a sentence that a person understands, numbers included."""

    code: Code
    sentence: str
