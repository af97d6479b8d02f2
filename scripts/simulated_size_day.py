"""Plays two days of a service that is scaled on CPU, with the cost of requests told apart or not.

    python -m scripts.simulated_size_day

The pods have an idle share. Prints violation minutes and pod-hours of the second day for the HPA
alone, for rates in proportion to CPU, and for rates by the learned line. Forecasts are of perfect
foresight, so that the difference is that of the sizing alone. It must never be part of a test.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec
import numpy as np

from models.forecast import QUANTILE_LEVELS
from models.series import FloatArray, SeriesKey
from predictor.actuators.simulated import SimulatedCluster
from predictor.cluster_model.measures import Measures
from predictor.cluster_model.workload_spec import WorkloadSpec, owner_hpa
from predictor.core.cluster import ClusterView, TargetKey
from predictor.core.decide import decide
from predictor.core.inputs import Inputs
from predictor.core.opt_in import Mode
from predictor.core.policy import ModulePolicy, Policy
from predictor.core.state import State, new_state

KEY = TargetKey("core", "us-east-1")
TICK_S = 30.0
DAY_S = 86_400.0
TICKS = round(2 * DAY_S / TICK_S)
IDLE_SHARES = (0.0, 0.2, 0.4)
POLICY = Policy(
    defaults=ModulePolicy(pod_load_ratio=1.0, lead_time_default_s=90.0),
    modes={"core": Mode.ACTIVE},
    band_required=False,
    warm_up_s=0.0,
    tick_s=TICK_S,
)


@dataclass(frozen=True)
class Arm:
    """One way of sizing."""

    name: str
    acts: bool
    by_line: bool


ARMS = (
    Arm("HPA alone", acts=False, by_line=False),
    Arm("in proportion to CPU", acts=True, by_line=False),
    Arm("by cost and idle share", acts=True, by_line=True),
)


def main() -> None:
    """Print a line for each arm and idle share."""
    demand = demand_per_s()
    print("idle share  arm                     violation minutes  pod-hours")
    for idle_share in IDLE_SHARES:
        for arm in ARMS:
            done = asyncio.run(played(arm, idle_share, demand))
            print(
                f"{idle_share:10.0%}  {arm.name:<22}  {done.violation_minutes:17.1f}  "
                f"{done.pod_hours:9.1f}",
                flush=True,
            )


def demand_per_s() -> FloatArray:
    """Two days of a daily wave with noise and two steps a day."""
    chance = np.random.default_rng(11)
    at_s = np.arange(TICKS) * TICK_S
    wave = 900.0 - 700.0 * np.cos(2.0 * np.pi * at_s / DAY_S)
    campaign = np.where((at_s % DAY_S > 30_000) & (at_s % DAY_S < 36_000), 1.5, 1.0)
    noisy: FloatArray = wave * campaign * chance.normal(1.0, 0.04, TICKS)
    return noisy


async def played(arm: Arm, idle_share: float, demand: FloatArray) -> Measures:
    """What the second day came to."""
    cluster, state = SimulatedCluster([a_workload(idle_share)], 0.0), new_state()
    before = Measures()
    for tick, per_s in enumerate(demand.tolist()):
        now_s = tick * TICK_S
        if now_s == DAY_S:
            before = cluster.measures(KEY)
        view = await cluster.observe()
        decision, state = decide(seen(view, demand, tick), POLICY, state, now_s)
        if not arm.by_line:
            state = without_lines(state)
        for intent in decision.floor_intents if arm.acts else ():
            await cluster.set_floor(intent)
        cluster.advance(now_s + TICK_S, {KEY: per_s})
    done = cluster.measures(KEY)
    done.violation_s -= before.violation_s
    done.pod_s -= before.pod_s
    return done


def a_workload(idle_share: float) -> WorkloadSpec:
    """Pods that carry 100/s at a CPU target of 70 %, and 140/s at most."""
    target = {"type": "Utilization", "averageUtilization": 70}
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    hpa = owner_hpa({"minReplicas": 3, "maxReplicas": 60, "metrics": [cpu]})
    return WorkloadSpec(
        KEY, hpa, 140.0, rate_at_target_per_s=100.0, cpu_idle_share=idle_share, replicas=4
    )


def seen(view: ClusterView, demand: FloatArray, tick: int) -> Inputs:
    """The inputs of one decision, with the true peak of the window ahead."""
    ahead = demand[tick + 3 : tick + 8] if tick + 3 < len(demand) else demand[-1:]
    peak = np.full((1, len(QUANTILE_LEVELS)), ahead.max())
    path = np.full((1, len(QUANTILE_LEVELS)), demand[tick : tick + 8].max())
    now = demand[max(tick - 1, 0) : max(tick, 1)]
    return Inputs(
        cluster=view,
        keys=(SeriesKey(*KEY),),
        levels=QUANTILE_LEVELS,
        forecast_at_s=round(tick * TICK_S),
        peak=peak,
        path=path,
        forecast_reasons=(("Foresight", "as it will be"),),
        complete_per_s=now,
        provisional_per_s=now,
        served_per_s=np.zeros((0, 1)),
        telemetry_age_s=10.0,
        incomplete="",
        series_digest="",
        model_name="",
        model_digest="",
        lag_s=10.0,
    )


def without_lines(state: State) -> State:
    """The state with nothing but the rate in proportion to usage."""
    targets = state.targets
    loads = np.full_like(targets.usage_rates_per_s, np.nan)
    lines = np.full_like(targets.usage_line, np.nan)
    targets = msgspec.structs.replace(targets, usage_rates_per_s=loads, usage_line=lines)
    return msgspec.structs.replace(state, targets=targets)


if __name__ == "__main__":
    main()
