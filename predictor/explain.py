"""One decision as a person would want it told: facts first, no words yet.

`predictor/explain_cli.py` calls `explained` and `predictor/explain_text.py` makes sentences of it;
`--json` writes it as it is. All comes from one audit record. It must never decide anew: where it
makes the decision again, that is to see what the decision had learned by then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from models.series import ALL_REGIONS
from predictor.core.audit import OutcomeRow, Record, RecordRefused, made_again
from predictor.core.budgets import BUDGET_CODES
from predictor.core.cluster import Applied, HpaView, TargetKey
from predictor.core.decision import FloorDecision, WeightDecision
from predictor.core.guardrails import GUARDRAILS
from predictor.core.inputs import Inputs
from predictor.core.metric_columns import is_request_rate
from predictor.core.reasons import Code, Reason
from predictor.core.state import State
from predictor.explain_aftermath import Aftermath, aftermath
from predictor.explain_choice import Later

GUARDRAIL_CODES = frozenset(rule.code for rule in GUARDRAILS) | BUDGET_CODES
LEFT_ALONE_CODES = frozenset(
    (
        Code.TARGET_MISSING,
        Code.SCALED_TO_ZERO,
        Code.AMBIGUOUS_SELECTOR,
        Code.ANNOTATION_UNREADABLE,
        Code.SCALED_OBJECT,
        Code.OTHER_CONTROLLER,
        Code.VERTICAL_AUTOSCALER,
        Code.STALE_READ,
        Code.CONFLICT,
    )
)


class SeriesReason(msgspec.Struct, frozen=True):
    """How one series behind a target was forecast. `series` is `*` for unpinned demand."""

    series: str
    code: str
    sentence: str


class Write(msgspec.Struct, frozen=True):
    """What was to be written and what came of it; `reason` where nothing was written.

    `epoch` says which owner of the module's partition wrote, 0 where nobody counts them.
    """

    name: str
    applied: bool
    reason: Reason | None = None
    epoch: int = 0


class TargetExplained(msgspec.Struct, frozen=True):
    """One target. Rates per second, floors in replicas, times in seconds.

    The forecast's window is from `lead_time_s` to `lead_time_s + hold_s` after the decision.
    `lead_time_raises`, `lead_time_scale_ups` (of the HPA by itself) and `rate_readings` say on how
    many measurements the learned values rest;
    `rate_metric` is the HPA's own metric where its target is the rate. `causes` say why so many are
    wanted, `guardrails` what limited that, in the order in which the rules were applied.
    """

    module: str
    region: str
    demand_per_s: float | None
    ready_replicas: int | None
    forecast_peak_per_s: float | None
    quantile: float
    forecasts: tuple[SeriesReason, ...]
    lead_time_s: float
    lead_time_source: str
    lead_time_raises: int
    lead_time_scale_ups: int
    hold_s: float
    rate_per_pod_per_s: float | None
    pod_load_ratio: float
    rate_source: str
    rate_readings: int
    rate_metric: str | None
    baseline_replicas: int | None
    max_replicas: int | None
    floor_now: int | None
    floor_wanted: int | None
    floor: int | None
    floor_shadow: int | None
    left_alone: Reason | None
    causes: tuple[Reason, ...]
    guardrails: tuple[Reason, ...]
    write: Write | None
    afterwards: Aftermath | None = None


class RouteExplained(msgspec.Struct, frozen=True):
    """The weights of the module's default route, in points of 100 and the order of `regions`."""

    regions: tuple[str, ...]
    weights_now: tuple[int, ...]
    weights_home: tuple[int, ...]
    weights_wanted: tuple[int, ...]
    weights: tuple[int, ...]
    reasons: tuple[Reason, ...]
    write: Write | None


class Explanation(msgspec.Struct, frozen=True):
    """One decision for one module; `made_at_s` in epoch seconds, ages in seconds."""

    module: str
    number: int
    made_at_s: float
    model_name: str
    model_digest: str
    telemetry_age_s: float | None
    lag_s: float | None
    incomplete: str
    targets: tuple[TargetExplained, ...]
    route: RouteExplained | None


def explained(
    record: Record,
    module: str,
    region: str | None = None,
    later: Callable[[TargetKey], Sequence[Later]] = lambda key: (),
) -> Explanation:
    """What the record says of the module, or of one of its regions.

    `later` gives what other records say of a target after this one, in order of time. Raises
    `RecordRefused` for a record whose rows do not fit each other.
    """
    inputs, decision = record.inputs, record.decision
    learned = _learned(record)
    rows = [
        _target(record, row, learned, later(row.key))
        for row in decision.floors
        if row.key.module == module and region in (None, row.key.region)
    ]
    routes = [one for one in decision.weights if one.module == module]
    return Explanation(
        module=module,
        number=decision.number,
        made_at_s=decision.made_at_s,
        model_name=inputs.model_name,
        model_digest=inputs.model_digest,
        telemetry_age_s=inputs.telemetry_age_s,
        lag_s=inputs.lag_s,
        incomplete=inputs.incomplete,
        targets=tuple(rows),
        route=_route(record, routes[0]) if routes else None,
    )


