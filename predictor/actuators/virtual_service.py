"""A VirtualService's default route as a view, and a change of its weights as a JSON Patch.

`kubernetes.py` and `predictor/way_back/` read and write with it; `Routing` alone talks to the
server. The default route is found by its destinations and by having no match, never by its place.
Every list in a VirtualService is atomic for server-side apply, so weights cannot be owned alone; a
JSON Patch with tests is the narrowest write there is. It must never change a route with a match, or
anything but weights and our own annotations.

Source: istio.io/api, networking/v1 virtual_service.proto (HTTPRoute, HTTPRouteDestination).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from predictor.actuators.cluster_settings import RouteTarget
from predictor.actuators.connection import Connection
from predictor.actuators.objects import Metadata
from predictor.actuators.refusal import refusal
from predictor.actuators.route_control import controlled_elsewhere
from predictor.core.cluster import DestinationView, RouteView, WeightIntent
from predictor.core.opt_in import (
    EPOCH,
    KEPT_ON_ROUTES,
    SHIFT,
    SHIFT_ENABLED,
    kept_weight_annotations,
    read_kept_weights,
)
from predictor.core.reasons import Code, Reason

_WHOLE = 100
_GROUP = "/apis/networking.istio.io"
# Only these two are read alike; the newest that the server serves is taken.
_VERSIONS = ("v1", "v1beta1")
_NOT_FOUND = 404
_ANNOTATIONS = "/metadata/annotations"


class _Destination(msgspec.Struct, frozen=True):
    host: str


class _Share(msgspec.Struct, frozen=True):
    destination: _Destination
    weight: int | None = None


class _HttpRoute(msgspec.Struct, frozen=True):
    match: tuple[msgspec.Raw, ...] = ()
    route: tuple[_Share, ...] = ()

    @property
    def hosts(self) -> list[str]:
        return sorted(share.destination.host for share in self.route)


class _Spec(msgspec.Struct, frozen=True):
    http: tuple[_HttpRoute, ...] = ()


class VirtualService(msgspec.Struct, frozen=True):
    """The part of a VirtualService that is asked about."""

    metadata: Metadata
    spec: _Spec = _Spec()


class _Version(msgspec.Struct, frozen=True):
    version: str


class _Group(msgspec.Struct, frozen=True):
    versions: tuple[_Version, ...] = ()


class Routing:
    """Reads VirtualServices in whichever API version the server has."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._version: str | None = None

    async def read(self, target: RouteTarget) -> VirtualService | Reason:
        """The VirtualService, or why it cannot be had; raises `ClusterUnreachable`."""
        place = f"VirtualService {target.namespace}/{target.name}"
        if not await self.is_served():
            wanted = " nor ".join(_VERSIONS)
            sentence = f"{place}: the API server serves neither {wanted} of networking.istio.io"
            return Reason(Code.ROUTE_NOT_FOUND, sentence)
        answer = await self._connection.get(self.path(target))
        if answer.status == _NOT_FOUND:
            return Reason(Code.ROUTE_NOT_FOUND, f"{place} does not exist")
        if not answer.ok:
            return refusal(answer, place)
        try:
            return msgspec.json.decode(answer.body, type=VirtualService)
        except msgspec.MsgspecError as error:
            return Reason(Code.REFUSED, f"{place} cannot be read: {error}")

    async def is_served(self) -> bool:
        """Whether the server has VirtualServices at all; raises `ClusterUnreachable`."""
        if self._version is None:
            self._version = await self._served()
        return self._version is not None

    def path(self, target: RouteTarget) -> str:
        """The API path of a VirtualService, once `is_served` was answered."""
        return f"{self.places(target.namespace)}/{target.name}"

    def places(self, namespace: str = "") -> str:
        """All of a namespace, or of the whole cluster, likewise."""
        within = f"/namespaces/{namespace}" if namespace else ""
        return f"{_GROUP}/{self._version}{within}/virtualservices"

    async def _served(self) -> str | None:
        answer = await self._connection.get(_GROUP)
        if not answer.ok:
            return None
        try:
            found = msgspec.json.decode(answer.body, type=_Group).versions
        except msgspec.MsgspecError:
            return None
        served = {one.version for one in found}
        return next((version for version in _VERSIONS if version in served), None)


