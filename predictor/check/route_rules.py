"""VirtualServices whose weights are to move: what they sum to, who owns them, what is pinned.

Source: istio.io/api, networking/v1 virtual_service.proto and destination_rule.proto; reading is the
service's own (`predictor/actuators/virtual_service.py`): the default route has no match.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from predictor.check.fields import entries, mapping, text, value, whole
from predictor.check.finding import Fault, Finding, Severity
from predictor.check.scene import Scene, SceneObject
from predictor.core.reasons import Code
from predictor.core.route_owners import MEND, ROUTES_FIELD, RouteOwnerFacts, route_control

_ISTIO = "networking.istio.io"
_WHOLE = 100


def weights(scene: Scene) -> Iterator[Finding]:
    """Default routes whose weights are no whole."""
    for one in _services(scene):
        for route in _default_routes(one):
            shares = [*entries(route, "route")]
            if len(shares) < 2:
                continue
            given = [whole(share, "weight") for share in shares]
            total = sum(weight or 0 for weight in given)
            if None in given and total != 0:
                sentence = f"{given.count(None)} of {len(given)} destinations have no weight: 0"
                mend = "write every weight"
                yield _finding(Severity.WARNING, Fault.WEIGHTS_ABSENT, one, sentence, mend)
            if total != _WHOLE or any(weight is not None and weight < 0 for weight in given):
                listed = ", ".join("none" if weight is None else str(weight) for weight in given)
                sentence = f"the default route's weights are {listed}, together {total}"
                mend = "whole numbers from 0 that sum to 100"
                yield _finding(Severity.ERROR, Fault.WEIGHTS_SUM, one, sentence, mend)


def owners(scene: Scene) -> Iterator[Finding]:
    """Routes whose weights another controller keeps, as the service itself would say it."""
    naming: dict[str, list[SceneObject]] = {}
    for rollout in scene.of_kind("Rollout"):
        for name in _routes_of(rollout):
            naming.setdefault(name, []).append(rollout)
    for one in _services(scene):
        # A file without a namespace fits any.
        near = ("", one.namespace) if one.namespace else None
        named = (
            rollout.name
            for rollout in naming.get(one.name, ())
            if near is None or rollout.namespace in near
        )
        reason = route_control(_owner_facts(one, tuple(named)))
        if reason is not None:
            sentence = reason.sentence.removesuffix(f"; {MEND}")
            yield _finding(Severity.ERROR, reason.code, one, sentence, MEND)


def _owner_facts(one: SceneObject, rollouts: tuple[str, ...]) -> RouteOwnerFacts:
    held = (
        text(entry, "manager")
        for entry in entries(one.body, "metadata", "managedFields")
        if ROUTES_FIELD in mapping(entry, "fieldsV1", "f:spec")
    )
    return RouteOwnerFacts(
        title=one.title,
        owners=one.owners,
        annotations=tuple(one.annotations.items()),
        managers=tuple(held),
        rollouts=rollouts,
    )


def pinned(scene: Scene) -> Iterator[Finding]:
    """Routes by header, which weights never reach."""
    for one in _services(scene):
        count = sum(bool(value(route, "match")) for route in entries(one.body, "spec", "http"))
        if count:
            sentence = f"{count} routes with a match pin requests; only the last one's weights move"
            mend = "nothing, if clients are meant to choose their region"
            yield _finding(Severity.NOTE, Fault.PINNED_ROUTE, one, sentence, mend)


def outliers(scene: Scene) -> Iterator[Finding]:
    """Destinations that keep their share when they are dead."""
    watched = {
        text(rule.body, "spec", "host")
        for rule in scene.of_kind("DestinationRule")
        if mapping(rule.body, "spec", "trafficPolicy", "outlierDetection")
    }
    for one in _services(scene):
        hosts = {host for route in _default_routes(one) for host in _hosts(route)}
        bare = sorted(host for host in hosts if host not in watched)
        if len(hosts) > 1 and bare:
            sentence = f"no outlierDetection for {', '.join(bare)}: a dead region keeps its share"
            mend = "a DestinationRule with outlierDetection and localityLbSetting for each host"
            yield _finding(Severity.WARNING, Fault.NO_OUTLIER_DETECTION, one, sentence, mend)


def hosts(scene: Scene) -> Iterator[Finding]:
    """Hosts whose second label, a namespace, nothing in the files lies in."""
    known = {one.namespace for one in scene.objects} | {
        one.name for one in scene.of_kind("Namespace")
    }
    for one in _services(scene):
        found = {host for route in entries(one.body, "spec", "http") for host in _hosts(route)}
        spaces = {host.split(".")[1] for host in found if ".svc" in host}
        unknown = sorted(spaces - known)
        if one.place and unknown:
            sentence = f"hosts lie in namespaces {', '.join(unknown)}; nothing read here does"
            mend = "the second label of a host is a namespace; Istio drops traffic to unknown hosts"
            yield _finding(Severity.WARNING, Fault.HOST_UNKNOWN, one, sentence, mend)


def _services(scene: Scene) -> Iterator[SceneObject]:
    return (one for one in scene.of_kind("VirtualService") if one.group == _ISTIO)


def _default_routes(one: SceneObject) -> Iterator[Mapping[str, Any]]:
    return (route for route in entries(one.body, "spec", "http") if not value(route, "match"))


def _hosts(route: Mapping[str, Any]) -> Iterator[str]:
    found = (text(share, "destination", "host") for share in entries(route, "route"))
    return (host for host in found if host)


def _routes_of(rollout: SceneObject) -> Iterator[str]:
    istio = mapping(rollout.body, "spec", "strategy", "canary", "trafficRouting", "istio")
    yield from filter(None, [text(istio, "virtualService", "name")])
    yield from (text(one, "name") for one in entries(istio, "virtualServices"))


def _finding(
    severity: Severity, code: Fault | Code, one: SceneObject, sentence: str, mend: str
) -> Finding:
    return Finding(severity, code, one.title, sentence, mend, one.place)
