"""What a running cluster says of itself: metrics APIs, guard, rights and time.

`read_cluster` is the one entry: `predictor/check_cli.py` calls it. As `live_source.py`, it only
reads.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from predictor.actuators.connection import Answer, Connection
from predictor.actuators.port import ClusterUnreachable
from predictor.actuators.refusal import refusal
from predictor.actuators.server_clock import clock_ahead_s
from predictor.actuators.switch import OFF_KEY, SWITCH, switch_path
from predictor.check.fields import entries, text, texts, value
from predictor.check.live_restorer import read_restorers
from predictor.check.live_source import Cluster, ClusterReader, objects, served_versions
from predictor.check.scene import Hpa, LiveFacts, MetricsApi, Restorer, Right, Scene
from predictor.core.floor_object import HPA_KIND, SCALED_OBJECT_KIND, FloorKind
from predictor.core.opt_in import CEILING, FLOOR
from predictor.settings import Settings

_REGISTRATION = "/apis/apiregistration.k8s.io/v1/apiservices"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_REVIEWS = "/apis/authorization.k8s.io/v1"
_METRICS = ("metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io")
_HPAS_ASKED_MAX = 100
"""Rights are given by name, so each HPA is asked about; beyond this many the rest is left out."""
_FORBIDDEN = 403
_HPAS = "horizontalpodautoscalers"


async def read_cluster(
    connection: Connection,
    settings: Settings,
    namespaces: Sequence[str],
    account: str,
    wall_s: Callable[[], float],
) -> Cluster:
    """Objects and facts; raises `ClusterUnreachable` where the API server does not answer at all.

    `account` is the service's own, as "namespace/name"; `wall_s` gives epoch seconds.
    """
    version = await connection.get("/version")
    ahead_s = clock_ahead_s(version.date, wall_s())
    reader = ClusterReader(connection)
    served, apis, guards, off = await asyncio.gather(
        served_versions(reader),
        _metrics_apis(reader),
        _guards(reader, account),
        reader.body(switch_path(settings.kubernetes.namespace)),
    )
    configured = sorted({one.namespace for one in settings.regions.values()})
    restorers = await read_restorers(reader, settings.kubernetes.namespace, configured)
    found = await objects(reader, served, namespaces)
    checked = Scene(tuple(found), settings).checked
    rights, who = await _rights(reader, checked, settings, account)
    restorers = await _with_rights(reader, restorers, checked)
    facts = LiveFacts(
        served=served,
        metrics_apis=apis,
        has_guard=guards[HPA_KIND],
        has_keda_guard=guards[SCALED_OBJECT_KIND],
        switched_off=text(off, "data", OFF_KEY) or None,
        rights=rights,
        whose_rights=who,
        clock_ahead_s=ahead_s,
        restorers=restorers,
    )
    return Cluster(found, facts, reader.unread)


async def _metrics_apis(reader: ClusterReader) -> Mapping[str, MetricsApi] | None:
    services = await reader.listing(_REGISTRATION)
    if services is None:
        return None
    found: dict[str, MetricsApi] = {}
    for one in services:
        group = text(one, "spec", "group")
        if group not in _METRICS:
            continue
        api = await _metrics_api(reader, one, f"/apis/{group}/{text(one, 'spec', 'version')}")
        # Of several versions any that answers will do.
        if group not in found or api.is_available:
            found[group] = api
    return found


async def _metrics_api(reader: ClusterReader, service: Mapping[str, Any], path: str) -> MetricsApi:
    conditions = entries(service, "status", "conditions")
    available = next((one for one in conditions if text(one, "type") == "Available"), {})
    if text(available, "status") != "True":
        return MetricsApi(False, text(available, "message") or "not Available")
    listed = await reader.body(path)
    names = (text(one, "name") for one in entries(listed, "resources"))
    return MetricsApi(True, "", frozenset(name.partition("/")[2] for name in names if "/" in name))


async def _guards(reader: ClusterReader, account: str) -> dict[FloorKind, bool | None]:
    """Whether a bound policy holds this account inside the owner's band; None if it is hidden."""
    kinds = (HPA_KIND, SCALED_OBJECT_KIND)
    policies = await reader.listing(f"{_ADMISSION}/validatingadmissionpolicies")
    bindings = await reader.listing(f"{_ADMISSION}/validatingadmissionpolicybindings")
    if policies is None or bindings is None:
        return dict.fromkeys(kinds)
    denying = {
        text(one, "spec", "policyName")
        for one in bindings
        if "Deny" in texts(one, "spec", "validationActions")
    }
    bound = [value(one, "spec") for one in policies if text(one, "metadata", "name") in denying]
    return {kind: any(_holds_the_band(one, account, kind) for one in bound) for kind in kinds}


def _holds_the_band(spec: object, account: str, kind: FloorKind) -> bool:
    """By what it reads, for its owner may have renamed it; the server's refusal is the proof, and
    the service tries that before it acts."""
    written = msgspec.json.encode(spec).decode()
    is_ours = account.replace("/", ":") in written or not value(spec, "matchConditions")
    return is_ours and all(word in written for word in (FLOOR, CEILING, f'"{kind.plural}"'))


