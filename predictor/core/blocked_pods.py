"""Which targets have pods that were asked for and do not become Ready.

`predictor/core/decide.py` asks after each look at the cluster. The reader of the cluster knows some
causes at once (`HpaView.blocked`: quota, nodes, image); whatever the cause, pods that stay away for
longer than any lead time are blocked. Judged by Ready pods alone, because an HPA's status counts
pods that were never created (v1.37).
"""

from __future__ import annotations

import msgspec
import numpy as np

from models.series import FloatArray
from predictor.core.guardrails import BoolArray, IntArray
from predictor.core.policy_rows import PolicyRows
from predictor.core.state import TargetState

READY_SHARE_MIN = 0.9
"""One pod in ten may be broken without the whole target being held."""


def observe_ready(
    memory: TargetState,
    is_seen: BoolArray,
    *,
    asked: IntArray,
    ready: IntArray,
    now_s: float,
) -> TargetState:
    """Note since when too few pods are Ready and none was added; all arrays of shape (n,)."""
    is_short = is_seen & (ready < READY_SHARE_MIN * asked)
    gains = ready > memory.ready_most
    since_s = memory.unready_since_s
    none_ready = is_seen & (asked > 0) & (ready == 0)
    none_since_s = np.fmin(memory.none_ready_since_s, now_s)
    goes_on = is_short & ~gains & np.isfinite(since_s)
    return msgspec.structs.replace(
        memory,
        unready_since_s=np.where(goes_on, since_s, np.where(is_short, now_s, np.nan)),
        ready_most=np.where(goes_on, memory.ready_most, np.where(is_short, ready, np.nan)),
        none_ready_since_s=np.where(none_ready, none_since_s, np.nan),
    )


def blocked_rows(
    told: dict[int, str],
    memory: TargetState,
    policy: PolicyRows,
    *,
    asked: IntArray,
    ready: IntArray,
    now_s: float,
) -> dict[int, str]:
    """A sentence for each row whose pods are blocked; what the cluster told goes first."""
    waited_s: FloatArray = now_s - memory.unready_since_s
    late = np.flatnonzero(waited_s > policy.lead_time_max_s)
    waiting = {
        row: f"{ready[row]} of {asked[row]} pods are Ready, none more for {waited_s[row]:.0f} s, "
        f"limit {policy.lead_time_max_s[row]:.0f} s"
        for row in late.tolist()
    }
    return waiting | told


def gone_rows(
    memory: TargetState, lead_time_s: FloatArray, *, asked: IntArray, now_s: float
) -> dict[int, str]:
    """A sentence for each row that has had no Ready pod for longer than its lead time.

    Pods that were asked for would be there by then: nodes, or the region itself, are gone.
    """
    without_s: FloatArray = now_s - memory.none_ready_since_s
    return {
        row: f"0 of {asked[row]} pods are Ready for {without_s[row]:.0f} s, its lead time is "
        f"{lead_time_s[row]:.0f} s"
        for row in np.flatnonzero(without_s > lead_time_s).tolist()
    }
