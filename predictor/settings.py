"""Every setting of the service, with its default; the shape of the configuration file.

`predictor/config.py` fills it from a file and the environment, the composition roots
(`predictor/worker.py`, `predictor/demo.py`, `predictor/training.py`) read it. The default profile
is the MPLP scaling guide's: ten modules, three regions, weights 50/30/20. Every name is a setting,
because the platform's own documents do not agree on them. Nothing here may open a file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from models.upstream_pairs import CALLERS_MAX
from predictor.core.budget_policy import BudgetPolicy, SharedResource
from predictor.core.history import History
from predictor.core.history_layers import HistoryLayers
from predictor.core.input_partitions import InputPartitions
from predictor.core.input_topic import Proof
from predictor.core.opt_in import Mode
from predictor.core.policy import (
    ModuleOverride,
    ModulePolicy,
    Policy,
    RegionPolicy,
    RoutePolicy,
)
from streams.format_options import FormatName, FormatOptions

API_VERSION = "predictor.mplp.io/v1alpha1"
Name = Annotated[str, Meta(min_length=1, max_length=253)]
Seconds = Annotated[float, Meta(gt=0, le=7 * 86400)]
Port = Annotated[int, Meta(ge=0, le=65535)]
PublicKey = Annotated[str, Meta(pattern="^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$")]
"""Ed25519, 32 bytes in base64; the last digit carries four bits."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the file; a key it does not know is an error, never ignored."""


class KafkaSettings(Section, frozen=True):
    """The broker and the topics, which their owner creates; secrets are files, never values."""

    bootstrap_servers: Name = "127.0.0.1:9092"
    requests_topic: Name = "mplp.requests"
    demand_topic: Name = "mplp.demand.v1"
    decisions_topic: Name = "mplp.decisions.v1"
    dead_letter_topic: Name = "mplp.requests.dlq"
    group_prefix: Name = "mplp-predictor"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password_file: str | None = None
    ssl_ca_file: str | None = None
    ssl_certificate_file: str | None = None
    ssl_key_file: str | None = None
    replication_factor: Annotated[int, Meta(ge=1, le=9)] = 3


class WindowSettings(Section, frozen=True):
    """How events become buckets."""

    bucket_s: Annotated[int, Meta(ge=1, le=60)] = 10
    lateness_s: Annotated[float, Meta(ge=0, le=3600)] = 30.0
    future_skew_max_s: Seconds = 300.0
    idle_after_s: Seconds = 30.0
    amend_s: Annotated[int, Meta(ge=0, le=600)] = 60
    silence_max_s: Annotated[int, Meta(ge=60, le=86400)] = 120
    silence_proof: Proof = "topic"
    given_up_partitions: Annotated[tuple[int, ...], Meta(max_length=64)] = ()
    commit_interval_s: Seconds = 1.0


class MetricSettings(Section, frozen=True):
    """The topic of metric samples, if demand is to be read from counters.

    A difference of two samples reaches as far back as these are apart, so the lateness is the
    scrape interval and half a minute more.
    """

    topic: Name | None = None
    format: FormatName = ""
    lateness_s: Annotated[float, Meta(ge=0, le=3600)] = 120.0


class HistorySettings(Section, frozen=True):
    """How much of the past is kept in memory, and how finely: all of it in `step_s` for
    `length_days`, and means over `coarse_step_s` of what is older, to `coarse_length_days`."""

    step_s: Annotated[int, Meta(ge=10, le=3600)] = 60
    length_days: Annotated[float, Meta(gt=0, le=60)] = 15.0
    coarse_step_s: Annotated[int, Meta(ge=60, le=3600)] = 300
    coarse_length_days: Annotated[float, Meta(ge=0, le=100)] = 0.0
    precision: Literal["double", "single"] = "double"

    def layers(self) -> HistoryLayers:
        """The same for the core; raises `ValueError` for lengths that do not fit together."""
        return HistoryLayers(
            step_s=self.step_s,
            length_s=int(self.length_days * 86_400) // self.step_s * self.step_s,
            coarse_step_s=self.coarse_step_s,
            coarse_length_s=int(self.coarse_length_days * 86_400),
            is_single=self.precision == "single",
        )


class ModelSettings(Section, frozen=True):
    """Where promoted models come from while the service runs, and whose signatures it trusts."""

    store: Annotated[str, Meta(min_length=1, max_length=2048)] | None = None
    trusted_keys: Annotated[tuple[PublicKey, ...], Meta(max_length=16)] = ()
    poll_s: Seconds = 60.0
    timeout_s: Annotated[float, Meta(gt=0, le=600)] = 60.0


class RegionCalendarSettings(Section, frozen=True):
    """A region's time zone, and the country whose public holidays it keeps (ISO 3166)."""

    zone: Name = "UTC"
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] | None = None
    subdivision: Name | None = None


class CalendarSettings(Section, frozen=True):
    """What is planned: iCalendar files, and the public holidays of the regions."""

    files: Annotated[tuple[Name, ...], Meta(max_length=16)] = ()
    look_back_days: Annotated[int, Meta(ge=0, le=800)] = 400
    look_ahead_days: Annotated[int, Meta(ge=1, le=400)] = 30
    regions: dict[str, RegionCalendarSettings] = field(default_factory=dict)


