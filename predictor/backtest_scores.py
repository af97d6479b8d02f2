"""Scores the forecasts of a backtest: quantile loss next to two bars, and coverage.

`predictor/backtest.py` and the report use it. Pure. It must never score a method at an origin where
another has no forecast.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from models.series import FloatArray
from models.step_windows import IntArray, step_windows, uniform_horizon

if TYPE_CHECKING:
    from models.rolling_origins import RollingResult, Target

SCORED_LEVELS = (0.1, 0.5, 0.9, 0.95, 0.99)
"""The levels that the loss is summed over, whichever others a forecast has: the middle and the low
side say whether the shape is right, the three high ones are what floors are sized by. Fixed, so
that scores stay comparable when levels are added."""
QUARTERS = 4


@dataclass(frozen=True, slots=True)
class Score:
    """How one stretch of origins came out.

    `size` is sum(|y|), a `wql` the weighted quantile loss 2 * sum(pinball) / (5 * size) over
    `SCORED_LEVELS`, `ratio` ours over that of seasonal naive; the latter two are NaN where nothing
    was asked for.
    `coverage` is the share of outcomes at or below each level of the forecast, as (level, share).
    """

    origins: int
    from_s: int
    until_s: int
    size: float
    wql: float
    wql_seasonal_naive: float
    wql_last_value: float
    ratio: float
    coverage: tuple[tuple[float, float], ...]


def usable(result: RollingResult) -> RollingResult:
    """The origins at which outcome and all three forecasts are known."""
    known = np.isfinite(result.outcome)
    for made in (result.quantiles, result.seasonal_naive, result.last_value):
        known &= np.isfinite(made).all(axis=1)
    return _at(result, np.flatnonzero(known))


def score(result: RollingResult) -> Score:
    """All origins of a usable result together; raises `ValueError` where a scored level lacks."""
    ours, naive, last = (
        _wql(result, made) for made in (result.quantiles, result.seasonal_naive, result.last_value)
    )
    below = result.outcome[:, None] <= result.quantiles
    shares = below.mean(axis=0) if len(below) else np.full(len(result.levels), math.nan)
    return Score(
        origins=len(result.outcome),
        from_s=int(result.origin_s[0]) if len(below) else 0,
        until_s=int(result.origin_s[-1]) if len(below) else 0,
        size=float(np.abs(result.outcome).sum()),
        wql=ours,
        wql_seasonal_naive=naive,
        wql_last_value=last,
        ratio=ours / naive if naive > 0 else math.nan,
        coverage=tuple(zip(result.levels, shares.tolist(), strict=True)),
    )


def quarters(result: RollingResult) -> tuple[Score, ...]:
    """Four equal consecutive parts: whether it held over the whole stretch."""
    parts = np.array_split(np.arange(len(result.outcome)), QUARTERS)
    return tuple(score(_at(result, part)) for part in parts)


def losses(result: RollingResult) -> FloatArray:
    """Each origin's sum of pinball losses over `SCORED_LEVELS`, in the unit of the series."""
    return np.asarray(_pinball(result, result.quantiles).sum(axis=1))


def geometric_mean(values: Iterable[float]) -> float:
    """Of those that are above zero and finite; NaN where none is."""
    logs = [math.log(value) for value in values if 0 < value < math.inf]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def together(scores: Collection[Score]) -> Score:
    """Several stretches as one: losses weigh by what was asked for, coverage by origins."""
    known = [one for one in scores if one.origins]
    size = math.fsum(one.size for one in known)

    def mean(name: str) -> float:
        lost = math.fsum(one.size * getattr(one, name) for one in known if one.size)
        return lost / size if size else math.nan

    ours, naive = mean("wql"), mean("wql_seasonal_naive")
    return Score(
        origins=sum(one.origins for one in known),
        from_s=min((one.from_s for one in known), default=0),
        until_s=max((one.until_s for one in known), default=0),
        size=size,
        wql=ours,
        wql_seasonal_naive=naive,
        wql_last_value=mean("wql_last_value"),
        ratio=ours / naive if naive > 0 else math.nan,
        coverage=mean_coverage(known),
    )


def mean_coverage(scores: Collection[Score]) -> tuple[tuple[float, float], ...]:
    """Each level with the share of all outcomes at or below it, every origin counting the same."""
    known = [one for one in scores if one.origins]
    origins = sum(one.origins for one in known)
    levels = [level for level, _ in known[0].coverage] if known else []
    return tuple(
        (level, sum(one.origins * one.coverage[place][1] for one in known) / origins)
        for place, level in enumerate(levels)
    )


def steps_ahead(target: Target, step_s: int) -> tuple[int, int]:
    """First step of a target's outcome and the one after its last, step 0 beginning at the origin.

    With a hold it is the window of a floor; without one the step that ends at the lead or holds it.
    Raises `ValueError` for a target that reaches beyond a day.
    """
    windows = step_windows(uniform_horizon(1, target.lead_s, target.hold_s), 1, step_s)
    if target.hold_s > 0:
        return int(windows.first[0]), int(windows.stop[0])
    stop = max(round(target.lead_s / step_s), 1)
    return stop - 1, stop


def window_note(target: Target, step_s: int) -> str | None:
    """What is forecast where a target does not fall on whole steps, None where it does."""
    first, stop = steps_ahead(target, step_s)
    step = _minutes(step_s)
    end_s = target.lead_s + target.hold_s
    if (not target.hold_s or first * step_s == target.lead_s) and stop * step_s == end_s:
        return None
    if not target.hold_s:
        return f"read as the step of {step} that ends {_minutes(stop * step_s)} ahead"
    steps = "the step" if stop - first == 1 else f"the {stop - first} steps"
    return (
        f"the window of {target.lead_s / 60:g} to {_minutes(end_s)} is read as {steps} of {step} "
        f"from {first * step_s / 60:g} to {_minutes(stop * step_s)}"
    )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g} min"


def outcome_s(result: RollingResult) -> IntArray:
    """When what was forecast at each origin begins, epoch seconds."""
    first, _ = steps_ahead(result.target, result.step_s)
    return result.origin_s + first * result.step_s


def level_place(levels: tuple[float, ...], level: float) -> int:
    """Where a level stands; raises `ValueError` where it lacks."""
    for place, one in enumerate(levels):
        if math.isclose(one, level):
            return place
    raise ValueError(f"a forecast with levels {levels} has no quantile {level:g}, which is scored")


def _wql(result: RollingResult, quantiles: FloatArray) -> float:
    size = float(np.abs(result.outcome).sum())
    if size == 0:
        return math.nan
    return float(2 * _pinball(result, quantiles).sum() / (len(SCORED_LEVELS) * size))


def _pinball(result: RollingResult, quantiles: FloatArray) -> FloatArray:
    """Shape (origins, scored levels)."""
    places = [level_place(result.levels, level) for level in SCORED_LEVELS]
    level = np.array(SCORED_LEVELS)
    miss = result.outcome[:, None] - quantiles[:, places]
    return np.maximum(level * miss, (level - 1) * miss)


def _at(result: RollingResult, places: np.typing.NDArray[np.intp]) -> RollingResult:
    return replace(
        result,
        origin_s=result.origin_s[places],
        outcome=result.outcome[places],
        quantiles=result.quantiles[places],
        seasonal_naive=result.seasonal_naive[places],
        last_value=result.last_value[places],
    )
