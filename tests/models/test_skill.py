from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.series import FloatArray
from models.skill import METHODS, Rung, Skill, SkillRules, judge, new_skill, pinball_losses
from models.skill import sentence_of as said

HALF_HOUR_S = 1800.0


def losses(
    *means: float, outcomes: int = 60, rows: int = 1, overlap: int = 1, seed: int = 1
) -> FloatArray:
    """Noisy losses of the three methods with these means, (n, methods, outcomes), each correlated
    with the next `overlap`."""
    drawn = np.random.default_rng(seed).exponential(1.0, (rows, METHODS, outcomes + overlap))
    total = np.cumsum(drawn, axis=2)
    smooth = (total[:, :, overlap:] - total[:, :, :-overlap]) / overlap
    return np.asarray(np.asarray(means)[:, None] * smooth)


def after(
    some: FloatArray, skill: Skill | None = None, every_s: float = HALF_HOUR_S, hold_s: float = 0.0
) -> Skill:
    """What is in force after such losses, an outcome each half hour."""
    skill = skill or new_skill(len(some))
    for place in range(some.shape[2]):
        skill = judge(skill, some[:, :, place], every_s, hold_s)
    return skill


def test_ensemble_that_beats_both_stays() -> None:
    skill = after(losses(0.5, 0.7, 1.0))

    assert skill.rung.tolist() == [Rung.ENSEMBLE]
    assert said(skill, 0) == ""


@pytest.mark.parametrize(
    ("means", "rung", "label"),
    [
        ((3.0, 1.0, 4.0), Rung.LAST_VALUE, "last value"),
        ((3.0, 4.0, 1.0), Rung.SEASONAL_NAIVE, "seasonal naive"),
        ((4.0, 2.5, 0.5), Rung.SEASONAL_NAIVE, "seasonal naive"),
    ],
)
def test_ensemble_gives_way_to_the_best_and_says_by_how_much(
    means: tuple[float, ...], rung: Rung, label: str
) -> None:
    skill = after(losses(*means))

    assert skill.rung.tolist() == [rung]
    assert said(skill, 0) == (
        f"demoted: loss {skill.ratio[0, rung]:.2f} x {label} over 60 windows, at most 1.00 is "
        "needed for 1 h to return"
    )


def test_few_outcomes_demote_nobody() -> None:
    bad = losses(9.0, 1.0, 1.0, overlap=8)

    assert after(bad[:, :, :6]).rung.tolist() == [Rung.ENSEMBLE]
    assert after(bad[:, :, :12]).rung.tolist() != [Rung.ENSEMBLE]


@pytest.mark.parametrize("overlap", [1, 12])
def test_equal_methods_are_seldom_demoted(overlap: int) -> None:
    many = losses(1.0, 1.0, 1.0, rows=200, outcomes=100 * overlap, overlap=overlap)

    skill = after(many, every_s=600.0, hold_s=600.0 * overlap)

    assert (skill.rung != Rung.ENSEMBLE).mean() <= 0.15


def test_overlap_that_is_ignored_demotes_too_easily() -> None:
    many = losses(1.0, 1.0, 1.0, rows=200, outcomes=300, overlap=12)

    ignored, allowed = (
        (after(many, every_s=HALF_HOUR_S, hold_s=hold_s).rung > 0).mean()
        for hold_s in (0.0, 12 * HALF_HOUR_S)
    )

    assert ignored > 2 * allowed


def test_demoted_method_returns_only_after_a_good_stretch_and_says_so() -> None:
    skill = after(losses(3.0, 1.0, 4.0))
    good, rungs = losses(0.3, 1.0, 4.0, seed=2), []
    for place in range(good.shape[2]):
        skill = judge(skill, good[:, :, place], HALF_HOUR_S)
        rungs.append(int(skill.rung[0]))

    back = rungs.index(Rung.ENSEMBLE)
    assert 1 <= back <= 30
    assert set(rungs[:back]) == {Rung.LAST_VALUE}
    assert set(rungs[back:]) == {Rung.ENSEMBLE}
    assert said(skill, 0) == "back at ensemble: loss at most 1.00 x last value for 1 h"
    assert skill.changed_s[0] == (len(rungs) - 1 - back) * HALF_HOUR_S


