"""How far a floor of ours is taken back, and when; or why it is left where it is.

`predictor/way_back/` asks it for every HPA, with nothing else of the service running. Pure; it must
never raise a floor, and never go below what the owner declared.
"""

from __future__ import annotations

import datetime as dt
import enum
import math

import msgspec

from predictor.core.opt_in import FLOOR, OptIn
from predictor.core.reasons import Code, Reason

STEP_RATIO = 0.25
"""Of the floor, rounded up: the HPA falls in one step when its minReplicas does (its stabilisation
window holds metric readings, not the floor; Kubernetes, `horizontal.go`,
`normalizeDesiredReplicas`), so the steps have to be ours."""
STEP_GAP_S = 55.0
"""Least time between two steps. Less than the minute of a CronJob, whose pods start some seconds
early or late."""


class Pace(enum.StrEnum):
    """When floors are taken back."""

    EXPIRED = "expired"
    """In steps, those that ran out."""
    STEPS = "steps"
    """In steps, all of them."""
    AT_ONCE = "at_once"
    """All of them, to the owner's floor."""


class OurFloor(msgspec.Struct, frozen=True):
    """A floor that we own on one HPA; `until_s` is None where nothing says when it runs out."""

    floor_now: int
    opt_in: OptIn
    until_s: float | None
    has_kept: bool
    """Whether an expiry or a reason of ours stands on the HPA."""


class Restored(msgspec.Struct, frozen=True):
    """What the HPA shall hold; without `until_s` the floor is the owner's own again."""

    floor: int
    until_s: float | None
    reason: Reason


def restored(
    held: OurFloor, now_s: float, pace: Pace, step_gap_s: float = STEP_GAP_S
) -> Restored | Reason:
    """The next step down, or why there is none; times are seconds since the epoch.

    A step moves the expiry on by `step_gap_s`, so that the next one is due then: whoever takes it
    needs no memory but the HPA itself, and two who work at once take no two steps.
    """
    baseline = held.opt_in.floor
    if baseline is None:
        return _unknown(held.opt_in)
    if held.floor_now <= baseline:
        return _cleared(held, baseline)
    if (waits := _not_due(held, now_s, pace, step_gap_s)) is not None:
        return waits
    step = max(1, math.ceil(held.floor_now * STEP_RATIO))
    floor = baseline if pace is Pace.AT_ONCE else max(baseline, held.floor_now - step)
    if floor == baseline:
        sentence = f"minReplicas {held.floor_now} back to the owner's {baseline}"
        return Restored(baseline, None, Reason(Code.HANDED_BACK, sentence))
    until_s = now_s + step_gap_s
    sentence = (
        f"{_ran_out(held, pace)}: minReplicas {held.floor_now} to {floor}"
        f" on the way to the owner's {baseline}, the next step after {_utc(until_s)}"
    )
    return Restored(floor, until_s, Reason(Code.EXPIRED, sentence))


def _unknown(opt_in: OptIn) -> Reason:
    if opt_in.faults:
        return Reason(Code.ANNOTATION_UNREADABLE, opt_in.faults[0])
    sentence = f"no annotation {FLOOR} says what the owner's minReplicas is"
    return Reason(Code.NOT_OPTED_IN, sentence)


def _cleared(held: OurFloor, baseline: int) -> Restored | Reason:
    """At the owner's floor nothing runs out any more."""
    sentence = f"minReplicas {held.floor_now} is not above the owner's {baseline}"
    reason = Reason(Code.BASELINE, sentence)
    return Restored(held.floor_now, None, reason) if held.has_kept else reason


def _not_due(held: OurFloor, now_s: float, pace: Pace, step_gap_s: float) -> Reason | None:
    """An expiry farther off than a step's is a worker's, and holds only while that is wanted."""
    until_s = held.until_s
    if until_s is None or until_s <= now_s or pace is Pace.AT_ONCE:
        return None
    if pace is Pace.STEPS and until_s > now_s + step_gap_s:
        return None
    what = "holds until" if pace is Pace.EXPIRED else "takes its next step after"
    return Reason(Code.RENEWED, f"minReplicas {held.floor_now} {what} {_utc(until_s)}")


def _ran_out(held: OurFloor, pace: Pace) -> str:
    if pace is not Pace.EXPIRED:
        return "handed back in steps"
    if held.until_s is None:
        return "nothing says how long the floor holds"
    return f"ran out at {_utc(held.until_s)} unrenewed"


def _utc(time_s: float) -> str:
    return f"{dt.datetime.fromtimestamp(time_s, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
