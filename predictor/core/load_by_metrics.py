"""How many pods' worth of load an HPA's own metrics show, as far as its status says.

`predictor/core/decide.py` asks at each look at the cluster. It is the witness that no sender of
events can forge: what the pods themselves report. It must never be taken for what the HPA will do.

Only a reading that pods share out among them is a witness. Memory, a response time or a `Value` is
the same with twice the pods: it would show twice the load after each raise, and bear out the next.
So would the CPU that an idle pod uses, which is taken off as far as it is known.

A reading is older than the number of pods beside it. Just after pods were added, the old reading
times the new number would show a load that is not there, and a floor raised for that would bear
itself out. So a reading counts for the fewest pods that were Ready while it may have been taken.
"""

from __future__ import annotations

import math
from collections.abc import Container
from typing import NamedTuple

import msgspec
import numpy as np

from models.series import FloatArray
from predictor.core.cluster import HpaView, MetricTarget
from predictor.core.guardrails import BoolArray, IntArray
from predictor.core.line_fit import INTERCEPT
from predictor.core.metric_columns import usage_metric
from predictor.core.state import TargetState

READING_AGE_S = 60.0
"""A reading is at most this old: scrapes of 15 s, a window of 30 s and a sync of the HPA of 15 s
(Kubernetes metrics-server, `--metric-resolution`; prometheus-adapter's usual rate windows)."""
IDLE_RATIO_MAX = 0.9
"""Of the target: so much of a CPU reading is taken for idle use at most."""
_DUST = 1e-9


class LoadRatios(NamedTuple):
    """What metrics show, over their targets; NaN where none says anything.

    `cpu` is that of the CPU metric which is learned from, `cpu_target` its target in its own unit,
    `others` the most that any other metric shows.
    """

    others: float
    cpu: float
    cpu_target: float


NOTHING_SHOWN = LoadRatios(math.nan, math.nan, math.nan)


def load_ratios(hpa: HpaView, timed: Container[str]) -> LoadRatios:
    """The readings of one HPA that are shared out among its pods; `timed` names response times.

    Source: Kubernetes documentation, "Horizontal Pod Autoscaling", algorithm details. Without the
    controller's tolerance: it is a load, not a change.
    """
    others = of_cpu = math.nan
    cpu = usage_metric(hpa.metrics)
    for metric in hpa.metrics:
        ratio = math.nan if metric.name in timed else _shared_ratio(metric)
        if metric is cpu:
            of_cpu = ratio
        elif not ratio <= others and not math.isnan(ratio):
            others = ratio
    return LoadRatios(others, of_cpu, math.nan if cpu is None else cpu.target)


def _shared_ratio(metric: MetricTarget) -> float:
    """The reading over its target; NaN where there is none that would fall with more pods."""
    is_shared = metric.target_type != "Value" and metric.name != "memory"
    if metric.current is None or not (is_shared and metric.target > 0):
        return math.nan
    ratio = metric.current / metric.target
    return ratio if 0 <= ratio < math.inf else math.nan


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


def load_by_metrics(ratios: FloatArray, memory: TargetState) -> FloatArray:
    """The load in replicas at the metrics' targets, shape (n,); NaN where nothing shows it.

    `ratios` has shape (n, 3), a row of `LoadRatios` for each target.
    """
    others, cpu, cpu_target = ratios.reshape(-1, 3).T
    idle = np.nan_to_num(memory.usage_line[:, INTERCEPT] / cpu_target, nan=0.0)
    idle = np.clip(idle, 0.0, IDLE_RATIO_MAX)
    ratio = np.fmax(others, np.maximum(cpu - idle, 0.0) / (1.0 - idle))
    pods = np.fmin(memory.ready_low, memory.ready_low_before)
    load = np.ceil(np.where(pods > 0, ratio, np.nan) * pods * (1.0 - _DUST))
    return np.where(np.isfinite(load), load, np.nan)