def read_route(target: RouteTarget, found: VirtualService) -> RouteView | Reason:
    """The one route without a match whose destinations are exactly the configured hosts."""
    hosts = sorted(target.hosts.values())
    routes = enumerate(found.spec.http)
    fitting = [index for index, one in routes if not one.match and one.hosts == hosts]
    if len(fitting) != 1:
        sentence = (
            f"VirtualService {target.namespace}/{target.name} has {len(fitting)} routes without"
            f" match to {', '.join(hosts)}"
        )
        return Reason(Code.ROUTE_NOT_FOUND, sentence)
    regions = {host: region for region, host in target.hosts.items()}
    shares = found.spec.http[fitting[0]].route
    return RouteView(
        module=target.module,
        namespace=target.namespace,
        name=target.name,
        uid=found.metadata.uid,
        resource_version=found.metadata.resource_version,
        route_index=fitting[0],
        destinations=tuple(
            DestinationView(
                index=index,
                region=regions[share.destination.host],
                host=share.destination.host,
                weight=_weight(share, len(shares)),
            )
            for index, share in enumerate(shares)
        ),
        is_shift_enabled=found.metadata.annotations.get(SHIFT) == SHIFT_ENABLED,
        kept=read_kept_weights(found.metadata.annotations),
        held_back=controlled_elsewhere(found.metadata),
    )


def written_annotations(intent: WeightIntent) -> dict[str, str]:
    """What stands beside the weights once they are written; ours that are not named go."""
    hosts = [one.host for one in intent.route.destinations]
    return kept_weight_annotations(
        intent.until_s,
        intent.epoch,
        intent.reason,
        home=dict(zip(hosts, intent.home or intent.weights, strict=True)),
        weights=dict(zip(hosts, intent.weights, strict=True)),
    )


def weight_patch(
    found: VirtualService,
    view: RouteView,
    weights: Sequence[int],
    annotations: Mapping[str, str],
) -> list[dict[str, Any]]:
    """The JSON Patch (RFC 6902) that sets weights and our annotations, if all is as in `found`."""
    patch = [
        _operation("test", "/metadata/uid", view.uid),
        _operation("test", "/metadata/resourceVersion", view.resource_version),
    ]
    route = f"/spec/http/{view.route_index}/route"
    shares = found.spec.http[view.route_index].route
    for index, (share, weight) in enumerate(zip(shares, weights, strict=True)):
        path = f"{route}/{index}"
        patch.append(_operation("test", f"{path}/destination/host", share.destination.host))
        if share.weight is not None:
            patch.append(_operation("test", f"{path}/weight", share.weight))
        # An absent weight cannot be replaced, and to add over a present one replaces it.
        patch.append(_operation("add", f"{path}/weight", weight))
    return [*patch, *annotation_operations(found.metadata.annotations, annotations)]


def annotation_operations(
    there: Mapping[str, str], wanted: Mapping[str, str]
) -> list[dict[str, Any]]:
    """What makes our annotations on an object those that are wanted, and leaves all others."""
    made = [] if there else [{"op": "add", "path": _ANNOTATIONS, "value": {}}]
    for name in (EPOCH, *KEPT_ON_ROUTES):
        path = f"{_ANNOTATIONS}/{name.replace('~', '~0').replace('/', '~1')}"
        if name in wanted:
            made.append(_operation("add", path, wanted[name]))
        elif name in there:
            made.append({"op": "remove", "path": path})
    return made


def _weight(share: _Share, destinations: int) -> int:
    """Istio's own defaults: all for a single destination, none for one of several."""
    if share.weight is not None:
        return share.weight
    return _WHOLE if destinations == 1 else 0


def _operation(kind: str, path: str, value: str | int) -> dict[str, Any]:
    return {"op": kind, "path": path, "value": value}
