"""HPAs that the API server would refuse, or would take without what was meant.

`rules.py` lists them. What lies inside `metrics` and `behavior` is read by the HPA twin's own
reader (`predictor/core/hpa_twin/spec.py`); identity, bounds and misspelled fields are told here.

Source: the OpenAPI definitions of `autoscaling/v1` and `autoscaling/v2`; `ValidateHorizontalPod…`
in `pkg/apis/autoscaling/validation/validation.go`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping

from predictor.check.fields import mapping, text, value, whole
from predictor.check.finding import Fault, Finding, Severity
from predictor.check.scene import SERVED_VERSIONS, Hpa, Scene

_OBJECT = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
_BOTH = frozenset({"scaleTargetRef", "minReplicas", "maxReplicas"})
_SPEC = {
    "autoscaling/v1": _BOTH | {"targetCPUUtilizationPercentage"},
    "autoscaling/v2": _BOTH | {"metrics", "behavior"},
}
_RULES = frozenset({"stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance"})
_SHOWN_MAX = 5
_NO_VALUE = "it is required, and missing"


def specs(scene: Scene) -> Iterator[Finding]:
    """Specs that the API server would not take, each fault with its field."""
    for hpa, read in scene.read_specs:
        if isinstance(read, str):
            yield _refused(hpa, read, "correct the field as said")
        for sentence, mend in _faults(hpa):
            yield _refused(hpa, sentence, mend)


def unknown_fields(scene: Scene) -> Iterator[Finding]:
    """Fields that no version of an HPA has: dropped in silence, or refused by a strict server."""
    for hpa, _ in scene.read_specs:
        for path, written, known in _levels(hpa):
            for name in [name for name in written if name not in known][:_SHOWN_MAX]:
                field = f"{path}{str(name)[:60]}"
                near = difflib.get_close_matches(str(name)[:60], known, 1)
                yield Finding(
                    Severity.WARNING,
                    Fault.FIELD_UNKNOWN,
                    hpa.of.title,
                    f"{field} is no field of an HPA of {hpa.of.api_version}: the server refuses "
                    "it, or drops it without a word",
                    f"write it as {path}{near[0]}" if near else "take it out",
                    hpa.of.place,
                )


def _faults(hpa: Hpa) -> Iterator[tuple[str, str]]:
    """What is wrong with name, target and bounds, and its mend."""
    if not hpa.of.name:
        yield f"metadata.name: {_NO_VALUE}", "give it the name by which it is known"
    for name in ("kind", "name"):
        if not text(hpa.spec, "scaleTargetRef", name):
            yield f"spec.scaleTargetRef.{name}: {_NO_VALUE}", "name the Deployment that it scales"
    least, most = hpa.spec.get("minReplicas"), hpa.spec.get("maxReplicas")
    if "maxReplicas" not in hpa.spec:
        yield f"spec.maxReplicas: {_NO_VALUE}", "write the most replicas that it may run"
    elif (fault := _no_number(most, 1)) is not None:
        yield f"spec.maxReplicas is {most!r:.40}, {fault[0]}", fault[1]
    if "minReplicas" in hpa.spec and (fault := _no_number(least, 0)) is not None:
        yield f"spec.minReplicas is {least!r:.40}, {fault[0]}", fault[1]
    low, high = hpa.replicas_min, hpa.replicas_max
    if low is not None and high is not None and 1 <= high < low:
        sentence = f"spec.minReplicas {low} is above spec.maxReplicas {high}"
        yield sentence, "lower minReplicas, or raise maxReplicas"


def _no_number(written: object, least: int) -> tuple[str, str] | None:
    """Why it is no number of replicas, and the mend; None where it is one."""
    if isinstance(written, str) and written.isascii() and written.isdecimal():
        return "a text", f"write {written[:12]} without quotes"
    number = whole({"it": written}, "it")
    if number is None:
        return "no whole number", "write a whole number, or take the field out"
    return None if number >= least else (f"below {least}", f"write {least} or more")


def _levels(hpa: Hpa) -> Iterator[tuple[str, Mapping[str, object], Iterable[str]]]:
    """Each mapping whose fields are known: its path, itself, and the fields."""
    yield "", hpa.of.body, _OBJECT
    yield "spec.", hpa.spec, _SPEC[hpa.of.api_version]
    if hpa.of.api_version != SERVED_VERSIONS[-1]:
        return
    yield "spec.behavior.", mapping(hpa.spec, "behavior"), ("scaleUp", "scaleDown")
    for direction in ("scaleUp", "scaleDown"):
        if value(hpa.spec, "behavior", direction) is not None:
            rules = mapping(hpa.spec, "behavior", direction)
            yield f"spec.behavior.{direction}.", rules, _RULES


def _refused(hpa: Hpa, what: str, mend: str) -> Finding:
    sentence = f"the API server would refuse it: {what}"
    return Finding(Severity.ERROR, Fault.SPEC_REFUSED, hpa.of.title, sentence, mend, hpa.of.place)
