"""HPAs and Deployments as the API server lists them, made into views.

`kubernetes.py` reads with it. Only the fields that the service needs are decoded. Pure: bytes in,
values out; it must never talk to a cluster, and never take the HPA's own status for the number of
Ready pods (under a quota it reports pods that do not exist).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from predictor.actuators.cluster_settings import HpaTarget
from predictor.actuators.ownership import (
    ManagedFields,
    floor_owners,
    foreign_owner,
)
from predictor.actuators.quantity import parse_quantity
from predictor.core.cluster import HpaView, MetricTarget
from predictor.core.opt_in import FIELD_MANAGER, FLOOR, OptIn, read_kept_state, read_opt_in
from predictor.core.reasons import Code, Reason

_DEPLOYMENT = "Deployment"


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    """The API's own field names; unknown fields are passed over."""


class Metadata(_Wire, frozen=True):
    """The part of an object's metadata that is asked about."""

    name: str
    uid: str
    resource_version: str
    annotations: dict[str, str] = {}
    managed_fields: tuple[ManagedFields, ...] = ()


class _Value(_Wire, frozen=True):
    type: str = ""
    average_utilization: int | None = None
    average_value: str | None = None
    value: str | None = None


class _Named(_Wire, frozen=True):
    name: str = ""


class _Source(_Wire, frozen=True):
    """A metric's spec or status: the five types differ only in which fields they fill."""

    name: str = ""
    container: str = ""
    metric: _Named = _Named()
    described_object: _Named = _Named()
    target: _Value = _Value()
    current: _Value = _Value()


class _Metric(_Wire, frozen=True):
    type: str = ""
    resource: _Source | None = None
    container_resource: _Source | None = None
    pods: _Source | None = None
    object: _Source | None = None
    external: _Source | None = None

    @property
    def source(self) -> _Source:
        sources = (self.resource, self.container_resource, self.pods, self.object, self.external)
        return next((one for one in sources if one is not None), _Source())

    @property
    def identity(self) -> tuple[str, str, str, str]:
        one = self.source
        return (self.type, one.name or one.metric.name, one.container, one.described_object.name)


class _Reference(_Wire, frozen=True):
    kind: str
    name: str


class _HpaSpec(_Wire, frozen=True):
    scale_target_ref: _Reference
    max_replicas: int
    min_replicas: int = 1
    metrics: tuple[_Metric, ...] = ()


class _Condition(_Wire, frozen=True):
    type: str
    status: str
    reason: str = ""


class _HpaStatus(_Wire, frozen=True):
    current_metrics: tuple[_Metric, ...] | None = None
    conditions: tuple[_Condition, ...] | None = None


class Hpa(_Wire, frozen=True):
    """A HorizontalPodAutoscaler of `autoscaling/v2`."""

    metadata: Metadata
    spec: _HpaSpec
    status: _HpaStatus = _HpaStatus()


class _DeploymentSpec(_Wire, frozen=True):
    replicas: int = 1


class _DeploymentStatus(_Wire, frozen=True):
    ready_replicas: int = 0


class Deployment(_Wire, frozen=True):
    """A Deployment of `apps/v1`."""

    metadata: Metadata
    spec: _DeploymentSpec = _DeploymentSpec()
    status: _DeploymentStatus = _DeploymentStatus()


class NamespaceScene(msgspec.Struct, frozen=True):
    """All HPAs and Deployments of one namespace at one moment, by name."""

    hpas: Mapping[str, Hpa]
    deployments: Mapping[str, Deployment]
    scaled: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, hpas: Sequence[Hpa], deployments: Sequence[Deployment]) -> NamespaceScene:
        """Index the lists, and count the HPAs that scale the same object."""
        references = (hpa.spec.scale_target_ref for hpa in hpas)
        return cls(
            hpas={hpa.metadata.name: hpa for hpa in hpas},
            deployments={one.metadata.name: one for one in deployments},
            scaled=Counter((one.kind, one.name) for one in references),
        )


