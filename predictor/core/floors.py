"""Puts the arrays of one decision into words: a `FloorDecision` per target, with its reasons.

`predictor/core/decide.py` calls it last. Sentences and objects are made here and nowhere else, once
per row of output; nothing here may change a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

import numpy as np

from models.series import FloatArray
from predictor.core.capacity import Evidence, RatesPerPod
from predictor.core.cluster import FloorIntent, HpaView, TargetKey
from predictor.core.decision import FloorDecision
from predictor.core.expiry import renewal_reason
from predictor.core.fleet_floors import FleetFloors
from predictor.core.guardrails import BASELINE_UNKNOWN, BoolArray, IntArray
from predictor.core.inputs import Inputs
from predictor.core.lead_time import LeadTimes
from predictor.core.opt_in import Mode
from predictor.core.reasons import Code, Reason
from predictor.core.targets import Targets


@dataclass(frozen=True, slots=True)
class Sized:
    """Demand per second and the replicas it asks for, shape (n,), NaN where not known.

    `rate_per_s` is what a pod is planned to carry. `peak` is the window's, `path` the highest from
    now to the window's end. `demand_per_s` is what is asked for now at today's weights;
    `observed_per_s` is the same at the weights sized for. `for_usual` are the replicas of the
    demand that there is as a rule.
    """

    rate_per_s: FloatArray
    demand_per_s: FloatArray
    observed_per_s: FloatArray
    peak_per_s: FloatArray
    path_per_s: FloatArray
    for_peak: FloatArray
    for_path: FloatArray
    for_observed: FloatArray
    for_usual: FloatArray


def floor_decisions(
    inputs: Inputs,
    targets: Targets,
    sized: Sized,
    fleet: FleetFloors,
    *,
    leads: LeadTimes,
    rates: RatesPerPod,
    evidence: Evidence,
    number: int,
    expiry_s: float,
    now_s: float,
) -> tuple[FloorDecision, ...]:
    """One per target, in their order; `evidence` says what a row's rate per pod rests on."""
    missing = np.where(
        np.isfinite(targets.peak.own) & (targets.unpinned_row >= 0),
        targets.unpinned_row,
        targets.series_row,
    )
    decisions = []
    reasons = fleet.rulings.reasons
    rows = _rows(targets, sized, fleet, leads=leads, rates=rates)
    for row, values in enumerate(rows):
        hpa, alone = targets.hpas[row], targets.left_alone.get(row)
        causes = _causes(values, inputs.forecast_reasons[missing[row]], evidence.sentence(row, hpa))
        said = (*causes, *reasons.get(row, ())) if alone is None else (alone, *causes)
        if values.rewrites:
            left_s = float(targets.kept_until_s[row]) - now_s
            said = (*said, renewal_reason(fleet.expiry, row, values.allowed, left_s, expiry_s))
        recorded = targets.only_recorded.get(row)
        if recorded is not None and recorded.code is Code.NOT_OPTED_IN:
            said = (*said, recorded)
        if hpa is not None and hpa.notes:
            said = (*said, *hpa.notes)
        decisions.append(
            _decision(
                values,
                targets.keys[row],
                hpa,
                reasons=said,
                lead_time_source=str(leads.source(row)),
                rate_source=str(rates.sources[row]),
                intent=None if alone else _intent(values, hpa, number, said, recorded),
                is_left_alone=alone is not None,
                mode=targets.modes[row],
            )
        )
    return tuple(decisions)


class _Row(NamedTuple):
    """One target's numbers as plain Python numbers, in the order of the columns in `_rows`."""

    allowed: int
    shadow: int
    floor_now: int
    baseline: int
    ready_replicas: int
    max_replicas: int
    quantile: float
    lead_time_s: float
    hold_s: float
    rate_per_s: float
    planned_rate_per_s: float
    until_s: float
    rewrites: bool
    demand_per_s: float
    observed_per_s: float
    peak_per_s: float
    path_per_s: float
    for_peak: float
    for_path: float
    for_observed: float

    @property
    def needed(self) -> float:
        """Replicas that forecast and demand ask for; NaN where neither is known."""
        if not isfinite(self.for_peak):
            return self.for_observed
        return max(self.for_peak, self.for_observed if isfinite(self.for_observed) else 0.0)


