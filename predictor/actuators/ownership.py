"""Who owns `spec.minReplicas`, and whether we may take it.

`hpa_reader.py` reads the owners for the view, `kubernetes.py` asks before every write. The rule:
the field is taken by force once, when we have never held it; what was taken from us afterwards is a
person's or a tool's decision and is left alone. Nothing here may talk to a cluster.

Source of the ownership rules: Kubernetes documentation, "Server-Side Apply", and the structured
merge of `metadata.managedFields`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from predictor.core.opt_in import FIELD_MANAGER

_Value = TypeVar("_Value")


class _Fields(msgspec.Struct, frozen=True):
    """The part of a FieldsV1 that is asked about; the names are the wire's own."""

    spec: dict[str, msgspec.Raw] = msgspec.field(name="f:spec", default_factory=dict)


class ManagedFields(msgspec.Struct, frozen=True, rename="camel"):
    """One entry of `metadata.managedFields`: who last wrote which fields, and how."""

    manager: str = ""
    operation: str = ""
    subresource: str = ""
    fields_v1: _Fields = msgspec.field(name="fieldsV1", default_factory=_Fields)


def floor_owners(managed_fields: Sequence[ManagedFields]) -> tuple[str, ...]:
    """The managers of `f:minReplicas` in the object's own order; several hold the same value."""
    owners = [one.manager for one in managed_fields if "f:minReplicas" in one.fields_v1.spec]
    return tuple(dict.fromkeys(owners))


def foreign_owner(owners: Sequence[str]) -> str | None:
    """The first owner that is not us."""
    return next((owner for owner in owners if owner != FIELD_MANAGER), None)


class HeldFloors:
    """Remembers which floors we have held and what their owners declared, `size_max` of each.

    The memory ends with the process. After a restart a floor that another manager has taken
    meanwhile counts as never held, and is adopted anew.
    """

    def __init__(self, size_max: int = 20_000) -> None:
        self._size_max = size_max
        self._uids: OrderedDict[str, None] = OrderedDict()
        self._baselines: OrderedDict[str, int] = OrderedDict()

    def note(self, uid: str) -> None:
        """We hold this object's floor now; beyond the limit the longest unseen is forgotten."""
        self._remember(self._uids, uid, None)

    def note_baseline(self, uid: str, replicas: int) -> None:
        """The owner's own minReplicas as last seen, before the field held our value."""
        self._remember(self._baselines, uid, replicas)

    def baseline(self, uid: str) -> int | None:
        """What `note_baseline` was told last; None after a restart."""
        return self._baselines.get(uid)

    def taken_by(self, uid: str, owners: Sequence[str]) -> str | None:
        """Who took the floor from us: set only where we held it once and now do not."""
        if uid not in self._uids or FIELD_MANAGER in owners:
            return None
        return foreign_owner(owners)

    def _remember(self, memory: OrderedDict[str, _Value], uid: str, value: _Value) -> None:
        """Put it last; beyond the limit the longest unseen goes."""
        memory[uid] = value
        memory.move_to_end(uid)
        while len(memory) > self._size_max:
            memory.popitem(last=False)
