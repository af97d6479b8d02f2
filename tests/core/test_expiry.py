"""A floor of ours runs out by itself, is renewed while it is wanted, and leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest

from predictor.core.cluster import FloorIntent, HpaView, MetricTarget
from predictor.core.decide import decide
from predictor.core.opt_in import FIELD_MANAGER, KeptState, Mode, OptIn
from predictor.core.policy import Policy
from predictor.core.reasons import Code
from predictor.core.state import new_state
from tests.core.core_values import NOW_S, a_policy, an_hpa, codes, decided, some_inputs

BAND = OptIn(mode=Mode.ACTIVE, floor=3, ceiling=15)


def held(floor: int, until_s: float | None, **changes: Any) -> HpaView:
    """A floor that we wrote, with what stands beside it."""
    values: dict[str, Any] = {
        "floor_manager": FIELD_MANAGER,
        "opt_in": BAND,
        "kept": KeptState(until_s, 1),
    }
    return an_hpa(min_replicas=floor, **(values | changes))


def intent(hpa: HpaView, demand: float) -> FloorIntent | None:
    return decided(some_inputs([hpa], peak=demand, demand=demand)).floors[0].intent


def test_a_raise_says_until_when_and_why() -> None:
    made = intent(an_hpa(opt_in=BAND), 700.0)

    assert made is not None
    assert made.until_s == NOW_S + 900
    assert "700.0/s" in made.reason


@pytest.mark.parametrize(
    ("until_s", "is_renewed"),
    [
        pytest.param(NOW_S + 460, False, id="more than half is left"),
        pytest.param(NOW_S + 440, True, id="less than half is left"),
        pytest.param(NOW_S - 60, True, id="it ran out while nobody renewed"),
        pytest.param(None, True, id="nothing says until when"),
    ],
)
def test_a_floor_that_is_still_wanted_is_renewed_at_half_time(
    until_s: float | None, is_renewed: bool
) -> None:
    row = decided(some_inputs([held(8, until_s)], peak=800.0, demand=800.0)).floors[0]

    assert (row.intent is not None) == is_renewed
    assert (Code.RENEWED in codes(row.reasons)) == is_renewed
    if row.intent is not None:
        assert (row.intent.floor_now, row.intent.floor) == (8, 8)
        assert row.intent.until_s == NOW_S + 900


@pytest.mark.parametrize(
    "hpa",
    [
        pytest.param(held(8, None, floor_manager="kubectl"), id="it is somebody else's floor"),
        pytest.param(held(8, None, opt_in=OptIn(floor=3, ceiling=15)), id="it is in shadow"),
        pytest.param(
            held(8, None, opt_in=OptIn(Mode.ACTIVE, 3, 15, faults=("x",))), id="it is left alone"
        ),
    ],
)
def test_nothing_is_renewed_where(hpa: HpaView) -> None:
    assert intent(hpa, 800.0) is None


def test_the_release_to_the_baseline_drops_what_would_run_out() -> None:
    made = intent(held(4, NOW_S + 100), 100.0)

    assert made is not None
    assert (made.floor, made.until_s, made.reason) == (3, None, "")


def test_a_floor_that_came_to_the_baseline_without_us_is_written_once_more() -> None:
    left, clean = intent(held(3, NOW_S + 100), 100.0), intent(held(3, None), 100.0)

    assert left is not None
    assert (left.floor_now, left.floor, left.until_s) == (3, 3, None)
    assert clean is None


def test_the_first_decision_after_a_start_renews_nothing_yet() -> None:
    inputs = some_inputs([held(8, NOW_S + 10)], peak=800.0, demand=800.0)

    decision, _ = decide(inputs, a_policy(), new_state(), NOW_S)

    assert decision.floor_intents == ()


@pytest.mark.parametrize(
    "settings",
    [{"expiry_s": 300.0}, {"tick_s": 300.0, "expiry_s": 800.0}],
    ids=["shorter than a restart takes", "shorter than three ticks"],
)
def test_an_expiry_that_would_trip_in_normal_operation_is_refused(settings: Any) -> None:
    with pytest.raises(ValueError, match="expiry_s must be at least"):
        Policy(**settings)


def test_a_floor_that_nothing_can_size_any_more_stays_and_runs_out() -> None:
    memory = MetricTarget("Resource", "memory", "Utilization", 80.0, 60.0)
    inputs = some_inputs([held(8, NOW_S + 100.0, metrics=(memory,))], demand=0.0, peak=0.0)
    row = decided(inputs).floors[0]

    assert row.floor == 8
    assert row.intent is None
    assert row.reasons[0].sentence.endswith("; the floor of 8 is not renewed")
