from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.forecast import QUANTILE_LEVELS
from models.quantile_mix import MixState, learn_mix, mix, new_mix_state
from models.row_blocks import ROWS_AT_ONCE
from models.series import FloatArray

LEVELS = np.asarray(QUANTILE_LEVELS)
COUNT = len(LEVELS)
NUMBERS = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6))
MEMBERS = arrays(np.float64, (2, 3, COUNT), elements=NUMBERS)
OUTCOMES = arrays(np.float64, 2, elements=st.one_of(st.just(np.nan), st.floats(0, 1e6)))
ONE = np.ones(1)


def normal_quantiles(spread: float) -> FloatArray:
    """About those of a normal outcome around 100 with this spread, one row, one member."""
    drawn = np.quantile(np.random.default_rng(9).standard_normal(100_000), LEVELS)
    return np.asarray(100.0 + spread * drawn)[None, None]


def learnt(members: FloatArray, outcomes: FloatArray, state: MixState | None = None) -> MixState:
    found = state or new_mix_state(1, members.shape[1], COUNT)
    for outcome in outcomes:
        made = mix(members, ONE, found)
        found = learn_mix(found, made, np.array([outcome]), LEVELS, elapsed_s=60.0, reach_s=300.0)
    return found


@settings(max_examples=60)
@given(st.lists(st.tuples(MEMBERS, OUTCOMES), min_size=1, max_size=6), st.floats(1e-3, 1e5))
def test_quantiles_never_cross_and_are_never_negative_whatever_was_learnt(
    steps: list[tuple[FloatArray, FloatArray]], unit: float
) -> None:
    state, scale = new_mix_state(2, 3, COUNT), np.full(2, unit)
    for members, outcome in steps:
        made = mix(members, scale, state)
        state = learn_mix(state, made, outcome, LEVELS, elapsed_s=60.0, reach_s=300.0)
        whole = np.asarray(np.isfinite(members).all(axis=2)).any(axis=1)
        assert np.isfinite(made.quantiles[whole]).all()
        assert not (made.quantiles < 0).any()
        assert not (np.diff(made.quantiles, axis=1) < 0).any()
        assert np.isfinite(state.loss).all()


def test_a_row_among_thousands_is_mixed_as_it_is_alone() -> None:
    rows = 2 * ROWS_AT_ONCE + 1
    rng = np.random.default_rng(4)
    members = np.sort(rng.gamma(2.0, 10.0, (rows, 3, COUNT)), axis=2)
    state, scale = new_mix_state(rows, 3, COUNT), rng.uniform(1.0, 9.0, rows)
    state = dataclasses.replace(state, loss=rng.uniform(1.0, 1.2, state.loss.shape))

    made = mix(members, scale, state)

    for row in (0, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, rows - 1):
        some = np.array([row])
        alone = mix(members[some], scale[some], state.rows(some))
        np.testing.assert_array_equal(alone.quantiles, made.quantiles[some])
        np.testing.assert_array_equal(alone.mix, made.mix[some])


def test_a_level_moved_down_past_its_neighbours_does_not_push_them_up_or_down() -> None:
    """The 0.99 of a mix that was never missed comes down; what the levels beneath say stays."""
    member = normal_quantiles(10.0)
    state = new_mix_state(1, 1, COUNT)
    missed = np.zeros((1, COUNT))
    missed[0, -1] = -0.05
    known = {"missed": missed, "seen": np.full(1, 1000.0), "width": np.full(1, 25.0)}
    control = dataclasses.replace(state.control, **known)

    made = mix(member, ONE, dataclasses.replace(state, control=control))

    assert made.quantiles[0, :-1] == pytest.approx(member[0, 0, :-1])
    assert made.quantiles[0, -1] == pytest.approx(member[0, 0, -2])


def test_a_member_that_is_silent_is_left_out() -> None:
    member = normal_quantiles(10.0)
    silent = np.full_like(member, np.nan)

    made = mix(np.concatenate([silent, member], axis=1), ONE, new_mix_state(1, 2, COUNT))

    assert made.quantiles[0] == pytest.approx(member[0, 0])


def test_a_row_of_silent_members_has_no_quantiles() -> None:
    made = mix(np.full((1, 2, COUNT), np.nan), ONE, new_mix_state(1, 2, COUNT))

    assert np.isnan(made.quantiles).all()


def test_a_member_that_was_silent_is_not_taken_for_the_best() -> None:
    member = normal_quantiles(10.0)
    silent = np.full_like(member, np.nan)
    outcomes = 100.0 + 10.0 * np.random.default_rng(1).standard_normal(50)

    state = learnt(np.concatenate([silent, member], axis=1), outcomes)

    own = state.loss[:, [1, 3, 5]].mean(axis=1)
    assert state.loss[:, 0] == pytest.approx(own)


def test_weights_move_to_the_better_member() -> None:
    good, bad = normal_quantiles(10.0), normal_quantiles(10.0) + 200.0
    both = np.concatenate([bad, good], axis=1)
    outcomes = 100.0 + 10.0 * np.random.default_rng(1).standard_normal(300)

    before = mix(both, ONE, new_mix_state(1, 2, COUNT)).mix
    after = mix(both, ONE, learnt(both, outcomes)).mix

    assert before[0] == pytest.approx(0.5 * (good + bad)[0, 0])
    assert after[0] == pytest.approx(good[0, 0], abs=4.0)


def test_quantiles_that_are_too_narrow_are_widened_to_nominal_coverage() -> None:
    narrow, scale = normal_quantiles(3.0), np.full(1, 10.0)
    outcomes = 100.0 + 10.0 * np.random.default_rng(1).standard_normal(6000)
    state, covered = new_mix_state(1, 1, COUNT), []
    for outcome in outcomes:
        made = mix(narrow, scale, state)
        covered.append(outcome <= made.quantiles[0])
        state = learn_mix(state, made, np.array([outcome]), LEVELS, elapsed_s=60.0, reach_s=300.0)

    assert np.mean(covered[2000:], axis=0) == pytest.approx(LEVELS, abs=0.015)
    assert abs(np.mean(outcomes[2000:, None] <= narrow[0, 0], axis=0)[-1] - 0.99) > 0.1
