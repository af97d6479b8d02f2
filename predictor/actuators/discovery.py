"""Which HPAs ask for us by an annotation, beside those that are configured.

`kubernetes.py` asks at each tick where discovery is on. Pure. A module or region is taken from the
HPA's annotations or from what is configured, and never guessed: what cannot be told is a problem.
A configured HPA that exists keeps its place; one that does not leaves it to an annotated one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from predictor.actuators.cluster_settings import ClusterSettings, HpaTarget
from predictor.actuators.objects import Hpa
from predictor.core.cluster import TargetKey
from predictor.core.opt_in import DOMAIN, MODULE, REGION
from predictor.core.reasons import Code, Reason

_OURS = f"{DOMAIN}/"
_NAMED_MAX = 8


def discovered(
    settings: ClusterSettings, hpas: Iterable[Hpa]
) -> tuple[list[HpaTarget], list[tuple[TargetKey, Reason]]]:
    """All targets, and the HPAs that ask for us but cannot be told apart or placed.

    A problem stands under the HPA's own name and namespace, for it has no better key.
    """
    known = {(one.metadata.namespace, one.metadata.name): one for one in hpas}
    configured = {(one.namespace, one.hpa) for one in settings.targets}
    modules = _known((one.hpa, one.module) for one in settings.targets)
    regions = _known((one.namespace, one.region) for one in settings.targets)
    found: list[HpaTarget] = []
    problems: list[tuple[TargetKey, Reason]] = []
    for place in sorted(known.keys() - configured):
        hpa = known[place]
        metadata = hpa.metadata
        if not any(name.startswith(_OURS) for name in metadata.annotations):
            continue
        module = _placed(hpa, MODULE, modules, metadata.name)
        region = _placed(hpa, REGION, regions, metadata.namespace)
        if isinstance(module, str) and isinstance(region, str):
            found.append(
                HpaTarget(module, region, metadata.namespace, metadata.name, is_discovered=True)
            )
        else:
            why = module if isinstance(module, Reason) else region
            assert isinstance(why, Reason)
            problems.append((TargetKey(metadata.name, metadata.namespace), why))
    present = [one for one in settings.targets if (one.namespace, one.hpa) in known]
    alone = _told_apart(present, found, problems)
    taken = {one.key for one in alone}
    return [*(one for one in settings.targets if one.key not in taken), *alone], problems


def _known(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    known: dict[str, set[str]] = {}
    for name, value in pairs:
        known.setdefault(name, set()).add(value)
    return known


def _placed(hpa: Hpa, annotation: str, known: Mapping[str, set[str]], name: str) -> str | Reason:
    """The annotation's value if it is one that is configured, else what the name stands for."""
    place = hpa.floor_object.title
    values = set().union(*known.values())
    written = hpa.metadata.annotations.get(annotation)
    if written is not None:
        if written in values:
            return written
        listed = ", ".join(sorted(values)[:_NAMED_MAX])
        sentence = f"{place}: {annotation} is {written[:40]!r}, not one of {listed}"
        return Reason(Code.ANNOTATION_UNREADABLE, sentence)
    standing = known.get(name, set())
    if len(standing) == 1:
        return next(iter(standing))
    what = "stands for several" if standing else "is not configured"
    sentence = f"{place} has no annotation {annotation}, and {name!r} {what}; add the annotation"
    return Reason(Code.ANNOTATION_UNREADABLE, sentence)


def _told_apart(
    present: Sequence[HpaTarget],
    found: Sequence[HpaTarget],
    problems: list[tuple[TargetKey, Reason]],
) -> list[HpaTarget]:
    """A module has one HPA in a region: the configured one wins, of two others neither does."""
    claims: dict[TargetKey, list[HpaTarget]] = {}
    for one in (*present, *found):
        claims.setdefault(one.key, []).append(one)
    alone: list[HpaTarget] = []
    for one in found:
        others = [other for other in claims[one.key] if other is not one]
        if not others:
            alone.append(one)
            continue
        sentence = (
            f"HPA {one.namespace}/{one.hpa} and {others[0].namespace}/{others[0].hpa} are both"
            f" {one.module} in {one.region}; set {MODULE} or {REGION} so that they differ"
        )
        key = TargetKey(one.hpa, one.namespace)
        problems.append((key, Reason(Code.ANNOTATION_UNREADABLE, sentence)))
    return alone
