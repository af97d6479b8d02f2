"""Lays the inputs out as one row per target, so that everything after it is array operations.

`predictor/core/decide.py` calls it first. A target is a module in a region; the unpinned demand of
a routed module is one series for all regions and is looked up beside each of its targets. Nothing
here may decide anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.series import ALL_REGIONS, FloatArray
from predictor.core.asked_by_metrics import asked_by_metrics
from predictor.core.cluster import HpaView, TargetKey
from predictor.core.guardrails import BASELINE_UNKNOWN, BoolArray, IntArray
from predictor.core.inputs import Inputs
from predictor.core.policy import Policy
from predictor.core.policy_rows import PolicyRows, policy_rows
from predictor.core.reasons import Code, Reason

REPLICAS_SANE_MAX = 1_000_000
"""An HPA that claims more is read as this much, so that no sum runs over."""


@dataclass(frozen=True, slots=True)
class Demand:
    """One kind of demand per second: a target's own, and its module's unpinned, each shape (n,).

    `unpinned` is 0 for a module that is not routed and NaN where a routed one's is not known.
    """

    own: FloatArray
    unpinned: FloatArray

    def at(self, share: FloatArray) -> FloatArray:
        """Demand in the region when it serves this share (0..1) of the unpinned demand."""
        return self.own + share * self.unpinned


@dataclass(frozen=True, slots=True)
class Targets:
    """One row per target; replicas are 0 where the HPA cannot be seen.

    `left_alone` says why a row must not be touched. `peak` and `path` are the forecast at the row's
    quantile, whose level is `quantile`; `series_row` is the row's own series in the inputs.
    """

    keys: tuple[TargetKey, ...]
    hpas: tuple[HpaView | None, ...]
    left_alone: dict[int, Reason]
    policy: PolicyRows
    series_row: NDArray[np.intp]
    unpinned_row: NDArray[np.intp]
    quantile: FloatArray
    peak: Demand
    path: Demand
    complete: Demand
    provisional: Demand
    floor_now: IntArray
    replicas: IntArray
    ready_replicas: IntArray
    asked_by_metrics: IntArray
    max_replicas: IntArray
    baseline: IntArray

    @property
    def is_seen(self) -> BoolArray:
        """Which rows have an HPA."""
        return np.array([hpa is not None for hpa in self.hpas], dtype=np.bool_)


def lay_out(inputs: Inputs, policy: Policy) -> Targets:
    """One row for each series that names a region, in the order of the inputs."""
    places = [row for row, key in enumerate(inputs.keys) if key.region != ALL_REGIONS]
    keys = tuple(TargetKey(*inputs.keys[row]) for row in places)
    shared = {key.module: i for i, key in enumerate(inputs.keys) if key.region == ALL_REGIONS}
    series_row = np.array(places, dtype=np.intp)
    unpinned_row = np.array([shared.get(key.module, -1) for key in keys], dtype=np.intp)
    by_key = {hpa.key: hpa for hpa in inputs.cluster.hpas}
    hpas = tuple(by_key.get(key) for key in keys)
    rows = policy_rows(policy, keys)
    level = _level_column(inputs.levels, rows.quantile)

    def demand(values: FloatArray) -> Demand:
        if not len(keys):
            return Demand(np.zeros(0), np.zeros(0))
        other = values[np.maximum(unpinned_row, 0)]
        return Demand(values[series_row], np.where(unpinned_row >= 0, other, 0.0))

    def forecast(quantiles: FloatArray) -> Demand:
        table = quantiles.reshape(len(inputs.keys), len(inputs.levels))
        table = np.where(np.isfinite(table).all(axis=1, keepdims=True), table, np.nan)
        own, other = table[series_row, level], table[np.maximum(unpinned_row, 0), level]
        return Demand(own, np.where(unpinned_row >= 0, other, 0.0))

    return Targets(
        keys=keys,
        hpas=hpas,
        left_alone=_left_alone(keys, hpas, dict(inputs.cluster.problems)),
        policy=rows,
        series_row=series_row,
        unpinned_row=unpinned_row,
        quantile=np.array(inputs.levels)[level],
        peak=forecast(inputs.peak),
        path=forecast(inputs.path),
        complete=demand(inputs.complete_per_s),
        provisional=demand(inputs.provisional_per_s),
        floor_now=_replicas([hpa.min_replicas if hpa else 0 for hpa in hpas]),
        replicas=_replicas([hpa.spec_replicas if hpa else 0 for hpa in hpas]),
        asked_by_metrics=_replicas([asked_by_metrics(hpa) if hpa else 0 for hpa in hpas]),
        ready_replicas=_replicas([hpa.ready_replicas if hpa else 0 for hpa in hpas]),
        max_replicas=_replicas([hpa.max_replicas if hpa else 0 for hpa in hpas]),
        baseline=_baselines(hpas, rows),
    )


def _level_column(levels: tuple[float, ...], quantile: FloatArray) -> NDArray[np.intp]:
    """The lowest level that is not below the quantile, else the highest there is."""
    place = np.searchsorted(np.array(levels), quantile - 1e-9)
    return np.minimum(place, len(levels) - 1)


def _left_alone(
    keys: tuple[TargetKey, ...],
    hpas: tuple[HpaView | None, ...],
    problems: dict[TargetKey, Reason],
) -> dict[int, Reason]:
    reasons: dict[int, Reason] = {}
    for row, (key, hpa) in enumerate(zip(keys, hpas, strict=True)):
        if hpa is None:
            reasons[row] = problems.get(key) or Reason(
                Code.TARGET_MISSING, f"no HPA of {key.module} in {key.region} was read"
            )
        elif hpa.ambiguous:
            reasons[row] = Reason(
                Code.AMBIGUOUS_SELECTOR,
                f"another HPA also scales {hpa.deployment}; neither of them works",
            )
        elif hpa.spec_replicas <= 0 or hpa.min_replicas <= 0 or hpa.max_replicas <= 0:
            reasons[row] = Reason(
                Code.SCALED_TO_ZERO,
                f"{hpa.deployment} has {hpa.spec_replicas} replicas asked for, bounds "
                f"{hpa.min_replicas} to {hpa.max_replicas}",
            )
    return reasons


def _baselines(hpas: tuple[HpaView | None, ...], rows: PolicyRows) -> IntArray:
    """What the owner declared, else what is configured, else `BASELINE_UNKNOWN`."""
    declared = _replicas(
        [
            hpa.baseline_replicas if hpa and hpa.baseline_replicas else BASELINE_UNKNOWN
            for hpa in hpas
        ]
    )
    configured = np.nan_to_num(rows.replicas_min, nan=0.0).astype(np.int64)
    return np.where(
        declared == BASELINE_UNKNOWN, np.maximum(configured, BASELINE_UNKNOWN), declared
    )


def _replicas(values: list[int]) -> IntArray:
    bounded = [min(max(value, 0), REPLICAS_SANE_MAX) for value in values]
    return np.array(bounded, dtype=np.int64)
