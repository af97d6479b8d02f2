"""Promises of the whole decision, from inputs to intents."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.series import ALL_REGIONS, SeriesKey
from predictor.core.cluster import ClusterView, HpaView, MetricTarget, TargetKey
from predictor.core.decide import decide
from predictor.core.inputs import Inputs
from predictor.core.policy import ModuleOverride, ModulePolicy, Policy, RoutePolicy
from predictor.core.reasons import Code, Reason
from predictor.core.state import State, new_state
from tests.core.core_values import (
    AP,
    CORE,
    EU,
    NOW_S,
    ROLE,
    US,
    a_policy,
    a_route,
    an_hpa,
    codes,
    decided,
    some_inputs,
    three_regions,
    warm_state,
)


def test_a_forecast_ramp_raises_the_floor_before_demand_arrives() -> None:
    policy = a_policy(tick_s=15.0)
    hpa = an_hpa()
    state = warm_state(some_inputs([hpa]), policy)
    floors = []
    for tick in range(20):
        inputs = some_inputs([hpa], peak=200.0 + 60.0 * tick, demand=200.0)
        decision, state = decide(inputs, policy, state, NOW_S + 30 * tick)
        floor = decision.floors[0].floor
        assert floor is not None
        hpa = an_hpa(min_replicas=floor, spec_replicas=floor, ready_replicas=floor)
        floors.append(floor)

    assert floors == sorted(floors)
    assert floors[-1] == 14  # 1340/s at 100/s per pod, while 200/s are asked for now
    assert decision.floors[0].reasons[0].code is Code.FORECAST_PEAK


def test_the_reason_says_the_numbers() -> None:
    row = decided(some_inputs(peak=640.0)).floors[0]

    assert row.floor == 7
    assert row.reasons == (
        Reason(
            Code.FORECAST_PEAK,
            "the 0.9 quantile of the peak 120 to 240 s ahead is 640.0/s: 7 replicas at 100.0/s "
            "each (the target of mplp_requests_per_second)",
        ),
    )
    assert row.intent is not None
    assert (row.intent.floor_now, row.intent.floor, row.intent.resource_version) == (3, 7, "1")


@pytest.mark.parametrize(
    ("declared", "baseline"),
    [(2, 2), (None, 4)],
    ids=[
        "what the owner declares wins over the configuration",
        "configuration where it is unknown",
    ],
)
def test_the_baseline_is_the_owners_first(declared: int | None, baseline: int) -> None:
    policy = Policy(modules={"core": ModuleOverride(replicas_min=4)}, warm_up_s=0)
    hpa = an_hpa(min_replicas=declared or 6, baseline_replicas=declared)
    inputs = some_inputs([hpa], peak=50.0, demand=20.0)

    decision, _ = decide(inputs, policy, warm_state(inputs, policy), NOW_S)

    assert decision.floors[0].baseline_replicas == baseline


def test_nothing_is_asked_for_where_nothing_changes() -> None:
    decision = decided(some_inputs(peak=50.0, demand=20.0))

    assert decision.floor_intents == ()
    assert codes(decision.floors[0].reasons) == [Code.BASELINE]


def test_a_forecast_below_what_is_asked_for_now_lowers_nothing() -> None:
    row = decided(some_inputs([an_hpa(min_replicas=8)], peak=1.0, demand=790.0)).floors[0]

    assert row.floor == 8
    assert row.reasons[0].code is Code.OBSERVED_DEMAND


def test_provisional_demand_raises_before_it_is_whole() -> None:
    row = decided(some_inputs(peak=100.0, demand=100.0, provisional=580.0)).floors[0]

    assert row.floor == 6


def test_a_floor_is_not_released_before_the_spike_it_was_raised_for() -> None:
    high = an_hpa(min_replicas=8)

    spike_ahead = decided(some_inputs([high], peak=100.0, path=780.0)).floors[0]
    spike_over = decided(some_inputs([high], peak=100.0, path=100.0)).floors[0]

    assert spike_ahead.floor == 8
    assert spike_over.floor == 6


def test_the_first_decision_only_looks() -> None:
    decision, state = decide(some_inputs(peak=900.0), a_policy(), new_state(), NOW_S)

    assert decision.floor_intents == ()
    assert decision.floors[0].floor_wanted == 9
    assert state.started_at_s == NOW_S


@pytest.mark.parametrize(
    ("hpa", "code"),
    [
        pytest.param(an_hpa(ambiguous=True), Code.AMBIGUOUS_SELECTOR, id="two HPAs on one target"),
        pytest.param(an_hpa(spec_replicas=0), Code.SCALED_TO_ZERO, id="scaled to zero by hand"),
    ],
)
def test_a_target_that_does_not_scale_is_left_alone_but_forecast(hpa: HpaView, code: Code) -> None:
    row = decided(some_inputs([hpa], peak=900.0)).floors[0]

    assert row.intent is None
    assert row.reasons[0].code is code
    assert row.forecast_peak_per_s == 900.0


def test_a_target_without_hpa_is_forecast_and_says_what_the_reader_said() -> None:
    inputs = some_inputs([an_hpa()], keys=(SeriesKey(*CORE), SeriesKey(*ROLE)), peak=900.0)
    said = Reason(Code.TARGET_MISSING, "mplp-role-hpa was not found in us-east-1")
    problem = ClusterView(hpas=inputs.cluster.hpas, problems=((ROLE, said),))

    row = decided(msgspec.structs.replace(inputs, cluster=problem)).floors[1]

    assert row.intent is None
    assert row.floor_now is None
    assert row.reasons[0] == said
    assert row.forecast_peak_per_s == 900.0


def test_without_a_rate_per_pod_the_floor_stays() -> None:
    row = decided(some_inputs([an_hpa(min_replicas=8, metrics=())], peak=900.0)).floors[0]

    assert row.floor == 8
    assert codes(row.reasons) == [Code.NO_RATE_PER_POD]


def test_without_a_forecast_the_reason_is_the_forecasters_own() -> None:
    row = decided(some_inputs(peak=float("nan"))).floors[0]

    assert row.reasons[0] == Reason(Code.NO_FORECAST, "level 100/s (LastValue)")
    assert row.floor == 3


def test_in_shadow_the_record_shows_where_the_floor_would_stand() -> None:
    policy, hpa = a_policy(), an_hpa()
    state = warm_state(some_inputs([hpa]), policy)
    rows = []
    for tick in range(6):
        decision, state = decide(some_inputs([hpa], peak=1800.0), policy, state, NOW_S + 15 * tick)
        rows.append(decision.floors[0])

    assert [row.floor for row in rows] == [7] * 6  # the cluster still shows 3
    assert [row.floor_shadow for row in rows] == [7, 7, 14, 14, 18, 18]


def test_a_floor_moved_by_someone_else_is_where_we_start_from() -> None:
    policy = a_policy()
    _, state = decide(some_inputs(), policy, warm_state(some_inputs(), policy), NOW_S)

    moved = an_hpa(min_replicas=12)
    decision, _ = decide(some_inputs([moved], peak=1180.0), policy, state, NOW_S + 15)

    assert decision.floors[0].floor == 12
    assert decision.floors[0].floor_shadow == 12


def routed_inputs(weights: dict[str, int], ready: int = 20, **values: Any) -> Inputs:
    hpas = [
        an_hpa(TargetKey("core", US), max_replicas=20, ready_replicas=ready),
        an_hpa(TargetKey("core", EU), max_replicas=15, ready_replicas=ready),
        an_hpa(TargetKey("core", AP), max_replicas=10, ready_replicas=ready),
    ]
    route = a_route(weights, home=None if weights == HOME else HOME)
    return some_inputs(hpas, keys=three_regions(), routes=[route], **values)


HOME = {US: 50, EU: 30, AP: 20}
ROUTED = a_policy(routes={"core": RoutePolicy(home_weights=HOME)})


def test_a_routed_region_is_sized_for_its_share_and_its_pinned_demand() -> None:
    peak = {SeriesKey("core", US): 60.0, SeriesKey("core", ALL_REGIONS): 1000.0}

    decision = decided(routed_inputs(HOME, peak=peak, demand=peak), ROUTED)

    assert [row.floor_wanted for row in decision.floors] == [6, 3, 3]
    assert decision.weight_intents == ()


@pytest.mark.parametrize("load", [1.0, 1.2])
def test_pods_come_before_traffic_and_leave_after_it(load: float) -> None:
    # At 50 points the first region would need 22 pods and has at most 20.
    peak = {SeriesKey("core", US): 200.0, SeriesKey("core", ALL_REGIONS): 2000.0}
    crowded = msgspec.structs.replace(
        ROUTED, defaults=ModulePolicy(rate_per_pod_per_s=55.0, pod_load_ratio=load)
    )

    waiting = decided(routed_inputs(HOME, ready=3, peak=peak, demand=peak), crowded)
    planned = waiting.floors[1].floor_wanted
    assert planned is not None
    moving = decided(routed_inputs(HOME, ready=planned, peak=peak, demand=peak), crowded)

    eu_weight = waiting.weights[0].weights_wanted[1]
    assert eu_weight > 30
    assert waiting.weights[0].intent is None
    assert Code.CAPACITY_NOT_READY in codes(waiting.weights[0].reasons)
    assert planned == math.ceil(2000 * eu_weight / (100 * 55 * load) - 1e-9)
    assert moving.weights[0].intent is not None
    assert sum(moving.weights[0].intent.weights) == 100


def test_on_the_way_home_pods_stay_until_the_traffic_has_left() -> None:
    peak = {SeriesKey("core", ALL_REGIONS): 1000.0}

    decision = decided(routed_inputs({US: 20, EU: 50, AP: 30}, peak=peak, demand=peak), ROUTED)

    assert decision.weights[0].weights_wanted == (50, 30, 20)
    assert [row.floor_wanted for row in decision.floors] == [5, 5, 3]


def test_a_second_step_waits_until_the_first_can_be_seen() -> None:
    peak = {SeriesKey("core", ALL_REGIONS): 1000.0}
    away = {US: 20, EU: 50, AP: 30}
    state = warm_state(routed_inputs(away, peak=peak, demand=peak), ROUTED)
    seen = []
    for seconds in (0, 10, 60, 80):
        inputs = routed_inputs(away, peak=peak, demand=peak)
        decision, state = decide(inputs, ROUTED, state, NOW_S + seconds)
        seen.append(decision.weights[0].weights)
        away = dict(zip(away, decision.weights[0].weights, strict=True))

    assert seen == [(30, 43, 27), (30, 43, 27), (30, 43, 27), (40, 36, 24)]


def test_a_routed_module_without_a_route_says_so_and_is_sized_for_home() -> None:
    inputs = routed_inputs(HOME, peak=1000.0, demand=1000.0)
    inputs = msgspec.structs.replace(
        inputs, cluster=msgspec.structs.replace(inputs.cluster, routes=())
    )

    decision = decided(inputs, ROUTED)

    assert codes(decision.weights[0].reasons) == [Code.ROUTE_NOT_FOUND]
    assert decision.floors[0].forecast_peak_per_s == 1500.0


def test_weights_are_held_on_stale_telemetry() -> None:
    decision = decided(routed_inputs(HOME, peak=5000.0, demand=5000.0, age_s=200.0), ROUTED)

    assert decision.weight_intents == ()
    assert codes(decision.weights[0].reasons) == [Code.STALE_TELEMETRY]


def test_weights_are_held_while_demand_is_whole_only_of_the_past() -> None:
    decision = decided(routed_inputs(HOME, peak=5000.0, demand=5000.0, lag_s=200.0), ROUTED)

    assert decision.weight_intents == ()
    assert [reason.sentence for reason in decision.weights[0].reasons] == [
        "the newest whole demand is 200 s old, limit 180 s; weights are held"
    ]


numbers = st.one_of(
    st.floats(0, 5000), st.sampled_from([0.0, 1e12, 1e300, np.nan, np.inf, -np.inf, -5.0])
)


def known(value: float) -> float:
    """What `make_inputs` lets through: finite and not negative, else unknown."""
    return value if np.isfinite(value) and value >= 0 else float("nan")


@st.composite
def any_tick(draw: st.DrawFn) -> tuple[Inputs, Policy]:
    hpas = []
    for module in ("core", "role"):
        highest = draw(st.integers(1, 40))
        floor = draw(st.integers(1, highest))
        hpas.append(
            an_hpa(
                TargetKey(module, US),
                min_replicas=floor,
                max_replicas=highest,
                spec_replicas=draw(st.integers(0, highest)),
                ready_replicas=draw(st.integers(0, highest)),
                baseline_replicas=draw(st.one_of(st.none(), st.integers(1, floor))),
            )
        )
    peak: dict[SeriesKey | TargetKey, float] = {key: known(draw(numbers)) for key in (CORE, ROLE)}
    demand: dict[SeriesKey | TargetKey, float] = {key: known(draw(numbers)) for key in (CORE, ROLE)}
    age_s = draw(st.sampled_from([None, 5.0, 90.0, 700.0]))
    inputs = some_inputs(
        hpas,
        peak=peak,
        path={key: max(peak[key], known(draw(numbers))) for key in (CORE, ROLE)},
        demand=demand,
        age_s=age_s,
        lag_s=None if age_s is None else age_s + draw(st.sampled_from([0.0, 200.0, 1200.0])),
        incomplete=draw(st.sampled_from(["", "partition 1 of 2 has not reported"])),
    )
    return inputs, a_policy(warm_up_s=draw(st.sampled_from([0.0, 7200.0])))


@settings(max_examples=200, deadline=None)
@given(any_tick())
def test_no_forecast_however_absurd_takes_a_floor_out_of_its_band(
    tick: tuple[Inputs, Policy],
) -> None:
    inputs, policy = tick
    decision = decided(inputs, policy)

    for row, hpa in zip(decision.floors, inputs.cluster.hpas, strict=True):
        assert row.floor is not None
        if row.intent is None:
            assert row.floor == hpa.min_replicas
            continue
        assert (hpa.baseline_replicas or 1) <= row.floor <= hpa.max_replicas
        assert row.floor != hpa.min_replicas
        assert row.floor <= hpa.min_replicas + max(hpa.min_replicas, 4)
        assert hpa.min_replicas - row.floor <= -(-hpa.min_replicas // 4)


@settings(max_examples=200, deadline=None)
@given(any_tick())
def test_a_floor_falls_only_where_what_is_asked_for_now_would_still_be_carried(
    tick: tuple[Inputs, Policy],
) -> None:
    inputs, policy = tick
    for row, seen in zip(decided(inputs, policy).floors, inputs.complete_per_s, strict=True):
        if row.intent is not None and row.intent.floor < row.intent.floor_now:
            if inputs.telemetry_age_s is not None and inputs.telemetry_age_s <= 600:
                assert inputs.lag_s is not None
                assert row.intent.floor >= seen / 100 - 1e-6 or inputs.lag_s > 900
                assert inputs.lag_s > 900 or not (inputs.incomplete or inputs.lag_s > 180)
            assert row.baseline_replicas is not None
            assert policy.warm_up_s == 0


@settings(max_examples=150, deadline=None)
@given(any_tick(), numbers, numbers, st.floats(-1e300, 1e300))
def test_garbage_in_one_row_changes_no_decision_for_another(
    tick: tuple[Inputs, Policy], peak: float, demand: float, target: float
) -> None:
    inputs, policy = tick
    spoilt_hpa = msgspec.structs.replace(
        inputs.cluster.hpas[1],
        metrics=(MetricTarget("Pods", "mplp_requests_per_second", "AverageValue", target),),
        ready_replicas=-7,
        max_replicas=10**15,
    )
    spoilt = msgspec.structs.replace(
        inputs,
        cluster=ClusterView(hpas=(inputs.cluster.hpas[0], spoilt_hpa)),
        peak=np.vstack([inputs.peak[0], np.full(inputs.peak.shape[1], known(peak))]),
        complete_per_s=np.array([inputs.complete_per_s[0], known(demand)]),
    )

    assert decided(spoilt, policy).floors[0] == decided(inputs, policy).floors[0]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 3000), min_size=5, max_size=30))
def test_a_steady_world_comes_to_rest(peaks: list[float]) -> None:
    policy, hpa = a_policy(), an_hpa()
    state: State = warm_state(some_inputs([hpa]), policy)
    for tick, peak in enumerate([*peaks, *[500.0] * 80]):
        inputs = some_inputs([hpa], peak=peak, demand=min(peak, 400.0))
        decision, state = decide(inputs, policy, state, NOW_S + 15 * tick)
        floor = decision.floors[0].floor
        assert floor is not None
        hpa = an_hpa(min_replicas=floor)

    assert hpa.min_replicas == 5
    assert decision.floor_intents == ()
