"""Says in words what a rate per pod rests on: which metric bound, its numbers, and how sure it is.

`predictor/core/decide.py` makes one `Evidence` per decision, `predictor/core/floors.py` asks it for
each row. Nothing here may change a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from predictor.core.capacity.rates import BEYOND_SAMPLES_MAX, RateSource, RatesPerPod
from predictor.core.cluster import HpaView, MetricTarget
from predictor.core.cost_since_deploy import READINGS_MIN, cost_since_deploy
from predictor.core.line_fit import INTERCEPT, REACH, SLOPE, objection
from predictor.core.metric_columns import is_level, is_request_rate, level_pods, usage_metric
from predictor.core.policy import Policy
from predictor.core.response_time import response_objection
from predictor.core.state import TargetState


@dataclass(frozen=True, slots=True)
class Evidence:
    """The numbers behind all rows' rates, as plain numbers; `doubts` are shares of the rate."""

    rates: RatesPerPod
    targets: TargetState
    policy: Policy
    counted: frozenset[str]
    likely_per_s: list[float]
    doubts: list[float]
    slopes: list[float]
    idle: list[float]
    loads: list[int]
    is_held: list[bool]
    readings: list[float]

    @classmethod
    def of(cls, rates: RatesPerPod, targets: TargetState, policy: Policy) -> Evidence:
        """Columns to lists, once for all rows."""
        return cls(
            rates=rates,
            targets=targets,
            policy=policy,
            counted=frozenset(policy.request_rate_metrics),
            likely_per_s=rates.likely_per_s.tolist(),
            doubts=(1.0 - rates.rate_per_s / rates.likely_per_s).tolist(),
            slopes=targets.usage_line[:, SLOPE].tolist(),
            idle=targets.usage_line[:, INTERCEPT].tolist(),
            loads=np.isfinite(targets.usage_readings).sum(axis=1).tolist(),
            is_held=(
                rates.rate_per_s >= targets.usage_line[:, REACH] * BEYOND_SAMPLES_MAX
            ).tolist(),
            readings=targets.rate_readings.tolist(),
        )

    def sentence(self, row: int, hpa: HpaView | None) -> str:
        """What the row's rate rests on, without a full stop; empty where no HPA is seen."""
        source = self.rates.sources[row]
        if source is RateSource.CONFIGURED:
            return "as configured"
        if hpa is None:
            return ""
        match source:
            case RateSource.HPA_METRIC:
                said = self._stated(hpa)
            case RateSource.LEVEL:
                said = self._level(row, hpa)
            case RateSource.RESPONSE_TIME:
                said = self._response_time(row, hpa)
            case RateSource.UNKNOWN:
                said = "; ".join(self._unused(row, one, hpa) for one in hpa.metrics)
            case RateSource.RATIO:
                said = self._ratio(row, hpa)
            case _:
                said = self._line(row, hpa)
        return said

    def _stated(self, hpa: HpaView) -> str:
        stated = [one for one in hpa.metrics if is_request_rate(one, self.counted)]
        return f"the target of {min(stated, key=lambda one: one.target).name}"

    def _level(self, row: int, hpa: HpaView) -> str:
        levels = [one for one in hpa.metrics if is_level(one, hpa.key.module, self.policy)]
        filled = ((level_pods(one, hpa), one.name) for one in levels if one.current is not None)
        pods, name = max(filled)
        demand_per_s = self.targets.demand_smoothed_per_s[row]
        return f"{name} fills {pods:.1f} pods at {demand_per_s:.1f}/s and is taken to follow demand"

    def _response_time(self, row: int, hpa: HpaView) -> str:
        names = self.policy.response_time_metrics
        name = next(one.name for one in hpa.metrics if one.name in names and one.target > 0)
        loads = int(np.isfinite(self.targets.response_readings_s[row]).sum())
        return (
            f"{name} meets {self.rates.objective_s[row]:g} s up to {self.likely_per_s[row]:.1f}/s "
            f"a pod ± {self.doubts[row]:.0%}, from {loads} loads"
        )

    def _ratio(self, row: int, hpa: HpaView) -> str:
        why = objection(self.targets.usage_rates_per_s[row], self.targets.usage_readings[row])
        known = f"; idle use is not told apart yet: {why}" if why else ""
        cpu, readings = usage_metric(hpa.metrics), self.readings[row]
        return f"cpu at {_target(cpu)}, in proportion to {readings:.0f} readings{known}"

    def _line(self, row: int, hpa: HpaView) -> str:
        """Of a line, or of what was known in proportion before the last deploy."""
        cpu, readings = usage_metric(hpa.metrics), self.readings[row]
        slope, is_former = self.slopes[row], self.rates.sources[row] is RateSource.FORMER
        since = f" after {readings:.0f} readings since the last deploy"
        if cpu is None or not isfinite(self.doubts[row]):
            at = _target(cpu)
            return f"cpu at {at}, in proportion to what pods used before the last deploy,{since}"
        said = (
            f"cpu at {_target(cpu)}: {_cost(cpu, slope)} ± {self.doubts[row]:.0%}, "
            f"idle {_amount(cpu, self.idle[row])}"
        )
        if is_former:
            ratio = cost_since_deploy(self.targets)[row]
            return f"{said}, from before the last deploy, {ratio:.2f} times as much{since}"
        held = f", held to {BEYOND_SAMPLES_MAX:g} times the highest" if self.is_held[row] else ""
        return f"{said}, from {self.loads[row]} loads{held}"

    def _unused(self, row: int, metric: MetricTarget, hpa: HpaView) -> str:
        """Why a metric says nothing of what a pod carries."""
        if metric.name == "memory":
            return "memory is never read, a leak would look like load"
        if metric is usage_metric(hpa.metrics):
            seen = f"{self.readings[row]:.0f} of the {READINGS_MIN} readings"
            return f"{metric.name} has {seen} that are needed"
        if metric.name in self.policy.response_time_metrics:
            loads = self.targets.usage_rates_per_s[row]
            why = response_objection(loads, self.targets.response_readings_s[row])
            return f"{metric.name} gives no load yet: {why or 'its objective was never near'}"
        if metric.target_type == "Value":
            return f"{metric.name} is a Value, which is not divided by pods"
        return f"{metric.name} counts neither requests nor a level that the configuration names"


def _cost(cpu: MetricTarget, slope: float) -> str:
    if cpu.target_type == "Utilization":
        return f"{slope:.3g} % of a pod's request for 1/s"
    return f"{slope:.3g} core-seconds a request"


def _target(cpu: MetricTarget | None) -> str:
    return "its target" if cpu is None else _amount(cpu, cpu.target)


def _amount(cpu: MetricTarget, amount: float) -> str:
    return f"{amount:.3g} %" if cpu.target_type == "Utilization" else f"{amount:.3g} cores"