def _nothing(uid: str) -> int | None:
    return None


def read_hpa(
    target: HpaTarget, scene: NamespaceScene, remembered: Callable[[str], int | None] = _nothing
) -> HpaView | Reason:
    """The target's view, or why there is none; `remembered` gives a uid's earlier baseline."""
    place = f"{target.namespace}/{target.hpa}"
    hpa = scene.hpas.get(target.hpa)
    if hpa is None:
        return Reason(Code.TARGET_MISSING, f"HPA {place} does not exist")
    reference = hpa.spec.scale_target_ref
    if reference.kind != _DEPLOYMENT:
        sentence = f"HPA {place} scales {reference.kind} {reference.name}, not a Deployment"
        return Reason(Code.TARGET_MISSING, sentence)
    deployment = scene.deployments.get(reference.name)
    if deployment is None:
        sentence = f"Deployment {target.namespace}/{reference.name} of HPA {place} does not exist"
        return Reason(Code.TARGET_MISSING, sentence)
    owners = floor_owners(hpa.metadata.managed_fields)
    opt_in = read_opt_in(hpa.metadata.annotations)
    shared = scene.scaled[reference.kind, reference.name] > 1
    return HpaView(
        key=target.key,
        namespace=target.namespace,
        name=target.hpa,
        uid=hpa.metadata.uid,
        resource_version=hpa.metadata.resource_version,
        deployment=reference.name,
        min_replicas=hpa.spec.min_replicas,
        max_replicas=hpa.spec.max_replicas,
        spec_replicas=deployment.spec.replicas,
        ready_replicas=deployment.status.ready_replicas,
        baseline_replicas=_baseline(target, hpa, opt_in, owners=owners, remembered=remembered),
        floor_manager=foreign_owner(owners) or (owners[0] if owners else None),
        metrics=tuple(_metrics(hpa)),
        ambiguous=shared or _says_ambiguous(hpa),
        opt_in=opt_in,
        kept=read_kept_state(hpa.metadata.annotations),
    )


def _baseline(
    target: HpaTarget,
    hpa: Hpa,
    opt_in: OptIn,
    *,
    owners: Sequence[str],
    remembered: Callable[[str], int | None],
) -> int | None:
    """The owner's annotation, then the field; where it is ours, what it was, then configuration.

    An annotation that is no positive number makes the baseline unknown: whoever wrote it meant
    something, and guessing could lower their floor.
    """
    if FLOOR in hpa.metadata.annotations:
        return opt_in.floor
    ours_alone = FIELD_MANAGER in owners and foreign_owner(owners) is None
    if not ours_alone:
        return hpa.spec.min_replicas
    before = remembered(hpa.metadata.uid)
    return target.baseline_replicas if before is None else before


def _says_ambiguous(hpa: Hpa) -> bool:
    conditions = hpa.status.conditions or ()
    return any(
        one.type == "ScalingActive" and one.status == "False" and one.reason == "AmbiguousSelector"
        for one in conditions
    )


def _metrics(hpa: Hpa) -> list[MetricTarget]:
    readings = {one.identity: one.source.current for one in hpa.status.current_metrics or ()}
    views = []
    for metric in hpa.spec.metrics:
        target = metric.source.target
        number = _number(target, target.type)
        if number is None:
            continue
        reading = readings.get(metric.identity, _Value())
        views.append(
            MetricTarget(
                kind=metric.type,
                name=metric.identity[1],
                target_type=target.type,
                target=number,
                current=_number(reading, target.type),
            )
        )
    return views


def _number(value: _Value, target_type: str) -> float | None:
    """The number that is compared with a target of this type: percent, per pod, or whole."""
    if target_type == "Utilization":
        percent = value.average_utilization
        return None if percent is None else float(percent)
    written = value.average_value if target_type == "AverageValue" else value.value
    return None if written is None else parse_quantity(written)
