"""What a check looks at: plain objects, where they came from, and what the cluster says of itself.

`manifest_source.py` and `live_source.py` make it, every rule of `rules.py` reads it. Values only;
an object's body is whatever its author wrote and is read through `fields.py` alone.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from predictor.check.fields import entries, mapping, strings, text, whole
from predictor.check.metric_specs import MetricSpec, metric_specs, second_version
from predictor.core.floor_object import FloorObject, floor_object
from predictor.core.hpa_twin.spec import HpaSpec, HpaSpecRefused, read_hpa_spec
from predictor.core.opt_in import DOMAIN
from predictor.core.other_controllers import OwnerReference, scaled_object_name
from predictor.core.policy import ModulePolicy, Policy
from predictor.settings import Settings

_SHORT = {"HorizontalPodAutoscaler": "HPA"}
SERVED_VERSIONS = ("autoscaling/v1", "autoscaling/v2")
"""Of HPAs; the specs of others are not read."""


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object; `place` is the file it was read from, empty for a live one."""

    body: Mapping[str, Any]
    place: str = ""

    @property
    def kind(self) -> str:
        return text(self.body, "kind")

    @property
    def api_version(self) -> str:
        return text(self.body, "apiVersion")

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def name(self) -> str:
        return text(self.body, "metadata", "name")

    @property
    def namespace(self) -> str:
        return text(self.body, "metadata", "namespace")

    @property
    def title(self) -> str:
        """The object as findings name it."""
        kind = _SHORT.get(self.kind, self.kind)
        name = self.name or "without a name"
        return f"{kind} {self.namespace}/{name}" if self.namespace else f"{kind} {name}"

    @property
    def labels(self) -> dict[str, str]:
        return strings(self.body, "metadata", "labels")

    @property
    def annotations(self) -> dict[str, str]:
        return strings(self.body, "metadata", "annotations")

    @property
    def owners(self) -> tuple[OwnerReference, ...]:
        return tuple(
            OwnerReference(
                text(owner, "kind"),
                text(owner, "apiVersion"),
                text(owner, "name"),
                owner.get("controller") is True,
            )
            for owner in entries(self.body, "metadata", "ownerReferences")
        )


@dataclass(frozen=True, slots=True)
class Hpa:
    """An HPA with what it scales; bounds are None where they are no whole numbers.

    `made_from` is the ScaledObject from which KEDA makes it, where floors are written there.
    """

    of: SceneObject
    made_from: SceneObject | None = None

    @property
    def floor(self) -> SceneObject:
        """What bears the owner's annotations, and the floor."""
        return self.made_from or self.of

    @property
    def spec(self) -> Mapping[str, Any]:
        found = self.of.body.get("spec")
        return found if isinstance(found, Mapping) else {}

    @property
    def target(self) -> tuple[str, str]:
        """Kind and name of what it scales."""
        reference = "scaleTargetRef"
        return text(self.spec, reference, "kind"), text(self.spec, reference, "name")

    @property
    def floor_object(self) -> FloorObject:
        """Whose field its floor is."""
        there = "" if self.made_from is None else self.made_from.name
        return floor_object(self.of.namespace, self.of.name, there)

    @property
    def replicas_min(self) -> int | None:
        return whole(self.spec, "minReplicas") if "minReplicas" in self.spec else 1

    @property
    def replicas_max(self) -> int | None:
        return whole(self.spec, "maxReplicas")

    @property
    def is_annotated(self) -> bool:
        """Whether its owner wrote any annotation of ours."""
        return any(key.startswith(f"{DOMAIN}/") for key in self.floor.annotations)


class Unread(enum.Enum):
    """Why nothing is said of a file, or of a part of it."""

    BROKEN = enum.auto()
    TEMPLATE = enum.auto()
    """A chart's, with its placeholders still in it."""
    TOO_LARGE = enum.auto()
    REFUSED = enum.auto()
    """The file system does not give it."""
    NO_OBJECT = enum.auto()
    """Plain YAML of something else."""


class UnreadFile(NamedTuple):
    """A file that was passed over, in whole or in part."""

    place: str
    why: Unread
    sentence: str


class MetricsApi(NamedTuple):
    """An aggregated metrics API: whether its server answers, and the metric names it lists."""

    is_available: bool
    message: str = ""
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Right:
    """One verb that the service needs, and whether its account has it."""

    group: str
    resource: str
    verb: str
    namespace: str
    is_allowed: bool
    name: str = ""
    """Of the one object it is about; empty for all."""


@dataclass(frozen=True, slots=True)
class Restorer:
    """A CronJob that takes back what ran out, `account` as "namespace/name"; no namespaces: all.

    `rights` are those it needs where HPAs carry annotations of ours, as far as they are known.
    """

    title: str
    account: str
    namespaces: tuple[str, ...] = ()
    rights: tuple[Right, ...] = ()

    def looks_in(self, namespace: str) -> bool:
        """Whether it would find a floor there."""
        return not self.namespaces or namespace in self.namespaces


@dataclass(frozen=True, slots=True)
class LiveFacts:
    """What only a running cluster tells; None where it could not be asked.

    `served` holds every API version of discovery. `metrics_apis` has an entry for each registered
    group. `has_keda_guard` is of ScaledObjects. `whose_rights` is the account that `rights` are
    about, `switched_off` what the switch says while the service is off.
    """

    server: str = ""
    served: frozenset[str] | None = None
    metrics_apis: Mapping[str, MetricsApi] | None = None
    has_guard: bool | None = None
    has_keda_guard: bool | None = None
    switched_off: str | None = None
    rights: tuple[Right, ...] = ()
    whose_rights: str = ""
    clock_ahead_s: float | None = None
    restorers: tuple[Restorer, ...] | None = None


