"""What all floors together may take, after each has passed its own rules.

`predictor/core/fleet_floors.py` calls it. These are the only rules by which one target's wish
changes what another gets, and they only ever take a raise or put a change off: no floor is lowered
by them.

Fair and repeatable: where a raise has to be shared out, every target gets the same number of
replicas before any gets more; what does not go round goes to those whose floor was raised longest
ago. Changes that must wait are those of the floors that moved last, so each gets its turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray
from predictor.core.budget_policy import BudgetPolicy, SharedResource
from predictor.core.cluster import TargetKey
from predictor.core.guardrails import BoolArray, IntArray
from predictor.core.reasons import Code, Reason

BUDGET_CODES = frozenset((Code.FLEET_BUDGET, Code.SHARED_RESOURCE, Code.CHANGES_LIMITED))


@dataclass(frozen=True, slots=True)
class Fleet:
    """What the budgets look at; arrays of shape (n,), replicas or epoch seconds.

    `counts` are the rows that take from the budgets and are limited by them: those that are
    written, or all where none is. A target that is only recorded takes nothing from the others.
    """

    keys: Sequence[TargetKey]
    floor_now: IntArray
    replicas: IntArray
    baseline: IntArray
    counts: BoolArray
    raised_at_s: FloatArray
    released_at_s: FloatArray
    kept_until_s: FloatArray


@dataclass(frozen=True, slots=True)
class Budgeted:
    """What is left of the floors allowed, and a reason for each row that gets less."""

    allowed: IntArray
    reasons: dict[int, tuple[Reason, ...]]


def within_budgets(
    allowed: IntArray, fleet: Fleet, budget: BudgetPolicy, shared: dict[str, SharedResource]
) -> Budgeted:
    """Take from raises what does not fit: first the shared resources by name, then the extra pods.

    An extra replica is one of a floor above its baseline; where the baseline is not known, all of
    the floor's are. A shared resource counts the pods that will exist: the floor or the
    Deployment's replicas, whichever is more, of every target that is seen.
    """
    made = Budgeted(allowed, {})
    for name, resource in sorted(shared.items()):
        made = _within_resource(made, fleet, name, resource)
    if budget.extra_replicas_max is not None:
        made = _within_extra(made, fleet, budget.extra_replicas_max)
    return made


def limit_changes(
    made: Budgeted,
    fleet: Fleet,
    renews: BoolArray,
    changes_max: int | None,
    urgent_until_s: float = -np.inf,
) -> tuple[Budgeted, BoolArray]:
    """Let so many objects change: raises, then renewals, then releases; also which renewals wait.

    A renewal waits its turn by how little time is left, any other by when it last moved. What runs
    out by `urgent_until_s` goes before everything: a ramp must not cost others their floor.
    """
    none = np.zeros(len(fleet.floor_now), np.bool_)
    if changes_max is None:
        return made, none
    raises = (made.allowed > fleet.floor_now) & fleet.counts
    releases = (made.allowed < fleet.floor_now) & fleet.counts
    renewals = renews & fleet.counts & ~raises & ~releases
    urgent = renewals & (fleet.kept_until_s <= urgent_until_s)
    turns = np.concatenate(
        [
            _oldest_first(urgent, fleet.kept_until_s),
            _oldest_first(raises, fleet.raised_at_s),
            _oldest_first(renewals & ~urgent, fleet.kept_until_s),
            _oldest_first(releases, fleet.released_at_s),
        ]
    )
    late = turns[changes_max:]
    if not late.size:
        return made, none
    waits = none.copy()
    waits[late] = True
    allowed = np.where(waits, fleet.floor_now, made.allowed)
    reasons = dict(made.reasons)
    for row in late.tolist():
        sentence = (
            f"{len(turns)} objects were to change in this tick, at most {changes_max} may; this "
            f"one waits at {fleet.floor_now[row]}"
        )
        reasons[row] = (*reasons.get(row, ()), Reason(Code.CHANGES_LIMITED, sentence))
    return Budgeted(allowed, reasons), waits


def shared_out(
    wanted: IntArray, each: FloatArray, available: float, turn: NDArray[np.intp]
) -> IntArray:
    """How many of the `wanted` each row gets, if one costs `each` and no more is there.

    All rows get the same number before any gets more; of what does not go round, one each in the
    order of `turn` for as long as it lasts.
    """
    if float((wanted * each).sum()) <= available:
        return wanted
    low, high = 0, int(wanted.max(initial=0))
    while low < high:
        middle = (low + high + 1) // 2
        fits = float((np.minimum(wanted, middle) * each).sum()) <= available
        low, high = (middle, high) if fits else (low, middle - 1)
    given = np.minimum(wanted, low)
    left = available - float((given * each).sum())
    waiting = turn[wanted[turn] > low]
    one_more = waiting[np.cumsum(each[waiting]) <= left]
    given[one_more] += 1
    return given


def _within_resource(made: Budgeted, fleet: Fleet, name: str, resource: SharedResource) -> Budgeted:
    each = np.array(
        [
            resource.per_replica.get(module, 0.0)
            if not resource.regions or region in resource.regions
            else 0.0
            for module, region in fleet.keys
        ]
    )
    there = np.maximum(fleet.floor_now, fleet.replicas)
    more = np.where(fleet.counts & (each > 0), np.maximum(made.allowed - there, 0), 0)
    taken = float((there * each).sum())
    given = shared_out(more, each, resource.limit - taken, _turns(fleet))
    sentence = f"{name}: the pods there are take {taken:g} of {resource.limit:g}"
    return _less(made, more - given, Code.SHARED_RESOURCE, sentence)


def _within_extra(made: Budgeted, fleet: Fleet, extra_max: int) -> Budgeted:
    base = np.maximum(fleet.floor_now, fleet.baseline)
    more = np.where(fleet.counts, np.maximum(made.allowed - base, 0), 0)
    standing = np.maximum(fleet.floor_now - fleet.baseline, 0)[fleet.counts]
    taken = int(standing.sum())
    each = np.ones(len(more))
    given = shared_out(more, each, float(extra_max - taken), _turns(fleet))
    sentence = f"all floors together stand {taken} replicas above their baselines of {extra_max}"
    return _less(made, more - given, Code.FLEET_BUDGET, sentence)


def _less(made: Budgeted, cut: IntArray, code: Code, sentence: str) -> Budgeted:
    rows = np.flatnonzero(cut > 0).tolist()
    if not rows:
        return made
    allowed, reasons = made.allowed - np.maximum(cut, 0), dict(made.reasons)
    for row in rows:
        said = f"{sentence}; wanted {made.allowed[row]}, allowed {allowed[row]}"
        reasons[row] = (*reasons.get(row, ()), Reason(code, said))
    return Budgeted(allowed, reasons)


def _turns(fleet: Fleet) -> NDArray[np.intp]:
    return _oldest_first(np.ones(len(fleet.floor_now), np.bool_), fleet.raised_at_s)


def _oldest_first(rows: BoolArray, moved_at_s: FloatArray) -> NDArray[np.intp]:
    """The places of these rows, never moved first, then the longest ago; equal ones in order."""
    places = np.flatnonzero(rows)
    at_s = np.where(np.isfinite(moved_at_s[places]), moved_at_s[places], -np.inf)
    return places[np.argsort(at_s, kind="stable")]
