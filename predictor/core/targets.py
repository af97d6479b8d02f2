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
from predictor.core.effective_policy import effective_rows, is_ours, mode_of, why_only_recorded
from predictor.core.guardrails import BASELINE_UNKNOWN, NO_CEILING, BoolArray, IntArray
from predictor.core.inputs import Inputs
from predictor.core.load_by_metrics import NOTHING_SHOWN, load_ratios
from predictor.core.opt_in import FLOOR, Mode
from predictor.core.policy import Policy
from predictor.core.policy_rows import PolicyRows
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

    `left_alone` says why a row must not be touched, `only_recorded` why its change is not written.
    `peak` and `path` are the forecast at the row's quantile, whose level is `quantile`, `usual` the
    highest demand that there is as a rule; `series_row` is the row's own series in the inputs.
    `load_ratios`, shape (n, 3), is the load that the HPA's metrics show (`load_by_metrics.py`).
    `kept_until_s` is when the floor runs out by what stands on the object (NaN: not at all).
    """

    keys: tuple[TargetKey, ...]
    hpas: tuple[HpaView | None, ...]
    modes: tuple[Mode, ...]
    left_alone: dict[int, Reason]
    only_recorded: dict[int, Reason]
    policy: PolicyRows
    series_row: NDArray[np.intp]
    unpinned_row: NDArray[np.intp]
    quantile: FloatArray
    peak: Demand
    path: Demand
    complete: Demand
    provisional: Demand
    usual: Demand
    floor_now: IntArray
    replicas: IntArray
    ready_replicas: IntArray
    asked_by_metrics: IntArray
    load_ratios: FloatArray
    max_replicas: IntArray
    baseline: IntArray
    ceiling: IntArray
    kept_until_s: FloatArray
    is_ours: BoolArray

    def most_at(self, share: FloatArray) -> FloatArray:
        """The highest demand that will be sized for at this share, forecast or seen: (n,)."""
        seen = np.fmax(self.complete.at(share), self.provisional.at(share))
        most: FloatArray = np.fmax(np.fmax(self.peak.at(share), self.path.at(share)), seen)
        return most

    @property
    def paused(self) -> BoolArray:
        """Which rows' floors are ours and to be taken back, because their owner paused them."""
        paused = np.array([mode is Mode.PAUSED for mode in self.modes], dtype=np.bool_)
        paused[list(self.left_alone)] = False
        return paused

    @property
    def is_written(self) -> BoolArray:
        """Which rows' changes are written, as far as this can be known here."""
        written = self.is_seen
        written[list(self.left_alone)] = False
        written[list(self.only_recorded)] = False
        return written

    @property
    def blocked(self) -> dict[int, str]:
        """What keeps a row's pods from becoming Ready, where the cluster says so."""
        return {row: hpa.blocked for row, hpa in enumerate(self.hpas) if hpa and hpa.blocked}

    @property
    def metrics_failing(self) -> dict[int, str]:
        """Which of a row's metrics cannot be read."""
        failing = enumerate(self.hpas)
        return {row: hpa.metrics_failing for row, hpa in failing if hpa and hpa.metrics_failing}

    @property
    def metrics_failing_since_s(self) -> FloatArray:
        """Since when, by the HPA's controller; NaN where it does not say."""
        since = ((hpa and hpa.metrics_failing_since_s) or np.nan for hpa in self.hpas)
        return np.fromiter(since, np.float64, len(self.hpas))

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
    modes = tuple(mode_of(policy, key, hpa) for key, hpa in zip(keys, hpas, strict=True))
    rows = effective_rows(policy, keys, hpas)
    baseline = _baselines(hpas, rows)
    usual = inputs.usual_peak_per_s
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
        modes=modes,
        left_alone=_left_alone(keys, hpas, modes, baseline, dict(inputs.cluster.problems)),
        only_recorded=_only_recorded(policy, hpas, modes),
        policy=rows,
        series_row=series_row,
        unpinned_row=unpinned_row,
        quantile=np.array(inputs.levels)[level],
        peak=forecast(inputs.peak),
        path=forecast(inputs.path),
        complete=demand(inputs.complete_per_s),
        provisional=demand(inputs.provisional_per_s),
        usual=demand(np.full(len(inputs.keys), np.nan) if usual is None else usual),
        floor_now=_replicas([hpa.min_replicas if hpa else 0 for hpa in hpas]),
        replicas=_replicas([hpa.spec_replicas if hpa else 0 for hpa in hpas]),
        asked_by_metrics=_replicas([asked_by_metrics(hpa) if hpa else 0 for hpa in hpas]),
        ready_replicas=_replicas([hpa.ready_replicas if hpa else 0 for hpa in hpas]),
        max_replicas=_replicas([hpa.max_replicas if hpa else 0 for hpa in hpas]),
        load_ratios=_load_ratios(hpas, policy),
        baseline=baseline,
        ceiling=_replicas([(hpa and hpa.opt_in.ceiling) or NO_CEILING for hpa in hpas]),
        kept_until_s=np.array(
            [hpa.kept.until_s if hpa and hpa.kept.until_s else np.nan for hpa in hpas],
            dtype=np.float64,
        ),
        is_ours=np.array([is_ours(hpa) for hpa in hpas], dtype=np.bool_),
    )


