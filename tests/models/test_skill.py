from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.series import FloatArray
from models.skill import Rung, SkillRules, judge, pinball_losses

BEST = np.array([Rung.ENSEMBLE])


def losses(*levels: float, outcomes: int = 340, seed: int = 1, overlap: int = 1) -> FloatArray:
    """Noisy losses of the three methods with these means, one row, correlated over `overlap`."""
    drawn = np.random.default_rng(seed).exponential(1.0, (3, outcomes + overlap))
    total = np.cumsum(drawn, axis=1)
    smooth = (total[:, overlap:] - total[:, :-overlap]) / overlap
    return np.asarray(np.asarray(levels)[:, None, None] * smooth[:, None])


def after(*stretches: FloatArray) -> FloatArray:
    return np.concatenate(stretches, axis=2)


def test_ensemble_that_beats_both_stays() -> None:
    verdict = judge(losses(0.5, 0.7, 1.0), BEST)

    assert verdict.rung.tolist() == [Rung.ENSEMBLE]
    assert verdict.sentences == ("",)
    assert verdict.ratio[0, Rung.ENSEMBLE] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("levels", "rung", "label"),
    [
        ((1.5, 1.0, 2.0), Rung.LAST_VALUE, "last value"),
        ((1.5, 2.0, 1.0), Rung.SEASONAL_NAIVE, "seasonal naive"),
        ((2.0, 1.4, 1.0), Rung.SEASONAL_NAIVE, "seasonal naive"),
    ],
)
def test_ensemble_gives_way_to_the_best_and_says_by_how_much(
    levels: tuple[float, ...], rung: Rung, label: str
) -> None:
    verdict = judge(losses(*levels), BEST)

    ratio = verdict.ratio[0, Rung.ENSEMBLE] / verdict.ratio[0, rung]
    assert verdict.rung.tolist() == [rung]
    assert verdict.sentences[0] == (
        f"demoted: loss {ratio:.2f} x {label} over 340 windows, at most 1.00 is needed for "
        "120 windows to return"
    )


def test_few_outcomes_demote_nobody() -> None:
    assert judge(losses(3.0, 1.0, 1.0, outcomes=119), BEST).rung.tolist() == [Rung.ENSEMBLE]
    assert judge(losses(3.0, 1.0, 1.0, outcomes=120), BEST).rung.tolist() != [Rung.ENSEMBLE]


@pytest.mark.parametrize("overlap", [1, 12])
def test_equal_methods_are_seldom_demoted(overlap: int) -> None:
    rows = [losses(1.0, 1.0, 1.0, seed=seed, overlap=overlap) for seed in range(100)]

    rung = judge(np.concatenate(rows, axis=1), overlap=overlap).rung

    # Two comparisons at one in twenty each, and only some of those by five percent.
    assert (rung != Rung.ENSEMBLE).mean() <= 0.15


def test_overlap_that_is_ignored_demotes_too_easily() -> None:
    rows = [losses(1.0, 1.0, 1.0, seed=seed, overlap=12) for seed in range(100)]
    many = np.concatenate(rows, axis=1)

    ignored, allowed = ((judge(many, overlap=overlap).rung > 0).mean() for overlap in (1, 12))

    assert ignored > 2 * allowed


def test_demoted_method_returns_only_after_a_long_good_stretch() -> None:
    bad, good = losses(1.5, 1.0, 2.0), losses(0.5, 1.0, 2.0, seed=2, outcomes=400)
    rung = judge(bad).rung
    returned = []
    for outcomes in range(0, 400, 20):
        rung = judge(after(bad, good[:, :, :outcomes]), rung).rung
        returned.append(int(rung[0]))

    first = returned.index(Rung.ENSEMBLE)
    assert 120 <= first * 20 <= 390
    assert set(returned[:first]) == {Rung.LAST_VALUE}
    assert set(returned[first:]) == {Rung.ENSEMBLE}


def test_method_between_the_two_thresholds_stays_where_it_is() -> None:
    between = losses(1.0, 1.0, 2.0) * np.array([1.03, 1.0, 1.0])[:, None, None]
    between[Rung.LAST_VALUE] = between[Rung.ENSEMBLE] / 1.03

    for rung in (Rung.ENSEMBLE, Rung.LAST_VALUE):
        assert judge(between, np.array([rung])).rung.tolist() == [rung]


def test_first_day_without_a_season_is_judged_by_the_last_value_alone() -> None:
    young = losses(1.5, 1.0, 1.0)
    young[Rung.SEASONAL_NAIVE, :, :300] = np.nan

    verdict = judge(young, BEST)

    assert verdict.rung.tolist() == [Rung.LAST_VALUE]
    assert verdict.outcomes.tolist() == [340]


def test_unknown_outcomes_count_for_nobody() -> None:
    whole = losses(1.5, 1.0, 2.0)
    holes = np.repeat(whole, 2, axis=2)
    holes[:, :, ::2] = np.nan
    holes[1, :, ::2] = 0.0

    first, second = judge(whole), judge(holes)

    np.testing.assert_allclose(first.ratio, second.ratio)
    assert first.rung.tolist() == second.rung.tolist()
    assert first.sentences == second.sentences


def test_old_losses_are_forgotten() -> None:
    verdict = judge(
        after(losses(9.0, 1.0, 1.0, outcomes=300), losses(0.5, 1.0, 1.0, outcomes=2000))
    )

    assert verdict.ratio[0, Rung.ENSEMBLE] == pytest.approx(0.5, abs=0.1)


def test_loss_is_the_mean_pinball_over_levels() -> None:
    found = pinball_losses(np.array([[10.0, np.nan]]), np.array([[[8.0, 14.0]] * 2]), (0.5, 0.9))

    assert found[0, 0] == pytest.approx((0.5 * 2.0 + 0.1 * 4.0) / 2)
    assert np.isnan(found[0, 1])


@pytest.mark.parametrize(
    ("changed", "word"),
    [({"memory": 0.0}, "memory"), ({"promote_below": 1.2}, "promote_below")],
)
def test_senseless_rules_are_refused_by_name(changed: dict[str, float], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        SkillRules(**changed)  # type: ignore[arg-type]


def test_losses_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="3 methods"):
        judge(np.zeros((2, 1, 5)))


ODD = st.sampled_from([0.0, 1e-12, 1.0, 1e12, np.nan])


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 40).flatmap(lambda outcomes: arrays(np.float64, (3, 2, outcomes), elements=ODD)),
    st.sampled_from(list(Rung)),
    st.integers(1, 50),
)
def test_any_losses_give_a_rung_and_no_infinite_surprise(
    some: FloatArray, rung: Rung, overlap: int
) -> None:
    rules = SkillRules(outcomes_min=3, promote_after=3)

    verdict = judge(some, np.full(2, rung), rules, overlap)

    assert set(verdict.rung.tolist()) <= set(Rung)
    assert len(verdict.sentences) == 2
    assert all("nan" not in sentence for sentence in verdict.sentences)