def _learned(record: Record) -> State:
    """What had been measured when the decision was made, this tick's readings included."""
    try:
        return made_again(record)[1]
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise RecordRefused(f"no decision can be made from it: {error}") from error


def _target(
    record: Record, row: FloorDecision, learned: State, later: Sequence[Later]
) -> TargetExplained:
    hpa = next((one for one in record.inputs.cluster.hpas if one.key == row.key), None)
    place = {key: at for at, key in enumerate(learned.keys)}.get(row.key)
    raises, scale_ups, readings = _measurements(learned, place)
    load_ratio, rate_per_s = record.policy.of(*row.key).pod_load_ratio, row.rate_per_pod_per_s
    planned_per_s = None if rate_per_s is None else rate_per_s * load_ratio
    return TargetExplained(
        module=row.key.module,
        region=row.key.region,
        demand_per_s=row.demand_per_s,
        ready_replicas=row.ready_replicas,
        forecast_peak_per_s=row.forecast_peak_per_s,
        quantile=row.quantile,
        forecasts=_forecasts(record.inputs, row.key),
        lead_time_s=row.lead_time_s,
        lead_time_source=row.lead_time_source,
        lead_time_raises=raises,
        lead_time_scale_ups=scale_ups,
        hold_s=row.hold_s,
        rate_per_pod_per_s=rate_per_s,
        pod_load_ratio=load_ratio,
        rate_source=row.rate_source,
        rate_readings=readings,
        rate_metric=_rate_metric(row, hpa, record.policy.request_rate_metrics),
        baseline_replicas=row.baseline_replicas,
        max_replicas=row.max_replicas,
        floor_now=row.floor_now,
        floor_wanted=row.floor_wanted,
        floor=row.floor,
        floor_shadow=row.floor_shadow,
        left_alone=next((one for one in row.reasons if one.code in LEFT_ALONE_CODES), None),
        causes=tuple(
            one for one in row.reasons if one.code not in GUARDRAIL_CODES | LEFT_ALONE_CODES
        ),
        guardrails=tuple(one for one in row.reasons if one.code in GUARDRAIL_CODES),
        write=_floor_write(record, row),
        afterwards=aftermath(row, record.decision.made_at_s, later, planned_per_s),
    )


def _measurements(learned: State, place: int | None) -> tuple[int, int, int]:
    """How many raises, and scale-ups of the HPA, were measured, and how many usage readings."""
    if place is None:
        return 0, 0, 0
    raises = np.isfinite(learned.targets.lead_samples_s[place]).sum()
    scale_ups = np.isfinite(learned.targets.scale_up_samples_s[place]).sum()
    return int(raises), int(scale_ups), int(learned.targets.rate_readings[place])


def _forecasts(inputs: Inputs, key: TargetKey) -> tuple[SeriesReason, ...]:
    return tuple(
        SeriesReason(series.region, *inputs.forecast_reasons[row])
        for row, series in enumerate(inputs.keys)
        if series.module == key.module and series.region in (key.region, ALL_REGIONS)
    )


def _rate_metric(row: FloorDecision, hpa: HpaView | None, counted: Sequence[str]) -> str | None:
    """The HPA's request metric whose target is the rate in use."""
    if hpa is None:
        return None
    names = (
        one.name
        for one in hpa.metrics
        if is_request_rate(one, counted) and one.target == row.rate_per_pod_per_s
    )
    return next(names, None)


def _floor_write(record: Record, row: FloorDecision) -> Write | None:
    if row.intent is None:
        return None
    return _write(record.outcomes, row.key, f"{row.intent.namespace}/{row.intent.name}")


def _route(record: Record, decision: WeightDecision) -> RouteExplained:
    write = None
    if decision.intent is not None:
        route = decision.intent.route
        key = TargetKey(decision.module, ALL_REGIONS)
        write = _write(record.outcomes, key, f"{route.namespace}/{route.name}")
    return RouteExplained(
        regions=decision.regions,
        weights_now=decision.weights_now,
        weights_home=decision.weights_home,
        weights_wanted=decision.weights_wanted,
        weights=decision.weights,
        reasons=decision.reasons,
        write=write,
    )


def _write(outcomes: Sequence[OutcomeRow], key: TargetKey, name: str) -> Write | None:
    """None where the record does not say what came of it."""
    for one in outcomes:
        if one.key == key:
            outcome = one.outcome
            if isinstance(outcome, Applied):
                return Write(name, True, epoch=outcome.epoch)
            return Write(name, False, outcome.reason)
    return None
