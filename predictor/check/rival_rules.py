"""Objects that scale what an HPA already scales: each would make an HPA of its own, or drive it.

The HPAs that such tools have made are told by `control_rules.py`; here it is their own objects,
which may lie in the same repository long before they meet in a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator

from predictor.check.fields import entries, text
from predictor.check.finding import Finding, Severity
from predictor.check.scene import Hpa, Scene, SceneObject
from predictor.core.reasons import Code

_RIVALS = {
    ("ScaledObject", "keda.sh"): "KEDA makes a second HPA from it",
    ("EffectiveHorizontalPodAutoscaler", "autoscaling.crane.io"): "Crane makes a second HPA of it",
    ("IntelligentHorizontalPodAutoscaler", "autoscaling.kapacitystack.io"): "Kapacity scales by it",
    ("FederatedHPA", "autoscaling.karmada.io"): "Karmada scales by it",
}
_DEPLOYMENT = "Deployment"


def rivals(scene: Scene) -> Iterator[Finding]:
    """Scalers of other tools on an HPA's own target."""
    by_target: dict[tuple[str, str, str], list[SceneObject]] = {}
    for kind, group in _RIVALS:
        for one in scene.of_kind(kind):
            if one.group == group:
                by_target.setdefault(_scaled(one), []).append(one)
    for hpa in scene.checked:
        for one in by_target.get((hpa.of.namespace, *hpa.target), ()):
            if one.name in _owners(hpa):
                continue
            sentence = f"{one.title} scales the same {' '.join(hpa.target)}: "
            sentence += _RIVALS[one.kind, one.group]
            mend = f"move the HPA's metrics into {one.title}, or its triggers into the HPA"
            yield _finding(Severity.ERROR, Code.AMBIGUOUS_SELECTOR, hpa, sentence, mend)


def canaries(scene: Scene) -> Iterator[Finding]:
    """HPAs that Flagger takes for a template: it runs a copy of them on pods of its own.

    Source: Flagger `pkg/canary/hpa_reconciler.go`, and its documentation "How it works".
    """
    templates = {
        (one.namespace, text(one.body, "spec", "autoscalerRef", "name")): one
        for one in scene.of_kind("Canary")
        if one.group == "flagger.app"
    }
    for hpa in scene.checked:
        one = templates.get((hpa.of.namespace, hpa.of.name))
        if one is not None:
            name = hpa.target[1]
            sentence = (
                f"Flagger's {one.title} takes it for its template: {hpa.of.name}-primary does the "
                f"scaling, with these bounds, and {name} stands at 0 between releases"
            )
            mend = "nothing can act on it between releases; the bounds are the owner's to set"
            yield _finding(Severity.WARNING, Code.OTHER_CONTROLLER, hpa, sentence, mend)


def _scaled(one: SceneObject) -> tuple[str, str, str]:
    reference = ("spec", "scaleTargetRef")
    kind = text(one.body, *reference, "kind") or _DEPLOYMENT
    return one.namespace, kind, text(one.body, *reference, "name")


def _owners(hpa: Hpa) -> set[str]:
    return {text(one, "name") for one in entries(hpa.of.body, "metadata", "ownerReferences")}


def _finding(severity: Severity, code: Code, hpa: Hpa, sentence: str, mend: str) -> Finding:
    return Finding(severity, code, hpa.of.title, sentence, mend, hpa.of.place)
