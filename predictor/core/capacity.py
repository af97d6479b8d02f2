"""Turns demand into replicas, from what the HPA's own metric specs say one pod carries.

`predictor/core/decide.py` calls it. The order is: what the operator set; the target of a Pods
metric that counts requests; what the pods were seen to carry at the HPA's CPU target. Memory is
never read: a leak would look like load. Where nothing says what a pod carries, the answer is
"unknown", not one.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from models.series import FloatArray
from predictor.core.cluster import HpaView, MetricTarget
from predictor.core.policy_rows import PolicyRows
from predictor.core.state import TargetState

UTILISATION_MIN = 20.0
"""Percent. Below it idle cost outweighs the cost of requests, and the ratio says nothing."""
READINGS_MIN = 6
"""A learned rate counts from this many readings on: a minute of ticks."""
SMOOTHING = 0.1
"""Weight of a new reading. The HPA's own reading already averages, so ten readings suffice."""
READING_RATIO_MAX = 2.0
"""A reading beyond this factor is cut: demand and CPU reading are not of one instant."""
REPLICAS_MAX = 1_000_000_000
"""More than any cluster has; an absurd demand must still be an integer."""
DUST = 1e-9
"""Relative. 300 / 0.1 must not become 3001 replicas by a rounding of the last bit."""


class RateSource(enum.StrEnum):
    """Where a rate per pod comes from."""

    CONFIGURED = "configured"
    HPA_METRIC = "hpa metric"
    LEARNED = "learned"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RatesPerPod:
    """Demand per second one Ready pod carries, shape (n,), NaN where unknown, and its source."""

    rate_per_s: FloatArray
    sources: tuple[RateSource, ...]

    def planned(self, rows: PolicyRows) -> FloatArray:
        """What the policy plans a pod of a floor to carry, shape (n,)."""
        return self.rate_per_s * rows.pod_load_ratio


def rates_per_pod(
    hpas: Sequence[HpaView | None],
    rows: PolicyRows,
    targets: TargetState,
    request_rate_metrics: Sequence[str],
) -> RatesPerPod:
    """What one pod of each target carries at the HPA's own target."""
    counted = frozenset(request_rate_metrics)
    stated = np.array([_stated_rate(hpa, counted) for hpa in hpas], dtype=np.float64)
    learned = np.where(targets.rate_readings >= READINGS_MIN, targets.rate_learned_per_s, np.nan)
    candidates = np.stack([rows.rate_per_pod_per_s, stated, learned])
    usable = np.isfinite(candidates) & (candidates > 0)
    first = np.where(usable.any(axis=0), usable.argmax(axis=0), len(candidates))
    rate = np.where(usable, candidates, np.nan)[np.minimum(first, 2), np.arange(len(hpas))]
    order = (
        RateSource.CONFIGURED,
        RateSource.HPA_METRIC,
        RateSource.LEARNED,
        RateSource.UNKNOWN,
    )
    return RatesPerPod(rate, tuple(order[place] for place in first.tolist()))


def replicas_for(demand_per_s: FloatArray, rate_per_s: FloatArray) -> FloatArray:
    """Whole replicas that carry the demand, shape as given; NaN where either is unknown."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        replicas = np.ceil(demand_per_s / rate_per_s * (1.0 - DUST))
    return np.minimum(replicas, REPLICAS_MAX)


def learn_rates(
    targets: TargetState, hpas: Sequence[HpaView | None], demand_per_s: FloatArray
) -> TargetState:
    """Add one reading per target whose pods are all Ready and whose CPU says something.

    A reading is demand / ready pods x target / current utilisation: what a pod would carry if it
    stood at the HPA's target. `demand_per_s` is whole demand, shape (n,), NaN where unknown.
    """
    load = np.array([_load_per_target(hpa) for hpa in hpas], dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        reading = demand_per_s / load
    reading = np.where(np.isfinite(reading) & (reading > 0), reading, np.nan)
    known = targets.rate_learned_per_s
    bounded = np.clip(reading, known / READING_RATIO_MAX, known * READING_RATIO_MAX)
    smoothed = known + SMOOTHING * (bounded - known)
    first = np.isnan(known)
    got = np.isfinite(reading)
    return msgspec.structs.replace(
        targets,
        rate_learned_per_s=np.where(got, np.where(first, reading, smoothed), known),
        rate_readings=np.minimum(targets.rate_readings + got, 1e6),
    )


def _stated_rate(hpa: HpaView | None, counted: frozenset[str]) -> float:
    """The lowest target of a Pods metric that counts requests: the HPA, too, obeys the tightest."""
    if hpa is None:
        return np.nan
    stated = [
        metric.target
        for metric in hpa.metrics
        if metric.kind == "Pods"
        and metric.target_type == "AverageValue"
        and metric.name in counted
        and metric.target > 0
    ]
    return min(stated, default=np.nan)


def _load_per_target(hpa: HpaView | None) -> float:
    """How many pods' worth of the CPU target is in use; NaN where the reading says nothing."""
    if hpa is None or hpa.ready_replicas <= 0 or hpa.ready_replicas != hpa.spec_replicas:
        return np.nan
    for metric in hpa.metrics:
        if _is_cpu(metric) and metric.current is not None and metric.current >= UTILISATION_MIN:
            return hpa.ready_replicas * metric.current / metric.target
    return np.nan


def _is_cpu(metric: MetricTarget) -> bool:
    return (
        metric.kind == "Resource"
        and metric.name == "cpu"
        and metric.target_type == "Utilization"
        and metric.target > 0
    )
