"""The real cluster: HPAs, Deployments and VirtualServices over the Kubernetes API.

`predictor/service.py` calls it through the port. It reads, reads again right before it writes, and
writes exactly two things: `spec.minReplicas` by server-side apply, and a default route's weights by
JSON Patch. It must never create or delete an object, repeat a write by itself, or raise for what
the cluster answers.

Server-side apply because it alone records who owns a field. The write is forced, for at adoption
the owner's manager holds the field; that nobody wrote since the decision is what the
resourceVersion and uid in the body prove, and a floor that was taken from us is not written at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

import msgspec

from predictor.actuators.cluster_settings import ClusterSettings, RouteTarget
from predictor.actuators.connection import APPLY, JSON_PATCH, Answer, Connection
from predictor.actuators.expectations import FloorSeen, floor_objection, weight_objection
from predictor.actuators.hpa_reader import Deployment, Hpa, NamespaceScene, read_hpa
from predictor.actuators.listing import listed
from predictor.actuators.ownership import HeldFloors, floor_owners
from predictor.actuators.port import ClusterUnreachable
from predictor.actuators.refusal import patch_refusal, refusal
from predictor.actuators.virtual_service import Routing, read_route, weight_patch
from predictor.core.cluster import (
    Applied,
    ClusterView,
    FloorIntent,
    HpaView,
    NotApplied,
    Outcome,
    RouteView,
    TargetKey,
    WeightIntent,
)
from predictor.core.opt_in import FIELD_MANAGER
from predictor.core.reasons import Code, Reason

_Part = TypeVar("_Part")
_Problems = list[tuple[TargetKey, Reason]]

EVERY_REGION = "*"
"""The region under which a route's problem is reported."""

_HPAS = "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers"
_DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
_NOT_FOUND = 404
_WRITE = [("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")]


class _WrittenMetadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str


class _Written(msgspec.Struct, frozen=True):
    metadata: _WrittenMetadata


