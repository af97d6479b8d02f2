from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.core.capacity import RateSource, learn_rates, rates_per_pod, replicas_for
from predictor.core.cluster import HpaView, MetricTarget
from predictor.core.policy import ModulePolicy, Policy
from predictor.core.policy_rows import policy_rows
from predictor.core.state import TargetState, aligned, new_state
from tests.core.core_values import CORE, an_hpa

POLICY = Policy()
FRESH = aligned(new_state(), [CORE])


def a_rate(
    hpa: HpaView, policy: Policy = POLICY, memory: TargetState = FRESH
) -> tuple[float, RateSource]:
    rows = policy_rows(policy, [CORE])
    rates = rates_per_pod([hpa], rows, memory, policy.request_rate_metrics)
    return float(rates.rate_per_s[0]), rates.sources[0]


def cpu(current: float | None, name: str = "cpu") -> MetricTarget:
    return MetricTarget("Resource", name, "Utilization", 70.0, current)


def test_the_operators_rate_comes_first() -> None:
    policy = Policy(defaults=ModulePolicy(rate_per_pod_per_s=42.0))

    assert a_rate(an_hpa(), policy) == (42.0, RateSource.CONFIGURED)


def test_the_target_of_a_request_metric_is_the_rate_per_pod() -> None:
    assert a_rate(an_hpa()) == (100.0, RateSource.HPA_METRIC)


@pytest.mark.parametrize(
    "metric",
    [
        pytest.param(
            MetricTarget("Object", "mplp_requests_per_second", "Value", 100.0),
            id="a Value is not divided by pods",
        ),
        pytest.param(
            MetricTarget("Pods", "mplp_network_connections_active", "AverageValue", 1000.0),
            id="connections are no requests",
        ),
        pytest.param(
            MetricTarget("Pods", "mplp_requests_per_second", "AverageValue", 0.0),
            id="a target of zero",
        ),
    ],
)
def test_a_metric_that_counts_no_requests_per_pod_gives_no_rate(metric: MetricTarget) -> None:
    rate, source = a_rate(an_hpa(metrics=(metric,)))

    assert np.isnan(rate)
    assert source is RateSource.UNKNOWN


def test_a_rate_is_learned_from_what_ready_pods_carry() -> None:
    # 4 pods at 35 % carry 200/s, so one at the target of 70 % carries 100/s.
    hpa = an_hpa(min_replicas=4, metrics=(cpu(35.0),))
    memory = FRESH
    sources = []
    for _ in range(6):
        memory = learn_rates(memory, [hpa], np.array([200.0]))
        sources.append(a_rate(hpa, memory=memory)[1])

    assert sources == [RateSource.UNKNOWN] * 5 + [RateSource.LEARNED]
    assert a_rate(hpa, memory=memory)[0] == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("hpa", "demand"),
    [
        pytest.param(an_hpa(metrics=(cpu(15.0),)), 200.0, id="nearly idle"),
        pytest.param(an_hpa(metrics=(cpu(None),)), 200.0, id="no reading"),
        pytest.param(an_hpa(metrics=(cpu(90.0, "memory"),)), 200.0, id="memory is not load"),
        pytest.param(
            an_hpa(metrics=(cpu(50.0),), spec_replicas=5, ready_replicas=3),
            200.0,
            id="pods are starting",
        ),
        pytest.param(an_hpa(metrics=(cpu(50.0),)), float("nan"), id="demand is not known"),
        pytest.param(an_hpa(metrics=(cpu(50.0),)), 0.0, id="no demand"),
    ],
)
def test_a_reading_that_says_nothing_teaches_nothing(hpa: HpaView, demand: float) -> None:
    assert learn_rates(FRESH, [hpa], np.array([demand])).rate_readings.tolist() == [0.0]


def test_one_wild_reading_moves_a_learned_rate_little() -> None:
    hpa, memory = an_hpa(min_replicas=4, metrics=(cpu(35.0),)), FRESH
    for demand in (200.0, 200.0, 1e9):
        memory = learn_rates(memory, [hpa], np.array([demand]))

    assert memory.rate_learned_per_s[0] == pytest.approx(110.0)


@pytest.mark.parametrize(
    ("demand", "rate", "replicas"),
    [
        pytest.param(300.0, 0.1, 3000, id="dust makes no extra pod"),
        pytest.param(300.0001, 100.0, 4, id="a little more does"),
        pytest.param(0.0, 100.0, 0, id="no demand, no pods"),
        pytest.param(1e300, 1e-9, 1_000_000_000, id="absurd demand is still a number"),
    ],
)
def test_replicas_carry_the_demand(demand: float, rate: float, replicas: int) -> None:
    assert replicas_for(np.array([demand]), np.array([rate])).tolist() == [replicas]


@given(st.floats(1e-3, 1e6), st.floats(0.01, 1e4))
def test_one_replica_fewer_would_not_carry_it(demand: float, rate: float) -> None:
    replicas = replicas_for(np.array([demand]), np.array([rate]))[0]

    assert replicas * rate >= demand * (1 - 1e-8)
    assert (replicas - 1) * rate < demand * (1 + 1e-8)
