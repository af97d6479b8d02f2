"""The views of all targets at one tick: made anew only where something changed.

`kubernetes.py` asks for each target at each tick, and tells what it wrote. It must never show an
HPA as it was before our own last write without saying so.

Source of the rule for stale reads: Kubernetes 1.37, `pkg/controller/podautoscaler/horizontal.go`
(consistencyStore): nothing is reconciled from a cache older than one's own last write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from predictor.actuators.bounded_memory import BoundedMemory
from predictor.actuators.cluster_settings import HpaTarget
from predictor.actuators.hpa_reader import NamespaceScene, read_hpa
from predictor.actuators.object_store import is_older
from predictor.actuators.objects import Deployment, Hpa
from predictor.core.cluster import HpaView, TargetKey
from predictor.core.opt_in import FIELD_MANAGER
from predictor.core.other_controllers import VerticalAutoscaler
from predictor.core.reasons import Code, Reason

_Others = tuple[tuple[str, ...], tuple[VerticalAutoscaler, ...]]
"""The HPAs and the VerticalPodAutoscalers on what a target's HPA scales."""


class _Made(NamedTuple):
    hpa: Hpa | None
    deployment: Deployment | None
    others: _Others
    view: HpaView | Reason

    def is_of(self, hpa: Hpa | None, deployment: Deployment | None, others: _Others) -> bool:
        """Whether it was made of these very objects."""
        return self.hpa is hpa and self.deployment is deployment and self.others == others


class HpaViews:
    """Remembers the last view of each target, what owners had declared, and our own last writes."""

    def __init__(self) -> None:
        self._baselines: BoundedMemory[str, int] = BoundedMemory()
        self._made: BoundedMemory[TargetKey, _Made] = BoundedMemory()
        self._written: BoundedMemory[str, str] = BoundedMemory()

    def wrote(self, uid: str, resource_version: str) -> None:
        """The version that a write of ours made."""
        self._written.note(uid, resource_version)

    def of(
        self,
        target: HpaTarget,
        scene: NamespaceScene,
        vertical_on: Callable[[str, str, str], tuple[VerticalAutoscaler, ...]],
    ) -> HpaView | Reason:
        """The target's view, held back where it is older than what we wrote."""
        hpa = scene.hpas.get(target.hpa)
        reference = None if hpa is None else hpa.spec.scale_target_ref
        deployment = None if reference is None else scene.deployments.get(reference.name)
        others: _Others = ((), ())
        if reference is not None:
            vertical = vertical_on(target.namespace, reference.kind, reference.name)
            others = (scene.scaled[reference.kind, reference.name], vertical)
        made = self._made.of(target.key)
        if made is None or not made.is_of(hpa, deployment, others):
            made = _Made(hpa, deployment, others, self._read(target, scene, others[1]))
            self._made.note(target.key, made)
        return made.view if isinstance(made.view, Reason) else self._caught_up(made.view)

    def _read(
        self, target: HpaTarget, scene: NamespaceScene, vertical: tuple[VerticalAutoscaler, ...]
    ) -> HpaView | Reason:
        view = read_hpa(target, scene, self._baselines.of, vertical)
        if isinstance(view, Reason) or view.floor_manager == FIELD_MANAGER:
            return view
        if view.baseline_replicas is not None:
            self._baselines.note(view.uid, view.baseline_replicas)
        return view

    def _caught_up(self, view: HpaView) -> HpaView:
        written = self._written.of(view.uid)
        if written is None or not is_older(view.resource_version, written):
            return view
        sentence = (
            f"{view.floor_object.title} was read at version {view.resource_version}, older"
            f" than {written}, which we wrote; nothing is decided until the read has caught up"
        )
        return msgspec.structs.replace(view, held_back=Reason(Code.STALE_READ, sentence))
