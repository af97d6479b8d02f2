from __future__ import annotations

import numpy as np
import pytest

from models.forecast import QUANTILE_LEVELS
from models.quantile_tracker import Tracker, new_tracker
from models.series import FloatArray

LEVELS = np.asarray(QUANTILE_LEVELS)
MEDIAN = QUANTILE_LEVELS.index(0.5)
RATE = 0.01


def walk(stream: FloatArray) -> tuple[FloatArray, Tracker]:
    """Which levels covered each outcome (o, levels) of quantiles that are all zero."""
    tracker = new_tracker((1,), len(LEVELS))
    covered = np.zeros((len(stream), len(LEVELS)), bool)
    for place, outcome in enumerate(stream):
        covered[place] = outcome <= tracker.shift[0]
        missed = np.full((1, len(LEVELS)), outcome)
        tracker = tracker.learn(missed, LEVELS, RATE, MEDIAN)
    return covered, tracker


@pytest.mark.parametrize(("before", "after"), [(1.0, 2.0), (2.0, 1.0)])
def test_coverage_is_nominal_though_the_spread_doubles_or_halves_half_way(
    before: float, after: float
) -> None:
    noise = np.random.default_rng(1).standard_normal(20_000)
    noise[:10_000] *= before
    noise[10_000:] *= after

    covered, _ = walk(noise)

    assert covered.mean(axis=0) == pytest.approx(LEVELS, abs=0.01)
    assert covered[10_000:].mean(axis=0) == pytest.approx(LEVELS, abs=0.015)


def test_a_miss_moves_a_high_quantile_up_by_more_than_a_cover_moves_it_down() -> None:
    start = walk(np.random.default_rng(1).standard_normal(500))[1]

    up, down = (
        start.learn(np.full((1, len(LEVELS)), at), LEVELS, RATE, MEDIAN).shift - start.shift
        for at in (50.0, -50.0)
    )

    assert (up > 0).all()
    assert (down < 0).all()
    assert (up[0, LEVELS > 0.5] > -down[0, LEVELS > 0.5]).all()


def test_a_row_without_an_outcome_stays_as_it_is() -> None:
    start = walk(np.random.default_rng(1).standard_normal(50))[1]

    after = start.learn(np.full((1, len(LEVELS)), np.nan), LEVELS, RATE, MEDIAN)

    for name in Tracker.__slots__:
        assert getattr(after, name).tobytes() == getattr(start, name).tobytes()


def test_one_absurd_outcome_moves_a_shift_by_a_bounded_amount() -> None:
    start = walk(np.random.default_rng(1).standard_normal(500))[1]

    after = start.learn(np.full((1, len(LEVELS)), 1e300), LEVELS, RATE, MEDIAN)

    assert (np.abs(after.shift - start.shift) < 1.0).all()
