"""What a backtest says in the end is true, also of few outcomes and of a bar that is exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.rolling_origins import RollingResult
from predictor.backtest import Judged
from predictor.backtest_verdict import REASONS_SHOWN, reason_lines, verdict
from tests.service.backtest_builders import DAY_STEPS, a_series, daily_load, judged

LOAD = a_series(daily_load(4))


def exactly(value: float) -> Judged:
    """A constant that all three forecasts meet."""
    return judged(a_series(np.full(4 * DAY_STEPS, value)), lambda result: met(result, value))


def met(result: RollingResult, value: float) -> RollingResult:
    all_of_it = np.full_like(result.quantiles, value)
    return replace(result, quantiles=all_of_it, seasonal_naive=all_of_it, last_value=all_of_it)


def covering(share: float, origins: int) -> Judged:
    """So many outcomes, of which this share lies at or below every level."""

    def few(result: RollingResult) -> RollingResult:
        above = np.arange(origins) >= round(share * origins)
        cut = {
            name: getattr(result, name)[:origins]
            for name in ("origin_s", "quantiles", "seasonal_naive", "last_value")
        }
        outcome = np.where(above, 1e6, 0.5 * cut["quantiles"][:, 0])
        return replace(result, outcome=outcome, **cut)

    return judged(LOAD, few)


def told_by(name: str, *reasons: str) -> Judged:
    return judged(a_series(daily_load(2), name), lambda result: replace(result, reasons=reasons))


def test_a_series_that_the_bar_foretells_exactly_has_no_ratio_and_is_not_called_short() -> None:
    told = verdict([exactly(7.0)])

    assert "Seasonal naive is exact in 1 case, so there is no ratio" in told
    assert "our loss there is at most 0.00% of the demand" in told
    assert "too short" not in told


def test_a_series_of_zeros_says_so() -> None:
    told = verdict([exactly(0.0), exactly(0.0)])

    assert told == (
        "Every outcome is zero in 2 cases, so there is no ratio; our 0.95 there is at most 0."
    )


def test_cases_without_a_ratio_are_told_beside_those_that_have_one() -> None:
    told = verdict([judged(LOAD), exactly(7.0)])

    assert "Over 1 case (series and target) our loss is" in told
    assert "Seasonal naive is exact in 1 case" in told


@pytest.mark.parametrize(
    ("share", "origins", "said"),
    [
        (1.0, 8, "too few outcomes (8) to judge 0.9, 0.95."),
        (0.0, 8, "not within 3 points: 0.9, 0.95, 0.99."),
        (1.0, 600, "not within 3 points: 0.9, 0.95."),
        (0.97, 600, "not within 3 points: 0.9."),
    ],
)
def test_chance_is_not_called_a_fault_of_the_quantiles(
    share: float, origins: int, said: str
) -> None:
    assert verdict([covering(share, origins)]).endswith(said)


def test_two_targets_of_one_series_are_not_twice_the_outcomes() -> None:
    one = covering(1.0, 8)

    assert "too few outcomes (8)" in verdict([one, one])


def test_reasons_are_told_by_series_and_once_where_all_share_them() -> None:
    lines = reason_lines([told_by("a", "short", "crowd"), told_by("b", "short")])

    assert lines == [
        "every series, peak of 15 min after 5 min: short",
        "a/eu-west-1, peak of 15 min after 5 min: crowd",
    ]


def test_of_very_many_reasons_the_rest_is_counted() -> None:
    lines = reason_lines([told_by(f"module-{place}", f"{place}") for place in range(50)])

    assert len(lines) == REASONS_SHOWN + 1
    assert lines[-1] == "and 30 more, see --json"
