"""Kapacity-like: its gate, its search, and portraits that rise early and run out."""

from __future__ import annotations

import numpy as np
import pytest

from models.series import FloatArray
from predictor.arms.families import FAMILIES
from predictor.arms.kapacity import Kapacity, portrait, replicas_for
from predictor.arms.kapacity_gate import GateCode, gated
from predictor.arms.traffic_model import learnt_model
from tests.arms.arm_scenes import MONDAY_S, SIZING, a_daily_load, a_learnt, a_scene, floors_of

EXPECTED = np.linspace(30.0, 60.0, 40)


@pytest.mark.parametrize(
    ("used", "code"),
    [
        pytest.param(EXPECTED + 2.0, GateCode.BORNE_OUT, id="close and moving together"),
        pytest.param(EXPECTED - 8.0, GateCode.FAR_OFF, id="far from expectation"),
        pytest.param(np.append(EXPECTED[:-1], 71.0), GateCode.TOO_LOW, id="one point 11 short"),
        pytest.param(np.append(EXPECTED[:-1], 69.0), GateCode.BORNE_OUT, id="one point 9 short"),
        pytest.param(EXPECTED[:11], GateCode.NOT_MEASURED, id="too few points"),
        pytest.param(EXPECTED * np.nan, GateCode.NOT_MEASURED, id="never measured"),
    ],
)
def test_the_gate_says_what_it_found(used: FloatArray, code: GateCode) -> None:
    gate = gated(EXPECTED[: len(used)], used)
    assert gate.code is code
    assert gate.passed is (code in {GateCode.BORNE_OUT, GateCode.NOT_MEASURED})


def test_use_that_does_not_follow_traffic_is_refused() -> None:
    near = 45.0 + np.sin(np.arange(40.0))
    assert gated(near, 45.0 + np.cos(np.arange(40.0) * 2.0)).code is GateCode.UNRELATED


def test_rises_begin_earlier_and_falls_do_not() -> None:
    assert portrait([3, 5, 4], 1000, 600, 90.0) == [(1000, 3), (1510, 5), (2200, 4)]


def test_the_smallest_count_that_stays_at_target_is_found_within_the_search() -> None:
    assert [replicas_for(rate, SIZING, 100) for rate in (0.0, 40.0, 40.1, 5000.0)] == [
        1,
        4,
        5,
        100,
    ]


def test_traffic_of_the_next_two_hours_is_forecast_from_the_last_two() -> None:
    demand = a_daily_load(9, noise=1.0)
    model = learnt_model(demand[: 8 * 144], MONDAY_S + 8 * 86_400, 600)
    assert model is not None
    made = model.ahead(demand[8 * 144 + 24 : 8 * 144 + 36], MONDAY_S + 8 * 86_400 + 36 * 600)
    assert np.abs(made - demand[8 * 144 + 36 : 8 * 144 + 48]).max() < 8.0


def test_a_portrait_runs_out_two_hours_after_traffic_stops_being_known() -> None:
    learnt, judged = a_learnt(a_daily_load(8)), np.full(30, np.nan)
    floors = floors_of(Kapacity(1.0, SIZING, learnt), SIZING, learnt, judged)
    assert all(floors[:120])
    assert not any(floors[120:])


def test_the_gate_holds_back_portraits_until_yesterday_bears_them_out() -> None:
    learnt, judged = a_learnt(a_daily_load(8)), a_daily_load(1)
    arm = FAMILIES["kapacity"].make(1.0, SIZING, learnt)
    floors = []
    for now_s in range(learnt.end_s, learnt.end_s + 6 * 3600, 60):
        scene = a_scene(learnt, judged, now_s, replicas=10)
        floors.append(arm.floor(scene._replace(use_of_target=2.0)))  # far above what traffic says
    assert all(floors[:60])
    assert not any(floors[-60:])
