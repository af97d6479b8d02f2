"""How far and when weights are taken home, by values alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.core.reasons import Code, Reason
from predictor.core.restore_step import STEP_GAP_S, Pace
from predictor.core.restore_weights import (
    STEP_POINTS_MAX,
    OurWeights,
    RestoredWeights,
    restored_weights,
)
from predictor.core.weights import rounded

NOW_S = 1_000_000.0
NAMES = ("us", "eu", "ap")


def ours(
    now: tuple[int, ...],
    home: tuple[int, ...] = (50, 30, 20),
    until_s: float | None = NOW_S - 1,
) -> OurWeights:
    return OurWeights(NAMES, now, home, until_s)


def taken(held: OurWeights, pace: Pace = Pace.EXPIRED, now_s: float = NOW_S) -> RestoredWeights:
    step = restored_weights(held, now_s, pace)
    assert isinstance(step, RestoredWeights), step
    return step


def test_weights_that_ran_out_go_20_points_towards_home_and_say_when_they_go_on() -> None:
    step = taken(ours((5, 75, 20)))

    assert step.weights == (25, 55, 20)
    assert step.until_s == NOW_S + STEP_GAP_S
    assert step.reason.code is Code.EXPIRED
    assert "us 5, eu 75, ap 20 to us 25, eu 55, ap 20 on the way home to" in step.reason.sentence


def test_at_home_nothing_runs_out_any_more() -> None:
    step = taken(ours((40, 40, 20)))

    assert (step.weights, step.until_s) == ((50, 30, 20), None)
    assert step.reason.code is Code.HANDED_BACK


def test_weights_that_are_still_renewed_are_left_alone() -> None:
    waits = restored_weights(ours((5, 75, 20), until_s=NOW_S + 1), NOW_S, Pace.EXPIRED)

    assert isinstance(waits, Reason)
    assert waits.code is Code.RENEWED


@pytest.mark.parametrize("pace", [Pace.AT_ONCE, Pace.STEPS])
def test_handed_back_a_workers_expiry_is_not_waited_for(pace: Pace) -> None:
    assert taken(ours((5, 75, 20), until_s=NOW_S + 900), pace).weights == (25, 55, 20)


def test_weights_without_any_expiry_have_run_out() -> None:
    assert taken(ours((5, 75, 20), until_s=None)).weights == (25, 55, 20)


@st.composite
def splits(draw: st.DrawFn) -> tuple[int, ...]:
    import numpy as np

    shares = np.array(draw(st.lists(st.integers(0, 100), min_size=3, max_size=3)), dtype=float)
    shares = shares if shares.sum() else np.ones(3)
    return tuple(rounded(shares / shares.sum() * 100, 100).tolist())


@given(now=splits(), home=splits())
def test_each_step_is_nearer_to_home_by_what_the_server_takes_and_a_few_are_enough(
    now: tuple[int, ...], home: tuple[int, ...]
) -> None:
    for _ in range(6):
        step = taken(ours(now, home), Pace.AT_ONCE)
        assert sum(step.weights) == 100
        for was, then, there in zip(now, step.weights, home, strict=True):
            assert min(was, there) <= then <= max(was, there)
            assert abs(then - was) <= STEP_POINTS_MAX
        now = step.weights
        if step.until_s is None:
            break

    assert now == home
