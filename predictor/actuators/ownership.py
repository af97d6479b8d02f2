"""Who owns a floor (`spec.minReplicas`, or a ScaledObject's `spec.minReplicaCount`), and who may.

`hpa_reader.py` reads it for the view, `kubernetes.py` asks before every write. The rule: the field
is taken by force once, when we have never held it; what was taken from us afterwards is a person's
or a tool's decision and is left alone. It is read off the object, so it holds after a restart and
for a second worker. Nothing here may talk to a cluster.

Source of the ownership rules: Kubernetes documentation, "Server-Side Apply", and the structured
merge of `metadata.managedFields`.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from predictor.core.floor_object import HPA_KIND, SCALED_OBJECT_KIND, FloorObject
from predictor.core.opt_in import EPOCH, FIELD_MANAGER, REASON, STATE_DOMAIN, UNTIL

_MINIMA = {f"f:{kind.minimum}" for kind in (HPA_KIND, SCALED_OBJECT_KIND)}
_OURS = f"f:{STATE_DOMAIN}/"
_Fields = dict[str, object]


class _MetadataFields(msgspec.Struct, frozen=True):
    annotations: _Fields = msgspec.field(name="f:annotations", default_factory=dict)


class _FieldsV1(msgspec.Struct, frozen=True):
    """The part of a FieldsV1 that is asked about; the names are the wire's own."""

    spec: _Fields = msgspec.field(name="f:spec", default_factory=dict)
    metadata: _MetadataFields = msgspec.field(name="f:metadata", default_factory=_MetadataFields)


class ManagedFields(msgspec.Struct, frozen=True, rename="camel"):
    """One entry of `metadata.managedFields`: who last wrote which fields, and how."""

    manager: str = ""
    operation: str = ""
    time: str = ""
    subresource: str = ""
    fields_v1: _FieldsV1 = msgspec.field(name="fieldsV1", default_factory=_FieldsV1)


class Holding(enum.Enum):
    """Our part in a floor."""

    NEVER = enum.auto()
    """We have not held it, or its owner let us forget that we did: it may be adopted."""
    OURS = enum.auto()
    """The field is ours alone."""
    SHARED = enum.auto()
    """Another manager declared the very value that we had applied; nobody took anything."""
    TAKEN = enum.auto()
    """We held it, and another manager set it since."""


def floor_owners(managed_fields: Sequence[ManagedFields]) -> tuple[str, ...]:
    """The managers of the floor in the object's own order; several hold the same value."""
    owners = [one.manager for one in managed_fields if not _MINIMA.isdisjoint(one.fields_v1.spec)]
    return tuple(dict.fromkeys(owners))


def foreign_owner(owners: Sequence[str]) -> str | None:
    """The first owner that is not us."""
    return next((owner for owner in owners if owner != FIELD_MANAGER), None)


def last_writer(managed_fields: Sequence[ManagedFields]) -> str:
    """Who wrote the floor last, how and when; of an object without one, who wrote last at all."""
    written = [one for one in managed_fields if not one.subresource]
    owning = [one for one in written if not _MINIMA.isdisjoint(one.fields_v1.spec)]
    # Times of one form and zone, so they are ordered as text.
    newest = max(owning or written, key=lambda one: one.time, default=None)
    if newest is None:
        return "nobody that was recorded"
    return f"{newest.manager} ({', '.join(filter(None, (newest.operation, newest.time)))})"


def holding(managed_fields: Sequence[ManagedFields]) -> Holding:
    """Our part in the floor, by what the server recorded of us.

    Annotations that our manager owns without the field say that we wrote it once: they are written
    together, and only whoever sets the field takes the one and not the other.
    """
    owners = floor_owners(managed_fields)
    if FIELD_MANAGER in owners:
        return Holding.OURS if foreign_owner(owners) is None else Holding.SHARED
    wrote = any(
        name.startswith(_OURS)
        for one in managed_fields
        if one.manager == FIELD_MANAGER
        for name in one.fields_v1.metadata.annotations
    )
    return Holding.TAKEN if wrote else Holding.NEVER


def taken_sentence(at: FloorObject, taken_by: str, replicas_min: int | None) -> str:
    """What a person reads where somebody took the floor from us, with what ends it."""
    value = "" if replicas_min is None else f" to {replicas_min}"
    forget = " ".join(f"{one}-" for one in (EPOCH, UNTIL, REASON))
    return (
        f"{at.title}: {taken_by} set {at.kind.minimum}{value} after us, and it stays theirs;"
        f" to let us adopt it anew: kubectl annotate {at.for_kubectl} {forget}"
    )
