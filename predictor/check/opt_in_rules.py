"""What the owner allows on each HPA, and whether it can hold beside the HPA's own bounds."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from predictor.actuators.ownership import (
    Holding,
    ManagedFields,
    floor_owners,
    foreign_owner,
    holding,
    taken_sentence,
)
from predictor.check.control_rules import floor_managers
from predictor.check.fields import mapping, value
from predictor.check.finding import Fault, Finding, Severity
from predictor.check.patches import Patch, patch_of
from predictor.check.scene import Hpa, Scene
from predictor.core.opt_in import CEILING, FIELD_MANAGER, FLOOR, MODE, Mode, read_opt_in
from predictor.core.reasons import Code


def no_targets(scene: Scene) -> Iterator[Finding]:
    """Nothing to act on at all, or modules that can only be forecast."""
    if not scene.checked and (scene.objects or scene.live is not None):
        yield Finding(
            Severity.WARNING,
            Fault.NO_TARGET,
            "everything read",
            f"none of {len(scene.hpas)} HPAs is configured or carries an annotation of ours",
            f"name them under `modules` and `regions`, or annotate them with {FLOOR} and {CEILING}",
        )
        return
    found = {scene.module_of(hpa) for hpa in scene.checked}
    missing = [name for name in scene.settings.modules if name not in found]
    if scene.checked and missing and len(missing) < len(scene.settings.modules):
        yield Finding(
            Severity.NOTE,
            Fault.NOT_COVERED,
            "configuration",
            f"no HPA here for {', '.join(missing)}: forecast only",
            "write HPAs for them, or take them out of `modules`",
        )


def bands(scene: Scene) -> Iterator[Finding]:
    """HPAs whose owner has not drawn the band: they are recorded and never changed."""
    for hpa in scene.checked:
        opt_in = read_opt_in(hpa.floor.annotations)
        # One that is there and no text is told by `annotation_rules.py`.
        written = mapping(hpa.floor.body, "metadata", "annotations")
        missing = [name for name in (FLOOR, CEILING) if name not in written]
        if opt_in.mode is Mode.PAUSED:
            sentence = "its owner paused it: a floor of ours is released, nothing else is done"
            yield _finding(Severity.NOTE, Code.PAUSED, hpa, sentence, "")
        elif missing and not opt_in.faults:
            is_meant = hpa.is_annotated or scene.is_configured(hpa)
            severity = Severity.WARNING if is_meant else Severity.NOTE
            sentence = f"not opted in, without {' and '.join(missing)}: shadow only"
            mend = "let its owner annotate the least and the highest minReplicas"
            patch = None if scene.siblings(hpa) else _band_patch(hpa, missing)
            yield _finding(severity, Code.NOT_OPTED_IN, hpa, sentence, mend, patch=patch)


def baselines(scene: Scene) -> Iterator[Finding]:
    """HPAs that hold our value while nobody says what their owner meant."""
    for hpa in scene.checked:
        module = scene.module_of(hpa)
        is_configured = module is not None and scene.policy_of(hpa).replicas_min is not None
        if FLOOR in hpa.floor.annotations or {*floor_managers(hpa.floor)} != {FIELD_MANAGER}:
            continue
        severity = Severity.WARNING if is_configured else Severity.ERROR
        minimum = hpa.floor_object.kind.minimum
        sentence = f"{minimum} {hpa.replicas_min} is ours, and no {FLOOR} says the owner's own"
        mend = f"annotate {FLOOR} with the {minimum} that the owner means"
        yield _finding(severity, Code.BASELINE_UNKNOWN, hpa, sentence, mend)


def takeovers(scene: Scene) -> Iterator[Finding]:
    """HPAs whose floor another manager set after us: it stays theirs until they let us forget."""
    for hpa in scene.checked:
        entry = value(hpa.floor.body, "metadata", "managedFields")
        try:
            recorded = msgspec.convert(entry or (), tuple[ManagedFields, ...])
        except msgspec.ValidationError:
            continue
        if holding(recorded) is Holding.TAKEN:
            taker = foreign_owner(floor_owners(recorded)) or "nobody that was recorded"
            told = taken_sentence(hpa.floor_object, taker, hpa.replicas_min)
            sentence, _, mend = told.partition("; ")
            yield _finding(Severity.ERROR, Code.CONFLICT, hpa, sentence, mend)


def bounds(scene: Scene) -> Iterator[Finding]:
    """A band that maxReplicas cuts off."""
    for hpa in scene.checked:
        opt_in, most = read_opt_in(hpa.floor.annotations), hpa.replicas_max
        if most is None:
            continue
        if opt_in.floor is not None and opt_in.floor > most:
            sentence = f"{FLOOR} is {opt_in.floor}, above maxReplicas {most}"
            mend = "raise maxReplicas, or lower the annotation"
            yield _finding(Severity.ERROR, Fault.ABOVE_MAX_REPLICAS, hpa, sentence, mend)
        elif opt_in.ceiling is not None and opt_in.ceiling > most:
            sentence = f"{CEILING} is {opt_in.ceiling}, maxReplicas {most} binds before it"
            mend = f"set it to {most}, or raise maxReplicas"
            patch = patch_of(hpa.floor, annotations={CEILING: str(most)})
            code = Fault.ABOVE_MAX_REPLICAS
            yield _finding(Severity.WARNING, code, hpa, sentence, mend, patch=patch)


def targets(scene: Scene) -> Iterator[Finding]:
    """HPAs that scale what the service does not read, or what is not there."""
    for hpa in scene.checked:
        kind, name = hpa.target
        if kind and kind != "Deployment":
            sentence = f"scales {kind} {name}; only Deployments are read"
            mend = "take it out of the configuration"
            yield _finding(Severity.ERROR, Fault.TARGET_KIND, hpa, sentence, mend)
        elif scene.live is not None and not hpa.of.place and scene.workload(hpa) is None:
            sentence = f"Deployment {name} does not exist or cannot be read"
            mend = "correct spec.scaleTargetRef, or grant list on deployments"
            yield _finding(Severity.ERROR, Code.TARGET_MISSING, hpa, sentence, mend)


def _band_patch(hpa: Hpa, missing: list[str]) -> Patch | None:
    """The bounds as they are now, in shadow; none where the field may hold our own value."""
    least, most = hpa.replicas_min, hpa.replicas_max
    if least is None or most is None or not 1 <= least <= most or hpa.target[0] != "Deployment":
        return None
    if FIELD_MANAGER in floor_managers(hpa.floor):
        return None
    proposed = {FLOOR: str(least), CEILING: str(most)}
    written = {name: proposed[name] for name in missing}
    if MODE not in hpa.floor.annotations:
        written[MODE] = Mode.SHADOW.value
    return patch_of(hpa.floor, annotations=written)


def _finding(
    severity: Severity,
    code: Fault | Code,
    hpa: Hpa,
    sentence: str,
    mend: str,
    *,
    patch: Patch | None = None,
) -> Finding:
    return Finding(severity, code, hpa.floor.title, sentence, mend, hpa.floor.place, patch)
