"""Puts together what is known against a row's forecast: which rung it stands on, and every reason.

A forecaster calls `trust` after it has looked for outages, shifts, crowds and skill. Every rule
runs for every row and all reasons are kept, in the order of `RULES`; the lowest rung that one of
them asks for is used, or the next one below it that has a forecast. A rule must never look at
anything but the evidence, and relies on no other having run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.flash_crowd import ENDED_FADES_S, Crowds
from models.level_shift import LevelShifts
from models.missing_history import SAMPLES_MIN
from models.outage import Outages
from models.series import FloatArray, SeriesBatch
from models.skill import METHODS, Rung, Verdict
from models.step_windows import IntArray
from models.trust_code import TrustCode

BoolArray = NDArray[np.bool_]

DAY_S = 86_400
SAMPLES_NEEDED = 120
"""Two hours of minutes: what a mix of methods needs to be told from the best of them."""
DAYS_NEEDED = 1.5
"""A whole day for the shape and half a day of errors that the shape did not know of."""
SHIFT_TOLD_S = 3 * DAY_S
"""A shift that is older lies outside of the errors that a forecast is made from."""
DRIFT_TOLD = 0.05
"""Five percent a day outgrow the headroom of a floor within a week."""
CROWD_TOLD_S = 4 * ENDED_FADES_S
"""After so long a lift has faded to a fiftieth."""


@dataclass(frozen=True, slots=True)
class TrustReason:
    """One thing that is known of a row: a code, and a sentence with its numbers."""

    code: TrustCode
    sentence: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the rules may look at, about the same n rows.

    `samples` and `days` (n,) are the measured steps and the time that they cover; `available`
    (n, methods) says which methods have a forecast now, in the order of `Rung`; `rung_before` (n,)
    what was in force before the verdict.
    """

    samples: IntArray
    days: FloatArray
    available: BoolArray
    rung_before: IntArray
    outages: Outages
    shifts: LevelShifts
    crowds: Crowds
    verdict: Verdict


class Trust(NamedTuple):
    """The rung that forecasts each row, shape (n,), and all that is to say about it."""

    rung: IntArray
    reasons: tuple[tuple[TrustReason, ...], ...]


class Rule(NamedTuple):
    """One finding: its code, the rows it holds for, the best rung it leaves them, a sentence."""

    code: TrustCode
    holds: Callable[[Evidence], BoolArray]
    best_rung: Callable[[Evidence], IntArray]
    sentence: Callable[[int, Evidence], str]


def trust(evidence: Evidence) -> Trust:
    """Apply every rule to every row; see the module. Raises `ValueError` on rows that do not fit.

    The last word is availability: a rung without a forecast is no rung.
    """
    rows = len(evidence.samples)
    if evidence.available.shape != (rows, METHODS):
        raise ValueError(
            f"availability of shape {evidence.available.shape} for {rows} rows, {METHODS} methods"
        )
    reasons: list[tuple[TrustReason, ...]] = [()] * rows
    wanted = np.full(rows, int(Rung.ENSEMBLE), dtype=np.int64)
    for rule in RULES:
        holds = rule.holds(evidence)
        wanted = np.where(holds, np.maximum(wanted, rule.best_rung(evidence)), wanted)
        for row in np.flatnonzero(holds).tolist():
            said = TrustReason(rule.code, rule.sentence(row, evidence))
            reasons[row] = (*reasons[row], said)
    rung = _next_available(wanted, evidence.available)
    for row in np.flatnonzero(rung != wanted).tolist():
        name, instead = (Rung(int(of[row])).name.lower() for of in (wanted, rung))
        sentence = f"no forecast by {name}, {instead} instead".replace("_", " ")
        code = TrustCode.RUNG_WITHOUT_FORECAST
        reasons[row] = (*reasons[row], TrustReason(code, sentence))
    return Trust(rung, tuple(reasons))


def measured_samples(batch: SeriesBatch) -> tuple[IntArray, FloatArray]:
    """How many steps of each row are measured, and how many days they make, shapes (n,)."""
    samples = np.isfinite(batch.values).sum(axis=1)
    return samples, samples * batch.step_s / DAY_S


def _next_available(wanted: IntArray, available: BoolArray) -> IntArray:
    """The wanted rung, or the first one below it that has a forecast."""
    rungs = np.arange(METHODS + 1)
    usable = np.pad(available, ((0, 0), (0, 1)), constant_values=True)
    return np.asarray(np.argmax(usable & (rungs >= wanted[:, None]), axis=1))


def _any_rung(evidence: Evidence) -> IntArray:
    return np.zeros(len(evidence.samples), dtype=np.int64)


def _is_cold(evidence: Evidence) -> BoolArray:
    return (evidence.samples < SAMPLES_NEEDED) | (evidence.days < DAYS_NEEDED)


