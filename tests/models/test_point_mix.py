from __future__ import annotations

import numpy as np
import pytest

from models.point_mix import (
    BIAS_MAX,
    Located,
    PlaceSeen,
    PointState,
    learn_outcome,
    locate,
    new_point_state,
)
from models.series import FloatArray
from models.upstream_columns import CANDIDATES

STEP_S = 60.0
LEVEL = np.array([100.0])


def walk(points: FloatArray, outcome: FloatArray) -> tuple[PointState, Located]:
    """One row: points (o, candidates), outcomes (o,); the state and the last mix."""
    state = new_point_state(1)
    for one, actual in zip(points, outcome, strict=True):
        seen = PlaceSeen(LEVEL, one[None])
        located = locate(seen, state)
        state = learn_outcome(state, seen, located, np.array([actual]), STEP_S)
    return state, located


def some_outcomes(count: int = 600) -> FloatArray:
    return np.asarray(100.0 + 20.0 * np.random.default_rng(1).standard_normal(count))


@pytest.mark.parametrize("good", [0, 6, len(CANDIDATES) - 1])
def test_the_mix_follows_the_candidate_that_errs_least(good: int) -> None:
    outcome = some_outcomes()
    points = 100.0 + 20.0 * np.random.default_rng(2).standard_normal((600, len(CANDIDATES)))
    points[:, good] = outcome + np.random.default_rng(3).standard_normal(600)

    _, located = walk(points, outcome)

    assert located.point[0] == pytest.approx(outcome[-1], abs=6.0)
    assert located.scale[0] < 6.0


def test_a_candidate_that_is_always_half_of_the_peak_is_doubled() -> None:
    outcome = some_outcomes()

    _, located = walk(np.repeat(outcome[:, None] / 2, len(CANDIDATES), axis=1), outcome)

    assert located.point[0] == pytest.approx(outcome[-1])


def test_a_bias_is_bounded() -> None:
    points = np.full((50, len(CANDIDATES)), 1.0)

    _, located = walk(points, np.full(50, 1e9))

    assert located.point[0] == pytest.approx(BIAS_MAX)


def test_scale_is_unknown_before_the_first_outcome_and_positive_after() -> None:
    points = np.full((2, len(CANDIDATES)), 100.0)

    assert np.isnan(walk(points[:1], np.full(1, 100.0))[1].scale[0])
    assert walk(points, np.full(2, 100.0))[1].scale[0] > 0


def test_an_unknown_outcome_lets_time_pass_and_counts_for_nothing() -> None:
    outcome = some_outcomes(60)
    points = outcome[:, None] + np.random.default_rng(2).standard_normal((60, len(CANDIDATES)))
    state, _ = walk(points, outcome)
    seen = PlaceSeen(LEVEL, points[:1])
    before = locate(seen, state)

    after = learn_outcome(state, seen, before, np.array([np.nan]), STEP_S)

    assert after.seen == state.seen == 60
    assert after.loss_weight < state.loss_weight
    for one, other in zip(locate(seen, after), before, strict=True):
        np.testing.assert_allclose(one, other)


def test_rows_taken_out_and_put_back_are_the_same_and_touch_no_other_row() -> None:
    state = new_point_state(3)
    part = state.rows(np.array([1]))
    changed = PointState(*(getattr(part, name) + 1 for name in PointState.__slots__))

    whole = state.with_rows(np.array([1]), changed)

    assert whole.seen.tolist() == [0, 1, 0]
    assert whole.rows(np.array([1])).loss.tolist() == changed.loss.tolist()
    assert state.seen.tolist() == [0, 0, 0]
