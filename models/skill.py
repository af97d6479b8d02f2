"""Says for each series which method has earned its place: by losses, not by hope.

A forecaster calls it with the losses of past forecasts whose outcome is known. It goes down a rung
as soon as another method was clearly better, and up again only after a long stretch in which it
would have been at least as good; what is in force is a value that is passed in and comes out. It
must never judge by forecasts whose outcome is unknown, nor one method on other outcomes than the
next.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray
from models.step_windows import IntArray

METHODS = 3
"""The rungs that have losses: all but `Rung.NONE`."""


class Rung(enum.IntEnum):
    """Which forecast a series is scaled by, the best first."""

    ENSEMBLE = 0
    LAST_VALUE = 1
    """The last value: what a reactive autoscaler knows, so the HPA alone would do as well."""
    SEASONAL_NAIVE = 2
    NONE = 3
    """No forecast: the HPA alone."""


LABELS = ("ensemble", "last value", "seasonal naive")


@dataclass(frozen=True, slots=True)
class SkillRules:
    """When a method goes and when it comes back.

    `demote_above`: its loss over another's, so much and no less, and worse by `margin` standard
    errors (1.645: one chance in twenty). `promote_below`: its loss over that of the method in force
    at `promote_after` outcomes in a row. `outcomes_min`: fewer prove nothing. `memory`: the number
    of outcomes after which one counts 1/e.
    """

    demote_above: float = 1.05
    promote_below: float = 1.0
    promote_after: int = 120
    outcomes_min: int = 120
    memory: float = 360.0
    margin: float = 1.645

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"{field.name} is {getattr(self, field.name)}, must be above 0")
        if self.promote_below > self.demote_above:
            raise ValueError(
                f"promote_below {self.promote_below} is above demote_above {self.demote_above}: "
                "a method would come back as soon as it is gone"
            )


class Verdict(NamedTuple):
    """Rungs in force after looking at the losses, and why; arrays of shape (n,).

    `ratio` (n, methods) is the loss of each method over that of seasonal naive, NaN where unknown.
    `sentences` is empty for a row whose rung is the best one.
    """

    rung: IntArray
    outcomes: IntArray
    ratio: FloatArray
    sentences: tuple[str, ...]


def pinball_losses(
    outcome: FloatArray, quantiles: FloatArray, levels: tuple[float, ...]
) -> FloatArray:
    """The loss of each forecast, averaged over levels, (n, o); NaN where a number is unknown.

    `outcome` (n, o), `quantiles` (n, o, levels). Koenker and Bassett, "Regression Quantiles", 1978.
    """
    over = outcome[:, :, None] - quantiles
    level = np.asarray(levels)
    return np.asarray(np.maximum(level * over, (level - 1.0) * over).mean(axis=2))


def judge(
    losses: FloatArray,
    in_force: IntArray | None = None,
    rules: SkillRules | None = None,
    overlap: int = 1,
) -> Verdict:
    """Who is in force now. `losses` (methods, n, o), oldest first, NaN where unknown.

    `in_force` (n,) is the verdict's rung of the last time, None for the start: everybody begins at
    the top. Pass the same stretch of outcomes again, with new ones added: the counts are taken from
    it. `overlap` is how many forecasts in a row share a part of their window. Raises `ValueError`
    for losses of another shape or an overlap below one.
    """
    if losses.ndim != 3 or losses.shape[0] != METHODS:
        raise ValueError(f"losses of shape {losses.shape}: {METHODS} methods, rows and outcomes")
    if overlap < 1:
        raise ValueError(f"an overlap of {overlap} windows: each shares at least its own")
    rules = rules or SkillRules()
    rows = losses.shape[1]
    rung = np.zeros(rows, dtype=np.int64) if in_force is None else in_force.astype(np.int64)
    told, known = _compared(losses)
    mean = _rolling(np.where(known, losses, 0.0), known, rules.memory)
    mean = np.where(told[:, :, None], mean, np.nan)
    outcomes = known.sum(axis=1)
    better = _better(losses, known, overlap, rules)
    newest = mean[:, :, -1] if mean.shape[2] else np.full((METHODS, rows), np.nan)
    ratio = _over(newest, newest[Rung.SEASONAL_NAIVE]).T
    before = rung.copy()
    rung = _demoted(_promoted(rung, mean, known, rules), better, newest, outcomes, rules)
    sentences = tuple(
        _say(Rung(was), Rung(now), newest[:, row], int(outcomes[row]), rules)
        for row, (was, now) in enumerate(zip(before.tolist(), rung.tolist(), strict=True))
    )
    return Verdict(rung, outcomes, ratio, sentences)


def _compared(losses: FloatArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which methods of a row are compared, (methods, n), and on which outcomes, (n, o).

    A method that has less than half of the outcomes of another is left out: in its first days a
    series has no season, and that must not keep the others from being compared.
    """
    finite = np.isfinite(losses)
    count = finite.sum(axis=2)
    told = (count > 0) & (2 * count >= count.max(axis=0))
    known = (finite | ~told[:, :, None]).all(axis=0) & told.any(axis=0)[:, None]
    return told, np.asarray(known)


def _rolling(losses: FloatArray, known: NDArray[np.bool_], memory: float) -> FloatArray:
    """Exponentially weighted mean losses up to each outcome, (methods, n, o); NaN before any."""
    weights = _outcome_weights(known, memory)
    weight = np.cumsum(weights, axis=1)
    total = np.cumsum(weights * losses, axis=2)
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)


