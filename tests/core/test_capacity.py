from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.series import FloatArray
from predictor.core.audit import encode_record, replay
from predictor.core.capacity import RateSource, replicas_for
from predictor.core.cluster import MetricTarget
from predictor.core.decide import decide
from predictor.core.decision import FloorDecision
from predictor.core.policy import ModulePolicy, Policy
from tests.core.core_values import a_policy, an_hpa, decided, some_inputs
from tests.core.pod_world import PodWorld, learned_rates, rates_learned_from

REQUESTS = MetricTarget("Pods", "mplp_requests_per_second", "AverageValue", 100.0)
CONNECTIONS = "mplp_network_connections_active"


def a_rate(*metrics: MetricTarget, policy: Policy | None = None) -> FloorDecision:
    return decided(some_inputs([an_hpa(metrics=metrics)]), policy).floors[0]


def rate_of(row: FloorDecision) -> float:
    assert row.rate_per_pod_per_s is not None
    return row.rate_per_pod_per_s


def test_the_operators_rate_comes_first() -> None:
    row = a_rate(REQUESTS, policy=a_policy(defaults=ModulePolicy(rate_per_pod_per_s=42.0)))

    assert (row.rate_per_pod_per_s, row.rate_source) == (42.0, RateSource.CONFIGURED)


@pytest.mark.parametrize("kind", ["Pods", "Object", "External"])
def test_the_average_target_of_a_request_metric_is_the_rate_per_pod(kind: str) -> None:
    row = a_rate(MetricTarget(kind, "mplp_requests_per_second", "AverageValue", 100.0))

    assert (row.rate_per_pod_per_s, row.rate_source) == (100.0, RateSource.HPA_METRIC)


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        (MetricTarget("Object", REQUESTS.name, "Value", 100.0), "not divided by pods"),
        (MetricTarget("Pods", CONNECTIONS, "AverageValue", 1000.0, 10.0), "nor a level"),
        (MetricTarget("Pods", REQUESTS.name, "AverageValue", 0.0), "counts neither"),
        (MetricTarget("Resource", "memory", "Utilization", 80.0, 79.0), "never read"),
        (MetricTarget("Resource", "cpu", "Utilization", 70.0), "0 of the 6 readings"),
        (MetricTarget("Object", "mplp_response_time_p95", "Value", 0.5), "0 different loads"),
    ],
)
def test_a_metric_that_says_nothing_of_a_pod_is_refused_with_its_name(
    metric: MetricTarget, why: str
) -> None:
    row = a_rate(metric)

    assert row.rate_source == RateSource.UNKNOWN
    assert metric.name in row.reasons[0].sentence
    assert why in row.reasons[0].sentence


def test_a_rate_is_learned_in_proportion_before_idle_use_can_be_told() -> None:
    # 4 pods at 35 % carry 200/s, so one at the target of 70 % carries 100/s if none of it is idle.
    world = PodWorld(cost=0.7, idle=0.0)
    rows = [world.tick(50.0) for _ in range(12)]

    assert rows[-1].rate_per_pod_per_s == pytest.approx(100.0)
    assert {row.rate_source for row in rows} == {RateSource.UNKNOWN, RateSource.RATIO}
    assert "idle use is not told apart yet: 1 different loads" in rows[-1].reasons[0].sentence


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"usage": 15.0}, id="nearly idle"),
        pytest.param({"spec_replicas": 5, "ready_replicas": 3}, id="pods are starting"),
        pytest.param({"metrics_failing": "cpu: no answer"}, id="its HPA cannot read it"),
    ],
)
def test_a_reading_that_says_nothing_teaches_nothing(changes: dict[str, float]) -> None:
    world = PodWorld()
    rows = [world.tick(50.0, **changes) for _ in range(20)]

    assert rows[-1].rate_source == RateSource.UNKNOWN


def test_pods_teach_nothing_until_they_all_stand_for_a_while() -> None:
    world = PodWorld()
    for pods in (4, 5, 4, 5, 4, 5, 4, 5, 4, 5):
        world.pods = pods
        row = world.stay(50.0, 3)

    assert row.rate_source == RateSource.UNKNOWN


@settings(deadline=None, max_examples=3)
@given(noise=st.floats(0.0, 0.05), seed=st.integers(0, 1000))
def test_cost_and_idle_use_are_told_apart(noise: float, seed: int) -> None:
    chance = np.random.default_rng(seed)
    cost, idle = chance.uniform(0.05, 5.0, 60), chance.uniform(0.0, 25.0, 60)

    rates = learned_rates(cost, idle, noise, chance)

    ratio = rates.rate_per_s / ((70.0 - idle) / cost)
    assert set(rates.sources) == {RateSource.LEARNED}
    assert (ratio < 1.01).mean() > 0.85
    assert 0.8 < ratio.min() < ratio.max() < 1.06


