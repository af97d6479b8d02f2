"""What a running cluster holds and says of itself, read and never written.

Called by `predictor/check_cli.py`. Lists are paged and bounded, each request has its time limit.
What is no kind of this cluster is passed over; what may not be read is told, and the rest goes on.
It must never create anything but reviews of rights, which the server does not keep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from predictor.actuators.connection import Connection
from predictor.actuators.listing import listed
from predictor.actuators.port import ClusterUnreachable
from predictor.actuators.refusal import refusal
from predictor.check.fields import entries, text
from predictor.check.scene import LiveFacts, SceneObject
from predictor.core.reasons import Reason

Unread = list[tuple[str, str]]

_Object = dict[str, Any]
_NOT_FOUND = 404
_WHY_MAX = 200


class _Kind(NamedTuple):
    """A kind that rules look at: versions newest first, and where its objects lie."""

    group: str
    versions: tuple[str, ...]
    plural: str
    kind: str
    is_everywhere: bool = False
    """Listed over all namespaces: tools keep these objects in namespaces of their own."""


_KINDS = (
    _Kind("autoscaling", ("v2",), "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    _Kind("apps", ("v1",), "deployments", "Deployment"),
    _Kind("autoscaling.k8s.io", ("v1",), "verticalpodautoscalers", "VerticalPodAutoscaler"),
    _Kind("keda.sh", ("v1alpha1",), "scaledobjects", "ScaledObject"),
    _Kind("flagger.app", ("v1beta1",), "canaries", "Canary"),
    _Kind("networking.istio.io", ("v1", "v1beta1"), "virtualservices", "VirtualService"),
    _Kind("networking.istio.io", ("v1", "v1beta1"), "destinationrules", "DestinationRule"),
    _Kind("argoproj.io", ("v1alpha1",), "rollouts", "Rollout"),
    _Kind("argoproj.io", ("v1alpha1",), "applications", "Application", is_everywhere=True),
    _Kind(
        "kustomize.toolkit.fluxcd.io",
        ("v1", "v1beta2"),
        "kustomizations",
        "Kustomization",
        is_everywhere=True,
    ),
    _Kind("postgresql.cnpg.io", ("v1",), "clusters", "Cluster"),
    _Kind("postgresql.cnpg.io", ("v1",), "poolers", "Pooler"),
)


class Cluster(NamedTuple):
    """Everything read of one cluster."""

    objects: list[SceneObject]
    facts: LiveFacts
    unread: Unread


class ClusterReader:
    """Reads one cluster once; `unread` grows with what could not be had."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.unread: Unread = []

    async def body(self, path: str) -> _Object | None:
        """The object at a path; None where there is none or it may not be read."""
        try:
            answer = await self.connection.get(path)
            if answer.status == _NOT_FOUND:
                return None
            if not answer.ok:
                self.tell(path, refusal(answer, path).sentence)
                return None
            return msgspec.json.decode(answer.body, type=_Object)
        except (ClusterUnreachable, msgspec.MsgspecError) as error:
            self.tell(path, str(error))
            return None

    async def listing(self, path: str) -> list[_Object] | None:
        """All objects under a path; None where they may not be read."""
        try:
            found = await listed(self.connection, path, _Object)
        except ClusterUnreachable as error:
            self.tell(path, str(error))
            return None
        if isinstance(found, Reason):
            self.tell(path, found.sentence)
            return None
        return found

    def tell(self, what: str, why: str) -> None:
        """Something could not be looked at."""
        self.unread.append((what, why[:_WHY_MAX]))


async def served_versions(reader: ClusterReader) -> frozenset[str] | None:
    """Every API version of discovery, the core group's `v1` included."""
    groups = await reader.body("/apis")
    if groups is None:
        return None
    found = {
        text(version, "groupVersion")
        for group in entries(groups, "groups")
        for version in entries(group, "versions")
    }
    return frozenset({*found, "v1"})


async def objects(
    reader: ClusterReader, served: frozenset[str] | None, namespaces: Sequence[str]
) -> list[SceneObject]:
    """The objects that rules look at, in these namespaces; none named means all."""
    wanted = [
        (kind, version, place)
        for kind in _KINDS
        if (version := _version(kind, served)) is not None
        for place in _places(kind, namespaces)
    ]
    lists = await asyncio.gather(
        *(
            reader.listing(f"/apis/{version}{place}/{kind.plural}")
            for kind, version, place in wanted
        )
    )
    # The items of a list do not repeat their kind.
    return [
        SceneObject({**one, "apiVersion": version, "kind": kind.kind})
        for (kind, version, _), found in zip(wanted, lists, strict=True)
        for one in found or ()
    ]


def _version(kind: _Kind, served: frozenset[str] | None) -> str | None:
    """The newest served version; what the API server always has needs no discovery."""
    versions = [f"{kind.group}/{version}" for version in kind.versions]
    if served is None:
        return versions[0] if kind.group in ("autoscaling", "apps") else None
    return next((version for version in versions if version in served), None)


def _places(kind: _Kind, namespaces: Sequence[str]) -> Iterable[str]:
    if kind.is_everywhere or not namespaces:
        return ("",)
    return (f"/namespaces/{namespace}" for namespace in namespaces)
