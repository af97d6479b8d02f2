"""Metrics that nobody serves, that mean something else, or that do not follow the load.

What a manifest alone cannot tell is said to be so; a live scene knows the registered metrics APIs
and what the controller wrote into the HPA's conditions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from predictor.check.fields import entries, text
from predictor.check.finding import Fault, Finding, Severity
from predictor.check.metric_specs import MetricSpec
from predictor.check.scene import Hpa, Scene
from predictor.core.reasons import Code

_GROUPS = {
    "Resource": "metrics.k8s.io",
    "ContainerResource": "metrics.k8s.io",
    "Pods": "custom.metrics.k8s.io",
    "Object": "custom.metrics.k8s.io",
    "External": "external.metrics.k8s.io",
}
_UNITS = ("second", "millisecond", "byte", "ratio", "percent", "length", "count", "total", "cores")
_TOLD_ELSEWHERE = {"AmbiguousSelector": Code.AMBIGUOUS_SELECTOR}
_MESSAGE_MAX = 240
_NAMES_MAX = 10


def conditions(scene: Scene) -> Iterator[Finding]:
    """What the controller itself says of an HPA; source: `SetCondition` in `horizontal.go`."""
    for hpa in scene.checked:
        for one in entries(hpa.of.body, "status", "conditions"):
            state = (text(one, "type"), text(one, "status"))
            reason, message = text(one, "reason")[:80], text(one, "message")[:_MESSAGE_MAX]
            said = f"{reason}: {message}"
            if state == ("ScalingActive", "False"):
                yield from _inactive(hpa, reason, said)
            elif state == ("AbleToScale", "False"):
                sentence = f"cannot scale, {said}"
                mend = "correct spec.scaleTargetRef, or what the message names"
                yield _finding(Severity.ERROR, Fault.NOT_ABLE_TO_SCALE, hpa, sentence, mend)
            elif state == ("ScalingLimited", "True") and reason == "TooManyReplicas":
                sentence = f"its metrics ask for more than maxReplicas {hpa.replicas_max}"
                mend = "raise maxReplicas: no floor can go above it"
                yield _finding(Severity.WARNING, Fault.AT_MAX_REPLICAS, hpa, sentence, mend)


def _inactive(hpa: Hpa, reason: str, said: str) -> Iterator[Finding]:
    if reason == "ScalingDisabled":
        sentence = "switched off, for its target is scaled to 0"
        mend = "scale the target to 1 or more"
        yield _finding(Severity.WARNING, Code.SCALED_TO_ZERO, hpa, sentence, mend)
        return
    code = _TOLD_ELSEWHERE.get(reason, Code.METRICS_FAILING)
    mend = (
        "one HPA for each set of pods"
        if code is Code.AMBIGUOUS_SELECTOR
        else "install or mend what serves the metric, or take it out of spec.metrics"
    )
    yield _finding(Severity.ERROR, code, hpa, f"the HPA does not scale by itself, {said}", mend)


def served(scene: Scene) -> Iterator[Finding]:
    """Metrics that no adapter serves; of files alone, those that need one."""
    if scene.live is None or scene.live.metrics_apis is None:
        needing = [(hpa.of.title, one.name) for hpa, one in scene.metrics if not one.is_resource]
        if needing:
            names = sorted({name for _, name in needing})
            more = len(names) - _NAMES_MAX
            told = ", ".join(names[:_NAMES_MAX]) + (f" and {more} more" if more > 0 else "")
            sentence = f"only an installed metrics adapter serves {told}"
            mend = "check --live says whether one does"
            count = len({title for title, _ in needing})
            where = needing[0][0] if count == 1 else f"{count} HPAs"
            yield Finding(Severity.NOTE, Fault.METRIC_NEEDS_ADAPTER, where, sentence, mend)
        return
    for hpa, one in scene.metrics:
        why = _not_served(one, scene)
        if why:
            mend = "install an adapter that serves it, or take it out of spec.metrics"
            yield _finding(Severity.ERROR, Fault.METRIC_NOT_SERVED, hpa, why, mend)


def _not_served(one: MetricSpec, scene: Scene) -> str:
    """Why no server answers for this metric; empty where one does, or nobody can say."""
    group = _GROUPS.get(one.kind)
    if group is None or scene.live is None or scene.live.metrics_apis is None:
        return ""
    api = scene.live.metrics_apis.get(group)
    if api is None:
        return f"{one.kind} metric {one.name}: nothing is registered for {group}"
    if not api.is_available:
        return f"{one.kind} metric {one.name}: {group} does not answer ({api.message[:160]})"
    # An adapter that lists nothing may serve everything, as KEDA's does.
    if group == "custom.metrics.k8s.io" and api.names and one.name not in api.names:
        return f"{one.kind} metric {one.name}: {group} answers and does not list it"
    return ""


def object_values(scene: Scene) -> Iterator[Finding]:
    """Object metrics of type Value: not divided by replicas, so each sync multiplies anew."""
    for hpa, one in scene.metrics:
        if one.kind == "Object" and one.target_type == "Value":
            sentence = (
                f"{one.name} is an Object metric of type Value: while it stays above "
                f"{one.amount or 'its target'}, each sync multiplies the replicas, up to "
                f"maxReplicas {hpa.replicas_max}"
            )
            mend = "type AverageValue, with what one pod should have of it"
            yield _finding(Severity.WARNING, Fault.OBJECT_VALUE, hpa, sentence, mend)


def work_of_another(scene: Scene) -> Iterator[Finding]:
    """Metrics named for another module than the one they scale: pods come where no queue is."""
    modules = [*scene.settings.modules]
    for hpa, one in scene.metrics:
        scaled = _module_in(hpa.target[1], modules)
        counted = _module_in(one.name, modules) or _module_in(one.described_name, modules)
        if one.is_resource or not scaled or not counted or counted == scaled:
            continue
        sentence = f"{one.name} counts the work of {counted}, and {scaled} is scaled by it"
        mend = f"move it to the HPA of {counted}"
        yield _finding(Severity.WARNING, Fault.WORK_OF_ANOTHER, hpa, sentence, mend)


def units(scene: Scene) -> Iterator[Finding]:
    """Targets in thousandths where the metric's name says no unit."""
    for hpa, one in scene.metrics:
        has_unit = any(unit in one.name.lower() for unit in _UNITS)
        if one.is_resource or has_unit or not re.fullmatch(r"\d{1,9}m", one.amount):
            continue
        sentence = f"{one.name} has the target {one.amount}, which is {_thousandth(one.amount)}"
        mend = "right only if the metric is in seconds; say the unit in its name"
        yield _finding(Severity.NOTE, Fault.METRIC_UNIT, hpa, sentence, mend)


def memory(scene: Scene) -> Iterator[Finding]:
    """Memory as a metric: it seldom falls with load, and a leak looks like load."""
    for hpa, one in scene.metrics:
        if one.is_resource and one.name == "memory":
            sentence = "scales on memory, which seldom falls with load: pods seldom go again"
            mend = "take memory out of spec.metrics; a limit and a restart are for leaks"
            yield _finding(Severity.NOTE, Fault.MEMORY_METRIC, hpa, sentence, mend)


def _thousandth(amount: str) -> str:
    return f"{int(amount[:-1]) / 1000:g}"


def _module_in(name: str, modules: list[str]) -> str:
    """The configured module that stands as a word in a name."""
    words = set(re.split(r"[-_./]", name[:253].lower()))
    return next((module for module in modules if module in words), "")


def _finding(severity: Severity, code: Fault | Code, hpa: Hpa, sentence: str, mend: str) -> Finding:
    return Finding(severity, code, hpa.of.title, sentence, mend, hpa.of.place)
