"""Who else steers an HPA or what it scales, and what that means for a floor of ours.

The cluster's reader asks it for every target, `predictor/check/` for every HPA of a manifest. A
controller that writes minReplicas anew makes a floor a fight, so the target is held back; a tool
that may set it back at its next run is worth a note. Each sentence ends with the mend. Pure: it
must never guess from a name alone that somebody else is in charge.

Sources: Kubernetes documentation, "Server-Side Apply"; KEDA `controllers/keda/hpa.go`,
`apis/keda/v1alpha1/scaledobject_types.go` (HasPausedAnnotation); Flagger
`pkg/canary/hpa_reconciler.go`; Argo CD `docs/user-guide/sync-options.md` and `diffing.md`; Flux
kustomize-controller `docs/spec/v1/kustomizations.md`; Karmada `pkg/util/constants.go`; Helm 4
`helm upgrade --help`; VPA `pkg/apis/autoscaling.k8s.io/v1/types.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from predictor.core.cluster import MetricTarget
from predictor.core.floor_object import FloorObject, floor_object
from predictor.core.opt_in import CEILING, FIELD_MANAGER, FLOOR
from predictor.core.reasons import Code, Reason


class OwnerReference(NamedTuple):
    """One entry of `metadata.ownerReferences`; `is_controller` is its `controller` flag."""

    kind: str
    api_version: str
    name: str
    is_controller: bool = True

    @property
    def group(self) -> str:
        """The API group without its version; empty for the core group."""
        return self.api_version.rpartition("/")[0]


class FloorManager(NamedTuple):
    """A manager of `f:minReplicas` with its operation: Apply, or Update for every other write."""

    manager: str
    operation: str = "Update"


class VerticalAutoscaler(NamedTuple):
    """A VerticalPodAutoscaler on the same target; no mode means the API's default, Auto."""

    name: str
    mode: str = "Auto"
    resources: tuple[str, ...] = ("cpu", "memory")


class ScaledObjectFacts(NamedTuple):
    """The ScaledObject that an HPA is made from, where floors are written there.

    `unread` says why it cannot be had; then nothing else is known of it. `paused_by` names an
    annotation of KEDA's that pauses it. `replicas_min` is its minReplicaCount, 0 where it has none.
    """

    name: str
    unread: str = ""
    replicas_min: int = 0
    paused_by: str = ""


class ControlFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one HPA and its target; everything but its name may be missing.

    `siblings` are other HPAs of the namespace that scale the same object. `target_replicas` is
    the workload's `spec.replicas`, None where it is not known. `patches_scaled_objects` says that
    floors of KEDA's HPAs are written to their ScaledObject; `scaled_object` is this HPA's, and then
    annotations and floor managers are those of the ScaledObject. `replicas_min` is the HPA's own.
    """

    namespace: str
    name: str
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)
    owners: tuple[OwnerReference, ...] = ()
    floor_managers: tuple[FloorManager, ...] = ()
    target_kind: str = "Deployment"
    target_name: str = ""
    target_replicas: int | None = None
    replicas_min: int = 1
    siblings: tuple[str, ...] = ()
    vertical_autoscalers: tuple[VerticalAutoscaler, ...] = ()
    metrics: tuple[MetricTarget, ...] = ()
    patches_scaled_objects: bool = False
    scaled_object: ScaledObjectFacts | None = None

    @property
    def place(self) -> str:
        """The HPA as a sentence names it."""
        return FloorObject(self.namespace, self.name).title

    @property
    def floor_object(self) -> FloorObject:
        """What a floor is written to."""
        there = "" if self.scaled_object is None else self.scaled_object.name
        return floor_object(self.namespace, self.name, there)


class Verdict(NamedTuple):
    """Why the target is left alone, if it is, and what else is worth telling."""

    held_back: Reason | None
    notes: tuple[Reason, ...]


def foreign_control(facts: ControlFacts) -> Verdict:
    """Everybody else with a hand on this HPA; the first who stops us holds it back."""
    stopping = [reason for rule in _HOLDING for reason in rule(facts)]
    told = [reason for rule in _TELLING for reason in rule(facts)]
    return Verdict(stopping[0] if stopping else None, (*stopping[1:], *told))


# Kind and API group of an owner to how it is called and how its HPA's least replicas are set.
_MAKERS = {
    ("Canary", "flagger.app"): (
        "Flagger keeps its bounds equal to those of the Canary's template HPA",
        "configure the template HPA named in the Canary's autoscalerRef instead",
    ),
    ("EffectiveHorizontalPodAutoscaler", "autoscaling.crane.io"): (
        "Crane makes it from there",
        "set spec.minReplicas of the EffectiveHorizontalPodAutoscaler, or replace it by an HPA",
    ),
    ("IntelligentHorizontalPodAutoscaler", "autoscaling.kapacitystack.io"): (
        "Kapacity scales by it",
        "set spec.minReplicas of the IntelligentHorizontalPodAutoscaler, or replace it by an HPA",
    ),
    ("FederatedHPA", "autoscaling.karmada.io"): (
        "Karmada spreads it over its clusters",
        "set spec.minReplicas of the FederatedHPA in Karmada's control plane",
    ),
}
_KARMADA_MANAGED = "karmada.io/managed"
_KEDA_GROUP, _KEDA_NAME = "keda.sh", "scaledobject.keda.sh/name"
_KEDA_PAUSED = "autoscaling.keda.sh/paused"
_KEDA_PAUSED_REPLICAS = "autoscaling.keda.sh/paused-replicas"
_FALSE = {"0", "f", "F", "false", "False", "FALSE"}
_ARGO_TRACKING, _ARGO_INSTANCE = "argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance"
_ARGO_MANAGERS = {"argocd-controller", "argocd-application-controller"}
_FLUX_KUSTOMIZE = "kustomize.toolkit.fluxcd.io/name"
_FLUX_HELM = "helm.toolkit.fluxcd.io/name"
_HELM = "helm"
_IDLE_MODES = {"Off", "Initial"}
"""In these a running pod keeps its requests; Auto, Recreate, InPlaceOrRecreate and InPlace act."""


def scaled_object_name(owners: Iterable[OwnerReference], labels: Mapping[str, str]) -> str | None:
    """The ScaledObject from which KEDA makes the HPA with these owners and labels, if any."""
    named = [one.name for one in owners if (one.kind, one.group) == _SCALED_OBJECT]
    return next(iter(named), labels.get(_KEDA_NAME))


def paused_by(annotations: Mapping[str, str]) -> str:
    """The annotation by which KEDA is paused on a ScaledObject; empty where it is not."""
    if _KEDA_PAUSED_REPLICAS in annotations:
        return _KEDA_PAUSED_REPLICAS
    is_paused = annotations.get(_KEDA_PAUSED, "false") not in _FALSE
    return _KEDA_PAUSED if is_paused else ""


def _made_by_keda(facts: ControlFacts) -> Iterator[Reason]:
    name = scaled_object_name(facts.owners, facts.labels)
    if name is None or facts.patches_scaled_objects:
        return
    sentence = (
        f"{facts.place} is made by KEDA from ScaledObject {name}, which writes minReplicas anew "
        f"from its spec.minReplicaCount; set that field, or configure `keda: patch` and the floor "
        "is written there"
    )
    yield Reason(Code.SCALED_OBJECT, sentence)


_SCALED_OBJECT = ("ScaledObject", _KEDA_GROUP)


def _kept_from_keda(facts: ControlFacts) -> Iterator[Reason]:
    """What keeps a floor on the ScaledObject from doing what a floor does.

    A count of 0 is none of an owner's floors, which begin at 1: raised once, it never came back.
    """
    one, title = facts.scaled_object, facts.floor_object.title
    if one is None:
        return
    if one.unread:
        sentence = f"{facts.place} is made by KEDA from {title}, {one.unread}"
        yield Reason(Code.SCALED_OBJECT, sentence)
    elif one.paused_by:
        sentence = f"KEDA is paused on {title}; remove its annotation {one.paused_by}"
        yield Reason(Code.PAUSED, sentence)
    elif one.replicas_min < 1:
        sentence = (
            f"{title} lets KEDA scale to 0 (minReplicaCount 0 or not set), which a floor would end "
            "for good; set spec.minReplicaCount to 1 or more"
        )
        yield Reason(Code.SCALED_OBJECT, sentence)


def _keda_behind(facts: ControlFacts) -> Iterator[Reason]:
    one = facts.scaled_object
    if one is None or one.unread or one.replicas_min in (0, facts.replicas_min):
        return
    sentence = (
        f"{facts.floor_object.title} has minReplicaCount {one.replicas_min}, and {facts.place} "
        f"still minReplicas {facts.replicas_min}: KEDA writes the one from the other; if this "
        "lasts, look at its operator"
    )
    yield Reason(Code.SCALED_OBJECT, sentence)


def _made_by_another(facts: ControlFacts) -> Iterator[Reason]:
    for owner in facts.owners:
        how, mend = _MAKERS.get((owner.kind, owner.group), ("", ""))
        if not how and (not owner.is_controller or (owner.kind, owner.group) == _SCALED_OBJECT):
            continue
        how = how or "its controller may write it anew at any time"
        mend = mend or f"set the least replicas in {owner.kind} {owner.name}"
        sentence = f"{facts.place} is owned by {owner.kind} {owner.name}: {how}; {mend}"
        yield Reason(Code.OTHER_CONTROLLER, sentence)
    if _KARMADA_MANAGED in facts.labels:
        sentence = (
            f"{facts.place} is propagated by Karmada (label {_KARMADA_MANAGED}), which sets "
            "a member cluster's object back; set minReplicas in Karmada's control plane, by an "
            "OverridePolicy where clusters differ"
        )
        yield Reason(Code.OTHER_CONTROLLER, sentence)


def _scaled_twice(facts: ControlFacts) -> Iterator[Reason]:
    if not facts.siblings:
        return
    others = " and ".join(sorted(facts.siblings)[:3])
    sentence = (
        f"{facts.place} and {others} scale the same {facts.target_kind} {facts.target_name}: the "
        "controller then runs none of them (AmbiguousSelector); put all metrics into one HPA and "
        "delete the others"
    )
    yield Reason(Code.AMBIGUOUS_SELECTOR, sentence)


def _switched_off(facts: ControlFacts) -> Iterator[Reason]:
    # With minReplicas 0 the HPA itself may have scaled to nothing.
    if facts.target_replicas != 0 or facts.replicas_min < 1:
        return
    sentence = (
        f"{facts.target_kind} {facts.target_name} is scaled to 0, which switches {facts.place} "
        "off (ScalingDisabled); scale it to 1 or more to have it back"
    )
    yield Reason(Code.SCALED_TO_ZERO, sentence)


def _vertical(facts: ControlFacts, *, holds: bool) -> Iterator[Reason]:
    """A utilisation is a share of the request: when the request moves, so does every size."""
    for one in facts.vertical_autoscalers:
        scaled = [resource for resource in _utilised(facts) if resource in one.resources]
        if one.mode in _IDLE_MODES or not scaled or _is_sized_directly(facts) is holds:
            continue
        listed = " and ".join(scaled)
        effect = (
            "what a pod carries at the target moves by itself"
            if holds
            else "the floor is sized by a metric per pod, but the utilisation moves by itself"
        )
        sentence = (
            f"VerticalPodAutoscaler {one.name} (mode {one.mode}) changes the {listed} requests "
            f"that {facts.place} reckons by: {effect}; set its updateMode to Off, or take "
            f"{listed} out of its controlledResources"
        )
        yield Reason(Code.VERTICAL_AUTOSCALER, sentence)


def _utilised(facts: ControlFacts) -> list[str]:
    found = (one.name for one in facts.metrics if one.target_type == "Utilization")
    return list(dict.fromkeys(found))


def _is_sized_directly(facts: ControlFacts) -> bool:
    """Whether a metric per pod gives the size, so that no resource has to."""
    return any(one.kind == "Pods" for one in facts.metrics)


def _holding_vertical(facts: ControlFacts) -> Iterator[Reason]:
    return _vertical(facts, holds=True)


def _told_vertical(facts: ControlFacts) -> Iterator[Reason]:
    return _vertical(facts, holds=False)


def _argo_reverts(facts: ControlFacts) -> Iterator[Reason]:
    managers = {one.manager for one in facts.floor_managers}
    by_label = _ARGO_TRACKING in facts.annotations or _ARGO_INSTANCE in facts.labels
    if not by_label and not managers & _ARGO_MANAGERS:
        return
    tracked = facts.annotations.get(_ARGO_TRACKING, "").partition(":")[0]
    name, at = tracked or facts.labels.get(_ARGO_INSTANCE, ""), facts.floor_object
    sentence = (
        f"Argo CD applies {at.title}{_of('Application', name)} and sets {at.kind.minimum} back "
        f"when it syncs; add to the Application ignoreDifferences [{{group: {at.kind.group}, kind: "
        f"{at.kind.kind}, managedFieldsManagers: [{FIELD_MANAGER}]}}] and the syncOption "
        "RespectIgnoreDifferences=true"
    )
    yield Reason(Code.GIT_OPS_REVERTS, sentence)


def _flux_reverts(facts: ControlFacts) -> Iterator[Reason]:
    name, at = facts.labels.get(_FLUX_KUSTOMIZE), facts.floor_object
    minimum = at.kind.minimum
    if name is not None:
        sentence = (
            f"Flux applies {at.title}{_of('Kustomization', name)} and sets {minimum} back at "
            "each interval; with kustomize-controller 1.9 or newer add spec.ignore [{paths: "
            f"[/spec/{minimum}], target: {{kind: {at.kind.kind}}}}}], with an older one "
            f"leave {minimum} out of the manifest and keep {FLOOR}"
        )
        yield Reason(Code.GIT_OPS_REVERTS, sentence)
    release = facts.labels.get(_FLUX_HELM)
    if release is not None:
        sentence = (
            f"Flux installs {at.title}{_of('HelmRelease', release)}, and an upgrade sets "
            f"{minimum} back; leave {minimum} out of the chart's values and keep {FLOOR} and "
            f"{CEILING} on the {at.kind.title}"
        )
        yield Reason(Code.GIT_OPS_REVERTS, sentence)


def _helm_applies(facts: ControlFacts) -> Iterator[Reason]:
    if FloorManager(_HELM, "Apply") not in facts.floor_managers:
        return
    at = facts.floor_object
    minimum = at.kind.minimum
    sentence = (
        f"Helm 4 applied {at.title} server-side and owns {minimum}: once we hold it, the next "
        f"helm upgrade stops with a conflict; leave {minimum} out of the chart and put the "
        f"baseline into {FLOOR}, or upgrade with --force-conflicts, which sets the floor back each "
        "time"
    )
    yield Reason(Code.GIT_OPS_REVERTS, sentence)


def _named_like_flagger(facts: ControlFacts) -> Iterator[Reason]:
    suffix = "-primary"
    if not facts.name.endswith(suffix) or not facts.target_name.endswith(suffix) or facts.owners:
        return
    sentence = (
        f"{facts.place} is named as Flagger names its own copies; if Flagger made it, configure "
        f"{facts.name.removesuffix(suffix)} instead"
    )
    yield Reason(Code.OTHER_CONTROLLER, sentence)


def _of(kind: str, name: str) -> str:
    return f" ({kind} {name})" if name else ""


_Rule = Callable[[ControlFacts], Iterator[Reason]]
_HOLDING: tuple[_Rule, ...] = (
    _made_by_keda,
    _kept_from_keda,
    _made_by_another,
    _scaled_twice,
    _switched_off,
    _holding_vertical,
)
_TELLING: tuple[_Rule, ...] = (
    _argo_reverts,
    _flux_reverts,
    _helm_applies,
    _told_vertical,
    _named_like_flagger,
    _keda_behind,
)
