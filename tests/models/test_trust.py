from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.forecast import ForecastCode, ForecastReason
from models.level_shift import LevelShifts
from models.skill import Rung, Skill, judge, new_skill
from models.trust import (
    Evidence,
    Findings,
    findings,
    joined,
    next_available,
    samples_lacking,
    with_findings,
    without_forecast,
)
from models.trust_code import TrustCode

BY_MIX = ForecastReason(ForecastCode.ENSEMBLE, "mix of 12 candidates")


def evidence(
    days: float = 9.0, *, shifted_s: float = np.nan, drift: float = 0.0, skill: Skill | None = None
) -> Evidence:
    """All that is known of one row."""
    since = np.array([int(np.isfinite(shifted_s))])
    shifts = LevelShifts(since, np.array([shifted_s]), np.array([2.0]), np.array([drift]))
    return Evidence(np.array([days]), shifts, skill or new_skill(1))


def a_lost_skill() -> Skill:
    """The ensemble lost three times what the last value did, for a day."""
    skill = new_skill(1)
    for outcome in range(48):
        some = np.array([[3.0, 1.0, 5.0]]) * (1.0 + 0.1 * (outcome % 3))
        skill = judge(skill, some, 1800.0)
    return skill


def found_of(days: float) -> tuple[ForecastReason, ...]:
    return findings(evidence(days))[0]


def said(found: Findings) -> dict[str, str]:
    return {str(reason.code): reason.sentence for reason in found.get(0, ())}


def test_ordinary_row_has_nothing_to_tell() -> None:
    assert findings(evidence()) == {}


@pytest.mark.parametrize(
    ("known", "code", "sentence"),
    [
        (evidence(1.299), TrustCode.COLD_START, "1.2 of 1.5 days"),
        (evidence(1.499), TrustCode.COLD_START, "1.4 of 1.5 days"),
        (
            evidence(shifted_s=18_000.0),
            TrustCode.LEVEL_SHIFT,
            "for 5.0 h demand has been at 2.00 x the level before",
        ),
        (evidence(drift=0.08), TrustCode.LEVEL_DRIFT, "demand grows by 8% a day"),
        (evidence(drift=-0.3), TrustCode.LEVEL_DRIFT, "demand falls by 30% a day"),
        (
            evidence(skill=a_lost_skill()),
            TrustCode.DEMOTED,
            "demoted: loss 3.00 x last value over 48 windows, at most 1.00 is needed for 1 h to "
            "return",
        ),
    ],
)
def test_finding_is_told_with_its_numbers(known: Evidence, code: TrustCode, sentence: str) -> None:
    assert said(findings(known)) == {code: sentence}


def test_shift_is_told_for_three_days() -> None:
    assert said(findings(evidence(shifted_s=3 * 86_400.0)))
    assert not said(findings(evidence(shifted_s=3 * 86_400.0 + 60.0)))


def test_return_is_told_for_six_hours() -> None:
    back = dataclasses.replace(new_skill(1), rung_before=np.array([int(Rung.LAST_VALUE)]))

    for away_s, is_told in ((6 * 3600.0, True), (6 * 3600.0 + 60.0, False)):
        skill = dataclasses.replace(back, changed_s=np.array([away_s]))
        assert (TrustCode.RETURNED in said(findings(evidence(skill=skill)))) == is_told


def test_several_findings_give_the_gravest_code_and_every_sentence() -> None:
    found = findings(evidence(1.2, drift=0.08, skill=a_lost_skill()))

    reason = joined(BY_MIX, found[0])

    assert reason.code is TrustCode.DEMOTED
    assert [part.split(":")[0] for part in reason.sentence.split("; ")] == [
        "demoted",
        "demand grows by 8% a day",
        "mix of 12 candidates",
        "1.2 of 1.5 days",
    ]


def test_what_answers_before_there_is_a_mix_is_a_cold_start_and_a_young_mix_is_a_mix() -> None:
    recent = ForecastReason(ForecastCode.LAST_VALUE, "recent level")

    cold, young = joined(recent, (samples_lacking(37, 72),)), joined(BY_MIX, found_of(1.2))

    assert (cold.code, cold.sentence) == (TrustCode.COLD_START, "37 of 72 samples; recent level")
    assert young.code is ForecastCode.ENSEMBLE
    assert young.sentence == "mix of 12 candidates; 1.2 of 1.5 days"


def test_demoted_row_says_who_forecasts_it_instead() -> None:
    skill = a_lost_skill()

    reasons = with_findings((BY_MIX,), findings(evidence(skill=skill)), skill)

    assert reasons[0].code is TrustCode.DEMOTED
    assert reasons[0].sentence.endswith("; the last value with quantiles of its own past errors")
    assert "mix of" not in reasons[0].sentence


def test_young_row_says_what_it_lacks() -> None:
    assert samples_lacking(37, 120) == ForecastReason(TrustCode.COLD_START, "37 of 120 samples")


@pytest.mark.parametrize(
    ("available", "rung", "sentence"),
    [
        ([False, True, True], Rung.LAST_VALUE, "no forecast by ensemble, last value instead"),
        ([False, False, True], Rung.SEASONAL_NAIVE, "no forecast by ensemble, seasonal naive "),
        ([False, False, False], Rung.NONE, "no forecast by ensemble, none instead"),
    ],
)
def test_rung_without_a_forecast_gives_way_to_the_next_one_down(
    available: list[bool], rung: Rung, sentence: str
) -> None:
    found = next_available(np.array([0]), np.array([available]))

    assert found.tolist() == [rung]
    assert without_forecast(Rung.ENSEMBLE, rung).sentence.startswith(sentence)


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="for 1 rows"):
        next_available(np.array([0]), np.ones((2, 3), dtype=np.bool_))
