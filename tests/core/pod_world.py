"""One target whose pods have a true cost per request, an idle share and response times.

`tests/core` feeds `decide` with it, tick by tick, and looks at what was learned.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from models.series import FloatArray
from predictor.core.capacity import RatesPerPod, learn_rates, rates_per_pod
from predictor.core.cluster import HpaView, MetricTarget, TargetKey
from predictor.core.decide import decide
from predictor.core.decision import FloorDecision
from predictor.core.metric_columns import metric_columns
from predictor.core.pods_seen import look_at_pods
from predictor.core.policy import Policy
from predictor.core.policy_rows import policy_rows
from predictor.core.state import State, aligned, new_state
from tests.core.core_values import CORE, NOW_S, a_policy, an_hpa, some_inputs

TICK_S = 10.0


@dataclass
class PodWorld:
    """`cost` is in percent of a pod's request for 1/s; CPU has a target of 70 %."""

    cost: float = 0.5
    idle: float = 10.0
    pods: int = 4
    noise: float = 0.0
    template: str = "1"
    metrics: tuple[MetricTarget, ...] = ()
    has_cpu: bool = True
    now_s: float = NOW_S
    state: State = field(default_factory=new_state)
    policy: Policy = field(default_factory=a_policy)
    chance: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    @property
    def true_rate_per_s(self) -> float:
        """What a pod carries at the CPU target."""
        return (70.0 - self.idle) / self.cost

    def usage(self, rate_per_pod_per_s: float) -> float:
        """What the HPA's status would show."""
        noisy = 1.0 + self.noise * float(self.chance.standard_normal())
        return round((self.idle + self.cost * rate_per_pod_per_s) * max(noisy, 0.1))

    def view(self, usage: float | None, **changes: object) -> HpaView:
        """The HPA, its CPU reading first among its metrics."""
        cpu = (MetricTarget("Resource", "cpu", "Utilization", 70.0, usage),) if self.has_cpu else ()
        values = {"min_replicas": self.pods, "template": self.template, **changes}
        return an_hpa(CORE, metrics=(*cpu, *self.metrics), **values)

    def tick(
        self, rate_per_pod_per_s: float, *, usage: float | None = None, **changes: object
    ) -> FloorDecision:
        """Ten seconds later, at this load; `usage` overrides what pods would use."""
        self.now_s += TICK_S
        seen = self.usage(rate_per_pod_per_s) if usage is None else usage
        demand = rate_per_pod_per_s * self.pods
        inputs = some_inputs([self.view(seen, **changes)], demand=demand, peak=demand)
        decision, self.state = decide(inputs, self.policy, self.state, self.now_s)
        return decision.floors[0]

    def stay(self, rate_per_pod_per_s: float, ticks: int) -> FloorDecision:
        """So many ticks at one load; gives the last decision."""
        return [self.tick(rate_per_pod_per_s) for _ in range(ticks)][-1]

    def day(self, low: float = 20.0, high: float = 110.0, ticks: int = 80) -> FloorDecision:
        """A rise and a fall between two loads of a pod."""
        phase = np.linspace(0.0, 2.0 * np.pi, ticks)
        loads = low + (high - low) * (1.0 - np.cos(phase)) / 2.0
        return [self.tick(float(load)) for load in loads][-1]

    def deployed(self, **changes: Any) -> PodWorld:
        """The same service goes on with other pods."""
        return replace(self, template=self.template + "1", **changes)


def rates_learned_from(loads_per_s: FloatArray, usages: FloatArray) -> RatesPerPod:
    """What is learned of many targets, of shape (ticks, targets), from load and usage of a pod."""
    keys = [TargetKey(f"module-{place}", "us-east-1") for place in range(loads_per_s.shape[1])]
    policy, targets = Policy(), aligned(new_state(), keys)
    for number, (loads, percents) in enumerate(zip(loads_per_s, usages, strict=True)):
        cpu = [MetricTarget("Resource", "cpu", "Utilization", 70.0, one) for one in percents]
        hpas = [an_hpa(key, metrics=(one,)) for key, one in zip(keys, cpu, strict=True)]
        metrics, now_s = metric_columns(hpas, policy), NOW_S + 30.0 * number
        targets = look_at_pods(targets, metrics, loads * 3.0, now_s)
        targets = learn_rates(targets, metrics, now_s=now_s, number=number)
    return rates_per_pod(metrics, policy_rows(policy, keys), targets, np.full(len(keys), np.nan))


def learned_rates(
    cost: FloatArray, idle: FloatArray, noise: float, chance: np.random.Generator
) -> RatesPerPod:
    """The same after a slow rise and fall, for targets of these costs and idle shares."""
    swing = 0.65 - 0.45 * np.cos(np.linspace(0.0, 4.0 * np.pi, 100))[:, None]
    loads = swing * (70.0 - idle) / cost
    noisy = 1.0 + noise * chance.standard_normal(loads.shape)
    return rates_learned_from(loads, np.round((idle + cost * loads) * noisy))