@settings(deadline=None, max_examples=25)
@given(
    loads=arrays.arrays(np.float64, (12, 3), elements=st.floats(0.0, 1e12)),
    usages=arrays.arrays(np.float64, (12, 3), elements=st.floats(allow_nan=True)),
)
def test_any_readings_give_a_rate_that_was_nearly_seen_or_none(
    loads: FloatArray, usages: FloatArray
) -> None:
    rates = rates_learned_from(loads, usages)

    known = np.isfinite(rates.rate_per_s)
    by_line = np.array([source is RateSource.LEARNED for source in rates.sources])
    assert (rates.rate_per_s[known] > 0).all()
    assert not (rates.rate_per_s > loads.max(axis=0) * 1.5 * 1.01)[by_line].any()
    assert [source is RateSource.UNKNOWN for source in rates.sources] == (~known).tolist()


def test_one_wild_reading_in_ten_carries_nothing_away() -> None:
    world = PodWorld()
    loads = 65.0 - 45.0 * np.cos(np.linspace(0.0, 12.0, 300))
    for place, load in enumerate(loads.tolist()):
        row = world.tick(load, usage=300.0 if place % 10 == 3 else None)

    assert rate_of(row) == pytest.approx(world.true_rate_per_s, rel=0.2)


def test_idle_use_at_night_is_not_taken_for_the_cost_of_requests() -> None:
    world = PodWorld(idle=15.0)
    world.day()
    row = world.stay(20.0, 60)

    # In proportion a pod at 25 % of 70 % would be taken to carry 56/s at its target.
    assert rate_of(row) == pytest.approx(world.true_rate_per_s, rel=0.1)
    assert "idle 15" in row.reasons[0].sentence


def test_a_deploy_that_doubles_the_cost_is_followed_in_a_few_readings() -> None:
    before = PodWorld()
    before.day()
    known = rate_of(before.stay(60.0, 20))
    after = before.deployed(cost=1.0)
    rows = [after.tick(60.0) for _ in range(20)]

    assert max(rate_of(row) for row in rows) <= known * 1.001
    assert [rate_of(row) for row in rows[10:]] == pytest.approx([known / 2] * 10, rel=0.1)
    assert rows[10].rate_source == RateSource.FORMER
    assert "times as much after 6 readings" in rows[10].reasons[0].sentence


def test_a_deploy_that_makes_requests_cheaper_is_not_believed_at_once() -> None:
    before = PodWorld()
    before.day()
    known = rate_of(before.stay(90.0, 20))
    after = before.deployed(cost=0.25)
    rates = [rate_of(after.tick(90.0)) for _ in range(60)]

    assert rates[:30] == pytest.approx([known] * 30)
    assert rates[-1] == pytest.approx(after.true_rate_per_s, rel=0.15)


def test_a_day_after_a_deploy_the_new_pods_speak_for_themselves() -> None:
    before = PodWorld()
    before.day()
    after = before.deployed(cost=0.8, idle=20.0)
    row = after.day(low=20.0, high=60.0)

    assert row.rate_source == RateSource.LEARNED
    assert rate_of(row) == pytest.approx(after.true_rate_per_s, rel=0.1)


def test_the_smallest_rate_of_several_metrics_binds() -> None:
    dear = PodWorld(cost=1.0, metrics=(REQUESTS,))
    cheap = PodWorld(cost=0.3, metrics=(REQUESTS,))

    assert dear.day(10.0, 60.0).rate_source == RateSource.LEARNED
    assert cheap.day().rate_source == RateSource.HPA_METRIC


def a_level_world(current: float) -> PodWorld:
    levels = MetricTarget("Pods", "open_connections", "AverageValue", 1000.0, current)
    policy = a_policy(level_metrics={"open_connections": "core"})
    return PodWorld(metrics=(levels,), has_cpu=False, policy=policy)


def test_a_level_is_sized_by_its_own_target() -> None:
    row = a_level_world(1500.0).stay(50.0, 12)

    assert row.rate_source == RateSource.LEVEL
    assert row.floor_wanted == 6  # 4 pods of 1,500 connections, 1,000 a pod
    assert "open_connections fills 6.0 pods" in row.reasons[0].sentence


def test_a_level_grows_with_demand_and_not_without_end() -> None:
    world = a_level_world(1000.0)
    world.stay(50.0, 30)
    inputs = {
        growth: some_inputs([world.view(None)], demand=200.0, peak=200.0 * growth)
        for growth in (1.5, 2.0, 20.0)
    }
    wanted = {
        growth: decide(one, world.policy, world.state, world.now_s + 10.0)[0].floors[0].floor_wanted
        for growth, one in inputs.items()
    }

    assert wanted == {1.5: 6, 2.0: 8, 20.0: 8}


