"""Whether somebody takes floors and weights back once they run out, wherever they stand."""

from __future__ import annotations

from collections.abc import Iterator

from predictor.check.finding import Fault, Finding, Severity
from predictor.check.scene import Restorer, Scene, SceneObject
from predictor.core.opt_in import UNTIL

_BEARING = ("HorizontalPodAutoscaler", "ScaledObject", "VirtualService")
_NAMED_MAX = 5


def unrestored(scene: Scene) -> Iterator[Finding]:
    """Namespaces with something of ours that runs out, and no CronJob that looks there."""
    restorers = None if scene.live is None else scene.live.restorers
    if restorers is None:
        return
    standing: dict[str, list[SceneObject]] = {}
    for one in scene.of_kind(*_BEARING):
        if UNTIL in one.annotations:
            standing.setdefault(one.namespace, []).append(one)
    for namespace, found in standing.items():
        if any(one.looks_in(namespace) for one in restorers):
            continue
        where = " nor ".join(f"{one.title} ({', '.join(one.namespaces)})" for one in restorers)
        sentence = (
            f"nothing of ours here would be taken back when it runs out ({_named(found)}): "
            + (f"{where} does not look here" if where else "there is no CronJob that restores")
        )
        mend = (
            f"add --namespace={namespace} to its arguments and a Role for that namespace"
            if where
            else "kubectl apply -k deploy/base, with this namespace in the restorer's arguments"
        )
        yield Finding(
            Severity.WARNING, Fault.NOT_RESTORED, f"Namespace {namespace}", sentence, mend
        )


def rights(scene: Scene) -> Iterator[Finding]:
    """What restorers may not do where HPAs carry annotations of ours."""
    for restorer in () if scene.live is None else scene.live.restorers or ():
        missing: dict[tuple[str, str, str], list[str]] = {}
        for one in restorer.rights:
            if not one.is_allowed:
                key = (one.namespace, one.verb, f"{one.resource}.{one.group}")
                missing.setdefault(key, []).append(one.name)
        for (namespace, verb, resource), names in missing.items():
            yield _lacking(restorer, namespace, f"{verb} {resource}", names)


def _lacking(restorer: Restorer, namespace: str, what: str, names: list[str]) -> Finding:
    which = ", ".join(filter(None, names))
    sentence = f"ServiceAccount {restorer.account} of {restorer.title} may not {what} {which}"
    return Finding(
        Severity.WARNING,
        Fault.RIGHT_MISSING,
        f"Namespace {namespace}",
        f"{sentence.rstrip()}: a floor that runs out here stays",
        "kubectl apply -f deploy/base/restorer_rbac.yaml, with this namespace and HPA in its Roles",
    )


def _named(found: list[SceneObject]) -> str:
    names = [one.title for one in found[:_NAMED_MAX]]
    more = len(found) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
