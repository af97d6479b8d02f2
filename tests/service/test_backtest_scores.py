"""Scores mean what they say: the loss of the paper, shares of outcomes, equal parts of time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_pinball_loss

from models.rolling_origins import Target
from predictor.backtest_scores import (
    SCORED_LEVELS,
    geometric_mean,
    quarters,
    score,
    together,
    usable,
    window_note,
)
from tests.service.backtest_builders import LEVELS, a_result, a_series, daily_load, scaled

RESULT = a_result(a_series(daily_load(4)), origins=400)


def test_the_loss_is_that_of_scikit_learn_over_the_five_levels() -> None:
    places = [LEVELS.index(level) for level in SCORED_LEVELS]
    pinball = sum(
        mean_pinball_loss(RESULT.outcome, RESULT.quantiles[:, place], alpha=level)
        for place, level in zip(places, SCORED_LEVELS, strict=True)
    )

    assert score(RESULT).wql == pytest.approx(2 * pinball / (5 * np.abs(RESULT.outcome).mean()))


def test_levels_beyond_the_five_change_no_loss() -> None:
    spoilt = RESULT.quantiles.copy()
    spoilt[:, [LEVELS.index(0.75), LEVELS.index(0.975)]] *= 10

    assert score(replace(RESULT, quantiles=spoilt)).wql == score(RESULT).wql


def test_coverage_is_the_share_at_or_below_every_level() -> None:
    outcome = np.where(np.arange(len(RESULT.outcome)) % 4 == 0, 1e9, RESULT.quantiles[:, 0])

    shares = dict(score(replace(RESULT, outcome=outcome)).coverage)

    assert shares == pytest.approx(dict.fromkeys(LEVELS, 0.75), abs=0.01)


def test_a_forecast_that_is_right_loses_nothing_and_one_like_the_bar_has_ratio_one() -> None:
    exact = np.repeat(RESULT.outcome[:, None], len(LEVELS), axis=1)

    assert score(replace(RESULT, quantiles=exact)).wql == 0
    assert score(replace(RESULT, quantiles=RESULT.seasonal_naive)).ratio == 1


@given(st.floats(1e-3, 1e3))
def test_the_unit_of_the_series_changes_no_score(factor: float) -> None:
    mine, other = score(RESULT), score(scaled(RESULT, factor))

    assert other.wql == pytest.approx(mine.wql)
    assert other.ratio == pytest.approx(mine.ratio)


def test_an_origin_without_a_forecast_of_one_method_is_scored_for_none() -> None:
    naive = RESULT.seasonal_naive.copy()
    naive[:10, 3] = np.nan

    kept = usable(replace(RESULT, seasonal_naive=naive))

    assert len(kept.outcome) == len(RESULT.outcome) - 10
    assert kept.origin_s[0] == RESULT.origin_s[10]


@pytest.mark.parametrize(
    ("lead_s", "hold_s", "note"),
    [
        (300, 900, None),
        (600, 0, None),
        (120, 300, "the window of 2 to 7 min is read as the 2 steps of 5 min from 0 to 10 min"),
        (0, 120, "the window of 0 to 2 min is read as the step of 5 min from 0 to 5 min"),
        (420, 0, "read as the step of 5 min that ends 5 min ahead"),
    ],
)
def test_a_window_that_falls_between_steps_says_what_is_forecast(
    lead_s: float, hold_s: float, note: str | None
) -> None:
    assert window_note(Target(lead_s, hold_s), 300) == note


def test_quarters_are_consecutive_and_equal() -> None:
    parts = quarters(RESULT)

    assert [part.origins for part in parts] == [len(RESULT.outcome) // 4] * 4
    assert parts[0].from_s == RESULT.origin_s[0]
    assert parts[3].until_s == RESULT.origin_s[-1]
    assert all(earlier.until_s < later.from_s for earlier, later in pairwise(parts))


def test_quarters_together_are_the_whole() -> None:
    whole, parts = score(RESULT), together(quarters(RESULT))

    assert (parts.origins, parts.from_s, parts.until_s) == (
        whole.origins, whole.from_s, whole.until_s,
    )  # fmt: skip
    for name in ("wql", "wql_seasonal_naive", "wql_last_value", "ratio"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name))
    assert dict(parts.coverage) == pytest.approx(dict(whole.coverage))


def test_a_forecast_without_a_scored_level_is_refused() -> None:
    short = replace(RESULT, levels=LEVELS[1:], quantiles=RESULT.quantiles[:, 1:])

    with pytest.raises(ValueError, match=r"no quantile 0\.1, which is scored"):
        score(short)


def test_a_series_without_any_demand_has_no_ratio() -> None:
    nothing = score(scaled(RESULT, 0.0))

    assert np.isnan(nothing.ratio)
    assert geometric_mean([nothing.ratio, 0.5, 2.0]) == pytest.approx(1.0)
