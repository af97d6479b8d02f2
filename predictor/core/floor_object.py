"""Which object's field is a floor: an HPA's, or that of the ScaledObject from which KEDA makes it.

Whoever reads, writes, guards or takes back a floor names the object by it, so that one code serves
both kinds. Values only.

Sources: Kubernetes API reference, autoscaling/v2 HorizontalPodAutoscaler; KEDA
`apis/keda/v1alpha1/scaledobject_types.go` and `controllers/keda/hpa.go` (getHPAMinReplicas).
"""

from __future__ import annotations

from typing import NamedTuple


class FloorKind(NamedTuple):
    """A kind of the API whose field is a floor, and what its fields are called."""

    title: str
    group: str
    version: str
    kind: str
    plural: str
    minimum: str
    maximum: str

    @property
    def api_version(self) -> str:
        """As an object of this kind says it."""
        return f"{self.group}/{self.version}"

    def path(self, namespace: str = "") -> str:
        """All objects of the kind in a namespace, or in the whole cluster."""
        within = f"/namespaces/{namespace}" if namespace else ""
        return f"/apis/{self.api_version}{within}/{self.plural}"


HPA_KIND = FloorKind(
    "HPA", "autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers",
    "minReplicas", "maxReplicas",
)  # fmt: skip
SCALED_OBJECT_KIND = FloorKind(
    "ScaledObject", "keda.sh", "v1alpha1", "ScaledObject", "scaledobjects",
    "minReplicaCount", "maxReplicaCount",
)  # fmt: skip


class FloorObject(NamedTuple):
    """One object that holds a floor."""

    namespace: str
    name: str
    kind: FloorKind = HPA_KIND

    @property
    def title(self) -> str:
        """The object as a sentence names it."""
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind.title} {place}"

    @property
    def path(self) -> str:
        """Where it lies."""
        return f"{self.kind.path(self.namespace)}/{self.name}"

    @property
    def for_kubectl(self) -> str:
        """As a command names it."""
        return f"{self.kind.title.lower()} {self.name} -n {self.namespace}"


def floor_object(namespace: str, hpa: str, scaled_object: str = "") -> FloorObject:
    """The ScaledObject where one is named, else the HPA."""
    if scaled_object:
        return FloorObject(namespace, scaled_object, SCALED_OBJECT_KIND)
    return FloorObject(namespace, hpa)
