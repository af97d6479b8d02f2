from __future__ import annotations

import numpy as np
import pytest

from models.coverage_control import SHIFT_MAX, CoverageControl, new_coverage_control
from models.forecast import QUANTILE_LEVELS
from models.series import FloatArray

LEVELS = np.asarray(QUANTILE_LEVELS)
ONE = np.ones(1)
NORMAL = np.quantile(np.random.default_rng(9).standard_normal(100_000), LEVELS)


def walk(outcomes: FloatArray, mixed: FloatArray) -> tuple[FloatArray, CoverageControl]:
    """Which levels covered each outcome (o, levels) of a mix that is always the same."""
    control = new_coverage_control(1, len(LEVELS))
    covered = np.zeros((len(outcomes), len(LEVELS)), bool)
    for place, outcome in enumerate(outcomes):
        said = np.maximum(mixed + control.shift(mixed[None], ONE), 0.0)
        covered[place] = outcome <= said[0]
        control = control.learn(np.array([outcome]), said, mixed=mixed[None], scale=ONE)
    return covered, control


@pytest.mark.parametrize("spread", [0.7, 1.5])
def test_every_thousand_outcomes_are_covered_as_promised_though_the_mix_is_off(
    spread: float,
) -> None:
    outcomes = 100.0 + 10.0 * np.random.default_rng(1).standard_normal(4000)
    mixed = 100.0 + 10.0 * spread * NORMAL

    covered, _ = walk(outcomes, mixed)

    thousands = covered.reshape(4, 1000, -1).mean(axis=1)
    assert np.abs(thousands - LEVELS)[1:].max() < 0.03
    assert np.abs((outcomes[:, None] <= mixed).mean(axis=0) - LEVELS).max() > 0.05


def test_a_mix_that_is_right_is_hardly_moved() -> None:
    outcomes = 100.0 + 10.0 * np.random.default_rng(1).standard_normal(4000)
    mixed = 100.0 + 10.0 * NORMAL

    _, control = walk(outcomes, mixed)

    assert np.abs(control.shift(mixed[None], ONE)).max() < 5.0


@pytest.mark.parametrize("count", [200, 4000])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_what_moving_costs_a_mix_that_is_right_is_small(level: float, count: int) -> None:
    """Also in the beginning, when the few misses that came say little."""
    drawn = np.random.default_rng(3).standard_normal((4000 // count, count))
    place = QUANTILE_LEVELS.index(level)
    mixed = 100.0 + 10.0 * NORMAL
    lost = kept = 0.0
    for outcomes in 100.0 + 10.0 * drawn:
        control = new_coverage_control(1, len(LEVELS))
        for outcome in outcomes:
            said = mixed + control.shift(mixed[None], ONE)
            lost += pinball(outcome - said[0, place], level)
            kept += pinball(outcome - mixed[place], level)
            control = control.learn(np.array([outcome]), said, mixed=mixed[None], scale=ONE)

    assert lost < 1.06 * kept


def pinball(over: float, level: float) -> float:
    return max(level * over, (level - 1.0) * over)


def test_a_row_that_is_never_covered_moves_by_a_bounded_amount() -> None:
    mixed = 100.0 + 10.0 * NORMAL

    _, control = walk(np.full(500, 1e9), mixed)

    moved = control.shift(mixed[None], ONE)[0]
    assert moved == pytest.approx(SHIFT_MAX * (mixed[LEVELS == 0.9] - mixed[LEVELS == 0.1])[0])


def test_nothing_where_nothing_was_forecast_teaches_nothing() -> None:
    """Half of the time idle: what was said for the busy half stays."""
    idle = np.zeros((1, len(LEVELS)))
    _, before = walk(np.full(200, 100.0), 100.0 + 10.0 * NORMAL)

    after = before.learn(np.zeros(1), idle, mixed=idle, scale=ONE)

    assert after.missed.tolist() == before.missed.tolist()


def test_an_unknown_outcome_changes_nothing() -> None:
    mixed = 100.0 + 10.0 * NORMAL
    _, before = walk(np.full(200, 100.0), mixed)

    after = before.learn(np.array([np.nan]), mixed[None], mixed=mixed[None], scale=ONE)

    for name in CoverageControl.__slots__:
        assert getattr(after, name).tolist() == getattr(before, name).tolist()
