"""Takes note of each target's pods: how many, since when, and whether they are still the same.

`predictor/core/decide.py` calls `of_same_pods` before anything is learned from a view of the
cluster, and `look_at_pods` after the lead times. What was learned of a pod before its template
changed is of another pod: it is kept as what is likely, and never counted as measured.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray
from predictor.core.cost_since_deploy import cost_since_deploy, rate_in_proportion
from predictor.core.line_fit import REACH, SLOPE, SLOPE_HIGH, SLOPE_LOW
from predictor.core.metric_columns import MetricColumns
from predictor.core.state import TargetState

AVERAGED_S = 45.0
"""Demand is smoothed as the HPA's CPU reading is: scrapes of 15 s, seen some 30 s late (Kubernetes
metrics-server, `--metric-resolution`)."""


def of_same_pods(targets: TargetState, metrics: MetricColumns, former_s: FloatArray) -> TargetState:
    """Where the pod template changed, begin to learn anew, from what was known before.

    `former_s`, shape (n,), is the lead time known so far, NaN where none was measured. A template
    that cannot be read is taken for the same.
    """
    template = metrics.template
    changed = np.isfinite(template) & (template != targets.template_seen)
    first = changed & np.isnan(targets.template_seen)
    changed &= ~first
    seen = np.where(np.isfinite(template), template, targets.template_seen)
    targets = msgspec.structs.replace(targets, template_seen=seen)
    if not changed.any():
        return targets
    rate, _ = rate_in_proportion(targets)
    known = np.isfinite(rate) & changed
    return msgspec.structs.replace(
        targets,
        usage_rates_per_s=blank(targets.usage_rates_per_s, changed),
        usage_readings=blank(targets.usage_readings, changed),
        response_readings_s=blank(targets.response_readings_s, changed),
        response_line=blank(targets.response_line, changed),
        usage_line=_scaled(targets.usage_line, changed, cost_since_deploy(targets)),
        is_former_line=np.where(changed, 1.0, targets.is_former_line),
        cost_ratio=blank(targets.cost_ratio, changed),
        rate_former_per_s=np.where(known, rate, targets.rate_former_per_s),
        rate_learned_per_s=blank(targets.rate_learned_per_s, changed),
        rate_readings=np.where(changed, 0.0, targets.rate_readings),
        pods_since_s=blank(targets.pods_since_s, changed),
        pending_floor=blank(targets.pending_floor, changed),
        pending_scale_up=blank(targets.pending_scale_up, changed),
        lead_former_s=np.where(changed & np.isfinite(former_s), former_s, targets.lead_former_s),
        lead_samples_s=blank(targets.lead_samples_s, changed),
        scale_up_samples_s=blank(targets.scale_up_samples_s, changed),
    )


def look_at_pods(
    targets: TargetState, metrics: MetricColumns, demand_per_s: FloatArray, now_s: float
) -> TargetState:
    """Note pods and demand (whole, per second, shape (n,), NaN where unknown) as they are now."""
    ready = np.array([hpa.ready_replicas if hpa else np.nan for hpa in metrics.hpas], dtype=float)
    asked = np.array([hpa.spec_replicas if hpa else np.nan for hpa in metrics.hpas], dtype=float)
    stands = (ready == asked) & (ready > 0) & (ready == targets.ready_seen)
    since_s = np.where(stands & np.isfinite(targets.pods_since_s), targets.pods_since_s, now_s)
    waited_s = np.maximum(now_s - targets.looked_at_s, 0.0)
    before = targets.demand_smoothed_per_s
    smoothed = before + (1.0 - np.exp(-waited_s / AVERAGED_S)) * (demand_per_s - before)
    return msgspec.structs.replace(
        targets,
        demand_smoothed_per_s=np.where(np.isfinite(smoothed), smoothed, demand_per_s),
        pods_since_s=since_s,
        ready_seen=ready,
        spec_seen=asked,
        looked_at_s=np.full(len(ready), now_s),
    )


def blank(values: FloatArray, rows: NDArray[np.bool_]) -> FloatArray:
    """The values with NaN in these rows."""
    emptied = values.copy()
    emptied[rows] = np.nan
    return emptied


def _scaled(lines: FloatArray, rows: NDArray[np.bool_], ratio: FloatArray) -> FloatArray:
    """A line of an older template still, with what requests cost since: ratio times as much."""
    factor = np.where(rows, ratio, 1.0)[:, None]
    scaled = lines.copy()
    scaled[:, [SLOPE, SLOPE_LOW, SLOPE_HIGH]] *= factor
    scaled[:, [REACH]] /= factor
    return scaled