def test_method_between_the_two_thresholds_stays_where_it_is() -> None:
    between = losses(1.0, 1.0, 4.0)
    between[:, Rung.ENSEMBLE] = 1.03 * between[:, Rung.LAST_VALUE]

    for rung in (Rung.ENSEMBLE, Rung.LAST_VALUE):
        held = dataclasses.replace(new_skill(1), rung=np.array([int(rung)]))
        assert after(between, held).rung.tolist() == [rung]


def test_first_day_without_a_season_is_judged_by_the_last_value_alone() -> None:
    young = losses(3.0, 1.0, 0.1)
    young[:, Rung.SEASONAL_NAIVE] = np.nan

    skill = after(young)

    assert skill.rung.tolist() == [Rung.LAST_VALUE]
    assert np.isnan(skill.ratio[0, Rung.SEASONAL_NAIVE])


def test_unknown_outcomes_count_for_nobody() -> None:
    whole = losses(3.0, 1.0, 4.0)
    holes = np.repeat(whole, 2, axis=2)
    holes[:, :, ::2] = np.nan

    first, second = after(whole), after(holes)

    np.testing.assert_allclose(first.ratio, second.ratio)
    assert said(first, 0) == said(second, 0) != ""


def test_rows_are_judged_alone() -> None:
    both = np.concatenate([losses(3.0, 1.0, 4.0), losses(0.3, 1.0, 4.0)])

    together = after(both)

    for row in range(2):
        alone = after(both[[row]])
        assert together.rung[row] == alone.rung[0]
        np.testing.assert_array_equal(together.ratio[row], alone.ratio[0])


def test_old_losses_are_forgotten() -> None:
    skill = after(losses(0.5, 1.0, 1.0, outcomes=200), after(losses(99.0, 1.0, 1.0)))

    assert skill.ratio[0, Rung.LAST_VALUE] == pytest.approx(0.5, abs=0.3)


def test_loss_is_the_mean_pinball_over_levels() -> None:
    found = pinball_losses(np.array([[10.0, np.nan]]), np.array([[[8.0, 14.0]] * 2]), (0.5, 0.9))

    assert found[0, 0] == pytest.approx((0.5 * 2.0 + 0.1 * 4.0) / 2)
    assert np.isnan(found[0, 1])


@pytest.mark.parametrize(
    ("changed", "word"),
    [({"memory_s": 0.0}, "memory_s"), ({"promote_below": 1.2}, "promote_below")],
)
def test_senseless_rules_are_refused_by_name(changed: dict[str, float], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        SkillRules(**changed)


def test_losses_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="3 methods"):
        judge(new_skill(2), np.zeros((2, 2)), HALF_HOUR_S)


ODD = st.sampled_from([0.0, 1e-12, 1.0, 1e12, np.nan])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 20).flatmap(lambda outcomes: arrays(np.float64, (2, 3, outcomes), elements=ODD)),
    st.sampled_from([Rung.ENSEMBLE, Rung.LAST_VALUE, Rung.SEASONAL_NAIVE]),
    st.sampled_from([60.0, HALF_HOUR_S, 1e5]),
)
def test_any_losses_give_a_rung_and_no_infinite_surprise(
    some: FloatArray, rung: Rung, every_s: float
) -> None:
    held = new_skill(2)
    held = dataclasses.replace(held, rung=held.rung + rung, rung_before=held.rung + rung)

    skill = after(some, held, every_s=every_s)

    assert set(skill.rung.tolist()) <= {0, 1, 2}
    assert all("nan" not in said(skill, row) for row in range(2))
    assert all(np.isfinite(getattr(skill, name)).all() for name in Skill.__slots__)
