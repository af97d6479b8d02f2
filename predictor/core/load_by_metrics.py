"""How many pods' worth of load an HPA's own metrics show, as far as its status says.

`predictor/core/decide.py` asks at each look at the cluster. It is the witness that no sender of
events can forge: what the pods themselves report. It must never be taken for what the HPA will do.

A reading is older than the number of pods beside it. Just after pods were added, the old reading
times the new number would show a load that is not there, and a floor raised for that would bear
itself out. So a reading counts for the fewest pods that were Ready while it may have been taken.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from models.series import FloatArray
from predictor.core.cluster import HpaView
from predictor.core.guardrails import BoolArray, IntArray
from predictor.core.state import TargetState

READING_AGE_S = 60.0
"""A reading is at most this old: scrapes of 15 s, a window of 30 s and a sync of the HPA of 15 s
(Kubernetes metrics-server, `--metric-resolution`; prometheus-adapter's usual rate windows)."""
_DUST = 1e-9


def load_ratio(hpa: HpaView) -> float:
    """The most that any metric shows, over its target; NaN where none says anything.

    Source: Kubernetes documentation, "Horizontal Pod Autoscaling", algorithm details. Without the
    controller's tolerance: it is a load, not a change.
    """
    shown = math.nan
    for metric in hpa.metrics:
        if metric.current is None or not metric.target > 0:
            continue
        ratio = metric.current / metric.target
        if 0 <= ratio < math.inf and not ratio <= shown:
            shown = ratio
    return shown


def observe_pods(
    memory: TargetState, is_seen: BoolArray, ready: IntArray, now_s: float
) -> TargetState:
    """Note the fewest Ready pods, shape (n,), of the last one to two reading ages."""
    ready_now = np.where(is_seen, ready, np.nan)
    is_over = ~(now_s - memory.ready_low_since_s < READING_AGE_S)
    return msgspec.structs.replace(
        memory,
        ready_low_since_s=np.where(is_over, now_s, memory.ready_low_since_s),
        ready_low_before=np.where(is_over, memory.ready_low, memory.ready_low_before),
        ready_low=np.where(is_over, ready_now, np.fmin(memory.ready_low, ready_now)),
    )


def load_by_metrics(ratio: FloatArray, memory: TargetState) -> FloatArray:
    """The load in replicas at the metrics' targets, shape (n,); NaN where nothing shows it."""
    pods = np.fmin(memory.ready_low, memory.ready_low_before)
    load = np.ceil(np.where(pods > 0, ratio, np.nan) * pods * (1.0 - _DUST))
    return np.where(np.isfinite(load), load, np.nan)
