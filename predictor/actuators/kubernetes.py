"""The real cluster: HPAs, Deployments and VirtualServices over the Kubernetes API.

`predictor/service.py` calls it through the port. It reads HPAs and Deployments by watch and routes
at each observation, and writes exactly two things: `spec.minReplicas` (of an HPA that KEDA makes,
its ScaledObject's `spec.minReplicaCount`) with our own annotations by server-side apply, and a
default route's weights, with our annotations too, by JSON Patch. It must never create or delete an
object, repeat a write by itself, or raise for what the cluster answers.

Server-side apply because it alone records who owns a field. At adoption the owner's manager holds
the field and the write is forced; afterwards it is not, so that a floor which somebody took is a
conflict that names them. That nobody wrote since the decision is what the resourceVersion and uid
in the body prove.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import msgspec

from predictor.actuators.cluster_settings import ClusterSettings, HpaTarget, RouteTarget
from predictor.actuators.connection import APPLY, JSON_PATCH, Answer, Connection
from predictor.actuators.discovery import discovered
from predictor.actuators.expectations import FloorSeen, floor_objection, weight_objection
from predictor.actuators.floor_write import floor_body, floor_query, floor_refusal
from predictor.actuators.hpa_views import HpaViews
from predictor.actuators.objects import Hpa
from predictor.actuators.ownership import Holding, floor_owners, foreign_owner, holding
from predictor.actuators.pending_pods import PendingPods
from predictor.actuators.port import ClusterUnreachable
from predictor.actuators.refusal import patch_refusal
from predictor.actuators.scaled_object import ScaledHpa
from predictor.actuators.vertical_autoscalers import VerticalAutoscalers
from predictor.actuators.virtual_service import (
    Routing,
    read_route,
    weight_patch,
    written_annotations,
)
from predictor.actuators.watched_scenes import WatchedScenes
from predictor.actuators.write_budget import WriteBudget
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
from predictor.core.floor_object import SCALED_OBJECT_KIND, FloorObject
from predictor.core.opt_in import FIELD_MANAGER
from predictor.core.reasons import Code, Reason

_Part = TypeVar("_Part")
_Problems = list[tuple[TargetKey, Reason]]

EVERY_REGION = "*"
"""The region under which a route's problem is reported."""

_WRITE = [("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")]


class _WrittenMetadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str


class _Written(msgspec.Struct, frozen=True):
    metadata: _WrittenMetadata