@dataclass(frozen=True)
class Scene:
    """All objects, and the settings they are held against; `live` is None for files alone."""

    objects: tuple[SceneObject, ...]
    settings: Settings = field(default_factory=Settings)
    live: LiveFacts | None = None
    unread: tuple[tuple[str, str], ...] = ()
    """What the cluster did not tell, and why."""
    unread_files: tuple[UnreadFile, ...] = ()

    def of_kind(self, *kinds: str) -> Iterator[SceneObject]:
        """The objects of these kinds, in their order."""
        return (one for kind in kinds for one in self._by_kind.get(kind, ()))

    @cached_property
    def hpas(self) -> tuple[Hpa, ...]:
        """Every HPA, somebody else's included."""
        hpas = self.of_kind("HorizontalPodAutoscaler")
        return tuple(Hpa(one, self._maker(one)) for one in hpas)

    @cached_property
    def checked(self) -> tuple[Hpa, ...]:
        """Those the rules speak about: all in files; live, the configured and annotated ones."""
        return tuple(
            one for one in self.hpas if one.of.place or one.is_annotated or self.is_configured(one)
        )

    @cached_property
    def read_specs(self) -> tuple[tuple[Hpa, HpaSpec | str], ...]:
        """The checked HPAs of a served version, each with its spec or what is wrong with it."""
        served = (one for one in self.checked if one.of.api_version in SERVED_VERSIONS)
        return tuple((one, _read_spec(one)) for one in served)

    @cached_property
    def metrics(self) -> tuple[tuple[Hpa, MetricSpec], ...]:
        """Each metric of each checked HPA, as far as it can be read."""
        return tuple((hpa, one) for hpa in self.checked for one in metric_specs(hpa))

    def is_configured(self, hpa: Hpa) -> bool:
        """Whether the settings name it; an object without a namespace may be any region's."""
        if hpa.of.name not in self._modules:
            return False
        namespaces = {one.namespace for one in self.settings.regions.values()}
        return not hpa.of.namespace or hpa.of.namespace in namespaces

    def module_of(self, hpa: Hpa) -> str | None:
        """The configured module whose HPA has this name."""
        return self._modules.get(hpa.of.name)

    def policy_of(self, hpa: Hpa) -> ModulePolicy:
        """How its floor would move."""
        regions = self.settings.regions.items()
        fitting = (name for name, one in regions if one.namespace == hpa.of.namespace)
        return self._policy.of(self.module_of(hpa) or "", next(fitting, ""))

    def siblings(self, hpa: Hpa) -> tuple[str, ...]:
        """The other HPAs on the same object; one of the same name is the same, in another file."""
        return tuple(sorted(self._scaling.get(self._target(hpa), set()) - {hpa.of.name}))

    def workload(self, hpa: Hpa) -> SceneObject | None:
        """What it scales, where that was read; a file without a namespace fits any."""
        for one in self._by_name.get(hpa.target, ()):
            if one.namespace == hpa.of.namespace or not one.namespace or not hpa.of.namespace:
                return one
        return None

    def vertical_autoscalers(self, hpa: Hpa) -> list[SceneObject]:
        """The VerticalPodAutoscalers on the HPA's own target."""
        return self._verticals.get(self._target(hpa), [])

    @property
    def patches_scaled_objects(self) -> bool:
        """Whether a floor for an HPA that KEDA makes is written to its ScaledObject."""
        return self.settings.kubernetes.keda == "patch"

    def _maker(self, hpa: SceneObject) -> SceneObject | None:
        name = scaled_object_name(hpa.owners, hpa.labels)
        if name is None or not self.patches_scaled_objects:
            return None
        found = self._by_name.get(("ScaledObject", name), ())
        return next((one for one in found if one.namespace == hpa.namespace), None)

    def _target(self, hpa: Hpa) -> tuple[str, str, str]:
        return (hpa.of.namespace, *hpa.target)

    @cached_property
    def _policy(self) -> Policy:
        return self.settings.policy()

    @cached_property
    def _modules(self) -> dict[str, str]:
        return {one.hpa: name for name, one in self.settings.modules.items()}

    @cached_property
    def _by_kind(self) -> dict[str, list[SceneObject]]:
        found: dict[str, list[SceneObject]] = {}
        for one in self.objects:
            found.setdefault(one.kind, []).append(one)
        return found

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], list[SceneObject]]:
        found: dict[tuple[str, str], list[SceneObject]] = {}
        for one in self.objects:
            found.setdefault((one.kind, one.name), []).append(one)
        return found

    @cached_property
    def _verticals(self) -> dict[tuple[str, str, str], list[SceneObject]]:
        found: dict[tuple[str, str, str], list[SceneObject]] = {}
        for one in self.of_kind("VerticalPodAutoscaler"):
            reference = mapping(one.body, "spec", "targetRef")
            key = (one.namespace, text(reference, "kind"), text(reference, "name"))
            found.setdefault(key, []).append(one)
        return found

    @cached_property
    def _scaling(self) -> dict[tuple[str, str, str], set[str]]:
        found: dict[tuple[str, str, str], set[str]] = {}
        for hpa in self.hpas:
            if all(hpa.target):
                found.setdefault(self._target(hpa), set()).add(hpa.of.name)
        return found


def _read_spec(hpa: Hpa) -> HpaSpec | str:
    try:
        return read_hpa_spec(second_version(hpa))
    except HpaSpecRefused as error:
        return str(error)