def _cold_rung(evidence: Evidence) -> IntArray:
    """Without a daily shape a mix is still a mix; with too few samples there is none."""
    few = np.where(evidence.samples < SAMPLES_MIN, int(Rung.NONE), int(Rung.LAST_VALUE))
    return np.where(evidence.samples < SAMPLES_NEEDED, few, int(Rung.ENSEMBLE))


def _say_cold(row: int, evidence: Evidence) -> str:
    samples, days = int(evidence.samples[row]), float(evidence.days[row])
    lacking = [f"{samples} of {SAMPLES_NEEDED} samples"] * (samples < SAMPLES_NEEDED)
    # Rounded down, so that what is not enough never reads as if it were.
    shown = np.floor(10.0 * days) / 10.0
    lacking += [f"{shown:.1f} of {DAYS_NEEDED:.1f} days"] * (days < DAYS_NEEDED)
    return " and ".join(lacking)


def _is_in_outage(evidence: Evidence) -> BoolArray:
    return evidence.outages.held & evidence.outages.in_outage


def _say_in_outage(row: int, evidence: Evidence) -> str:
    level, age_s = evidence.outages.level_before[row], evidence.outages.age_s[row]
    return f"demand collapsed {_time(age_s)} ago; the level before was {level:.4g}/s"


def _is_after_outage(evidence: Evidence) -> BoolArray:
    return evidence.outages.held & ~evidence.outages.in_outage


def _say_after_outage(row: int, evidence: Evidence) -> str:
    ended_s = evidence.outages.ended_ago_s[row]
    lasted_s = evidence.outages.age_s[row] - ended_s
    level = evidence.outages.level_before[row]
    return (
        f"a collapse of {_time(lasted_s)} ended {_time(ended_s)} ago; the level before it was "
        f"{level:.4g}/s"
    )


def _has_shifted(evidence: Evidence) -> BoolArray:
    return (evidence.shifts.since > 0) & (evidence.shifts.age_s <= SHIFT_TOLD_S)


def _say_shifted(row: int, evidence: Evidence) -> str:
    factor, age_s = evidence.shifts.factor[row], evidence.shifts.age_s[row]
    return f"for {_time(age_s)} demand has been at {factor:.2f} x the level before"


def _drifts(evidence: Evidence) -> BoolArray:
    return np.asarray(np.abs(evidence.shifts.drift_per_day) >= DRIFT_TOLD)


def _say_drift(row: int, evidence: Evidence) -> str:
    drift = float(evidence.shifts.drift_per_day[row])
    return f"demand {'grows' if drift > 0 else 'falls'} by {abs(drift):.0%} a day"


def _is_crowded(evidence: Evidence) -> BoolArray:
    return evidence.crowds.present & (evidence.crowds.ended_ago_s <= CROWD_TOLD_S)


def _say_crowded(row: int, evidence: Evidence) -> str:
    crowds = evidence.crowds
    began = f"began {_time(crowds.age_s[row])} ago"
    if crowds.ended_ago_s[row] > 0:
        return (
            f"a rise that no history announced {began}, ended {_time(crowds.ended_ago_s[row])} ago"
        )
    return (
        f"{crowds.newest[row]:.4g}/s where {crowds.level_before[row]:.4g}/s was usual before a rise"
        f" that {began}"
    )


def _verdict_rung(evidence: Evidence) -> IntArray:
    return evidence.verdict.rung


def _is_demoted(evidence: Evidence) -> BoolArray:
    rung = evidence.verdict.rung
    return (rung > int(Rung.ENSEMBLE)) & (rung >= evidence.rung_before)


def _has_returned(evidence: Evidence) -> BoolArray:
    return np.asarray(evidence.verdict.rung < evidence.rung_before)


def _say_skill(row: int, evidence: Evidence) -> str:
    return evidence.verdict.sentences[row] or "no method has earned its place yet"


# What is wrong with the history first, then what demand does, then who forecasts.
RULES: tuple[Rule, ...] = (
    Rule(TrustCode.COLD_START, _is_cold, _cold_rung, _say_cold),
    Rule(TrustCode.IN_OUTAGE, _is_in_outage, _any_rung, _say_in_outage),
    Rule(TrustCode.AFTER_OUTAGE, _is_after_outage, _any_rung, _say_after_outage),
    Rule(TrustCode.LEVEL_SHIFT, _has_shifted, _any_rung, _say_shifted),
    Rule(TrustCode.LEVEL_DRIFT, _drifts, _any_rung, _say_drift),
    Rule(TrustCode.FLASH_CROWD, _is_crowded, _any_rung, _say_crowded),
    Rule(TrustCode.DEMOTED, _is_demoted, _verdict_rung, _say_skill),
    Rule(TrustCode.RETURNED, _has_returned, _verdict_rung, _say_skill),
)


def _time(seconds: float) -> str:
    """A duration as people say it: minutes up to two hours, then hours."""
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
