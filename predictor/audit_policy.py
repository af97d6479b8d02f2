"""What another policy would have decided from the same inputs: `mplp-predictor replay --policy`.

The chain of decisions is made again, each from what the other policy remembers, so that steps and
holds go on from where *its* floor would stand. What the cluster showed stays as it was recorded,
because nobody knows what it would have shown: demand, Ready pods, route weights, and all that was
learned from them (lead times, rates per pod). The forecast is the recorded one, so its window is
too; every quantile is in the record. It must never be taken for a simulation.

Compared is where the floor would stand if every decision had been carried out, on both sides: the
record says so itself (`floor_shadow`), in shadow and in active operation. With the recorded policy
nothing differs.

Where the chain breaks (`BREAKS`) both sides begin again from the record. After a restart a floor
that the cluster still held is still held there, for the other policy its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import numpy as np

from predictor.audit_chain import BREAKS, Link
from predictor.core.audit import Record
from predictor.core.cluster import HpaView, TargetKey
from predictor.core.decide import decide
from predictor.core.decision import FloorDecision
from predictor.core.inputs import Inputs
from predictor.core.policy import ModuleOverride, Policy
from predictor.core.reasons import Reason
from predictor.core.state import State

FOLLOWED = (
    "floor_seen",
    "raised_at_s",
    "released_at_s",
    "intent_floor",
    "intent_at_s",
    "shadow_floor",
    "shadow_raised_at_s",
    "shadow_released_at_s",
)
"""Columns of the state that follow the other policy; the others hold what the cluster taught."""
FORECAST_SETTINGS = ("hold_s", "lead_time_default_s", "lead_time_max_s")
"""Settings that a recorded forecast has taken in already."""


class Side(msgspec.Struct, frozen=True):
    """One policy's decision for one target: replicas, and why."""

    wanted: int | None
    floor: int
    reasons: tuple[Reason, ...]


class FirstOther(msgspec.Struct, frozen=True):
    """The first decision that came out otherwise, with both sides."""

    made_at_s: float
    recorded: Side
    would_be: Side


class Floors(msgspec.Struct):
    """Where one policy's floor stood, over all decisions: replicas, and how often it moved."""

    total: int = 0
    highest: int = 0
    raises: int = 0
    releases: int = 0

    def add(self, before: int, floor: int) -> None:
        """Take in one decision."""
        self.total += floor
        self.highest = max(self.highest, floor)
        self.raises += floor > before
        self.releases += floor < before


class TargetFloors(msgspec.Struct):
    """One target under both policies. `pod_hours_more` is what the other's floors hold more."""

    module: str
    region: str
    decisions: int = 0
    differing: int = 0
    recorded: Floors = msgspec.field(default_factory=Floors)
    would_be: Floors = msgspec.field(default_factory=Floors)
    pod_hours_more: float = 0.0
    first: FirstOther | None = None


class _Pair(NamedTuple):
    """A target's floor under the recorded and the other policy."""

    recorded: int
    would_be: int


@dataclass(slots=True)
class _Standing:
    """What is remembered of one target between two decisions."""

    made_at_s: float
    floor: _Pair
    memory: dict[str, float]


class _Acting(NamedTuple):
    """What decides in place of a recorded policy, for these targets."""

    recorded: Policy
    keys: tuple[TargetKey, ...]
    policy: Policy


