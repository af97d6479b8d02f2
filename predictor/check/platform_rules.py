"""What pods share and what they are made from: database connections, revisions that move."""

from __future__ import annotations

from collections.abc import Iterator

from predictor.check.fields import text, value
from predictor.check.finding import Fault, Finding, Severity
from predictor.check.scene import Scene
from predictor.core.reasons import Code

CONNECTIONS_PER_POD = 20
"""The pool of one MPLP process (MPLP operations guide, database section)."""

_CONNECTIONS_MAX = 1_000_000


def connections(scene: Scene) -> Iterator[Finding]:
    """Databases with fewer connections than all pods together open."""
    pools = {text(one.body, "spec", "cluster", "name") for one in scene.of_kind("Pooler")}
    least, most = _pods(scene)
    for one in scene.of_kind("Cluster"):
        written = str(value(one.body, "spec", "postgresql", "parameters", "max_connections"))
        if one.group != "postgresql.cnpg.io" or not written.isdecimal() or len(written) > 7:
            continue
        allowed = min(int(written), _CONNECTIONS_MAX)
        wanted = most * CONNECTIONS_PER_POD
        if one.name in pools or wanted <= allowed:
            continue
        sentence = (
            f"max_connections {allowed}, and {most} pods at maxReplicas with a pool of "
            f"{CONNECTIONS_PER_POD} open {wanted} ({least * CONNECTIONS_PER_POD} at minReplicas)"
        )
        mend = "a Pooler before it, smaller pools, or a budget for the floors of all modules"
        yield Finding(Severity.WARNING, Code.SHARED_RESOURCE, one.title, sentence, mend, one.place)


def revisions(scene: Scene) -> Iterator[Finding]:
    """Applications that follow whatever the repository holds."""
    for one in scene.of_kind("Application"):
        revision = text(one.body, "spec", "source", "targetRevision") or "HEAD"
        if one.place and one.group == "argoproj.io" and revision == "HEAD":
            sentence = "targetRevision HEAD: the same manifest can mean something else tomorrow"
            mend = "a tag or a commit"
            yield Finding(
                Severity.NOTE, Fault.NOT_REPRODUCIBLE, one.title, sentence, mend, one.place
            )


def _pods(scene: Scene) -> tuple[int, int]:
    """Pods at minReplicas and at maxReplicas, each target counted once, with its larger bounds."""
    bounds: dict[tuple[str, str, str], tuple[int, int]] = {}
    for hpa in scene.checked:
        key = (hpa.of.namespace, *hpa.target)
        low, high = bounds.get(key, (0, 0))
        bounds[key] = (max(low, hpa.replicas_min or 0), max(high, hpa.replicas_max or 0))
    return sum(low for low, _ in bounds.values()), sum(high for _, high in bounds.values())
