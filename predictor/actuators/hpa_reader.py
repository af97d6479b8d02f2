"""HPAs and Deployments of one namespace, made into views.

`kubernetes.py` reads with it what `reflector.py` keeps. Pure: values in, values out; it must never
talk to a cluster, and never take the HPA's own status for the number of Ready pods (under a quota
it reports pods that do not exist).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from predictor.actuators.cluster_settings import HpaTarget
from predictor.actuators.objects import Condition, Deployment, Hpa, MetricValue
from predictor.actuators.ownership import (
    Holding,
    floor_owners,
    foreign_owner,
    holding,
    taken_sentence,
)
from predictor.actuators.pod_trouble import cut, deployment_trouble
from predictor.actuators.quantity import parse_quantity
from predictor.actuators.scaled_object import ScaledHpa
from predictor.core.cluster import HpaView, MetricTarget
from predictor.core.floor_object import FloorKind
from predictor.core.opt_in import FIELD_MANAGER, FLOOR, Mode, OptIn, read_kept_state, read_opt_in
from predictor.core.other_controllers import (
    ControlFacts,
    FloorManager,
    OwnerReference,
    Verdict,
    VerticalAutoscaler,
    foreign_control,
)
from predictor.core.reasons import Code, Reason

_DEPLOYMENT = "Deployment"
# Told by a code of their own: somebody's decision, and two HPAs on the same pods.
_TOLD_ELSEWHERE = ("ScalingDisabled", "AmbiguousSelector")


class NamespaceScene(msgspec.Struct, frozen=True):
    """All HPAs and Deployments of one namespace at one moment, by name.

    `scaled` names the HPAs of each scaled object, by its kind and name. `list_numbers` says of a
    kind from which list of it all this stems (`object_store.py`).
    """

    hpas: Mapping[str, Hpa]
    deployments: Mapping[str, Deployment]
    scaled: Mapping[tuple[str, str], tuple[str, ...]]
    list_numbers: Mapping[FloorKind, int] = {}

    @classmethod
    def of(cls, hpas: Iterable[Hpa], deployments: Iterable[Deployment]) -> NamespaceScene:
        """Index the lists, and find the HPAs that scale the same object."""
        by_name = {hpa.metadata.name: hpa for hpa in hpas}
        scaled: dict[tuple[str, str], tuple[str, ...]] = {}
        for name, hpa in by_name.items():
            reference = hpa.spec.scale_target_ref
            target = (reference.kind, reference.name)
            scaled[target] = (*scaled.get(target, ()), name)
        return cls(by_name, {one.metadata.name: one for one in deployments}, scaled)


def _nothing(uid: str) -> int | None:
    return None


def read_hpa(
    target: HpaTarget,
    scene: NamespaceScene,
    remembered: Callable[[str], int | None] = _nothing,
    vertical: tuple[VerticalAutoscaler, ...] = (),
) -> HpaView | Reason:
    """The target's view, or why there is none; `remembered` gives a uid's earlier baseline.

    `vertical` are the VerticalPodAutoscalers on what it scales.
    """
    place = f"{target.namespace}/{target.hpa}"
    hpa = scene.hpas.get(target.hpa)
    if hpa is None:
        return Reason(Code.TARGET_MISSING, f"HPA {place} does not exist")
    reference = hpa.spec.scale_target_ref
    if reference.kind != _DEPLOYMENT:
        sentence = f"HPA {place} scales {reference.kind} {reference.name}, not a Deployment"
        return Reason(Code.TARGET_MISSING, sentence)
    deployment = scene.deployments.get(reference.name)
    if deployment is None:
        sentence = f"Deployment {target.namespace}/{reference.name} of HPA {place} does not exist"
        return Reason(Code.TARGET_MISSING, sentence)
    siblings = [one for one in scene.scaled[reference.kind, reference.name] if one != target.hpa]
    facts = _control_facts(hpa, deployment, siblings, vertical)
    return _view(target, hpa, deployment, facts, remembered)


def _view(
    target: HpaTarget,
    hpa: Hpa,
    deployment: Deployment,
    facts: ControlFacts,
    remembered: Callable[[str], int | None],
) -> HpaView:
    owners = floor_owners(hpa.metadata.managed_fields)
    opt_in = read_opt_in(hpa.metadata.annotations)
    if target.is_discovered and opt_in.mode is None:
        opt_in = msgspec.structs.replace(opt_in, mode=Mode.SHADOW)
    verdict, failing = _control(hpa, facts, owners), _failing(hpa)
    return HpaView(
        key=target.key,
        namespace=target.namespace,
        name=target.hpa,
        uid=hpa.metadata.uid,
        resource_version=hpa.metadata.resource_version,
        deployment=deployment.metadata.name,
        min_replicas=hpa.spec.min_replicas,
        max_replicas=hpa.spec.max_replicas,
        spec_replicas=deployment.spec.replicas,
        ready_replicas=deployment.status.ready_replicas,
        baseline_replicas=_baseline(target, hpa, opt_in, owners=owners, remembered=remembered),
        floor_manager=foreign_owner(owners) or (owners[0] if owners else None),
        metrics=facts.metrics,
        ambiguous=bool(facts.siblings) or _says_ambiguous(hpa),
        opt_in=opt_in,
        kept=read_kept_state(hpa.metadata.annotations),
        held_back=verdict.held_back,
        notes=verdict.notes,
        metrics_failing=cut(f"{failing.reason}: {failing.message}") if failing else "",
        metrics_failing_since_s=_instant(failing.last_transition_time) if failing else None,
        blocked=deployment_trouble(deployment),
        template=_template(deployment),
        scaled_object="" if facts.scaled_object is None else facts.scaled_object.name,
    )


def _control_facts(
    hpa: Hpa,
    deployment: Deployment,
    siblings: Sequence[str],
    vertical: tuple[VerticalAutoscaler, ...],
) -> ControlFacts:
    metadata, reference = hpa.metadata, hpa.spec.scale_target_ref
    scaled = hpa if isinstance(hpa, ScaledHpa) else None
    return ControlFacts(
        namespace=metadata.namespace,
        name=metadata.name,
        labels=metadata.labels,
        annotations=metadata.annotations,
        owners=tuple(
            OwnerReference(one.kind, one.api_version, one.name, one.controller)
            for one in metadata.owner_references
        ),
        floor_managers=tuple(
            FloorManager(one.manager, one.operation)
            for one in metadata.managed_fields
            if floor_owners([one])
        ),
        target_kind=reference.kind,
        target_name=reference.name,
        target_replicas=deployment.spec.replicas,
        replicas_min=hpa.spec.min_replicas if scaled is None else scaled.made_with,
        siblings=tuple(siblings),
        vertical_autoscalers=vertical,
        metrics=tuple(_metrics(hpa)),
        patches_scaled_objects=scaled is not None,
        scaled_object=None if scaled is None else scaled.scaled_object,
    )


def _control(hpa: Hpa, facts: ControlFacts, owners: Sequence[str]) -> Verdict:
    """Who else steers it; a floor that was taken from us comes first, for it is a person's word."""
    verdict = foreign_control(facts)
    if holding(hpa.metadata.managed_fields) is not Holding.TAKEN:
        return verdict
    taken_by = foreign_owner(owners) or "nobody that was recorded"
    sentence = taken_sentence(hpa.floor_object, taken_by, hpa.spec.min_replicas)
    others = () if verdict.held_back is None else (verdict.held_back,)
    return Verdict(Reason(Code.CONFLICT, sentence), (*others, *verdict.notes))


