"""Puts into words what is known against a row's forecast, and which method stands in for it.

`models/ensemble.py` calls `findings` when it has learnt, and `joined` at each forecast that one of
them concerns. Every rule runs for every row and all that holds is told. Outages and crowds are
found at the forecast itself, by `models/surprises.py`. A rule must never look at anything but the
evidence, and relies on no other having run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.forecast import ForecastCode, ForecastReason
from models.level_shift import LevelShifts
from models.series import FloatArray
from models.skill import LABELS, METHODS, Rung, Skill, sentence_of
from models.step_windows import IntArray
from models.trust_code import TrustCode

BoolArray = NDArray[np.bool_]

DAY_S = 86_400
DAYS_NEEDED = 1.5
"""A whole day for the shape and half a day of errors that the shape did not know of."""
SHIFT_TOLD_S = 3 * DAY_S
"""A shift that is older lies outside of the errors that a forecast is made from."""
DRIFT_TOLD = 0.05
"""Five percent a day outgrow the headroom of a floor within a week."""
RETURN_TOLD_S = 6 * 3600
"""So long it is worth knowing that a method was away."""

GRAVITY: dict[ForecastCode | TrustCode, int] = {
    code: place
    for place, code in enumerate(
        (
            *(code for code in TrustCode if code is not TrustCode.COLD_START),
            ForecastCode.ENSEMBLE,
            TrustCode.COLD_START,
        )
    )
}
"""The gravest first; a method's own code is the last. A mix that lacks days is a mix still, what
answers in place of it is not."""

Findings = dict[int, tuple[ForecastReason, ...]]
"""What there is to tell of some rows, the gravest first."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the rules may look at, about the same n rows; `days` (n,) are those measured."""

    days: FloatArray
    shifts: LevelShifts
    skill: Skill


STAND_INS = {
    int(Rung.LAST_VALUE): ForecastReason(
        ForecastCode.LAST_VALUE, "the last value with quantiles of its own past errors"
    ),
    int(Rung.SEASONAL_NAIVE): ForecastReason(
        ForecastCode.SEASONAL_NAIVE,
        "as in the same window before, with quantiles of its own past errors",
    ),
}
"""What a row is forecast by that the mix lost."""


class Rule(NamedTuple):
    """One finding: its code, the rows it holds for, and its sentence about one of them."""

    code: TrustCode
    holds: Callable[[Evidence], BoolArray]
    sentence: Callable[[int, Evidence], str]


def findings(evidence: Evidence) -> Findings:
    """Apply every rule to every row; rows without a finding are left out."""
    found: Findings = {}
    for rule in RULES:
        for row in np.flatnonzero(rule.holds(evidence)).tolist():
            said = ForecastReason(rule.code, rule.sentence(row, evidence))
            found[row] = (*found.get(row, ()), said)
    return found


def joined(reason: ForecastReason, told: tuple[ForecastReason, ...]) -> ForecastReason:
    """One reason of several: the gravest code, the sentences in the order of gravity."""
    ordered = sorted((reason, *told), key=lambda one: GRAVITY.get(one.code, len(GRAVITY)))
    return ForecastReason(ordered[0].code, "; ".join(one.sentence for one in ordered))


def with_findings(
    methods: tuple[ForecastReason, ...], found: Findings, skill: Skill
) -> tuple[ForecastReason, ...]:
    """What each row says when it is forecast; `methods` are the reasons of rows on the top rung.

    Written once after learning, so that a forecast formats nothing.
    """
    reasons = list(methods)
    for row in np.flatnonzero(skill.rung > int(Rung.ENSEMBLE)).tolist():
        reasons[row] = STAND_INS[int(skill.rung[row])]
    for row, some in found.items():
        reasons[row] = joined(reasons[row], some)
    return tuple(reasons)


def samples_lacking(samples: int, needed: int) -> ForecastReason:
    """What a row lacks that is too young for the mix of methods."""
    return ForecastReason(TrustCode.COLD_START, f"{samples} of {needed} samples")


def next_available(wanted: IntArray, available: BoolArray) -> IntArray:
    """The wanted rung of each row, or the first one below it that has a forecast; `available` (n,
    methods) in the order of `Rung`. Raises `ValueError` on rows that do not fit."""
    if available.shape != (len(wanted), METHODS):
        raise ValueError(
            f"availability of shape {available.shape} for {len(wanted)} rows, {METHODS} methods"
        )
    rungs = np.arange(METHODS + 1)
    usable = np.pad(available, ((0, 0), (0, 1)), constant_values=True)
    return np.asarray(np.argmax(usable & (rungs >= wanted[:, None]), axis=1))


def without_forecast(wanted: int, instead: int) -> ForecastReason:
    """That the method whose turn it was gave nothing, and who stands in."""
    label = "none" if instead == Rung.NONE else LABELS[instead]
    return ForecastReason(
        TrustCode.RUNG_WITHOUT_FORECAST, f"no forecast by {LABELS[wanted]}, {label} instead"
    )


def _is_cold(evidence: Evidence) -> BoolArray:
    return evidence.days < DAYS_NEEDED


def _say_cold(row: int, evidence: Evidence) -> str:
    # Rounded down, so that what is not enough never reads as if it were.
    return f"{np.floor(10.0 * evidence.days[row]) / 10.0:.1f} of {DAYS_NEEDED:.1f} days"


def _has_shifted(evidence: Evidence) -> BoolArray:
    return np.asarray(evidence.shifts.age_s <= SHIFT_TOLD_S)


def _say_shifted(row: int, evidence: Evidence) -> str:
    factor, age_s = evidence.shifts.factor[row], evidence.shifts.age_s[row]
    return f"for {_time(age_s)} demand has been at {factor:.2f} x the level before"


def _drifts(evidence: Evidence) -> BoolArray:
    return np.asarray(np.abs(evidence.shifts.drift_per_day) >= DRIFT_TOLD)


def _say_drift(row: int, evidence: Evidence) -> str:
    drift = float(evidence.shifts.drift_per_day[row])
    return f"demand {'grows' if drift > 0 else 'falls'} by {abs(drift):.0%} a day"


def _is_demoted(evidence: Evidence) -> BoolArray:
    skill = evidence.skill
    return (skill.rung > int(Rung.ENSEMBLE)) & (skill.rung >= skill.rung_before)


def _has_returned(evidence: Evidence) -> BoolArray:
    skill = evidence.skill
    is_news = (skill.changed_s <= RETURN_TOLD_S) | (skill.rung > int(Rung.ENSEMBLE))
    return np.asarray((skill.rung < skill.rung_before) & is_news)


def _say_skill(row: int, evidence: Evidence) -> str:
    return sentence_of(evidence.skill, row)


# In the order of gravity.
RULES: tuple[Rule, ...] = (
    Rule(TrustCode.DEMOTED, _is_demoted, _say_skill),
    Rule(TrustCode.LEVEL_SHIFT, _has_shifted, _say_shifted),
    Rule(TrustCode.LEVEL_DRIFT, _drifts, _say_drift),
    Rule(TrustCode.RETURNED, _has_returned, _say_skill),
    Rule(TrustCode.COLD_START, _is_cold, _say_cold),
)


def _time(seconds: float) -> str:
    """A duration as people say it: minutes up to two hours, then hours."""
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
