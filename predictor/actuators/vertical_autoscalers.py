"""Which VerticalPodAutoscalers act on what our HPAs scale.

`kubernetes.py` has it look with its observations, about once a minute: they are few, optional, and
change rarely. It must never fail an observation: where the kind is not installed or may not be read
there is nothing to know, and `mplp-predictor check` says so.

Source: kubernetes/autoscaler, `vertical-pod-autoscaler/pkg/apis/autoscaling.k8s.io/v1/types.go`
(targetRef, updatePolicy.updateMode, resourcePolicy.containerPolicies).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from predictor.actuators.connection import Connection
from predictor.actuators.listing import listed
from predictor.actuators.objects import Metadata, Reference, Wire
from predictor.actuators.port import ClusterUnreachable
from predictor.core.other_controllers import VerticalAutoscaler
from predictor.core.reasons import Code, Reason

_LOOK_EVERY_S = 60.0
_PATH = "/apis/autoscaling.k8s.io/v1{}/verticalpodautoscalers"
_RESOURCES = ("cpu", "memory")
_Target = tuple[str, str, str]


class _ContainerPolicy(Wire, frozen=True):
    mode: str = "Auto"
    controlled_resources: tuple[str, ...] = _RESOURCES


class _ResourcePolicy(Wire, frozen=True):
    container_policies: tuple[_ContainerPolicy, ...] = ()


class _UpdatePolicy(Wire, frozen=True):
    update_mode: str = "Auto"


class _Spec(Wire, frozen=True):
    target_ref: Reference
    update_policy: _UpdatePolicy = _UpdatePolicy()
    resource_policy: _ResourcePolicy = _ResourcePolicy()


class _Object(Wire, frozen=True):
    metadata: Metadata
    spec: _Spec

    @property
    def resources(self) -> tuple[str, ...]:
        """What it changes in any container; all of it where no policy says less."""
        policies = self.spec.resource_policy.container_policies
        if not policies:
            return _RESOURCES
        changed = {
            one for each in policies if each.mode != "Off" for one in each.controlled_resources
        }
        return tuple(sorted(changed))


class VerticalAutoscalers:
    """What was found at the last look in each of `places`: namespaces, "" for the whole cluster."""

    def __init__(
        self, connection: Connection, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._monotonic = monotonic
        self._looked_at_s = float("-inf")
        self._found: dict[str, dict[_Target, tuple[VerticalAutoscaler, ...]]] = {}

    async def look(self, places: tuple[str, ...]) -> None:
        """Look again where the last look is a minute ago; what cannot be read stays as it was."""
        now_s = self._monotonic()
        if now_s - self._looked_at_s < _LOOK_EVERY_S:
            return
        self._looked_at_s = now_s
        found = await asyncio.gather(*(self._read(one) for one in places))
        for place, objects in zip(places, found, strict=True):
            if objects is not None:
                self._found[place] = _by_target(objects)

    def on(self, namespace: str, kind: str, name: str) -> tuple[VerticalAutoscaler, ...]:
        """Those whose target is this object."""
        place = self._found.get(namespace) or self._found.get("") or {}
        return place.get((namespace, kind, name), ())

    async def _read(self, place: str) -> list[_Object] | None:
        within = f"/namespaces/{place}" if place else ""
        try:
            found = await listed(self._connection, _PATH.format(within), _Object)
        except ClusterUnreachable:
            return None
        if isinstance(found, Reason):
            return [] if found.code is Code.TARGET_MISSING else None
        return found


def _by_target(objects: list[_Object]) -> dict[_Target, tuple[VerticalAutoscaler, ...]]:
    found: dict[_Target, tuple[VerticalAutoscaler, ...]] = {}
    for one in objects:
        target = (one.metadata.namespace, one.spec.target_ref.kind, one.spec.target_ref.name)
        mode = one.spec.update_policy.update_mode
        known = VerticalAutoscaler(one.metadata.name, mode, one.resources)
        found[target] = (*found.get(target, ()), known)
    return found
