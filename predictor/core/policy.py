"""What the operator decides: quantile, limits and steps, per module and per target.

The configuration file is decoded straight into these structs (unknown fields are errors), and
`predictor/core/decide.py` is steered by nothing else. A value may be set for all modules
(`defaults`), for one module or for one target; the narrowest wins. Nothing here may read a file.
"""

from __future__ import annotations

from typing import Any

import msgspec

from models.forecast import QUANTILE_LEVELS
from predictor.core.budget_policy import BudgetPolicy, SharedResource
from predictor.core.opt_in import Mode

EXPIRY_LEAST_S = 600.0
"""The shortest expiry that is accepted: restarts and drained nodes take minutes."""


class ModulePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one target is sized and how fast its floor may move."""

    quantile: float = 0.9
    """The quantile of the window's peak that the floor carries; one of `QUANTILE_LEVELS`."""
    hold_s: float = 120.0
    """How long the window is: some decisions long, because the next ones look further. Longer
    windows cost pods for every burst that passes (docs/decisions/0011)."""
    lead_time_default_s: float = 120.0
    """Used until three raises were measured; MPLP asks for scale-up in under 2 minutes."""
    lead_time_max_s: float = 900.0
    """A raise that is not Ready by then was blocked, and teaches nothing about the lead time."""
    rate_per_pod_per_s: float | None = None
    """Demand one Ready pod carries at the HPA's own target; None: read from the HPA's metrics."""
    pod_load_ratio: float = 1.2
    """What a pod of the floor is planned to carry, as a share of the rate per pod: 1 plans for the
    HPA's own target, 1.2 uses half of the headroom that a target of 70 % leaves. The quantile says
    how rarely more comes; planning idle pods on top of it pays twice (docs/decisions/0011)."""
    replicas_min: int | None = None
    """The baseline where the owner's is not known any more, because the field holds our value."""
    # The HPA's own default scaleUp policies: 100 % or 4 pods, whichever is more (kubernetes.io,
    # Horizontal Pod Autoscaling, "Default Behavior"). A floor bypasses them, so the service keeps
    # them itself, every second sync: a sync that jumps to a raised floor hears no metric.
    step_up_ratio_max: float = 1.0
    """Largest raise in one step, as a share of the floor. None is larger than the server's guard
    takes: the floor once more and 4 replicas, or what the owner's annotation says."""
    step_up_replicas_max: int = 4
    """A raise of this many replicas is always allowed in one step."""
    step_up_interval_s: float = 30.0
    """Least time between two raises."""
    # A lowered minReplicas is not stabilised: the HPA falls in one step (measured, v1.37.2).
    release_step_ratio: float = 0.25
    """Largest release in one step, as a share of the floor, rounded up to a whole replica."""
    release_interval_s: float = 60.0
    """Least time between two releases; the period of the HPA's usual scaleDown policy."""
    hold_after_raise_s: float = 315.0
    """No release sooner than this after a raise: the HPA's default downscale stabilisation, and the
    one sync in which it heard no metric."""
    corroboration_ratio_max: float = 2.0
    """A floor is raised to at most this many times what the pods' own metrics or the usual peak
    account for, so that forged events or a model gone wrong cannot buy pods without end."""
    response_time_objective_s: float | None = None
    """The response time to be kept, where the HPA has one of `response_time_metrics`; None: that
    metric's own target."""

    def __post_init__(self) -> None:
        _refuse(
            (self.quantile not in QUANTILE_LEVELS, f"quantile must be one of {QUANTILE_LEVELS}"),
            (not 0 < self.hold_s <= 86_400, "hold_s must be above 0 and at most a day"),
            (
                not 0 < self.lead_time_default_s <= self.lead_time_max_s,
                "lead_time_default_s must be above 0 and at most lead_time_max_s",
            ),
            (not self.lead_time_max_s <= 7_200, "lead_time_max_s must be at most two hours"),
            (
                self.rate_per_pod_per_s is not None and not 0 < self.rate_per_pod_per_s < 1e9,
                "rate_per_pod_per_s must be above 0",
            ),
            (not 0.5 <= self.pod_load_ratio <= 2, "pod_load_ratio must lie in 0.5..2"),
            (
                self.replicas_min is not None and not 1 <= self.replicas_min <= 100_000,
                "replicas_min must be at least 1",
            ),
            (not 0 <= self.step_up_ratio_max <= 10, "step_up_ratio_max must lie in 0..10"),
            (
                not 1 <= self.step_up_replicas_max <= 1000,
                "step_up_replicas_max must lie in 1..1000",
            ),
            (not 0 < self.release_step_ratio <= 1, "release_step_ratio must lie in (0, 1]"),
            (not self.step_up_interval_s >= 0, "step_up_interval_s must not be negative"),
            (not self.release_interval_s >= 0, "release_interval_s must not be negative"),
            (not self.hold_after_raise_s >= 0, "hold_after_raise_s must not be negative"),
            (
                not 1 <= self.corroboration_ratio_max <= 1000,
                "corroboration_ratio_max must lie in 1..1000",
            ),
            (
                self.response_time_objective_s is not None
                and not 0 < self.response_time_objective_s <= 3_600,
                "response_time_objective_s must be above 0 and at most an hour",
            ),
        )


class ModuleOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same settings for one module or target; what is None is taken from the wider setting."""

    quantile: float | None = None
    hold_s: float | None = None
    lead_time_default_s: float | None = None
    lead_time_max_s: float | None = None
    rate_per_pod_per_s: float | None = None
    pod_load_ratio: float | None = None
    replicas_min: int | None = None
    step_up_ratio_max: float | None = None
    step_up_replicas_max: int | None = None
    step_up_interval_s: float | None = None
    release_step_ratio: float | None = None
    release_interval_s: float | None = None
    hold_after_raise_s: float | None = None
    corroboration_ratio_max: float | None = None
    response_time_objective_s: float | None = None


class RegionPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far and how fast the default route's weights may move (points of 100)."""

    weight_step_max: int = 10
    """Largest change of one region's weight in one step."""
    weight_step_interval_s: float = 60.0
    """Least time between two steps, so that a step's effect is seen before the next."""
    weight_min: int = 5
    weight_max: int = 95
    headroom_ratio: float = 0.1
    """Share of a region's capacity that a planned weight leaves free. It also keeps the weights
    from going to and fro: they leave home when a region is full and return only with this much
    room."""

    def __post_init__(self) -> None:
        _refuse(
            (not 1 <= self.weight_step_max <= 100, "weight_step_max must lie in 1..100"),
            (not self.weight_step_interval_s >= 0, "weight_step_interval_s must not be negative"),
            (
                not 0 <= self.weight_min < self.weight_max <= 100,
                "weight_min and weight_max must lie in 0..100, the first below the second",
            ),
            (not 0 <= self.headroom_ratio < 1, "headroom_ratio must lie in [0, 1)"),
        )


class RoutePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One routed module: its owner's weights, which it returns to."""

    home_weights: dict[str, int] = {}
    """Region to weight, summing to 100; empty: those before we first moved them."""

    def __post_init__(self) -> None:
        weights = self.home_weights.values()
        wrong = bool(weights) and (sum(weights) != 100 or min(weights) < 0)
        _refuse((wrong, f"home_weights must sum to 100, these sum to {sum(weights)}"))


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that steers a decision; decisions read nothing of the outside but this."""

    defaults: ModulePolicy = msgspec.field(default_factory=ModulePolicy)
    modules: dict[str, ModuleOverride] = {}
    """Module name to its own settings."""
    targets: dict[str, ModuleOverride] = {}
    """"module/region" to its own settings."""
    regions: RegionPolicy = msgspec.field(default_factory=RegionPolicy)
    routes: dict[str, RoutePolicy] = {}
    """Modules whose unpinned demand is spread over regions by weights."""
    request_rate_metrics: tuple[str, ...] = (
        "mplp_requests_per_second",
        "mplp_auth_requests_per_second",
    )
    """Pods metrics of an HPA that count requests per second, so that their target is a rate per pod
    (scaling guide, HPA manifests). An `AverageValue` of an Object or External metric counts too."""
    level_metrics: dict[str, str] = msgspec.field(
        default_factory=lambda: {"mplp_network_connections_active": "network"}
    )
    """Metrics of an HPA that are a level and no rate (connections, a queue's length), each with the
    module whose pods hold it. The level is taken to follow that module's demand."""
    response_time_metrics: tuple[str, ...] = ("mplp_response_time_p95",)
    """Metrics of an HPA that are a response time in seconds, from which the load is learned at
    which its objective is just met."""
    tick_s: float = 10.0
    """How often a decision is made."""
    telemetry_stale_after_s: float = 90.0
    """Silence after which floors and weights are held."""
    telemetry_handback_after_s: float = 900.0
    """Silence after which floors go back to the baseline in steps, and lag after which they go back
    to what is still seen."""
    lag_max_s: float = 180.0
    """Age of the newest whole demand beyond which nothing is lowered and no weight moves. In normal
    operation it is the lateness, a bucket and some seconds."""
    metrics_failing_hold_s: float = 21_600.0
    """While an HPA cannot read a metric its floor is not lowered, for this long; then it is
    released in steps to what demand as the service sees it needs."""
    warm_up_s: float = 300.0
    """After a start nothing is lowered for this long; the first decision changes nothing at all."""
    modes: dict[str, Mode] = {}
    """Module name, or "module/region", to what may be done where the owner's annotation says
    nothing; a target that is in neither is in shadow."""
    band_required: bool = True
    """A floor is only written where the owner's annotations say between what bounds."""
    expiry_s: float = 900.0
    """How long a floor above the baseline is good for unless it is renewed."""
    corroborate_by_metrics: bool = True
    """Where an HPA's metrics can be read, they say what is really served, not the events."""
    budget: BudgetPolicy = msgspec.field(default_factory=BudgetPolicy)
    shared_resources: dict[str, SharedResource] = {}
    """Name to something that pods of several modules share."""

    def __post_init__(self) -> None:
        _refuse(
            (not 0 < self.tick_s <= 300, "tick_s must lie in (0, 300]"),
            (
                not 0 < self.telemetry_stale_after_s <= self.telemetry_handback_after_s,
                "telemetry_stale_after_s must be above 0 and at most telemetry_handback_after_s",
            ),
            (
                not 0 < self.lag_max_s <= self.telemetry_handback_after_s,
                "lag_max_s must be above 0 and at most telemetry_handback_after_s",
            ),
            (not self.metrics_failing_hold_s >= 0, "metrics_failing_hold_s must not be negative"),
            (not self.warm_up_s >= 0, "warm_up_s must not be negative"),
            (
                not max(3 * self.tick_s, EXPIRY_LEAST_S) <= self.expiry_s <= 86_400,
                f"expiry_s must be at least {max(3 * self.tick_s, EXPIRY_LEAST_S):g} (three "
                "ticks, and time for a restart) and at most a day",
            ),
        )
        for name in (*self.modules, *self.targets):
            try:
                self.of(*name.split("/", 1)) if name in self.targets else self.of(name)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error

    def of(self, module: str, region: str = "") -> ModulePolicy:
        """The settings of a module in a region, narrowest first."""
        settings = self.defaults
        for override in (self.modules.get(module), self.targets.get(f"{module}/{region}")):
            if override is not None:
                settings = _narrowed(settings, override)
        return settings

    def mode_of(self, module: str, region: str) -> Mode:
        """What may be done with a target whose owner does not say; narrowest first."""
        known = self.modes.get(f"{module}/{region}", self.modes.get(module))
        return Mode.SHADOW if known is None else known


def _narrowed(settings: ModulePolicy, override: ModuleOverride) -> ModulePolicy:
    chosen: dict[str, Any] = {
        name: value for name, value in msgspec.structs.asdict(override).items() if value is not None
    }
    return msgspec.structs.replace(settings, **chosen)


def _refuse(*rules: tuple[bool, str]) -> None:
    broken = [sentence for is_broken, sentence in rules if is_broken]
    if broken:
        raise ValueError("; ".join(broken))