def _load_ratios(hpas: tuple[HpaView | None, ...], policy: Policy) -> FloatArray:
    timed = frozenset(policy.response_time_metrics)
    shown = [load_ratios(hpa, timed) if hpa else NOTHING_SHOWN for hpa in hpas]
    return np.array(shown, dtype=np.float64).reshape(-1, 3)


def _level_column(levels: tuple[float, ...], quantile: FloatArray) -> NDArray[np.intp]:
    """The lowest level that is not below the quantile, else the highest there is."""
    place = np.searchsorted(np.array(levels), quantile - 1e-9)
    return np.minimum(place, len(levels) - 1)


def _left_alone(
    keys: tuple[TargetKey, ...],
    hpas: tuple[HpaView | None, ...],
    modes: tuple[Mode, ...],
    baseline: IntArray,
    problems: dict[TargetKey, Reason],
) -> dict[int, Reason]:
    reasons: dict[int, Reason] = {}
    for row, (key, hpa) in enumerate(zip(keys, hpas, strict=True)):
        if hpa is None:
            why: Reason | None = problems.get(key) or Reason(
                Code.TARGET_MISSING, f"no HPA of {key.module} in {key.region} was read"
            )
        else:
            why = _why_left_alone(hpa, modes[row], int(baseline[row]))
        if why is not None:
            reasons[row] = why
    return reasons


def _why_left_alone(hpa: HpaView, mode: Mode, baseline: int) -> Reason | None:
    """Why nothing may be written to this HPA; None where its floor may move."""
    if hpa.opt_in.faults:
        return Reason(Code.ANNOTATION_UNREADABLE, "; ".join(hpa.opt_in.faults))
    if hpa.held_back is not None:
        return hpa.held_back
    return _why_off(hpa) or _why_theirs(hpa, mode, baseline)


def _why_off(hpa: HpaView) -> Reason | None:
    """Why no floor would do anything here."""
    if hpa.ambiguous:
        return Reason(
            Code.AMBIGUOUS_SELECTOR,
            f"another HPA also scales {hpa.deployment}; neither of them works",
        )
    if hpa.spec_replicas <= 0 or hpa.min_replicas <= 0 or hpa.max_replicas <= 0:
        return Reason(
            Code.SCALED_TO_ZERO,
            f"{hpa.deployment} has {hpa.spec_replicas} replicas asked for, bounds "
            f"{hpa.min_replicas} to {hpa.max_replicas}",
        )
    return None


def _why_theirs(hpa: HpaView, mode: Mode, baseline: int) -> Reason | None:
    """Why the floor is somebody's whom we do not overrule."""
    declared = hpa.opt_in.floor
    if declared is not None and hpa.min_replicas > declared and not is_ours(hpa):
        return Reason(
            Code.CONFLICT,
            f"{hpa.floor_manager or 'somebody'} set {hpa.floor_object.kind.minimum} to "
            f"{hpa.min_replicas}, and {FLOOR} says {declared}: it stays theirs until the two agree",
        )
    if mode is Mode.PAUSED and not _has_ours_on_it(hpa, baseline):
        return Reason(Code.PAUSED, "the owner paused this HPA, and nothing of ours is on it")
    return None


def _has_ours_on_it(hpa: HpaView, baseline: int) -> bool:
    """Whether there is a floor of ours to take back, or a word of ours about one."""
    is_raised = hpa.min_replicas > baseline or hpa.kept.until_s is not None
    return is_ours(hpa) and baseline != BASELINE_UNKNOWN and is_raised


def _only_recorded(
    policy: Policy, hpas: tuple[HpaView | None, ...], modes: tuple[Mode, ...]
) -> dict[int, Reason]:
    why = (why_only_recorded(policy, hpa, mode) for hpa, mode in zip(hpas, modes, strict=True))
    return {row: reason for row, reason in enumerate(why) if reason is not None}


def _baselines(hpas: tuple[HpaView | None, ...], rows: PolicyRows) -> IntArray:
    """What the owner declared, else what is configured, else `BASELINE_UNKNOWN`.

    The annotation is the owner's word whatever the field holds now.
    """
    declared = _replicas([_declared(hpa) if hpa else BASELINE_UNKNOWN for hpa in hpas])
    configured = np.nan_to_num(rows.replicas_min, nan=0.0).astype(np.int64)
    return np.where(
        declared == BASELINE_UNKNOWN, np.maximum(configured, BASELINE_UNKNOWN), declared
    )


def _declared(hpa: HpaView) -> int:
    return hpa.opt_in.floor or hpa.baseline_replicas or BASELINE_UNKNOWN


def _replicas(values: list[int]) -> IntArray:
    claimed = np.array(values, dtype=np.float64)
    return np.clip(claimed, 0, REPLICAS_SANE_MAX).astype(np.int64)
