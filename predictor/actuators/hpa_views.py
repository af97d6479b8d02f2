"""The views of all targets at one tick: made anew only where something changed.

`kubernetes.py` asks for each target at each tick, and tells what it wrote. It must never show an
HPA as it was before our own last write without saying so, nor one that was replaced under our floor
as if it had never been ours.

Source of the rule for stale reads: Kubernetes 1.37, `pkg/controller/podautoscaler/horizontal.go`
(consistencyStore): nothing is reconciled from a cache older than one's own last write.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from predictor.actuators.adoptions import Adoptions
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


STALE_MAX_S = 120.0
"""A list that began after our write, and a watch for so long after it, would have shown it: the
server itself holds an older state, as after etcd was restored from a backup."""


@dataclass(slots=True)
class _Written:
    """Our last write to an object; `missed_since_s` is when a later list first did not show it."""

    version: str
    lists_begun: int
    missed_since_s: float | None = None


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

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._adoptions = Adoptions(monotonic)
        self._baselines: BoundedMemory[str, int] = BoundedMemory()
        self._made: BoundedMemory[TargetKey, _Made] = BoundedMemory()
        self._written: BoundedMemory[str, _Written] = BoundedMemory()
        self._monotonic = monotonic

    def wrote(self, uid: str, resource_version: str, lists_begun: int = 0) -> None:
        """The version that a write of ours made, and the newest list that may not hold it."""
        self._written.note(uid, _Written(resource_version, lists_begun))
        self._adoptions.wrote(uid, resource_version)

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
            if hpa is not None:
                self._adoptions.saw(target.key, hpa)
        if isinstance(made.view, Reason):
            return made.view
        list_number = scene.list_numbers.get(made.view.floor_object.kind, 0)
        return self._caught_up(self._left_to_others(made.view), list_number)

    def _read(
        self, target: HpaTarget, scene: NamespaceScene, vertical: tuple[VerticalAutoscaler, ...]
    ) -> HpaView | Reason:
        view = read_hpa(target, scene, self._baselines.of, vertical)
        if isinstance(view, Reason) or view.floor_manager == FIELD_MANAGER:
            return view
        if view.baseline_replicas is not None:
            self._baselines.note(view.uid, view.baseline_replicas)
        return view

    def _left_to_others(self, view: HpaView) -> HpaView:
        at = view.floor_object
        replaced = self._adoptions.objection(view.uid, at)
        recreated = self._adoptions.note(view.key, at)
        if replaced is None and recreated is None:
            return view
        others = () if view.held_back is None or replaced is None else (view.held_back,)
        more = () if recreated is None else (recreated,)
        return msgspec.structs.replace(
            view, held_back=replaced or view.held_back, notes=(*others, *more, *view.notes)
        )

    def _caught_up(self, view: HpaView, list_number: int) -> HpaView:
        written = self._written.of(view.uid)
        if written is None or not is_older(view.resource_version, written.version):
            return view
        now_s = self._monotonic()
        if list_number <= written.lists_begun:
            written.missed_since_s = None
        elif written.missed_since_s is None:
            written.missed_since_s = now_s
        elif now_s - written.missed_since_s > STALE_MAX_S:
            self._written.forget(view.uid)
            return view
        sentence = (
            f"{view.floor_object.title} was read at version {view.resource_version}, older than"
            f" {written.version}, which we wrote; nothing is decided until the read has caught up,"
            f" or a new list has shown the same for {STALE_MAX_S:.0f} s (a backup was restored)"
        )
        return msgspec.structs.replace(view, held_back=Reason(Code.STALE_READ, sentence))