def _template(deployment: Deployment) -> str:
    """Twelve digits that change when a container's image, requests or limits do."""
    containers = deployment.spec.template.spec.containers
    return hashlib.sha256(msgspec.json.encode(containers, order="sorted")).hexdigest()[:12]


def _failing(hpa: Hpa) -> Condition | None:
    """The controller's own word that it cannot scale by what the spec asks for."""
    for one in hpa.status.conditions or ():
        if one.type == "ScalingActive" and one.status == "False":
            return None if one.reason in _TOLD_ELSEWHERE else one
    return None


def _instant(written: str) -> float | None:
    try:
        at = dt.datetime.fromisoformat(written)
    except ValueError:
        return None
    return at.timestamp() if at.tzinfo is not None else None


def _baseline(
    target: HpaTarget,
    hpa: Hpa,
    opt_in: OptIn,
    *,
    owners: Sequence[str],
    remembered: Callable[[str], int | None],
) -> int | None:
    """The owner's annotation, then the field; where it is ours, what it was, then configuration.

    An annotation that is no positive number makes the baseline unknown: whoever wrote it meant
    something, and guessing could lower their floor.
    """
    if FLOOR in hpa.metadata.annotations:
        return opt_in.floor
    ours_alone = FIELD_MANAGER in owners and foreign_owner(owners) is None
    if not ours_alone:
        return hpa.spec.min_replicas
    before = remembered(hpa.metadata.uid)
    return target.baseline_replicas if before is None else before


def _says_ambiguous(hpa: Hpa) -> bool:
    conditions = hpa.status.conditions or ()
    return any(
        one.type == "ScalingActive" and one.status == "False" and one.reason == "AmbiguousSelector"
        for one in conditions
    )


def _metrics(hpa: Hpa) -> list[MetricTarget]:
    readings = {}
    for metric in hpa.status.current_metrics or ():
        source = metric.source
        readings[metric.identity(source)] = source.current
    views = []
    for metric in hpa.spec.metrics:
        source = metric.source
        target = source.target
        number = _number(target, target.type)
        if number is None:
            continue
        identity = metric.identity(source)
        reading = readings.get(identity)
        views.append(
            MetricTarget(
                kind=metric.type,
                name=identity[1],
                target_type=target.type,
                target=number,
                current=None if reading is None else _number(reading, target.type),
            )
        )
    return views


def _number(value: MetricValue, target_type: str) -> float | None:
    """The number that is compared with a target of this type: percent, per pod, or whole."""
    if target_type == "Utilization":
        percent = value.average_utilization
        return None if percent is None else float(percent)
    written = value.average_value if target_type == "AverageValue" else value.value
    return None if written is None else parse_quantity(written)
