"""HPAs and Deployments as the API server writes them: only the fields that are asked about.

`listing.py` and `reflector.py` decode into these, `hpa_reader.py` makes views of them. Values only;
unknown fields are passed over, so that a newer API server is read like an older one.

Source: Kubernetes API reference, autoscaling/v2 HorizontalPodAutoscaler and apps/v1 Deployment.
"""

from __future__ import annotations

import msgspec

from predictor.actuators.ownership import ManagedFields
from predictor.core.floor_object import FloorObject


class Wire(msgspec.Struct, frozen=True, rename="camel"):
    """The API's own field names; unknown fields are passed over."""


class Owner(Wire, frozen=True):
    """One entry of `metadata.ownerReferences`."""

    kind: str
    api_version: str
    name: str
    controller: bool = False


class Metadata(Wire, frozen=True):
    """The part of an object's metadata that is asked about."""

    name: str
    uid: str
    resource_version: str
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[Owner, ...] = ()
    managed_fields: tuple[ManagedFields, ...] = ()


class MetricValue(Wire, frozen=True):
    """A target or a reading; `type` says which of the three is meant."""

    type: str = ""
    average_utilization: int | None = None
    average_value: str | None = None
    value: str | None = None


class _Named(Wire, frozen=True):
    name: str = ""


class _Source(Wire, frozen=True):
    """A metric's spec or status: the five types differ only in which fields they fill."""

    name: str = ""
    container: str = ""
    metric: _Named = _Named()
    described_object: _Named = _Named()
    target: MetricValue = MetricValue()
    current: MetricValue = MetricValue()


_NO_SOURCE = _Source()


class Metric(Wire, frozen=True):
    """One metric of an HPA's spec or status; one of the five sources is set."""

    type: str = ""
    resource: _Source | None = None
    container_resource: _Source | None = None
    pods: _Source | None = None
    object: _Source | None = None
    external: _Source | None = None

    @property
    def source(self) -> _Source:
        """The one that is set."""
        found = self.resource or self.pods or self.object or self.external
        return found or self.container_resource or _NO_SOURCE

    def identity(self, source: _Source) -> tuple[str, str, str, str]:
        """What joins a spec with its reading; `source` is its own."""
        name = source.name or source.metric.name
        return (self.type, name, source.container, source.described_object.name)


class Reference(Wire, frozen=True):
    """What an autoscaler scales."""

    kind: str
    name: str


class HpaSpec(Wire, frozen=True):
    """What an HPA scales, between which bounds and by what."""

    scale_target_ref: Reference
    max_replicas: int
    min_replicas: int = 1
    metrics: tuple[Metric, ...] = ()


class Condition(Wire, frozen=True):
    """One condition of an object's status."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""


class _HpaStatus(Wire, frozen=True):
    current_metrics: tuple[Metric, ...] | None = None
    conditions: tuple[Condition, ...] | None = None


class Hpa(Wire, frozen=True):
    """A HorizontalPodAutoscaler of `autoscaling/v2`."""

    metadata: Metadata
    spec: HpaSpec
    status: _HpaStatus = _HpaStatus()

    @property
    def floor_object(self) -> FloorObject:
        """Whose field its floor is: its own."""
        return FloorObject(self.metadata.namespace, self.metadata.name)


class _Resources(Wire, frozen=True):
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}


class _Container(Wire, frozen=True):
    name: str = ""
    image: str = ""
    resources: _Resources = _Resources()


class _PodSpec(Wire, frozen=True):
    containers: tuple[_Container, ...] = ()


class _Template(Wire, frozen=True):
    spec: _PodSpec = _PodSpec()


class _Requirement(Wire, frozen=True):
    key: str
    operator: str
    values: tuple[str, ...] = ()


class Selector(Wire, frozen=True):
    """Which pods are a Deployment's."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[_Requirement, ...] = ()

    @property
    def written(self) -> str:
        """As the query `labelSelector` wants it."""
        parts = [f"{key}={value}" for key, value in self.match_labels.items()]
        for one in self.match_expressions:
            values = ",".join(one.values)
            parts.append(
                {
                    "In": f"{one.key} in ({values})",
                    "NotIn": f"{one.key} notin ({values})",
                    "Exists": one.key,
                    "DoesNotExist": f"!{one.key}",
                }[one.operator]
            )
        return ",".join(parts)


class _DeploymentSpec(Wire, frozen=True):
    replicas: int = 1
    selector: Selector = Selector()
    template: _Template = _Template()


class _DeploymentStatus(Wire, frozen=True):
    ready_replicas: int = 0
    conditions: tuple[Condition, ...] | None = None


class Deployment(Wire, frozen=True):
    """A Deployment of `apps/v1`."""

    metadata: Metadata
    spec: _DeploymentSpec = _DeploymentSpec()
    status: _DeploymentStatus = _DeploymentStatus()


class _Waiting(Wire, frozen=True):
    reason: str = ""
    message: str = ""


class _ContainerState(Wire, frozen=True):
    waiting: _Waiting | None = None


class _ContainerStatus(Wire, frozen=True):
    state: _ContainerState = _ContainerState()


class _PodStatus(Wire, frozen=True):
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[_ContainerStatus, ...] = ()


class Pod(Wire, frozen=True):
    """A Pod of `v1`."""

    metadata: Metadata
    status: _PodStatus = _PodStatus()
