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
    """More was wanted than the HPA's maxReplicas."""
    STEP_UP_LIMITED = "StepUpLimited"
    """The raise was larger, or came sooner, than one step may be."""
    METRICS_ASK_MORE = "MetricsAskMore"
    """The HPA's own metrics ask for more than the raise would reach, so they go first."""
    RELEASE_IN_STEPS = "ReleaseInSteps"
    """The release was larger, or came sooner, than one step may be."""
    HELD_AFTER_RAISE = "HeldAfterRaise"
    """A raise was too recent for a release."""
    STALE_TELEMETRY = "StaleTelemetry"
    """The newest telemetry is older than its limit."""
    LAGGING_TELEMETRY = "LaggingTelemetry"
    """The newest demand that is whole is older than its limit: a decision would be on the past."""
    INCOMPLETE_TELEMETRY = "IncompleteTelemetry"
    """An input is missing or silent without proof, so demand may be larger than what is seen."""
    BASELINE_UNKNOWN = "BaselineUnknown"
    """Nobody knows what the owner declared, so nothing may be lowered."""
    BELOW_BASELINE = "BelowBaseline"
    """Less was wanted than the owner's own minReplicas."""
    SCALE_UP_BUDGET = "ScaleUpBudget"
    """The HPA counts our raise among its scale-ups, so its metrics may add less for a while."""
    ABOVE_CEILING = "AboveCeiling"
    """More was wanted than the owner's ceiling."""
    NOT_CORROBORATED = "NotCorroborated"
    """More was wanted than demand that was really seen, now or at its usual peak, accounts for."""
    CAPACITY_BLOCKED = "CapacityBlocked"
    """Pods that were asked for do not become Ready (quota, nodes, image): no more are asked for."""
    METRICS_FAILING = "MetricsFailing"
    """A metric of the HPA cannot be read, so it may not scale by itself: nothing is lowered."""
    DEMAND_STILL_THERE = "DemandStillThere"
    """Only the forecast fell; what is asked for now did not, so nothing is lowered."""
    FLEET_BUDGET = "FleetBudget"
    """All floors together would take more pods beyond the baselines than they may."""
    SHARED_RESOURCE = "SharedResource"
    """All pods together would take more of something shared than there is."""
    CHANGES_LIMITED = "ChangesLimited"
    """More objects were to change in one tick than may; this one waits."""
    WARMING_UP = "WarmingUp"
    """The service started too recently: the first decision changes nothing, then none lowers."""

    # Why a target is left alone
    TARGET_MISSING = "TargetMissing"
    """The HPA or its Deployment cannot be read."""
    SCALED_TO_ZERO = "ScaledToZero"
    """Somebody scaled the Deployment to zero, which switches its HPA off."""
    AMBIGUOUS_SELECTOR = "AmbiguousSelector"
    """Two HPAs scale the same pods, and so neither does."""
    NOT_OPTED_IN = "NotOptedIn"
    """The owner has not said within what the floor, or that weights, may move: only recorded."""
    PAUSED = "Paused"
    """The owner paused this HPA."""
    ANNOTATION_UNREADABLE = "AnnotationUnreadable"
    """An annotation of the owner is not what it should be; nothing is allowed by guesses."""
    SCALED_OBJECT = "ScaledObject"
    """KEDA made this HPA from a ScaledObject, and writes it anew from there."""
    OTHER_CONTROLLER = "OtherController"
    """Another controller made this HPA and keeps its bounds, or keeps this route's weights."""
    VERTICAL_AUTOSCALER = "VerticalAutoscaler"
    """A VerticalPodAutoscaler changes the resource that this HPA scales on."""
    REPLACED = "Replaced"
    """Somebody wrote the whole object anew and our floor with it: left to them for a while."""
    STALE_READ = "StaleRead"
    """What was read of the object is older than what we wrote to it ourselves."""
    SWITCHED_OFF = "SwitchedOff"
    """Somebody switched the whole service off; floors are handed back."""
    NOT_GUARDED = "NotGuarded"
    """The server does not refuse a floor outside the band, or too large a step of weights."""
    NOT_FENCED = "NotFenced"
    """This worker does not hold the lease of the module's partition, so it writes nothing."""
    CLOCK_SKEW = "ClockSkew"
    """This machine's clock and the API server's disagree, so nothing that expires is written."""
    SHADOW = "Shadow"
    """Shadow mode: the change was recorded and not made."""

    # Regions
    WEIGHT_STEP_LIMITED = "WeightStepLimited"
    """The weights were to move farther, or sooner, than one step may."""
    NO_HEADROOM = "NoHeadroom"
    """A region cannot carry more within its maxReplicas."""
    CAPACITY_NOT_READY = "CapacityNotReady"
    """The pods that would carry a larger weight are not Ready yet."""
    WEIGHTS_BALANCED = "WeightsBalanced"
    """Every region can carry its home share; nothing has to move."""
    WEIGHTS_FOLLOW_CAPACITY = "WeightsFollowCapacity"
    """A region cannot carry its home share, so others take some of it."""
    HOME_WEIGHTS = "HomeWeights"
    """Who says what the weights return to, where that is not the configuration alone."""
    ROUTE_NOT_FOUND = "RouteNotFound"
    """The VirtualService or its default route cannot be read."""
    ROUTE_UNUSABLE = "RouteUnusable"
    """The default route names a region twice or carries no weight at all."""

    # Worth telling; stops nothing
    GIT_OPS_REVERTS = "GitOpsReverts"
    """A tool that applies from a repository will set minReplicas back unless told not to."""
    EXPIRED = "Expired"
    """The floor, or the weights, ran out unrenewed and are taken back in steps."""
    RENEWED = "Renewed"
    """The floor, or the weights, stay, and the expiry moves on."""
    HANDED_BACK = "HandedBack"
    """The floor, or the weights, are the owner's own again."""

    # What came of an action
    MOVED_ON = "MovedOn"
    """The object is not the version that was decided on any more."""
    CONFLICT = "Conflict"
    """Another manager took the field from us, and keeps it."""
    FORBIDDEN = "Forbidden"
    """The cluster refuses this service the right."""
    UNREACHABLE = "Unreachable"
    """The API server did not answer in time."""
    REFUSED = "Refused"
    """The API server refused the value."""


class Reason(msgspec.Struct, frozen=True):
    """A code and a sentence that a person understands, numbers included."""

    code: Code
    sentence: str
