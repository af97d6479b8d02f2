"""How far weights that we moved are taken home, and when; or why they are left where they are.

`predictor/way_back/` asks it for every VirtualService, with nothing else of the service running.
Pure; it must never move a weight away from its home, or take what somebody has set since for ours.
"""

from __future__ import annotations

import datetime as dt

import msgspec
import numpy as np

from predictor.core.reasons import Code, Reason
from predictor.core.restore_step import STEP_GAP_S, Pace
from predictor.core.weights import stepped

STEP_POINTS_MAX = 20
"""Of one region's weight in one step; the policies under `deploy/guard` take no more."""


class OurWeights(msgspec.Struct, frozen=True):
    """Weights of one route that we moved, and their home, both in points of 100 and one order.

    `names` says what they are of. `until_s` is None where nothing says when they run out.
    """

    names: tuple[str, ...]
    now: tuple[int, ...]
    home: tuple[int, ...]
    until_s: float | None


class RestoredWeights(msgspec.Struct, frozen=True):
    """What the route shall hold; without `until_s` the weights are the owner's own again."""

    weights: tuple[int, ...]
    until_s: float | None
    reason: Reason


def restored_weights(
    ours: OurWeights, now_s: float, pace: Pace, step_gap_s: float = STEP_GAP_S
) -> RestoredWeights | Reason:
    """The next step home, or why there is none; times are seconds since the epoch.

    A step moves the expiry on by `step_gap_s`, as it does for a floor. At once is in steps too,
    which are not apart: the server takes no larger ones.
    """
    if ours.now == ours.home:
        sentence = f"the weights are home at {_said(ours, ours.home)}; nothing of ours runs out"
        return RestoredWeights(ours.home, None, Reason(Code.HANDED_BACK, sentence))
    if (waits := _not_due(ours, now_s, pace, step_gap_s)) is not None:
        return waits
    now, home = np.array(ours.now, dtype=np.int64), np.array(ours.home, dtype=np.int64)
    weights = tuple(stepped(now, home, STEP_POINTS_MAX).tolist())
    if weights == ours.home:
        sentence = f"{_said(ours, ours.now)} back home to {_said(ours, ours.home)}"
        return RestoredWeights(weights, None, Reason(Code.HANDED_BACK, sentence))
    until_s = now_s + step_gap_s
    sentence = (
        f"{_ran_out(ours, pace)}: {_said(ours, ours.now)} to {_said(ours, weights)}"
        f" on the way home to {_said(ours, ours.home)}, the next step after {_utc(until_s)}"
    )
    return RestoredWeights(weights, until_s, Reason(Code.EXPIRED, sentence))


def _not_due(ours: OurWeights, now_s: float, pace: Pace, step_gap_s: float) -> Reason | None:
    """An expiry farther off than a step's is a worker's, and holds only while that is wanted."""
    until_s = ours.until_s
    if until_s is None or until_s <= now_s or pace is Pace.AT_ONCE:
        return None
    if pace is Pace.STEPS and until_s > now_s + step_gap_s:
        return None
    what = "hold until" if pace is Pace.EXPIRED else "take their next step after"
    return Reason(Code.RENEWED, f"{_said(ours, ours.now)} {what} {_utc(until_s)}")


def _ran_out(ours: OurWeights, pace: Pace) -> str:
    if pace is not Pace.EXPIRED:
        return "handed back in steps"
    if ours.until_s is None:
        return "nothing says how long the weights hold"
    return f"ran out at {_utc(ours.until_s)} unrenewed"


def _said(ours: OurWeights, weights: tuple[int, ...]) -> str:
    pairs = zip(ours.names, weights, strict=True)
    return ", ".join(f"{name} {weight}" for name, weight in pairs)


def _utc(time_s: float) -> str:
    return f"{dt.datetime.fromtimestamp(time_s, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