@dataclass(slots=True)
class OtherPolicy:
    """Takes records in order, with how each hangs together with the one before."""

    policy: Policy
    targets: dict[TargetKey, TargetFloors] = field(default_factory=dict)
    settings_in_forecast: set[str] = field(default_factory=set)
    """Names of `FORECAST_SETTINGS` in which the policies differ; they change nothing here."""
    _standing: dict[TargetKey, _Standing] = field(default_factory=dict)
    _acting: _Acting | None = None

    def take(self, record: Record, link: Link) -> None:
        """Decide once more as the other policy, from where it stands."""
        if link is Link.REPEATED:
            return
        known = {key: row for row, key in enumerate(record.state.keys)}
        if link in BREAKS:
            self._begin_again(record, known)
        before = self._floors(record, known)
        state = self._state(record, known)
        made_at_s = record.decision.made_at_s
        inputs = _with_floors(record.inputs, before)
        decision, after = decide(inputs, self._act_with(record), state, made_at_s)
        memory = _memory(after)
        for one, other in zip(record.decision.floors, decision.floors, strict=False):
            if one.key == other.key and one.floor_shadow is not None and other.floor is not None:
                pair = _Pair(one.floor_shadow, other.floor)
                row = self.targets.setdefault(one.key, TargetFloors(*one.key))
                self._count(row, before[one.key], pair)
                if link not in BREAKS:
                    self._count_hours(row, one.key, made_at_s)
                if pair.recorded != pair.would_be:
                    _note_difference(row, one, other, made_at_s)
                self._standing[one.key] = _Standing(made_at_s, pair, memory[one.key])

    def _begin_again(self, record: Record, known: dict[TargetKey, int]) -> None:
        """Forget everything but floors that a restarted service finds where it left them."""
        for hpa in record.inputs.cluster.hpas:
            standing = self._standing.get(hpa.key)
            if standing is None:
                continue
            is_held = hpa.key not in known and hpa.min_replicas == standing.floor.recorded
            if is_held:
                standing.memory = {}
            else:
                del self._standing[hpa.key]

    def _floors(self, record: Record, known: dict[TargetKey, int]) -> dict[TargetKey, _Pair]:
        """Where each floor stands before this decision."""
        floors: dict[TargetKey, _Pair] = {}
        for hpa in record.inputs.cluster.hpas:
            standing, row = self._standing.get(hpa.key), known.get(hpa.key)
            found = hpa.min_replicas
            if standing is not None and _is_left_as_it_was(record.state, row, hpa, standing):
                floors[hpa.key] = standing.floor
                continue
            if standing is None and row is not None:
                shadow = float(record.state.targets.shadow_floor[row])
                found = int(shadow) if np.isfinite(shadow) else found
            floors[hpa.key] = _Pair(found, found)
        return floors

    def _state(self, record: Record, known: dict[TargetKey, int]) -> State:
        """The recorded state, but for what follows the other policy."""
        recorded = record.state.targets
        columns = {name: getattr(recorded, name).copy() for name in FOLLOWED}
        for key, row in known.items():
            standing = self._standing.get(key)
            memory = _carried_out(record.state, row) if standing is None else standing.memory
            for name, value in memory.items():
                columns[name][row] = value
        targets = msgspec.structs.replace(recorded, **columns)
        return msgspec.structs.replace(record.state, targets=targets)

    def _count(self, row: TargetFloors, before: _Pair, after: _Pair) -> None:
        row.decisions += 1
        row.recorded.add(before.recorded, after.recorded)
        row.would_be.add(before.would_be, after.would_be)

    def _count_hours(self, row: TargetFloors, key: TargetKey, made_at_s: float) -> None:
        """Since the decision before, both floors stood where it put them."""
        standing = self._standing.get(key)
        if standing is not None:
            lasted_h = max(made_at_s - standing.made_at_s, 0.0) / 3600
            row.pod_hours_more += (standing.floor.would_be - standing.floor.recorded) * lasted_h

    def _act_with(self, record: Record) -> Policy:
        """The other policy, but for the settings that the recorded forecasts have taken in."""
        keys = tuple(row.key for row in record.decision.floors)
        acting = self._acting
        if acting is None or (acting.recorded, acting.keys) != (record.policy, keys):
            overrides = {key: self._with_recorded(record.policy, key) for key in keys}
            targets = {"/".join(key): one for key, one in overrides.items()}
            policy = msgspec.structs.replace(self.policy, targets=self.policy.targets | targets)
            acting = self._acting = _Acting(record.policy, keys, policy)
        return acting.policy

    def _with_recorded(self, policy: Policy, key: TargetKey) -> ModuleOverride:
        """One target's settings, in full."""
        recorded, other = policy.of(*key), self.policy.of(*key)
        taken_in = {name: getattr(recorded, name) for name in FORECAST_SETTINGS}
        self.settings_in_forecast |= {
            name for name, value in taken_in.items() if getattr(other, name) != value
        }
        return ModuleOverride(**(msgspec.structs.asdict(other) | taken_in))


def _note_difference(
    row: TargetFloors, one: FloorDecision, other: FloorDecision, made_at_s: float
) -> None:
    row.differing += 1
    if row.first is None and one.floor_shadow is not None and other.floor is not None:
        row.first = FirstOther(
            made_at_s,
            Side(one.floor_wanted, one.floor_shadow, one.reasons),
            Side(other.floor_wanted, other.floor, other.reasons),
        )


def _is_left_as_it_was(state: State, row: int | None, hpa: HpaView, standing: _Standing) -> bool:
    """False where somebody else set the floor: then it stands there under every policy."""
    if row is None:
        return hpa.min_replicas == standing.floor.recorded
    targets = state.targets
    ours = (targets.floor_seen[row], targets.intent_floor[row], targets.shadow_floor[row])
    return hpa.min_replicas in ours


def _carried_out(state: State, row: int) -> dict[str, float]:
    """The memory of a service whose decisions were all carried out, from a recorded state."""
    targets = state.targets
    if not np.isfinite(targets.shadow_floor[row]):
        return {}
    return {
        "floor_seen": float(targets.shadow_floor[row]),
        "raised_at_s": float(targets.shadow_raised_at_s[row]),
        "released_at_s": float(targets.shadow_released_at_s[row]),
    }


def _with_floors(inputs: Inputs, floors: dict[TargetKey, _Pair]) -> Inputs:
    hpas = tuple(
        msgspec.structs.replace(hpa, min_replicas=floors[hpa.key].would_be)
        for hpa in inputs.cluster.hpas
    )
    return msgspec.structs.replace(
        inputs, cluster=msgspec.structs.replace(inputs.cluster, hpas=hpas)
    )


def _memory(state: State) -> dict[TargetKey, dict[str, float]]:
    columns = {name: getattr(state.targets, name).tolist() for name in FOLLOWED}
    return {
        key: {name: values[row] for name, values in columns.items()}
        for row, key in enumerate(state.keys)
    }