def test_response_times_bind_where_cpu_would_let_them_grow_too_long() -> None:
    # Alone a request takes 60 ms, pods are saturated at 100/s: 0.5 s is reached at 88/s.
    world = PodWorld(cost=0.4)
    for load in np.linspace(15.0, 75.0, 60).tolist():
        p95_s = 0.06 / (1.0 - load / 100.0)
        world.metrics = (MetricTarget("Object", "mplp_response_time_p95", "Value", 0.5, p95_s),)
        row = world.tick(load)

    assert row.rate_source == RateSource.RESPONSE_TIME
    assert 75.0 < rate_of(row) < 90.0
    assert "mplp_response_time_p95 meets 0.5 s up to" in row.reasons[0].sentence


def test_what_was_learned_goes_through_a_record_to_the_byte() -> None:
    world = PodWorld(noise=0.05)
    world.day()
    after = world.deployed(cost=0.7)
    after.stay(60.0, 8)
    inputs = some_inputs([after.view(50.0)], demand=240.0)
    decision, _ = decide(inputs, after.policy, after.state, after.now_s + 10.0)
    body = encode_record(inputs, after.policy, after.state, decision)

    assert decision.floors[0].rate_source == RateSource.FORMER
    assert replay(body) == body


def test_a_container_metric_and_cores_are_learned_from_too() -> None:
    def cores(rate: float) -> tuple[MetricTarget, ...]:
        used = 0.1 + 0.005 * rate
        return (MetricTarget("ContainerResource", "cpu", "AverageValue", 0.7, used),)

    world = PodWorld(has_cpu=False)
    for load in np.linspace(20.0, 110.0, 120).tolist():
        world.metrics = cores(load)
        row = world.tick(load)

    assert rate_of(row) == pytest.approx(120.0, rel=0.1)
    assert "core-seconds a request" in row.reasons[0].sentence


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


def test_a_response_time_metric_that_the_owner_took_away_binds_no_more() -> None:
    policy = a_policy(defaults=ModulePolicy(response_time_objective_s=0.5))
    world = PodWorld(cost=0.4, policy=policy)
    for load in np.linspace(15.0, 75.0, 60).tolist():
        p95_s = 0.06 / (1.0 - load / 100.0)
        world.metrics = (MetricTarget("Object", "mplp_response_time_p95", "Value", 0.5, p95_s),)
        row = world.tick(load)
    assert row.rate_source == RateSource.RESPONSE_TIME
    world.metrics = ()

    assert world.tick(75.0).rate_source == RateSource.LEARNED


@pytest.mark.parametrize("forecast", [200.0, float("nan")])
def test_a_burst_beyond_the_forecast_is_taken_for_no_flood_of_connections(forecast: float) -> None:
    world = a_level_world(1000.0)
    world.stay(50.0, 30)
    inputs = some_inputs([world.view(None)], demand=200.0, provisional=20_000.0, peak=forecast)
    decision, _ = decide(inputs, world.policy, world.state, world.now_s + 10.0)

    assert decision.floors[0].floor_wanted == 8  # twice what 4 pods hold


@pytest.mark.parametrize("is_line", [True, False])
def test_a_single_reading_between_two_deploys_changes_nothing(is_line: bool) -> None:
    world = PodWorld()
    if is_line:
        world.day()
    known = rate_of(world.stay(60.0, 20))
    between = world.deployed()
    between.stay(60.0, 5)
    between.tick(60.0, usage=22.0)  # near idle: requests would be half as dear

    assert rate_of(between.deployed().tick(60.0)) == pytest.approx(known)


def test_a_rate_far_from_what_the_line_says_is_told_as_unsure() -> None:
    world = PodWorld(cost=0.2, idle=10.0)  # 300/s a pod at the target, 45/s were seen
    row = world.day(low=10.0, high=45.0)

    assert rate_of(row) < 70.0
    assert "± 80%" in row.reasons[0].sentence
    assert "loads, held to 1.5 times the highest" in row.reasons[0].sentence


def test_a_rate_in_proportion_is_not_told_as_a_line() -> None:
    world = PodWorld(idle=30.0)
    world.day()
    world.metrics = (MetricTarget("Resource", "cpu", "Utilization", 25.0, 50.0),)
    world.has_cpu = False  # the owner's new target lies below idle use, where no line can reach
    world.stay(40.0, 10)
    row = world.deployed().stay(40.0, 2)

    assert row.rate_source == RateSource.FORMER
    assert "in proportion to what pods used before the last deploy" in row.reasons[0].sentence
