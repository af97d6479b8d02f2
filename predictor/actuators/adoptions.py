"""Which floors we held lately, so that whoever replaces a whole object is not fought.

`hpa_views.py` tells it every write and every object it reads, and asks before it shows a view. A
whole replacement (`kubectl replace`, Argo CD's `Replace=true`) takes our entry in `managedFields`
and our annotations with it: nothing on the object says then that we held it, and it would be
adopted anew each time. So this is remembered here, of the objects that one process saw. After a
restart it is forgotten, and one adoption more is made before the next replacement is recognised.
It must never outlast the owner's own word: a floor that was taken in the ordinary way stands in
`managedFields` (`ownership.py`), and what was remembered of it is dropped.

Source: Kubernetes 1.37, `managedfields/internal/structuredmerge.go` (Update: fields that an update
leaves out or changes go from every other manager, and an entry without a field is removed).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from predictor.actuators.bounded_memory import BoundedMemory
from predictor.actuators.object_store import is_older
from predictor.actuators.objects import Hpa
from predictor.actuators.ownership import Holding, holding, last_writer
from predictor.core.cluster import TargetKey
from predictor.core.floor_object import FloorObject
from predictor.core.opt_in import FIELD_MANAGER, MODE, Mode
from predictor.core.reasons import Code, Reason

WAIT_S, WAIT_MAX_S = 900.0, 14_400.0
"""How long an object is left alone after its first replacement; doubled with each, up to this."""
PEACE_S = 43_200.0
"""A floor that was ours for so long was replaced by no loop: the next time counts as the first."""
RECREATED_MAX, RECREATED_WITHIN_S = 3, 3600.0


@dataclass(slots=True)
class _Held:
    """One object: since when it is ours (None: not now), at what version that was last seen, and
    how often it was replaced."""

    since_s: float | None
    version: str = ""
    replaced: int = 0
    wait_until_s: float = -math.inf
    by: str = ""


@dataclass(slots=True)
class _Name:
    """One target: the object it was last, and when others took the place of one that was ours."""

    uid: str
    recreated_s: tuple[float, ...] = ()


class Adoptions:
    """Memory of our own adoptions, by uid and by target; bounded, the longest untouched go."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._held: BoundedMemory[str, _Held] = BoundedMemory()
        self._names: BoundedMemory[TargetKey, _Name] = BoundedMemory()

    def wrote(self, uid: str, version: str) -> None:
        """A write of ours was accepted, so the floor is ours."""
        held = self._held.of(uid) or _Held(None)
        held.version = version
        if held.since_s is None:
            held.since_s = self._monotonic()
        self._held.note(uid, held)

    def saw(self, key: TargetKey, hpa: Hpa) -> None:
        """What the object records of us now; `hpa` is of the target `key`."""
        self._see_name(key, hpa.metadata.uid)
        part = holding(hpa.metadata.managed_fields)
        held = self._held.of(hpa.metadata.uid)
        if part in (Holding.OURS, Holding.SHARED):
            self.wrote(hpa.metadata.uid, hpa.metadata.resource_version)
        elif held is not None and held.since_s is not None:
            self._lost(held, hpa, part, held.since_s)

    def objection(self, uid: str, at: FloorObject) -> Reason | None:
        """Why the floor of this object is left to whoever replaced it, while that is so."""
        held = self._held.of(uid)
        if held is None or not held.by or held.since_s is not None:
            return None
        left_s = held.wait_until_s - self._monotonic()
        if left_s <= 0:
            return None
        times = "" if held.replaced == 1 else f", {held.replaced} times in a row"
        minimum = at.kind.minimum
        sentence = (
            f"{at.title}: {held.by} replaced it as a whole and our floor with it{times}; it is"
            f" adopted anew in {math.ceil(left_s / 60)} min. Let that tool leave {minimum} alone"
            f" (Argo CD: no Replace=true, and ignoreDifferences of managedFieldsManagers"
            f" [{FIELD_MANAGER}] with RespectIgnoreDifferences=true), or write"
            f" {MODE}: {Mode.PAUSED} into its manifest"
        )
        return Reason(Code.REPLACED, sentence)

    def note(self, key: TargetKey, at: FloorObject) -> Reason | None:
        """That the target's object is deleted and created anew again and again, if it is."""
        name = self._names.of(key)
        if name is None or len(name.recreated_s) < RECREATED_MAX:
            return None
        if self._monotonic() - name.recreated_s[0] > RECREATED_WITHIN_S:
            return None
        sentence = (
            f"{at.title} was deleted and created anew {RECREATED_MAX} times within an hour, each"
            " time without the floor that stood there; let the tool that does it change the object"
            " in place (Argo CD: no Replace=true with Force=true; Flux: no spec.force), or write"
            f" {MODE}: {Mode.PAUSED} into its manifest"
        )
        return Reason(Code.GIT_OPS_REVERTS, sentence)

    def _lost(self, held: _Held, hpa: Hpa, part: Holding, since_s: float) -> None:
        held.since_s = None
        if is_older(hpa.metadata.resource_version, held.version):
            return  # a read that is behind, or a restored backup: nobody replaced anything
        if part is Holding.TAKEN:
            held.by, held.replaced = "", 0
            return
        now_s = self._monotonic()
        held.replaced = 1 if now_s - since_s >= PEACE_S else held.replaced + 1
        wait_s = min(WAIT_S * 2.0 ** min(held.replaced - 1, 16), WAIT_MAX_S)
        held.wait_until_s = now_s + wait_s
        held.by = last_writer(hpa.metadata.managed_fields)

    def _see_name(self, key: TargetKey, uid: str) -> None:
        name = self._names.of(key)
        if name is None:
            self._names.note(key, _Name(uid))
        elif name.uid != uid:
            before = self._held.of(name.uid)
            if before is not None and before.since_s is not None:
                name.recreated_s = (*name.recreated_s, self._monotonic())[-RECREATED_MAX:]
            name.uid = uid
            self._names.note(key, name)
