"""Whoever can write events cannot buy pods without end, and never at another's expense."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.forecast import QUANTILE_LEVELS
from models.series import SeriesKey
from predictor.actuators.simulated import SimulatedCluster
from predictor.cluster_model.delays import FixedDelay
from predictor.cluster_model.workload_spec import WorkloadSpec, requests_hpa
from predictor.core.cluster import MetricTarget, TargetKey
from predictor.core.decide import decide
from predictor.core.encoding import encode_json
from predictor.core.inputs import Inputs
from predictor.core.opt_in import FIELD_MANAGER, Mode, OptIn
from predictor.core.policy import ModulePolicy
from predictor.core.reasons import Code
from predictor.core.state import State, new_state
from tests.core.core_values import (
    CORE,
    NOW_S,
    ROLE,
    US,
    a_policy,
    an_hpa,
    codes,
    decided,
    some_inputs,
)

TRACE = TargetKey("trace", US)
KEYS = (CORE, ROLE, TRACE)
REAL_PER_S = {CORE: 260.0, ROLE: 420.0, TRACE: 150.0}
FORGED_PER_S = 1e6 / 60
CEILING, MOST = 12, 40
TICK_S, ATTACK_S = 10, 300
POLICY = a_policy()


@dataclass
class Fleet:
    """Three modules under their real load, decided for from what events claim."""

    cluster: SimulatedCluster = field(init=False)
    state: State = field(default_factory=new_state)
    replicas: list[int] = field(default_factory=list)
    others: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        specs = [
            WorkloadSpec(key, requests_hpa(3, MOST, 100.0), 150.0, FixedDelay(20.0)) for key in KEYS
        ]
        self.cluster = SimulatedCluster(specs, NOW_S)
        for key in KEYS:
            self.cluster.owner_says(key, OptIn(Mode.ACTIVE, floor=3, ceiling=CEILING))

    async def play(self, seconds: int, forged_per_s: float) -> None:
        for _ in range(seconds // TICK_S):
            await self._tick(forged_per_s)

    async def _tick(self, forged_per_s: float) -> None:
        now_s = self.cluster.now_s + TICK_S
        self.cluster.advance(now_s, REAL_PER_S)
        claimed = np.array([REAL_PER_S[key] for key in KEYS])
        claimed[0] += forged_per_s
        inputs = await self._inputs(claimed, now_s)
        decision, self.state = decide(inputs, POLICY, self.state, now_s)
        for intent in decision.floor_intents:
            await self.cluster.set_floor(intent)
        self.replicas.append(self.cluster.workload(CORE).replicas)
        self.others.append(encode_json(decision.floors[1:]))

    async def _inputs(
        self, claimed: np.ndarray[tuple[int], np.dtype[np.float64]], now_s: float
    ) -> Inputs:
        """A forecast that believes the events, and goes on upwards."""
        peak = np.repeat(claimed[:, None] * 1.5, len(QUANTILE_LEVELS), axis=1)
        usual = np.array([REAL_PER_S[key] for key in KEYS])
        return Inputs(
            cluster=await self.cluster.observe(),
            keys=tuple(SeriesKey(*key) for key in KEYS),
            levels=QUANTILE_LEVELS,
            forecast_at_s=int(now_s),
            peak=peak,
            path=peak,
            forecast_reasons=tuple(("LastValue", "level") for _ in KEYS),
            complete_per_s=claimed,
            provisional_per_s=claimed,
            served_per_s=np.zeros((0, 1)),
            telemetry_age_s=10.0,
            incomplete="",
            series_digest="",
            model_name="test",
            model_digest="",
            lag_s=40.0,
            usual_peak_per_s=usual,
        )


async def played(forged_per_s: float) -> Fleet:
    fleet = Fleet()
    await fleet.play(600, 0.0)
    await fleet.play(ATTACK_S, forged_per_s)
    return fleet


def test_a_million_forged_events_a_minute_move_nothing_beyond_the_witness_and_nobody_else() -> None:
    quiet, attacked = asyncio.run(played(0.0)), asyncio.run(played(FORGED_PER_S))

    real = math.ceil(REAL_PER_S[CORE] / 100)
    assert max(attacked.replicas) <= min(CEILING, 2 * real)
    assert max(attacked.replicas) > max(quiet.replicas)  # the attack was felt at all
    assert attacked.others == quiet.others


def test_a_floor_that_stays_is_written_once_in_half_its_time_and_a_baseline_never() -> None:
    fleet = Fleet()
    asyncio.run(fleet.play(900, 0.0))
    above = [key for key in KEYS if fleet.cluster.workload(key).floor > 3]
    writes = fleet.cluster.writes

    asyncio.run(fleet.play(900, 0.0))

    assert 0 < len(above) < len(KEYS)
    assert fleet.cluster.writes == writes + 2 * len(above)


forged = st.floats(0, 1e15)


@settings(max_examples=100, deadline=None)
@given(st.floats(1, 100), st.integers(1, 20), st.floats(0, 3000), forged, forged)
def test_no_events_buy_more_than_the_witnesses_allow(
    used: float, ready: int, usual: float, demand: float, peak: float
) -> None:
    metric = MetricTarget("Pods", "mplp_requests_per_second", "AverageValue", 100.0, used)
    band = OptIn(Mode.ACTIVE, floor=3, ceiling=15)
    hpa = an_hpa(
        min_replicas=4, spec_replicas=ready, metrics=(metric,), opt_in=band,
        floor_manager=FIELD_MANAGER,
    )  # fmt: skip

    row = decided(some_inputs([hpa], peak=peak, demand=demand, usual_peak=usual)).floors[0]

    witness = max(math.ceil(used * ready / 100), math.ceil(usual / 100))
    assert row.floor is not None
    assert row.floor <= min(15, max(4, 2 * witness))
    if demand > 100 * max(4, 2 * witness) and 2 * witness < 8:
        assert Code.NOT_CORROBORATED in codes(row.reasons)


METRICS_OF_EVERY_POD = {
    "memory": MetricTarget("Resource", "memory", "Utilization", 80.0, 60.0),
    "response time": MetricTarget("Object", "mplp_response_time_p95", "Value", 0.5, 0.4),
    "pods' response time": MetricTarget("Pods", "mplp_response_time_p95", "AverageValue", 0.5, 0.4),
}


@pytest.mark.parametrize("name", METRICS_OF_EVERY_POD)
def test_what_every_pod_shows_alike_bears_out_no_raise(name: str) -> None:
    floor, state, real_per_s = 3, new_state(), 300.0
    for step in range(20):
        served = real_per_s / floor
        requests = MetricTarget("Pods", "mplp_requests_per_second", "AverageValue", 100.0, served)
        metrics = (requests, METRICS_OF_EVERY_POD[name])
        hpa = an_hpa(min_replicas=floor, max_replicas=100, metrics=metrics)
        inputs = some_inputs([hpa], peak=FORGED_PER_S, demand=FORGED_PER_S, usual_peak=real_per_s)
        decision, state = decide(inputs, POLICY, state, NOW_S + 200.0 * step)
        floor = decision.floors[0].floor or 0

    assert floor == 6  # twice what 300/s need


def test_cpu_that_idle_pods_use_bears_out_no_raise_without_end() -> None:
    policy = a_policy(defaults=ModulePolicy(rate_per_pod_per_s=60.0))
    pods, state, real_per_s = 3, new_state(), 180.0
    for tick in range(600):
        used = 40.0 + 0.5 * real_per_s / pods
        cpu = MetricTarget("Resource", "cpu", "Utilization", 70.0, round(used))
        hpa = an_hpa(min_replicas=pods, max_replicas=100, metrics=(cpu,))
        inputs = some_inputs([hpa], peak=FORGED_PER_S, demand=FORGED_PER_S, usual_peak=real_per_s)
        decision, state = decide(inputs, policy, state, NOW_S + 10.0 * tick)
        pods = decision.floors[0].floor or 0

    assert 6 < pods <= 40  # until idle use is told apart; then no farther