def _rows(
    targets: Targets,
    sized: Sized,
    fleet: FleetFloors,
    *,
    leads: LeadTimes,
    rates: RatesPerPod,
) -> list[_Row]:
    """Columns to rows, each number made a plain one once."""
    columns: tuple[FloatArray | IntArray | BoolArray, ...] = (
        fleet.rulings.allowed,
        fleet.shadow.floor,
        targets.floor_now,
        targets.baseline,
        targets.ready_replicas,
        targets.max_replicas,
        targets.quantile,
        leads.lead_time_s,
        targets.policy.hold_s,
        rates.rate_per_s,
        sized.rate_per_s,
        fleet.expiry.until_s,
        fleet.rewrites,
        sized.demand_per_s,
        sized.observed_per_s,
        sized.peak_per_s,
        sized.path_per_s,
        sized.for_peak,
        sized.for_path,
        sized.for_observed,
    )
    return [_Row(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _decision(
    row: _Row,
    key: TargetKey,
    hpa: HpaView | None,
    *,
    reasons: tuple[Reason, ...],
    lead_time_source: str,
    rate_source: str,
    intent: FloorIntent | None,
    is_left_alone: bool,
    mode: Mode,
) -> FloorDecision:
    is_seen = hpa is not None
    floor = row.floor_now if is_left_alone else row.allowed
    needed = row.needed
    return FloorDecision(
        key=key,
        floor_now=row.floor_now if is_seen else None,
        floor_wanted=max(int(needed), row.baseline) if isfinite(needed) else None,
        floor=floor if is_seen else None,
        floor_shadow=row.shadow if is_seen else None,
        demand_per_s=_known(row.demand_per_s),
        forecast_peak_per_s=_known(row.peak_per_s),
        quantile=row.quantile,
        lead_time_s=row.lead_time_s,
        lead_time_source=lead_time_source,
        hold_s=row.hold_s,
        rate_per_pod_per_s=_known(row.rate_per_s),
        rate_source=rate_source,
        ready_replicas=row.ready_replicas if is_seen else None,
        baseline_replicas=None if row.baseline == BASELINE_UNKNOWN else row.baseline,
        max_replicas=row.max_replicas if is_seen else None,
        reasons=reasons,
        intent=intent,
        mode=mode,
    )


def _intent(
    row: _Row,
    hpa: HpaView | None,
    number: int,
    said: tuple[Reason, ...],
    only_recorded: Reason | None,
) -> FloorIntent | None:
    if hpa is None or (row.allowed == row.floor_now and not row.rewrites):
        return None
    until_s = _known(row.until_s)
    return FloorIntent(
        key=hpa.key,
        namespace=hpa.namespace,
        name=hpa.name,
        uid=hpa.uid,
        resource_version=hpa.resource_version,
        floor_now=row.floor_now,
        floor=row.allowed,
        decision_number=number,
        until_s=until_s,
        reason="" if until_s is None or not said else said[0].sentence,
        only_recorded=only_recorded,
    )


def _causes(row: _Row, forecast_reason: tuple[str, str], evidence: str) -> tuple[Reason, ...]:
    """Why this many replicas are wanted."""
    causes: list[Reason] = []
    if not isfinite(row.peak_per_s):
        code, sentence = forecast_reason
        causes.append(Reason(Code.NO_FORECAST, f"{sentence} ({code})"))
    if not isfinite(row.rate_per_s):
        sentence = "neither the configuration nor the HPA's metrics say what one pod carries"
        sentence = f"{sentence}: {evidence}" if evidence else sentence
        if row.floor_now > row.baseline > BASELINE_UNKNOWN:
            sentence = f"{sentence}; the floor of {row.floor_now} is not renewed"
        causes.append(Reason(Code.NO_RATE_PER_POD, sentence))
    elif isfinite(row.needed):
        causes.append(_cause(row, evidence))
    return tuple(causes)


def _cause(row: _Row, evidence: str) -> Reason:
    needed, each = row.needed, f"replicas at {row.planned_rate_per_s:.1f}/s each ({evidence})"
    if row.for_path > max(needed, row.baseline) and needed < row.floor_now:
        return Reason(
            Code.FORECAST_PEAK,
            f"before the window's end the forecast reaches {row.path_per_s:.1f}/s: "
            f"{row.for_path:.0f} {each}",
        )
    if needed <= row.baseline:
        return Reason(
            Code.BASELINE, f"demand asks for {needed:.0f} {each}, the baseline is {row.baseline}"
        )
    if row.for_peak == needed:
        return Reason(
            Code.FORECAST_PEAK,
            f"the {row.quantile:g} quantile of the peak {row.lead_time_s:.0f} to "
            f"{row.lead_time_s + row.hold_s:.0f} s ahead is {row.peak_per_s:.1f}/s: "
            f"{row.for_peak:.0f} {each}",
        )
    return Reason(
        Code.OBSERVED_DEMAND,
        f"demand is {row.observed_per_s:.1f}/s: {row.for_observed:.0f} {each}",
    )


def _known(value: float) -> float | None:
    return value if isfinite(value) else None
