"""Finds demand that collapsed because something broke, so that it is not taken for a habit.

A forecaster calls it before it learns and before it looks at the newest level: the masked steps
teach nothing, and `held_level` is what users will ask for as soon as they can. It must never take
a gap for an outage (a gap is unknown), nor a quiet time that the series is used to.

A collapse is a run of steps far below the least that is usual (`models/usual_low.py`) that began
within minutes and that chance does not explain: a count of mean m is k or less with probability at
most exp(-(m - k + k log(k / m))) (Chernoff's bound for a Poisson count; exp(-m) for none at all),
and never less than the share of such steps in the series' own past. A run that lasts longer than
`OutageRules.accept_after_s` is what the service has become, and is learnt whole.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.running_sums import sums_before
from models.series import FloatArray, SeriesBatch
from models.step_windows import IntArray
from models.usual_low import COLLAPSE_SHARE, DAY_S, newest_low, usual_low

BoolArray = NDArray[np.bool_]

RETURN_SHARE = 0.5
"""A collapse ends at half of the least usual demand, not where it began."""
RETURN_S = 300
"""What is back for less than five minutes was an attempt to restart, and does not split a collapse.
"""
ABRUPT_S = 900
"""A fall that takes longer than a quarter of an hour is users who leave."""
EVIDENCE_NATS_MIN = 12.0
"""Six in a million: less than one false alarm in a hundred days of minutes."""
BEFORE_S = 3600
"""The level before a collapse is that of an hour."""
THERE_SHARE = 0.25
"""A collapse needs demand before it: in a quarter of that hour at least."""
HOLD_FROM_LEVEL = 0.75
"""One in four: demand that is away may well be back within minutes, and a floor is sized by higher
quantiles than that."""
BLOCK_S = 300
NORMAL_SHARES = (0.5, 1.5)
"""Between half and half as much again of what was to be expected, an outage has been got over."""


@dataclass(frozen=True, slots=True)
class OutageRules:
    """How long a collapse is believed to be one.

    `accept_after_s`: after a day every time of day has been seen without the demand, and it is
    learnt. `hold_max_s`: most outages are over by then; a client that left would be paid for
    longer than its capacity could help. `held_after_s`: users come back within half an hour, and so
    long a restart surge may last, however long it was before.
    """

    accept_after_s: float = 86_400.0
    hold_max_s: float = 3_600.0
    held_after_s: float = 1800.0


@dataclass(frozen=True, slots=True)
class Outages:
    """What was found. `mask` (n, steps): measured steps that must not be learnt, restarts included.

    The rest has shape (n,). `in_outage`: the collapse lasts now. `held`: it lasts, and began less
    than `hold_max_s` ago, or ended less than `held_after_s` ago. `is_back`: the newest step is half
    as high again as before, though perhaps not for long enough to end it. Of the newest collapse,
    NaN where there was none: `level_before`, demand over expected in the hour before it; `age_s`
    since it began; `ended_ago_s` since it ended, 0 while it lasts.
    """

    mask: BoolArray
    in_outage: BoolArray
    held: BoolArray
    is_back: BoolArray
    level_before: FloatArray
    age_s: FloatArray
    ended_ago_s: FloatArray

    def without(self, demand: FloatArray) -> FloatArray:
        """The demand (n, steps) with what must not be learnt made unknown."""
        return np.where(self.mask, np.nan, demand)


def find_outages(
    batch: SeriesBatch,
    expected: FloatArray,
    rules: OutageRules | None = None,
    *,
    newest_only: bool = False,
) -> Outages:
    """Find every collapse; `expected` (n, steps) is the profile, ones where there is none.

    With `newest_only` the one of each row that is held now, and those of the day before it: `mask`
    is of these alone, and a long batch's first day only tells what is usual. Raises `ValueError`
    where `expected` is not of the shape of the demand.
    """
    if expected.shape != batch.values.shape:
        raise ValueError(f"a profile of shape {expected.shape} for {batch.values.shape} steps")
    rules = rules or OutageRules()
    found = _nothing_found(batch.values.shape)
    is_long = batch.values.shape[1] * batch.step_s >= 2 * DAY_S
    runs = _collapses(batch, rules, first_day=not (newest_only and is_long))
    if newest_only:
        runs = _held_now(runs, batch, rules)
    for row, begin, end in np.stack(runs, axis=1).tolist():
        _note(found, batch, expected, (row, begin, end), rules)
    return found


def held_level(outages: Outages, expected_ahead: FloatArray) -> FloatArray:
    """What a forecast must not fall below, shape (n, h): profile times the level before.

    `expected_ahead` (n, h) is the profile of the steps ahead. Zero where nothing is held.
    """
    level = np.where(outages.held, outages.level_before, 0.0)[:, None]
    return np.nan_to_num(level * expected_ahead)


def lifts(outages: Outages, levels: tuple[float, ...]) -> BoolArray:
    """Which quantiles a hold lifts, (n, levels): all as soon as demand is back, and while it is
    away the higher ones alone. It may come back within the window, or not."""
    high = np.asarray(levels) >= HOLD_FROM_LEVEL
    back = (outages.is_back | ~outages.in_outage)[:, None]
    return np.asarray(outages.held[:, None] & (back | high))


def may_be_held(batch: SeriesBatch, count: int) -> BoolArray:
    """Whether `find_outages` may hold a row, (n,), told by its newest `count` steps.

    Says yes too often, and never no for a collapse that lasts or has just ended and whose evidence
    lies in these steps.
    """
    usual = newest_low(batch, count)[:, -batch.values.shape[1] :]
    count = usual.shape[1]
    steps = batch.values.shape[1]
    newest = dataclasses.replace(
        batch,
        start_s=batch.end_s - count * batch.step_s,
        values=batch.values[:, steps - count :],
        sampling_variance=None,
    )
    measured = np.isfinite(newest.values)
    limit = COLLAPSE_SHARE * usual
    fallen = measured & (usual > 0) & (newest.values <= limit)
    # As seldom as such steps are on all days if there were none but at this time of day.
    often = np.zeros(len(batch.keys))
    day = DAY_S // batch.step_s
    for back in range(day, steps - count + 1, day):
        often += (batch.values[:, steps - count - back : steps - back] <= limit).sum(axis=1)
    chance = (often + 1.0) / (np.isfinite(batch.values).sum(axis=1) + 1.0)
    nats = np.minimum(_nats(newest, usual, fallen), -np.log(np.minimum(chance, 1.0))[:, None])
    first_day = (measured & np.isnan(usual)).any(axis=1)
    return np.asarray((nats.sum(axis=1) >= EVIDENCE_NATS_MIN) | first_day)


class _Runs(NamedTuple):
    """Stretches of steps [begin, end) of a row, in the order of rows and of time."""

    row: IntArray
    begin: IntArray
    end: IntArray


def _nothing_found(shape: tuple[int, ...]) -> Outages:
    no, never = np.zeros(shape[0], dtype=np.bool_), np.full(shape[0], np.nan)
    mask = np.zeros(shape, dtype=np.bool_)
    return Outages(mask, no, no.copy(), no.copy(), never, never.copy(), never.copy())


def _held_now(runs: _Runs, batch: SeriesBatch, rules: OutageRules) -> _Runs:
    """The newest run of each row that is held, and those that the level before it leaves out."""
    rows, steps = batch.values.shape
    begin, end = np.full(rows, steps), np.full(rows, -steps)
    # In the order of time: the last one stays.
    begin[runs.row], end[runs.row] = runs.begin, runs.end
    held = (steps - end) * batch.step_s <= rules.held_after_s
    near = runs.end >= begin[runs.row] - DAY_S // batch.step_s
    keep = held[runs.row] & near
    return _Runs(runs.row[keep], runs.begin[keep], runs.end[keep])


def _collapses(batch: SeriesBatch, rules: OutageRules, *, first_day: bool) -> _Runs:
    """The runs that are abrupt, improbable and not yet accepted."""
    demand, low = batch.values, usual_low(batch, first_day=first_day)
    measured = np.isfinite(demand)
    fallen = measured & (low > 0) & (demand <= COLLAPSE_SHARE * low)
    # Where nothing is usual, any demand at all is a return.
    back = measured & (demand >= RETURN_SHARE * low) & ((low > 0) | (demand > 0))
    stays = _stays(back, measured, batch.step_s)
    quiet = _latest(fallen | stays, fallen)
    runs = _ended_at_return(_runs(quiet), measured & ~back)
    known = sums_before(measured)
    chance = (sums_before(quiet & measured)[runs.row, runs.begin] + 1.0) / (
        known[runs.row, runs.begin] + 1.0
    )
    nats = _evidence(batch, low, fallen, runs, -np.log(np.minimum(chance, 1.0)))
    abrupt = _is_abrupt(runs, back, known, batch.step_s)
    young = (runs.end - runs.begin) * batch.step_s <= rules.accept_after_s
    keep = abrupt & young & (nats >= EVIDENCE_NATS_MIN)
    return _Runs(runs.row[keep], runs.begin[keep], runs.end[keep])


def _is_abrupt(runs: _Runs, back: BoolArray, known: FloatArray, step_s: int) -> BoolArray:
    """Whether a run follows within `ABRUPT_S` on demand that had been there for a while, (k,).

    Time is counted in measured steps, `known` (n, steps + 1): a fall that hides in a gap is as
    abrupt as one that is seen.
    """
    newest = np.where(back, np.arange(back.shape[1]), -1)
    newest = np.maximum.accumulate(newest, axis=1) if newest.size else newest
    row, begin = runs.row, runs.begin
    was_back = newest[row, np.maximum(begin - 1, 0)]
    fall = known[row, begin] - known[row, np.maximum(was_back, 0)]
    before = np.maximum(begin - max(BEFORE_S // step_s, 1), 0)
    times_back = sums_before(back)
    there = times_back[row, begin] - times_back[row, before]
    there_long = there >= THERE_SHARE * (known[row, begin] - known[row, before])
    return (was_back >= 0) & there_long & (fall <= max(round(ABRUPT_S / step_s), 2))


def _latest(decided: BoolArray, value: BoolArray) -> BoolArray:
    """At each step the value of the latest decided step, False before the first."""
    place = np.where(decided, np.arange(decided.shape[1]), -1)
    place = np.maximum.accumulate(place, axis=1) if place.size else place
    return (place >= 0) & np.take_along_axis(value, np.maximum(place, 0), axis=1)


def _runs(quiet: BoolArray) -> _Runs:
    edges = np.diff(quiet.astype(np.int8), axis=1, prepend=0, append=0)
    row, begin = np.nonzero(edges == 1)
    return _Runs(row, begin, np.nonzero(edges == -1)[1])


def _stays(back: BoolArray, measured: BoolArray, step_s: int) -> BoolArray:
    """Where demand is back, and was at each measured step of the newest `RETURN_S`."""
    width = max(round(RETURN_S / step_s), 1)
    missing = sums_before(measured & ~back)
    earlier = np.maximum(np.arange(back.shape[1]) + 1 - width, 0)
    return np.asarray(back & (missing[:, 1:] - missing[:, earlier] == 0))


def _ended_at_return(runs: _Runs, away: BoolArray) -> _Runs:
    """The same runs, ended where demand began to stay and not where that was clear."""
    steps = away.shape[1]
    newest = np.where(away, np.arange(steps), -1)
    newest = np.maximum.accumulate(newest, axis=1) if newest.size else newest
    end = newest[runs.row, runs.end - 1] + 1
    return runs._replace(end=np.where(runs.end < steps, end, runs.end))


def _evidence(
    batch: SeriesBatch, low: FloatArray, fallen: BoolArray, runs: _Runs, at_most: FloatArray
) -> FloatArray:
    """How improbable each run is by chance, in nats, no step counting for more than `at_most`."""
    nats = _nats(batch, low, fallen)
    limit = np.zeros(nats.shape)
    lengths = runs.end - runs.begin
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    limit[np.repeat(runs.row, lengths), np.repeat(runs.begin, lengths) + within] = np.repeat(
        at_most, lengths
    )
    total = sums_before(np.minimum(nats, limit))
    return np.asarray(total[runs.row, runs.end] - total[runs.row, runs.begin])


def _nats(batch: SeriesBatch, low: FloatArray, fallen: BoolArray) -> FloatArray:
    """How improbable each fallen step is by chance, in nats, zero for all others (n, steps)."""
    counts_each = batch.step_s / _requests_per_count(batch)
    mean = np.where(fallen, low, 0.0) * counts_each
    seen = np.where(fallen, np.nan_to_num(batch.values), 0.0) * counts_each
    both = (seen > 0) & (mean > 0)
    log_share = np.log(np.where(both, seen, 1.0)) - np.log(np.where(both, mean, 1.0))
    return np.where(fallen, mean - seen + seen * log_share, 0.0)


def _requests_per_count(batch: SeriesBatch) -> FloatArray:
    """How many requests one counted one stands for where only a sample is counted; (n, 1)."""
    if batch.sampling_variance is None:
        return np.ones((len(batch.keys), 1))
    demand = np.nansum(batch.values, axis=1, keepdims=True)
    variance = np.nansum(batch.sampling_variance, axis=1, keepdims=True)
    return np.asarray(1.0 + batch.step_s * variance / np.where(demand > 0, demand, np.inf))


def _note(
    found: Outages,
    batch: SeriesBatch,
    expected: FloatArray,
    run: tuple[int, int, int],
    rules: OutageRules,
) -> None:
    """Add one collapse, in the order of time, to what was found."""
    row, begin, end = run
    steps, step_s = batch.values.shape[1], batch.step_s
    level = _level_before(found, batch, expected, row, begin)
    usual = level * expected[row, end : end + int(rules.held_after_s // step_s)]
    after = batch.values[row, end : end + len(usual)]
    normal = (after >= NORMAL_SHARES[0] * usual) & (after <= NORMAL_SHARES[1] * usual)
    over = end + (int(np.argmax(normal)) if normal.any() else len(usual))
    found.mask[row, begin:over] = np.isfinite(batch.values[row, begin:over])
    found.in_outage[row] = end == steps
    found.level_before[row] = level
    found.age_s[row] = (steps - begin) * step_s
    found.ended_ago_s[row] = (steps - end) * step_s
    known = np.flatnonzero(np.isfinite(batch.values[row]))[-1]
    found.is_back[row] = batch.values[row, known] >= RETURN_SHARE * level * expected[row, known]
    lasted_s, ended_s = (end - begin) * step_s, (steps - end) * step_s
    found.held[row] = (
        found.is_back[row] or lasted_s <= rules.hold_max_s
        if end == steps
        else ended_s <= rules.held_after_s
    )


def _level_before(
    found: Outages, batch: SeriesBatch, expected: FloatArray, row: int, begin: int
) -> float:
    """Demand over expected before a step: the middle one of the blocks of the hour before."""
    each = max(round(BLOCK_S / batch.step_s), 1)
    blocks = max(BEFORE_S // (each * batch.step_s), 1)
    # Counted back from the last whole block: in the newest the fall may have begun.
    first, stop = max(begin - (blocks + 1) * each, 0), max(begin - each, 0)
    if begin <= 2 * each:
        first, stop = 0, begin
    ratios = []
    for start in range(first, stop, each):
        block = slice(start, min(start + each, stop))
        known = np.isfinite(batch.values[row, block]) & ~found.mask[row, block]
        wanted = float(expected[row, block][known].sum())
        if wanted > 0:
            ratios.append(float(batch.values[row, block][known].sum()) / wanted)
    return float(np.median(ratios)) if ratios else float(found.level_before[row])
