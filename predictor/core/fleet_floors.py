"""Floors that each passed their own rules, brought within what all may take, with their expiry.

`predictor/core/decide.py` calls it between the guardrails and the words. The floors of the cluster
and those of the shadow walk go through the same budgets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from predictor.core.budgets import Budgeted, Fleet, limit_changes, within_budgets
from predictor.core.expiry import URGENT_SHARE, Expiry, expiry
from predictor.core.guardrails import BoolArray, IntArray, Rulings, left_to_metrics
from predictor.core.policy import Policy
from predictor.core.reasons import Code, Reason
from predictor.core.state import TargetState
from predictor.core.targets import Targets


@dataclass(frozen=True, slots=True)
class ShadowWalk:
    """Where floors would stand if all were carried out: before and after this decision."""

    before: IntArray
    floor: IntArray


@dataclass(frozen=True, slots=True)
class FleetFloors:
    """What all rules left, with every reason; `rewrites` are rows written though they stay."""

    rulings: Rulings
    shadow: ShadowWalk
    expiry: Expiry
    rewrites: BoolArray


def fleet_floors(
    rulings: Rulings,
    shadow: ShadowWalk,
    targets: Targets,
    memory: TargetState,
    policy: Policy,
    *,
    is_sized: BoolArray,
    now_s: float,
    is_first: bool,
) -> FleetFloors:
    """Keep to the budgets and say what has to be written beside each floor.

    Where nothing says what a pod carries (`is_sized` is False) nobody knows whether the floor is
    wanted any more: it stays, is not renewed, and so runs out. The first decision after a start
    (`is_first`) renews nothing either: it only looks.
    """
    fleet = _fleet(targets, memory)
    made = _budgeted(rulings.allowed, targets, fleet, policy)
    is_written = targets.is_written & (not is_first)
    beside = expiry(
        made.allowed,
        floor_now=targets.floor_now,
        baseline=targets.baseline,
        kept_until_s=targets.kept_until_s,
        is_ours=targets.is_ours & is_written,
        wanted=is_sized & ~targets.paused,
        expiry_s=policy.expiry_s,
        now_s=now_s,
    )
    changes_max = policy.budget.changes_per_tick_max
    urgent_until_s = now_s + URGENT_SHARE * policy.expiry_s
    made, waits = limit_changes(made, fleet, beside.writes, changes_max, urgent_until_s)
    ahead = replace(
        fleet,
        floor_now=shadow.before,
        raised_at_s=memory.shadow_raised_at_s,
        released_at_s=memory.shadow_released_at_s,
    )
    walked = _budgeted(shadow.floor, targets, ahead, policy)
    walked, _ = limit_changes(walked, ahead, beside.writes, changes_max)
    reasons = dict(rulings.reasons)
    for row, more in made.reasons.items():
        reasons[row] = (*reasons.get(row, ()), *more)
    return FleetFloors(
        rulings=Rulings(made.allowed, reasons),
        shadow=ShadowWalk(shadow.before, walked.allowed),
        expiry=beside,
        rewrites=beside.writes & ~waits & (made.allowed == targets.floor_now),
    )


def _fleet(targets: Targets, memory: TargetState) -> Fleet:
    is_written = targets.is_written
    if not is_written.any():
        is_written = targets.is_seen
        is_written[list(targets.left_alone)] = False
    return Fleet(
        keys=targets.keys,
        floor_now=targets.floor_now,
        replicas=targets.replicas,
        baseline=targets.baseline,
        counts=is_written,
        raised_at_s=memory.raised_at_s,
        released_at_s=memory.released_at_s,
        kept_until_s=targets.kept_until_s,
    )


def _budgeted(allowed: IntArray, targets: Targets, fleet: Fleet, policy: Policy) -> Budgeted:
    """What the budgets leave; a row that is left alone stays where it is."""
    stays = np.zeros(len(allowed), np.bool_)
    stays[list(targets.left_alone)] = True
    allowed = np.where(stays, fleet.floor_now, allowed)
    made = within_budgets(allowed, fleet, policy.budget, policy.shared_resources)
    return _left_to_metrics(made, allowed, targets, fleet)


def _left_to_metrics(made: Budgeted, before: IntArray, targets: Targets, fleet: Fleet) -> Budgeted:
    """A raise that a budget cut below what the HPA's metrics ask for is left to them."""
    asked = np.minimum(targets.asked_by_metrics, targets.max_replicas)
    left = left_to_metrics(made.allowed, fleet.floor_now, fleet.replicas, asked)
    rows = np.flatnonzero((made.allowed < before) & (left < made.allowed)).tolist()
    if not rows:
        return made
    allowed, reasons = made.allowed.copy(), dict(made.reasons)
    for row in rows:
        sentence = (
            f"the HPA's metrics ask for {asked[row]} replicas of {fleet.replicas[row]}; the floor "
            f"of {allowed[row]} that a budget left would take one sync from them; held {left[row]}"
        )
        reasons[row] = (*reasons.get(row, ()), Reason(Code.METRICS_ASK_MORE, sentence))
        allowed[row] = left[row]
    return Budgeted(allowed, reasons)