class KubernetesCluster:
    """The configured targets and routes of one cluster, as the identity of `settings`.

    It watches from the first observation on; `close` ends that.
    """

    def __init__(self, settings: ClusterSettings, connection: Connection | None = None) -> None:
        self._settings = settings
        self._connection = connection or Connection(settings)
        self._routing = Routing(self._connection)
        self._scenes = WatchedScenes(settings, self._connection)
        self._views = HpaViews()
        self._vertical = VerticalAutoscalers(self._connection)
        self._pending_pods = PendingPods(self._connection, settings.pods_late_s)
        self._budget = WriteBudget(settings.writes_per_s, settings.writes_burst)

    async def observe(self) -> ClusterView:
        """What is known of everything; raises `ClusterUnreachable` where that is nothing at all."""
        settings = self._settings
        _, _, *routes = await asyncio.gather(
            self._scenes.ready(),
            self._vertical.look(settings.watched_places),
            *(_answered(self._route(one)) for one in settings.routes),
        )
        places = self._scenes.problems()
        _refuse_silence([*places.values(), *routes])
        hpas, problems = await self._hpa_views(places)
        views: list[RouteView] = []
        for target, route in zip(settings.routes, routes, strict=True):
            if isinstance(route, RouteView):
                views.append(route)
            elif route is not None:
                problems.append((TargetKey(target.module, EVERY_REGION), _reason(route)))
        return ClusterView(tuple(hpas), tuple(views), tuple(problems))

    def silent_s(self) -> float | None:
        """The longest time that a watch said nothing, None before there is one."""
        return self._scenes.silent_s()

    async def set_floor(self, intent: FloorIntent) -> Outcome:
        """Apply `spec.minReplicas` and our annotations, if nothing has moved since the decision."""
        place = f"HPA {intent.namespace}/{intent.name}"
        await self._scenes.ready()
        if not self._scenes.was_synced(intent.namespace):
            return NotApplied(Reason(Code.UNREACHABLE, f"{place} has not been read yet"))
        hpa = self._scenes.hpa(intent.namespace, intent.name)
        seen = None if hpa is None else _seen(hpa)
        objection = _unread(hpa) or floor_objection(intent, seen) or await self._budgeted(place)
        if hpa is None or seen is None or objection is not None:
            return NotApplied(objection or Reason(Code.TARGET_MISSING, place))
        query, at = floor_query(intent, hpa), hpa.floor_object
        try:
            written = await self._connection.patch(at.path, floor_body(intent, at), APPLY, query)
        except ClusterUnreachable as error:
            return NotApplied(Reason(Code.UNREACHABLE, f"{at.title}: {error}"))
        if not written.ok:
            return NotApplied(await self._refused(written, intent, at))
        return self._wrote(written, intent, at)

    async def set_weights(self, intent: WeightIntent) -> Outcome:
        """Read the VirtualService again and patch weights and our annotations, if none moved."""
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
            objection = weight_objection(intent, seen) or await self._budgeted(place)
            if objection is not None:
                return NotApplied(objection)
            path = self._routing.path(target)
            patch = weight_patch(found, seen, intent.weights, written_annotations(intent))
            written = await self._connection.patch(path, patch, JSON_PATCH, _WRITE)
        except ClusterUnreachable as error:
            return NotApplied(Reason(Code.UNREACHABLE, f"{place}: {error}"))
        return _applied(written) if written.ok else NotApplied(patch_refusal(written, place))

    async def close(self) -> None:
        """End the watches and close the connections."""
        await self._scenes.close()
        await self._connection.close()

    async def _route(self, target: RouteTarget) -> RouteView | Reason:
        found = await self._routing.read(target)
        return found if isinstance(found, Reason) else read_route(target, found)

    async def _hpa_views(self, places: dict[str, Reason | None]) -> tuple[list[HpaView], _Problems]:
        targets, problems = self._targets()
        views: list[HpaView] = []
        for target in targets:
            problem = places.get(self._scenes.place_of(target.namespace))
            scene = self._scenes.scene(target.namespace)
            view = problem or self._views.of(target, scene, self._vertical.on)
            if isinstance(view, Reason):
                problems.append((target.key, view))
            else:
                views.append(view)
        return await self._with_pending_pods(views), problems

    def _targets(self) -> tuple[list[HpaTarget], _Problems]:
        if not self._settings.discovery:
            return list(self._settings.targets), []
        return discovered(self._settings, self._scenes.hpas())

    async def _with_pending_pods(self, views: list[HpaView]) -> list[HpaView]:
        """With what pending pods say, where the Deployment itself says nothing."""
        lacking = {}
        for view in views:
            if view.ready_replicas < view.spec_replicas and not view.blocked:
                found = self._scenes.scene(view.namespace).deployments.get(view.deployment)
                if found is not None:
                    lacking[view.key] = found
        troubles = await self._pending_pods.troubles(lacking.values())
        said = {
            key: troubles[one.metadata.uid]
            for key, one in lacking.items()
            if one.metadata.uid in troubles
        }
        replace = msgspec.structs.replace
        return [replace(one, blocked=said[one.key]) if one.key in said else one for one in views]

    async def _budgeted(self, place: str) -> Reason | None:
        """Wait for the write's turn; a reason where it would wait for too long."""
        wait_s = self._budget.take(self._settings.request_timeout_s)
        if wait_s is None:
            limit = f"more than {self._settings.writes_per_s:g} writes/s are waiting"
            return Reason(Code.CHANGES_LIMITED, f"{place}: {limit}, so this one waits for a tick")
        if wait_s:
            await asyncio.sleep(wait_s)
        return None

    async def _refused(self, written: Answer, intent: FloorIntent, at: FloorObject) -> Reason:
        """Why the floor was not taken; a conflict is looked at, for it names a person or a tool."""
        reason = floor_refusal(written, intent, at)
        if reason.code is not Code.CONFLICT:
            return reason
        try:
            answer = await self._connection.get(at.path)
            if not answer.ok:
                return reason
            self._scenes.heard_of(at, answer.body)
        except (ClusterUnreachable, msgspec.MsgspecError):
            return reason
        now = self._scenes.hpa(intent.namespace, intent.name)
        return floor_refusal(written, intent, at, now)

    def _wrote(self, written: Answer, intent: FloorIntent, at: FloorObject) -> Applied:
        """Keep what the server made of it: the watch tells it a moment later."""
        applied = _applied(written)
        if not applied.resource_version:
            return applied
        lists_begun = self._scenes.lists_begun(at)
        self._views.wrote(intent.uid, applied.resource_version, lists_begun)
        self._scenes.heard_of(at, written.body)
        return applied


def _unread(hpa: Hpa | None) -> Reason | None:
    unread = hpa.scaled_object.unread if isinstance(hpa, ScaledHpa) else ""
    if hpa is None or not unread:
        return None
    return Reason(Code.SCALED_OBJECT, f"{hpa.floor_object.title}, {unread}")


def _seen(hpa: Hpa) -> FloorSeen:
    metadata, at = hpa.metadata, hpa.floor_object
    taken = holding(metadata.managed_fields) is Holding.TAKEN
    taken_by = foreign_owner(floor_owners(metadata.managed_fields)) or "somebody"
    return FloorSeen(
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        replicas_min=hpa.spec.min_replicas,
        replicas_max=hpa.spec.max_replicas,
        taken_by=taken_by if taken else None,
        scaled_object=at.name if at.kind == SCALED_OBJECT_KIND else "",
    )


def _refuse_silence(parts: list[object]) -> None:
    """Raise where no part answered: a view of nothing but silence would look like an observation.

    A forbidden or missing part is an answer, and is told as such.
    """
    silent = [part for part in parts if _is_silent(part)]
    if silent and len(silent) == len(parts):
        first = silent[0]
        raise ClusterUnreachable(first.sentence if isinstance(first, Reason) else str(first))


def _is_silent(part: object) -> bool:
    if isinstance(part, Reason):
        return part.code is Code.UNREACHABLE
    return isinstance(part, ClusterUnreachable)


async def _answered(part: Awaitable[_Part]) -> _Part | ClusterUnreachable:
    """The part, or the failure as a value, so that one silent namespace does not hide others."""
    try:
        return await part
    except ClusterUnreachable as error:
        return error


def _reason(failure: Reason | ClusterUnreachable) -> Reason:
    return failure if isinstance(failure, Reason) else Reason(Code.UNREACHABLE, str(failure))


def _applied(written: Answer) -> Applied:
    """What was taken stays taken, also where the answer cannot be read (a proxy's own page)."""
    try:
        return Applied(msgspec.json.decode(written.body, type=_Written).metadata.resource_version)
    except msgspec.MsgspecError:
        return Applied("")
