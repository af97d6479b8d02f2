"""HPAs that KEDA makes, with what their ScaledObject says in its place.

`watched_scenes.py` puts them into its scenes and `predictor/way_back/` takes their floors back, so
that whoever reads an HPA decides on the object to which a floor will be written. Values only. It
must never take an annotation or an owner of the HPA for one of the ScaledObject: KEDA copies them.

Sources: KEDA `apis/keda/v1alpha1/scaledobject_types.go` (GetHPAMinReplicas, GetHPAMaxReplicas)
and `controllers/keda/hpa.go` (newHPAForScaledObject, updateHPAIfNeeded).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from predictor.actuators.bounded_memory import BoundedMemory
from predictor.actuators.objects import Hpa, HpaSpec, Metadata, Reference, Wire
from predictor.core.floor_object import FloorObject, floor_object
from predictor.core.other_controllers import (
    OwnerReference,
    ScaledObjectFacts,
    paused_by,
    scaled_object_name,
)

REPLICAS_MAX = 100
"""KEDA's own, where maxReplicaCount is not set."""
ABSENT = "which does not exist; wait for KEDA to delete the HPA too, or delete it"


class _Spec(Wire, frozen=True):
    min_replica_count: int | None = None
    max_replica_count: int | None = None


class ScaledObject(Wire, frozen=True):
    """A ScaledObject of `keda.sh/v1alpha1`."""

    metadata: Metadata
    spec: _Spec = _Spec()

    @property
    def facts(self) -> ScaledObjectFacts:
        """What keeps a floor from being written to it, if anything does."""
        paused = paused_by(self.metadata.annotations)
        return ScaledObjectFacts(self.metadata.name, "", self.spec.min_replica_count or 0, paused)


class ScaledHpa(Hpa, frozen=True):
    """An HPA whose floor is its ScaledObject's; where that is `unread`, all is the HPA's own.

    `made_with` is the HPA's own minReplicas.
    """

    scaled_object: ScaledObjectFacts = ScaledObjectFacts("")
    made_with: int = 1

    @property
    def floor_object(self) -> FloorObject:
        """Whose field its floor is: the ScaledObject's."""
        metadata = self.metadata
        return floor_object(metadata.namespace, metadata.name, self.scaled_object.name)


def maker_of(hpa: Hpa) -> str | None:
    """The ScaledObject from which KEDA makes it, if it does."""
    owners = (
        OwnerReference(one.kind, one.api_version, one.name) for one in hpa.metadata.owner_references
    )
    return scaled_object_name(owners, hpa.metadata.labels)


def with_floor_of(hpa: Hpa, one: ScaledObject) -> ScaledHpa:
    """The HPA with version, bounds, annotations and owners of its ScaledObject.

    Who controls either of them controls the floor, and tools label either.
    """
    mine, there = hpa.metadata, one.metadata
    metadata = msgspec.structs.replace(
        there,
        name=mine.name,
        labels={**mine.labels, **there.labels},
        owner_references=(*mine.owner_references, *there.owner_references),
    )
    spec = msgspec.structs.replace(
        hpa.spec,
        min_replicas=one.spec.min_replica_count or 0,
        max_replicas=one.spec.max_replica_count or REPLICAS_MAX,
    )
    return ScaledHpa(metadata, spec, hpa.status, one.facts, hpa.spec.min_replicas)


def floor_of(one: ScaledObject) -> ScaledHpa:
    """A ScaledObject alone, as far as its floor goes."""
    bare = Hpa(one.metadata, HpaSpec(Reference("", ""), REPLICAS_MAX))
    return with_floor_of(bare, one)


class ScaledHpas:
    """Remembers what was put together, so that what did not change is the same object again."""

    def __init__(self, find: Callable[[str, str], ScaledObject | None]) -> None:
        self._find = find
        self._made: BoundedMemory[str, tuple[Hpa, ScaledObject | None, str, ScaledHpa]] = (
            BoundedMemory()
        )

    def of(self, hpa: Hpa, unread: str) -> Hpa:
        """An HPA that KEDA makes, with its ScaledObject; any other as it is.

        `unread` says why ScaledObjects are not known right now, empty where they are.
        """
        name = maker_of(hpa)
        if name is None:
            return hpa
        found = None if unread else self._find(hpa.metadata.namespace, name)
        made = self._made.of(hpa.metadata.uid)
        if made is None or made[0] is not hpa or made[1] is not found or made[2] != unread:
            if found is None:
                facts = ScaledObjectFacts(name, unread or ABSENT)
                whole = ScaledHpa(hpa.metadata, hpa.spec, hpa.status, facts, hpa.spec.min_replicas)
            else:
                whole = with_floor_of(hpa, found)
            made = (hpa, found, unread, whole)
            self._made.note(hpa.metadata.uid, made)
        return made[3]
