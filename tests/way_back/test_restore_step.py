"""How far and when a floor is taken back, by values alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.core.opt_in import CEILING, FLOOR, OptIn, read_opt_in
from predictor.core.reasons import Code, Reason
from predictor.core.restore_step import STEP_GAP_S, OurFloor, Pace, Restored, restored

NOW_S = 1_000_000.0
PACES = st.sampled_from(list(Pace))


def held(
    floor_now: int, *, until_s: float | None = NOW_S - 1, baseline: int | None = 3
) -> OurFloor:
    return OurFloor(floor_now, OptIn(floor=baseline), until_s, has_kept=until_s is not None)


@pytest.mark.parametrize(("now", "then"), [(20, 15), (5, 3), (4, 3), (100, 75), (7, 5)])
def test_a_floor_that_ran_out_falls_by_a_quarter_and_never_below_the_owners(
    now: int, then: int
) -> None:
    step = restored(held(now), NOW_S, Pace.EXPIRED)

    assert isinstance(step, Restored)
    assert step.floor == then


def test_a_step_says_when_the_next_one_is_due_and_why() -> None:
    step = restored(held(20), NOW_S, Pace.EXPIRED)

    assert isinstance(step, Restored)
    assert step.until_s == NOW_S + STEP_GAP_S
    assert step.reason.code is Code.EXPIRED
    assert "minReplicas 20 to 15 on the way to the owner's 3" in step.reason.sentence


def test_at_the_owners_floor_nothing_runs_out_any_more() -> None:
    step = restored(held(4), NOW_S, Pace.EXPIRED)

    assert isinstance(step, Restored)
    assert (step.floor, step.until_s, step.reason.code) == (3, None, Code.HANDED_BACK)


def test_a_floor_that_is_still_renewed_is_left_alone() -> None:
    step = restored(held(20, until_s=NOW_S + 1), NOW_S, Pace.EXPIRED)

    assert isinstance(step, Reason)


def test_handed_back_at_once_it_goes_all_the_way_whatever_its_expiry() -> None:
    step = restored(held(20, until_s=NOW_S + 900), NOW_S, Pace.AT_ONCE)

    assert isinstance(step, Restored)
    assert (step.floor, step.until_s) == (3, None)


def test_handed_back_in_steps_a_workers_expiry_is_not_waited_for_but_a_steps_is() -> None:
    first = restored(held(20, until_s=NOW_S + 900), NOW_S, Pace.STEPS)

    assert isinstance(first, Restored)
    second = held(first.floor, until_s=first.until_s)
    assert isinstance(restored(second, NOW_S + 1, Pace.STEPS), Reason)
    assert isinstance(restored(second, NOW_S + STEP_GAP_S, Pace.STEPS), Restored)


def test_a_floor_of_ours_without_any_expiry_has_run_out() -> None:
    assert isinstance(restored(held(20, until_s=None), NOW_S, Pace.EXPIRED), Restored)


@pytest.mark.parametrize(
    ("annotations", "code"),
    [
        ({}, Code.NOT_OPTED_IN),
        ({FLOOR: "many"}, Code.ANNOTATION_UNREADABLE),
        ({CEILING: "9"}, Code.NOT_OPTED_IN),
    ],
    ids=str,
)
def test_without_the_owners_floor_nothing_is_guessed(
    annotations: dict[str, str], code: Code
) -> None:
    unknown = OurFloor(20, read_opt_in(annotations), None, has_kept=True)

    step = restored(unknown, NOW_S, Pace.AT_ONCE)

    assert isinstance(step, Reason)
    assert step.code is code


@given(
    now=st.integers(0, 1000),
    baseline=st.integers(1, 1000),
    left_s=st.none() | st.floats(-1e6, 1e6),
    pace=PACES,
)
def test_it_never_raises_and_never_goes_below_the_owners(
    now: int, baseline: int, left_s: float | None, pace: Pace
) -> None:
    until_s = None if left_s is None else NOW_S + left_s

    step = restored(held(now, until_s=until_s, baseline=baseline), NOW_S, pace)

    if isinstance(step, Restored):
        assert step.floor <= now
        assert step.floor >= min(now, baseline)


@given(now=st.integers(1, 10_000), baseline=st.integers(1, 100))
def test_every_floor_comes_back_in_a_bounded_number_of_steps_a_gap_apart(
    now: int, baseline: int
) -> None:
    floor, at_s, until_s, steps = now, NOW_S, NOW_S, 0
    while floor > baseline:
        step = restored(held(floor, until_s=until_s, baseline=baseline), at_s, Pace.EXPIRED)
        assert isinstance(step, Restored)
        assert step.floor < floor
        floor, steps = step.floor, steps + 1
        until_s = at_s if step.until_s is None else step.until_s
        at_s = until_s

    assert at_s - NOW_S <= steps * STEP_GAP_S
    assert steps <= 40