class RegionSettings(Section, frozen=True):
    """A region: the namespace of its objects, and the owner's share of the default route."""

    namespace: Name
    weight: Annotated[int, Meta(ge=0, le=100)]


class ModuleSettings(Section, frozen=True):
    """A module: the HPA's name in each region's namespace, and what deviates from `defaults`.

    `callers` are the modules that call it; without a list they are looked for in its history.
    `mode` is the service's unless it is set; an annotation on the HPA wins over both.
    """

    hpa: Name
    callers: Annotated[tuple[Name, ...], Meta(max_length=CALLERS_MAX)] | None = None
    mode: Literal["shadow", "active", "paused"] | None = None
    policy: ModuleOverride = field(default_factory=ModuleOverride)


class RouteSettings(Section, frozen=True):
    """The VirtualService whose default route spreads one module over the regions."""

    namespace: Name
    virtual_service: Name
    hosts: dict[str, str]


class KubernetesSettings(Section, frozen=True):
    """How the API server is reached; without a kubeconfig the pod's own service account is used."""

    namespace: Name = "mplp-predictor"
    """The service's own, where its leases and its switch lie."""
    kubeconfig: str | None = None
    context: str | None = None
    request_timeout_s: Annotated[float, Meta(gt=0, le=60)] = 5.0
    silence_max_s: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    """How long what was read last is used while the API server does not answer."""
    writes_per_s: Annotated[float, Meta(gt=0, le=1000)] = 50.0
    discovery: bool = False
    """Whether an HPA with an annotation of ours is a target without being configured."""
    discovery_namespaces: tuple[Name, ...] = ()
    """Where to look for them, beside the regions' own; none means the whole cluster."""
    keda: Literal["refuse", "patch"] = "refuse"
    """An HPA that KEDA makes: left alone, or its floor is written to its ScaledObject."""


class GuardSettings(Section, frozen=True):
    """Whether floors are written only where the server itself refuses those outside the band."""

    required: bool = True


class HttpSettings(Section, frozen=True):
    """Where probes and metrics are served."""

    host: Name = "127.0.0.1"
    port: Port = 8080


GUIDE_REGIONS: dict[str, RegionSettings] = {
    "us-east-1": RegionSettings(namespace="us-east-1", weight=50),
    "eu-west-1": RegionSettings(namespace="eu-west-1", weight=30),
    "ap-southeast-1": RegionSettings(namespace="ap-southeast-1", weight=20),
}
"""The scaling guide's regions; its route hosts make each region's name a namespace."""

GUIDE_REPLICAS_MIN: dict[str, int] = {
    "context": 2, "plan": 2, "role": 3, "confirm": 2, "trace": 2,
    "extension": 1, "dialog": 2, "collab": 2, "core": 3, "network": 2,
}  # fmt: skip
"""The guide's lower bounds, one for each of the ten modules (its topology drawing)."""


def _guide_modules() -> dict[str, ModuleSettings]:
    """The ten modules with HPAs called as the guide calls them."""
    return {
        name: ModuleSettings(
            hpa=f"mplp-{name}-hpa", policy=ModuleOverride(replicas_min=replicas_min)
        )
        for name, replicas_min in GUIDE_REPLICAS_MIN.items()
    }


def _guide_routes() -> dict[str, RouteSettings]:
    """The guide's one route: Core, over all regions."""
    hosts = {name: f"mplp-core-service.{name}.svc.cluster.local" for name in GUIDE_REGIONS}
    route = RouteSettings(
        namespace="mplp-production", virtual_service="mplp-global-traffic", hosts=hosts
    )
    return {"core": route}


def _guide_regions() -> dict[str, RegionSettings]:
    return dict(GUIDE_REGIONS)


# `deploy/guard/hpa.yaml` lets one raise reach twice the value and four, so from 1 it adds five.
_GUARDED_RATIO, _GUARDED_REPLICAS = 1.0, 5


def _refuse_steps_beyond_guard(policy: Policy) -> None:
    """A step that the server refuses whole is no step at all, tick after tick."""
    for name in ("", *policy.modules):
        one = policy.of(name)
        if one.step_up_ratio_max > _GUARDED_RATIO or one.step_up_replicas_max > _GUARDED_REPLICAS:
            raise ValueError(
                f"{name or 'defaults'}: a step of {one.step_up_ratio_max:g} times the floor or "
                f"{one.step_up_replicas_max} replicas is more than the guard on the server lets "
                f"through ({_GUARDED_RATIO:g} or {_GUARDED_REPLICAS}): take smaller steps, or set "
                "guard.required: false"
            )


