from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.forecast import QUANTILE_LEVELS, ForecastBatch, ForecastCode, ForecastReason
from models.series import ALL_REGIONS, SeriesKey
from predictor.core.audit import RecordRefused, decode_record, encode_record, replay
from predictor.core.cluster import (
    Applied,
    ClusterView,
    MetricTarget,
    NotApplied,
    Outcome,
    TargetKey,
)
from predictor.core.decide import decide
from predictor.core.inputs import Inputs, make_inputs
from predictor.core.observed import Observed
from predictor.core.policy import RoutePolicy
from predictor.core.reasons import Code, Reason
from predictor.core.state import new_state
from tests.core.core_values import (
    AP,
    CORE,
    EU,
    NOW_S,
    US,
    a_policy,
    a_route,
    an_hpa,
    some_inputs,
    three_regions,
    warm_state,
)


def gathered(peak: float, demand: float, current: float | None = 55.0) -> Inputs:
    """Inputs as the service gathers them, with whatever numbers came."""
    hpa = an_hpa(
        metrics=(
            MetricTarget("Resource", "cpu", "Utilization", 70.0, current),
            MetricTarget("Pods", "mplp_requests_per_second", "AverageValue", 100.0),
        )
    )
    keys = (SeriesKey(*CORE),)
    shape = (1, len(QUANTILE_LEVELS))
    forecast = ForecastBatch(
        keys,
        int(NOW_S),
        60,
        QUANTILE_LEVELS,
        np.full(shape, peak),
        np.full((*shape, 12), peak),
        (ForecastReason(ForecastCode.LAST_VALUE, "level 100/s"),),
    )
    demanded, nothing = np.array([demand]), np.zeros((0, 1))
    observed = Observed(keys, demanded, demanded, 10.0, "", nothing, 20.0, "", demanded)
    return make_inputs(ClusterView((hpa,)), forecast, observed, series_digest="ab", model_name="m")


any_number = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(any_number, any_number, any_number), min_size=1, max_size=5))
def test_a_replayed_decision_is_the_same_to_the_byte(
    ticks: list[tuple[float, float, float]],
) -> None:
    policy, state = a_policy(), new_state()
    for tick, numbers in enumerate(ticks):
        inputs, before = gathered(*numbers), state
        decision, state = decide(inputs, policy, before, NOW_S + 15.3 * tick)
        outcomes: list[tuple[TargetKey, Outcome]] = [
            (CORE, Applied("2")),
            (CORE, NotApplied(Reason(Code.MOVED_ON, "version 3, not 2"))),
        ]

        body = encode_record(inputs, policy, before, decision, outcomes)

        assert replay(body) == body


def test_a_routed_decision_replays_too() -> None:
    weights = {US: 50, EU: 30, AP: 20}
    policy = a_policy(routes={"core": RoutePolicy(home_weights=weights)})
    hpas = [an_hpa(TargetKey("core", region), ready_replicas=20) for region in weights]
    demand = {SeriesKey("core", ALL_REGIONS): 4500.0}
    inputs = some_inputs(
        hpas, keys=three_regions(), routes=[a_route(weights)], peak=demand, demand=demand
    )
    before = warm_state(inputs, policy)

    decision, _ = decide(inputs, policy, before, NOW_S)
    body = encode_record(inputs, policy, before, decision)

    assert decision.weight_intents
    assert replay(body) == body


def test_a_service_without_targets_replays_too() -> None:
    inputs = some_inputs([])
    decision, state = decide(inputs, a_policy(), new_state(), NOW_S)
    _, state = decide(inputs, a_policy(), state, NOW_S + 15)

    body = encode_record(inputs, a_policy(), new_state(), decision)

    assert replay(body) == body
    assert decision.floors == ()
    assert state.number == 2


def test_a_record_whose_decision_was_changed_does_not_replay() -> None:
    inputs, policy = some_inputs(peak=900.0), a_policy()
    before = warm_state(inputs, policy)
    decision, _ = decide(inputs, policy, before, NOW_S)
    row = msgspec.structs.replace(decision.floors[0], floor=20)

    body = encode_record(inputs, policy, before, msgspec.structs.replace(decision, floors=(row,)))

    assert replay(body) != body


def test_a_record_reads_back_what_was_seen() -> None:
    inputs, policy = gathered(640.0, float("nan")), a_policy()
    decision, _ = decide(inputs, policy, new_state(), NOW_S)

    record = decode_record(encode_record(inputs, policy, new_state(), decision))

    assert record.decision == decision
    assert record.inputs.peak[0, 0] == 640.0
    assert np.isnan(record.inputs.complete_per_s[0])
    assert record.inputs.cluster == inputs.cluster


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param(b"{", "no decision record", id="broken JSON"),
        pytest.param(b"{}", "no decision record", id="nothing in it"),
        pytest.param(b"[" * 100_000, "no decision record", id="nested without end"),
    ],
)
def test_what_is_no_record_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(RecordRefused, match=why):
        decode_record(body)


def test_a_record_of_another_version_is_refused_by_name() -> None:
    inputs = some_inputs()
    decision, _ = decide(inputs, a_policy(), new_state(), NOW_S)
    body = encode_record(inputs, a_policy(), new_state(), decision)

    with pytest.raises(RecordRefused, match="version 9, this reads version 4"):
        decode_record(body.replace(b'"version":4', b'"version":9', 1))


def test_inputs_whose_rows_differ_are_refused() -> None:
    observed = Observed((), np.zeros(0), np.zeros(0), 0.0, "", np.zeros((0, 1)), 0.0, "")
    shape = (1, len(QUANTILE_LEVELS))
    forecast = ForecastBatch(
        (SeriesKey(*CORE),),
        0,
        60,
        QUANTILE_LEVELS,
        np.zeros(shape),
        np.zeros((*shape, 1)),
        (ForecastReason(ForecastCode.LAST_VALUE, ""),),
    )

    with pytest.raises(ValueError, match="rows"):
        make_inputs(ClusterView(()), forecast, observed)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), -1.0])
def test_what_is_no_demand_is_unknown_and_never_a_number(number: float) -> None:
    inputs = gathered(number, number)

    assert np.isnan(inputs.peak).all()
    assert np.isnan(inputs.path).all()
    assert np.isnan(inputs.complete_per_s).all()


def test_a_metric_without_a_number_does_not_reach_the_record() -> None:
    hpa = an_hpa(
        metrics=(
            MetricTarget("Resource", "cpu", "Utilization", float("nan"), 50.0),
            MetricTarget("Resource", "memory", "Utilization", 80.0, float("inf")),
        )
    )
    plain = gathered(1.0, 1.0)
    forecast = ForecastBatch(
        plain.keys,
        0,
        60,
        plain.levels,
        plain.peak,
        plain.peak[:, :, None],
        (ForecastReason(ForecastCode.LAST_VALUE, ""),),
    )
    observed = Observed(
        plain.keys, np.ones(1), np.ones(1), float("inf"), "", np.zeros((0, 1)), float("inf"), ""
    )

    inputs = make_inputs(ClusterView((hpa,)), forecast, observed)

    assert inputs.cluster.hpas[0].metrics == (
        MetricTarget("Resource", "memory", "Utilization", 80.0, None),
    )
    assert inputs.telemetry_age_s is None