async def _rights(
    reader: ClusterReader, checked: Sequence[Hpa], settings: Settings, account: str
) -> tuple[tuple[Right, ...], str]:
    """What the account may do; where nobody may ask for another, what this identity may."""
    asked = [*_wanted(checked, settings)] if checked else []
    if len(checked) > _HPAS_ASKED_MAX:
        reader.tell("rights", f"asked for the first {_HPAS_ASKED_MAX} of {len(checked)} HPAs alone")
    if not asked:
        return (), ""
    who = f"ServiceAccount {account}"
    first = await _reviewed(reader, asked[0], account)
    if first is not None and first.status == _FORBIDDEN:
        account, who = "", "this identity"
    answers = await asyncio.gather(*(_reviewed(reader, one, account) for one in asked))
    rights = []
    for wanted, answer in zip(asked, answers, strict=True):
        is_allowed = None if answer is None else _allowed(reader, answer)
        if is_allowed is not None:
            rights.append(_right(wanted, is_allowed))
    return tuple(rights), who


def _wanted(checked: Sequence[Hpa], settings: Settings) -> list[dict[str, str]]:
    """Resource attributes of all that the worker does, as `deploy/base/rbac.yaml` grants it."""
    own = settings.kubernetes.namespace
    verbs = ("get", "create", "patch")
    wanted = [_attributes(own, "coordination.k8s.io", "leases", verb) for verb in verbs]
    wanted.append({**_attributes(own, "", "configmaps", "get"), "name": SWITCH})
    for namespace in sorted({one.of.namespace for one in checked}):
        for group, resource in (
            ("autoscaling", _HPAS),
            ("apps", "deployments"),
        ):
            wanted += [_attributes(namespace, group, resource, verb) for verb in ("list", "watch")]
        wanted.append(_attributes(namespace, "", "pods", "list"))
        if settings.kubernetes.keda == "patch":
            group, resource = SCALED_OBJECT_KIND.group, SCALED_OBJECT_KIND.plural
            wanted += [_attributes(namespace, group, resource, verb) for verb in ("list", "watch")]
    for hpa in checked[:_HPAS_ASKED_MAX]:
        at = hpa.floor_object
        one = _attributes(at.namespace, at.kind.group, at.kind.plural, "patch")
        wanted.append({**one, "name": at.name})
    for namespace in sorted({route.namespace for route in settings.routes.values()}):
        wanted.append(_attributes(namespace, "networking.istio.io", "virtualservices", "list"))
    for route in settings.routes.values():
        for verb in ("get", "patch"):
            one = _attributes(route.namespace, "networking.istio.io", "virtualservices", verb)
            wanted.append({**one, "name": route.virtual_service})
    return wanted


async def _with_rights(
    reader: ClusterReader, restorers: Sequence[Restorer] | None, checked: Sequence[Hpa]
) -> tuple[Restorer, ...] | None:
    """With what each may do where it looks; nothing where nobody may ask for another account."""
    if restorers is None:
        return None
    made = []
    for restorer in restorers:
        bearing = [
            hpa for hpa in checked if hpa.is_annotated and restorer.looks_in(hpa.of.namespace)
        ]
        asked = _restorer_wanted(restorer, bearing[:_HPAS_ASKED_MAX])
        answers = await asyncio.gather(*(_reviewed(reader, one, restorer.account) for one in asked))
        rights = [
            _right(wanted, is_allowed)
            for wanted, answer in zip(asked, answers, strict=True)
            if answer is not None and answer.status != _FORBIDDEN
            if (is_allowed := _allowed(reader, answer)) is not None
        ]
        made.append(dataclasses.replace(restorer, rights=tuple(rights)))
    return tuple(made)


def _restorer_wanted(restorer: Restorer, bearing: Sequence[Hpa]) -> list[dict[str, str]]:
    """As `deploy/base/restorer_rbac.yaml` and `deploy/keda` grant it."""
    wanted: list[dict[str, str]] = []
    for hpa in bearing:
        at = hpa.floor_object
        listed = at.namespace if restorer.namespaces else ""
        wanted.append(_attributes(listed, at.kind.group, at.kind.plural, "list"))
        one = _attributes(at.namespace, at.kind.group, at.kind.plural, "patch")
        wanted.append({**one, "name": at.name})
    return [dict(one) for one in dict.fromkeys(tuple(one.items()) for one in wanted)]


def _attributes(namespace: str, group: str, resource: str, verb: str) -> dict[str, str]:
    return {"namespace": namespace, "group": group, "resource": resource, "verb": verb}


def _right(wanted: Mapping[str, str], is_allowed: bool) -> Right:
    return Right(
        wanted["group"],
        wanted["resource"],
        wanted["verb"],
        wanted["namespace"],
        is_allowed,
        wanted.get("name", ""),
    )


async def _reviewed(
    reader: ClusterReader, wanted: Mapping[str, str], account: str
) -> Answer | None:
    """The answer to one review, of `account` ("namespace/name") or of whoever asks (empty)."""
    spec: dict[str, Any] = {"resourceAttributes": dict(wanted)}
    kind = "SubjectAccessReview" if account else "SelfSubjectAccessReview"
    if account:
        namespace, _, name = account.partition("/")
        accounts = "system:serviceaccounts"
        spec["user"] = f"system:serviceaccount:{namespace}:{name}"
        spec["groups"] = [accounts, f"{accounts}:{namespace}", "system:authenticated"]
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    try:
        return await reader.connection.post(f"{_REVIEWS}/{kind.lower()}s", body)
    except ClusterUnreachable as error:
        reader.tell("rights", str(error))
        return None


def _allowed(reader: ClusterReader, answer: Answer) -> bool | None:
    if not answer.ok:
        reader.tell("rights", refusal(answer, "a review of rights").sentence)
        return None
    try:
        return value(msgspec.json.decode(answer.body), "status", "allowed") is True
    except msgspec.MsgspecError as error:
        reader.tell("rights", str(error))
        return None