class Settings(Section, frozen=True):
    """The whole file."""

    api_version: Literal["predictor.mplp.io/v1alpha1"] = msgspec.field(
        name="apiVersion", default="predictor.mplp.io/v1alpha1"
    )
    mode: Literal["shadow", "active"] = "shadow"
    clock: Literal["wall", "event"] = "wall"
    region: Name = "us-east-1"
    tick_s: Annotated[float, Meta(gt=0, le=300)] = 10.0
    telemetry_stale_after_s: Seconds = 90.0
    telemetry_handback_after_s: Seconds = 900.0
    lag_max_s: Seconds = 180.0
    metrics_failing_hold_s: Annotated[float, Meta(ge=0, le=2_592_000)] = 21_600.0
    warm_up_s: Annotated[float, Meta(ge=0, le=86400)] = 300.0
    expiry_s: Annotated[float, Meta(ge=600, le=86400)] = 900.0
    corroborate_by_metrics: bool = True
    budget: BudgetPolicy = field(default_factory=BudgetPolicy)
    shared_resources: dict[str, SharedResource] = field(default_factory=dict)
    refit_s: Seconds = 3600.0
    model_folder: str | None = None
    model: ModelSettings = field(default_factory=ModelSettings)
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    windows: WindowSettings = field(default_factory=WindowSettings)
    events: FormatOptions = field(default_factory=FormatOptions)
    metrics: MetricSettings = field(default_factory=MetricSettings)
    history: HistorySettings = field(default_factory=HistorySettings)
    calendar: CalendarSettings = field(default_factory=CalendarSettings)
    regions: dict[str, RegionSettings] = field(default_factory=_guide_regions)
    modules: dict[str, ModuleSettings] = field(default_factory=_guide_modules)
    routes: dict[str, RouteSettings] = field(default_factory=_guide_routes)
    defaults: ModulePolicy = field(default_factory=ModulePolicy)
    region_policy: RegionPolicy = field(default_factory=RegionPolicy)
    request_rate_metrics: tuple[str, ...] = (
        "mplp_requests_per_second",
        "mplp_auth_requests_per_second",
    )
    level_metrics: dict[str, str] = field(
        default_factory=lambda: {"mplp_network_connections_active": "network"}
    )
    response_time_metrics: tuple[str, ...] = ("mplp_response_time_p95",)
    kubernetes: KubernetesSettings = field(default_factory=KubernetesSettings)
    guard: GuardSettings = field(default_factory=GuardSettings)
    http: HttpSettings = field(default_factory=HttpSettings)

    def policy(self) -> Policy:
        """What the pure core decides by; raises `ValueError` for what the guard would refuse."""
        policy = self._policy()
        if self.guard.required:
            _refuse_steps_beyond_guard(policy)
        return policy

    def _policy(self) -> Policy:
        weights = {name: region.weight for name, region in self.regions.items()}
        lag_max_s = self.lag_max_s + self.samples_behind_s
        return Policy(
            defaults=self.defaults,
            modules={name: module.policy for name, module in self.modules.items()},
            regions=self.region_policy,
            routes={name: RoutePolicy(home_weights=weights) for name in self.routes},
            request_rate_metrics=self.request_rate_metrics,
            level_metrics=self.level_metrics,
            response_time_metrics=self.response_time_metrics,
            modes={name: Mode(module.mode or self.mode) for name, module in self.modules.items()},
            expiry_s=self.expiry_s,
            corroborate_by_metrics=self.corroborate_by_metrics,
            budget=self.budget,
            shared_resources=self.shared_resources,
            band_required=self.guard.required,
            tick_s=self.tick_s,
            telemetry_stale_after_s=self.telemetry_stale_after_s,
            telemetry_handback_after_s=self.telemetry_handback_after_s,
            lag_max_s=max(self.lag_max_s, min(lag_max_s, self.telemetry_handback_after_s)),
            metrics_failing_hold_s=self.metrics_failing_hold_s,
            warm_up_s=self.warm_up_s,
        )

    @property
    def samples_behind_s(self) -> float:
        """How much longer than events samples may leave a bucket open.

        Twice the difference, since the next sample may be nearly as long in coming as the lateness.
        """
        if self.metrics.topic is None:
            return 0.0
        return 2 * max(0.0, self.metrics.lateness_s - self.windows.lateness_s)

    def callers(self) -> dict[str, tuple[str, ...]]:
        """The modules that call a module, of those that say so."""
        told = ((name, module.callers) for name, module in self.modules.items())
        return {name: callers for name, callers in told if callers is not None}

    def input_topics(self) -> dict[int, str]:
        """The topics that demand is read from, by their numbers."""
        topics = [self.kafka.requests_topic]
        if self.metrics.topic is not None:
            topics.append(self.metrics.topic)
        return dict(enumerate(topics))

    def new_history(self, owns: Callable[[str], bool] = lambda module: True) -> History:
        """An empty history of the configured modules that `owns` accepts, in all regions."""
        inputs = InputPartitions(
            silence_max_s=self.windows.silence_max_s,
            proof=self.windows.silence_proof,
            topic_names=self.input_topics(),
            given_up=frozenset(self.windows.given_up_partitions),
        )
        inputs.lost_after_s += int(self.samples_behind_s)
        return History(
            [module for module in self.modules if owns(module)],
            list(self.regions),
            [module for module in self.routes if owns(module)],
            layers=self.history.layers(),
            inputs=inputs,
            bucket_s=self.windows.bucket_s,
        )