class KubernetesCluster:
    """The configured targets and routes of one cluster, as the identity of `settings`."""

    def __init__(self, settings: ClusterSettings, connection: Connection | None = None) -> None:
        self._settings = settings
        self._connection = connection or Connection(settings)
        self._routing = Routing(self._connection)
        self._held = HeldFloors()

    async def observe(self) -> ClusterView:
        """Read everything; raises `ClusterUnreachable` where nothing at all could be read."""
        settings = self._settings
        namespaces = sorted({target.namespace for target in settings.targets})
        scenes, routes = await asyncio.gather(
            asyncio.gather(*(_answered(self._scene(one)) for one in namespaces)),
            asyncio.gather(*(_answered(self._route(one)) for one in settings.routes)),
        )
        parts = [*scenes, *routes]
        silent = [part for part in parts if isinstance(part, ClusterUnreachable)]
        if silent and len(silent) == len(parts):
            raise silent[0]
        hpas, problems = self._hpa_views(dict(zip(namespaces, scenes, strict=True)))
        views: list[RouteView] = []
        for target, route in zip(settings.routes, routes, strict=True):
            if isinstance(route, RouteView):
                views.append(route)
            else:
                problems.append((TargetKey(target.module, EVERY_REGION), _reason(route)))
        return ClusterView(tuple(hpas), tuple(views), tuple(problems))

    async def set_floor(self, intent: FloorIntent) -> Outcome:
        """Read the HPA again and apply `spec.minReplicas` alone, if nothing has moved."""
        path = f"{_HPAS.format(intent.namespace)}/{intent.name}"
        place = f"HPA {intent.namespace}/{intent.name}"
        try:
            answer = await self._connection.get(path)
            if not answer.ok and answer.status != _NOT_FOUND:
                return NotApplied(refusal(answer, place))
            objection = floor_objection(intent, self._seen(answer) if answer.ok else None)
            if objection is not None:
                return NotApplied(objection)
            query = [*_WRITE, ("force", "true")]
            written = await self._connection.patch(path, _floor_body(intent), APPLY, query)
        except ClusterUnreachable as error:
            return NotApplied(Reason(Code.UNREACHABLE, f"{place}: {error}"))
        except msgspec.MsgspecError as error:
            return NotApplied(Reason(Code.REFUSED, f"{place} cannot be read: {error}"))
        if written.ok:
            self._held.note(intent.uid)
            return _applied(written)
        return NotApplied(refusal(written, place))

    async def set_weights(self, intent: WeightIntent) -> Outcome:
        """Read the VirtualService again and patch the weights alone, if nothing has moved."""
        decided = intent.route
        place = f"VirtualService {decided.namespace}/{decided.name}"
        hosts = {one.region: one.host for one in decided.destinations}
        target = RouteTarget(decided.module, decided.namespace, decided.name, hosts)
        try:
            found = await self._routing.read(target)
            if isinstance(found, Reason):
                return NotApplied(found)
            seen = read_route(target, found)
            if isinstance(seen, Reason):
                return NotApplied(seen)
            objection = weight_objection(intent, seen)
            if objection is not None:
                return NotApplied(objection)
            path = self._routing.path(target)
            patch = weight_patch(found, seen, intent.weights)
            written = await self._connection.patch(path, patch, JSON_PATCH, _WRITE)
        except ClusterUnreachable as error:
            return NotApplied(Reason(Code.UNREACHABLE, f"{place}: {error}"))
        return _applied(written) if written.ok else NotApplied(patch_refusal(written, place))

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def _scene(self, namespace: str) -> NamespaceScene | Reason:
        hpas, deployments = await asyncio.gather(
            listed(self._connection, _HPAS.format(namespace), Hpa),
            listed(self._connection, _DEPLOYMENTS.format(namespace), Deployment),
        )
        if isinstance(hpas, Reason):
            return hpas
        if isinstance(deployments, Reason):
            return deployments
        return NamespaceScene.of(hpas, deployments)

    async def _route(self, target: RouteTarget) -> RouteView | Reason:
        found = await self._routing.read(target)
        return found if isinstance(found, Reason) else read_route(target, found)

    def _hpa_views(
        self, scenes: Mapping[str, NamespaceScene | Reason | ClusterUnreachable]
    ) -> tuple[list[HpaView], _Problems]:
        views: list[HpaView] = []
        problems: _Problems = []
        for target in self._settings.targets:
            scene = scenes[target.namespace]
            view = (
                read_hpa(target, scene, self._held.baseline)
                if isinstance(scene, NamespaceScene)
                else _reason(scene)
            )
            if isinstance(view, Reason):
                problems.append((target.key, view))
                continue
            views.append(view)
            if view.floor_manager == FIELD_MANAGER:
                # After a restart: what is ours today must not be taken for never held tomorrow.
                self._held.note(view.uid)
            elif view.baseline_replicas is not None:
                self._held.note_baseline(view.uid, view.baseline_replicas)
        return views, problems

    def _seen(self, answer: Answer) -> FloorSeen:
        hpa = msgspec.json.decode(answer.body, type=Hpa)
        metadata = hpa.metadata
        return FloorSeen(
            uid=metadata.uid,
            resource_version=metadata.resource_version,
            replicas_min=hpa.spec.min_replicas,
            replicas_max=hpa.spec.max_replicas,
            taken_by=self._held.taken_by(metadata.uid, floor_owners(metadata.managed_fields)),
        )


async def _answered(part: Awaitable[_Part]) -> _Part | ClusterUnreachable:
    """The part, or the failure as a value, so that one silent namespace does not hide others."""
    try:
        return await part
    except ClusterUnreachable as error:
        return error


def _reason(failure: Reason | ClusterUnreachable) -> Reason:
    return failure if isinstance(failure, Reason) else Reason(Code.UNREACHABLE, str(failure))


def _floor_body(intent: FloorIntent) -> dict[str, Any]:
    """All that we apply: anything more here, and we would own it."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": intent.name,
            "namespace": intent.namespace,
            "uid": intent.uid,
            "resourceVersion": intent.resource_version,
        },
        "spec": {"minReplicas": intent.floor},
    }


def _applied(written: Answer) -> Applied:
    metadata = msgspec.json.decode(written.body, type=_Written).metadata
    return Applied(metadata.resource_version)