def _outcome_weights(known: NDArray[np.bool_], memory: float) -> FloatArray:
    """Each known outcome's weight exp(-age / memory), age in outcomes, (n, o).

    A mean up to an earlier outcome weighs those before it in the same proportions, so the same
    weights serve for all of them. Ages end where weights would vanish.
    """
    age = np.cumsum(known[:, ::-1], axis=1)[:, ::-1] - 1.0
    return np.where(known, np.exp(-np.minimum(age / memory, 600.0)), 0.0)


def _better(
    losses: FloatArray, known: NDArray[np.bool_], overlap: int, rules: SkillRules
) -> NDArray[np.bool_]:
    """Whether method k is clearly better than method m, shape (m, k, n).

    Diebold and Mariano, "Comparing predictive accuracy", JBES 13, 1995: the mean difference of
    losses over its standard error, times the factor for few outcomes of Harvey, Leybourne and
    Newbold ("Testing the equality of prediction mean squared errors", IJF 13, 1997).
    """
    rows = losses.shape[1]
    better = np.zeros((METHODS, METHODS, rows), dtype=np.bool_)
    weights = _outcome_weights(known, rules.memory)
    share = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    many = 1.0 / np.maximum((share**2).sum(axis=1), 1e-300)
    small = np.maximum((many + 1.0 - 2.0 * overlap + overlap * (overlap - 1.0) / many) / many, 0.0)
    for worse in range(METHODS):
        for other in range(METHODS):
            if worse == other:
                continue
            apart = np.where(known, losses[worse] - losses[other], 0.0)
            mean = (share * apart).sum(axis=1)
            moved = share * np.where(known, apart - mean[:, None], 0.0)
            error = np.sqrt(_variance(moved, overlap))
            better[worse, other] = (mean > 0) & (mean * np.sqrt(small) > rules.margin * error)
    return better


def _variance(parts: FloatArray, overlap: int) -> FloatArray:
    """The variance (n,) of a sum of parts (n, o), of which `overlap` in a row depend on another.

    The larger of two estimates: all covariances of windows that overlap in full (Diebold and
    Mariano), which may come out negative, and with weights that fall (Newey and West, Econometrica
    55, 1987), which may not.
    """
    full = (parts**2).sum(axis=1)
    falling = full.copy()
    for lag in range(1, min(overlap, parts.shape[1])):
        covariance = 2.0 * (parts[:, lag:] * parts[:, :-lag]).sum(axis=1)
        full += covariance
        falling += (1.0 - lag / overlap) * covariance
    return np.asarray(np.maximum(np.maximum(full, falling), 0.0))


def _promoted(
    rung: IntArray, mean: FloatArray, known: NDArray[np.bool_], rules: SkillRules
) -> IntArray:
    """Up to the highest method that was no worse at all of the newest `promote_after` outcomes."""
    rows = np.arange(len(rung))
    up = rung.copy()
    own = mean[np.minimum(rung, METHODS - 1), rows]
    for higher in reversed(range(METHODS)):
        good = known & (mean[higher] <= rules.promote_below * own)
        since = np.where(known & ~good, np.arange(known.shape[1]), -1).max(axis=1, initial=-1)
        after = np.arange(known.shape[1]) > since[:, None]
        for_long = (good & after).sum(axis=1) >= rules.promote_after
        up = np.where((higher < rung) & for_long, higher, up)
    return up


def _demoted(
    rung: IntArray,
    better: NDArray[np.bool_],
    newest: FloatArray,
    outcomes: IntArray,
    rules: SkillRules,
) -> IntArray:
    """Down to the best of the methods below that were clearly better."""
    rows = np.arange(len(rung))
    held = np.minimum(rung, METHODS - 1)
    bar = np.full(len(rung), np.inf)
    down = rung.copy()
    for lower in range(METHODS):
        ratio = _over(newest[held, rows], newest[lower])
        clearly = better[held, lower, rows] & (ratio > rules.demote_above)
        clearly &= (lower > rung) & (outcomes >= rules.outcomes_min) & (newest[lower] < bar)
        down = np.where(clearly, lower, down)
        bar = np.where(clearly, newest[lower], bar)
    return down


def _over(loss: FloatArray, other: FloatArray) -> FloatArray:
    """A loss over another's: 1 where both are zero, infinite where only the other is."""
    nothing = np.where(loss > 0, np.inf, 1.0)
    ratio = np.where(other > 0, loss / np.where(other > 0, other, 1.0), nothing)
    return np.asarray(np.where(np.isnan(loss) | np.isnan(other), np.nan, ratio))


def _say(before: Rung, rung: Rung, newest: FloatArray, count: int, rules: SkillRules) -> str:
    """Why a row stands where it stands, by its losses (methods,); nothing where it stays on top."""
    if rung is Rung.NONE or before is rung is Rung.ENSEMBLE:
        return ""
    if np.isnan(newest[Rung.ENSEMBLE]) or np.isnan(newest[rung]):
        return f"{LABELS[rung]} as before: {count} windows to compare it with the ensemble"
    if rung < before:
        left = min(before, METHODS - 1)
        return (
            f"back at {LABELS[rung]}: loss {_over(newest[rung], newest[left]):.2f} x "
            f"{LABELS[left]}, at most {rules.promote_below:.2f} for {rules.promote_after} windows"
        )
    return (
        f"demoted: loss {_over(newest[Rung.ENSEMBLE], newest[rung]):.2f} x {LABELS[rung]} over "
        f"{count} windows, at most {rules.promote_below:.2f} is needed for {rules.promote_after} "
        "windows to return"
    )
