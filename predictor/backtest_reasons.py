"""Says which days a backtest lost most on, and what happened on them, from the history itself.

`predictor/backtest_report.py` shows it. Pure. A reason is a code and a sentence with its numbers;
it must never name a cause that the numbers do not show.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from models.series import FloatArray, SeriesBatch
from predictor.backtest import Judged
from predictor.backtest_scores import level_place, losses, outcome_s

DAY_S, HOUR_S, WEEK_S = 86_400, 3_600, 604_800
RISE_WITHIN_S = 900
SEARCHED_S = HOUR_S
"""How far before and after the worst miss a cause is looked for."""
OUT_OF_LINE = 1.5
"""A day is out of line when it holds so many times an even share of the loss."""
TOLD_ANYWAY = 3
"""Those that lost most are told of even where none is out of line."""
RISE_MIN, FALL_MAX, ZERO_MAX = 1.8, 0.55, 0.02
LEVEL_CHANGE_MIN = 1.4
DAY_CHANGE_MIN = 1.3
GAP_MIN_S = 1_800
SMALL_COUNT = 10.0


class DayCode(enum.StrEnum):
    """What a day was like."""

    GAP = "Gap"
    """Nothing was measured for a while before the worst miss."""
    OUTAGE = "Outage"
    """Demand fell to nothing, or came back from it."""
    BURST = "Burst"
    """Demand rose several times over within a quarter of an hour."""
    DROP = "Drop"
    """Demand fell by half and more within a quarter of an hour."""
    LEVEL_STEP = "LevelStep"
    """Demand moved and stayed there."""
    UNLIKE_WEEK_BEFORE = "UnlikeWeekBefore"
    """The day held more or less than the same weekday before."""
    SMALL_NUMBERS = "SmallNumbers"
    """So little demand that a few requests are a large part of it."""
    NO_SINGLE_CAUSE = "NoSingleCause"
    """Nothing of the above is in the numbers."""


@dataclass(frozen=True, slots=True)
class DayReason:
    """One thing that the history shows: a code, and a sentence with its numbers."""

    code: DayCode
    sentence: str


@dataclass(frozen=True, slots=True)
class WorstDay:
    """A day in UTC; `share` of all loss is its own, `even_share` what its origins would hold."""

    day_s: int
    share: float
    even_share: float
    worst_s: int
    miss: str
    reasons: tuple[DayReason, ...]

    @property
    def is_out_of_line(self) -> bool:
        """Whether it lost far more than its share."""
        return self.share >= OUT_OF_LINE * self.even_share

    @property
    def sentence(self) -> str:
        """The day in words."""
        causes = ", ".join(reason.sentence for reason in self.reasons)
        return (
            f"{date_text(self.day_s)}: {self.share:.0%} of all loss "
            f"({self.even_share:.0%} would be even); {causes}"
        )


def worst_days(judged: Judged, most: int = 5) -> list[WorstDay]:
    """The days that lost most, the worst first: three, and more that are out of line; of a single
    day there is nothing to tell."""
    result = judged.result
    loss = losses(result)
    if not loss.sum() > 0:
        return []
    at_s = outcome_s(result)
    days, place = np.unique(at_s // DAY_S, return_inverse=True)
    share = np.bincount(place, weights=loss) / loss.sum()
    even = np.bincount(place) / len(loss)
    if len(days) == 1:
        return []
    found, history = [], _History(judged.series)
    for rank, day in enumerate(np.argsort(-share, kind="stable")[:most]):
        if not share[day] or (rank >= TOLD_ANYWAY and share[day] < OUT_OF_LINE * even[day]):
            continue
        worst = int(np.argmax(np.where(place == day, loss, -1.0)))
        found.append(
            WorstDay(
                int(days[day]) * DAY_S,
                float(share[day]),
                float(even[day]),
                int(at_s[worst]),
                _miss(judged, worst, int(at_s[worst])),
                tuple(_reasons(history, int(at_s[worst]), more_came=_more_came(judged, worst))),
            )
        )
    return found


def date_text(at_s: float) -> str:
    """A day as people write it: 11 July 1998."""
    moment = datetime.fromtimestamp(at_s, UTC)
    return f"{moment.day} {moment:%B %Y}"


def clock_text(at_s: float) -> str:
    """A time of day in UTC."""
    return f"{datetime.fromtimestamp(at_s, UTC):%H:%M}"


class _History:
    """One series, asked by time."""

    def __init__(self, series: SeriesBatch) -> None:
        self._values = series.values[0]
        self._start_s, self.step_s = series.start_s, series.step_s

    def between(self, from_s: float, until_s: float) -> FloatArray:
        """What was measured or not in the steps that begin in [from, until)."""
        first = max(math.ceil((from_s - self._start_s) / self.step_s), 0)
        stop = max(math.ceil((until_s - self._start_s) / self.step_s), first)
        return np.asarray(self._values[first:stop])

    def step_at(self, from_s: float) -> int:
        """When the first step that `between` gives begins."""
        first = max(math.ceil((from_s - self._start_s) / self.step_s), 0)
        return self._start_s + first * self.step_s

    def median(self, from_s: float, until_s: float) -> float:
        found = self.between(from_s, until_s)
        found = found[np.isfinite(found)]
        return float(np.median(found)) if len(found) >= 2 else math.nan

    def change(self, at_s: float, *, up: bool) -> float:
        """The extreme of the quarter hour from here, over the median of the hour before."""
        hour_s = max(HOUR_S, 3 * self.step_s)
        before = self.median(at_s - hour_s, at_s)
        after = self.between(at_s, at_s + max(RISE_WITHIN_S, self.step_s))
        after = after[np.isfinite(after)]
        if not len(after) or not before >= 0:
            return math.nan
        extreme = float(after.max() if up else after.min())
        return extreme / max(before, 0.01 * self.usual(), 1e-9)

    def usual(self) -> float:
        return float(np.nanmedian(self._values))

    def steepest(self, around_s: int, *, up: bool) -> tuple[float, int]:
        """The largest change near a moment, and when: the step at which it is steepest."""
        first = around_s - SEARCHED_S
        moments = range(first, around_s + SEARCHED_S, self.step_s)
        changes = np.array([self.change(moment, up=up) for moment in moments])
        if not np.isfinite(changes).any():
            return math.nan, around_s
        best = float(np.nanmax(changes) if up else np.nanmin(changes))
        near = np.flatnonzero(changes >= 0.95 * best if up else changes <= best + 0.05)
        # Many moments see the same change coming or just past: it lies where a step jumps most.
        at_s = max((moments[place] for place in near), key=lambda at: self._jump(at, up=up))
        return best, at_s

    def _jump(self, at_s: int, *, up: bool) -> float:
        """How much more (or less) the step here holds than the one before, as a ratio."""
        pair = self.between(at_s - self.step_s, at_s + self.step_s)
        if len(pair) < 2 or not np.isfinite(pair).all():
            return 0.0
        earlier, later = (float(value) + 1e-9 for value in pair[:2])
        return later / earlier if up else earlier / later


def _reasons(history: _History, worst_s: int, *, more_came: bool) -> Iterator[DayReason]:
    """Everything that the numbers around the greatest miss show, else that they show nothing."""
    found = (
        _gap(history, worst_s),
        _outage(history, worst_s),
        _change(history, worst_s, more_came=more_came),
        _unlike_week_before(history, worst_s),
    )
    shown = [reason for reason in found if reason is not None]
    yield from shown or [_nothing(history, worst_s)]


def _gap(history: _History, worst_s: int) -> DayReason | None:
    before = np.isnan(history.between(worst_s - DAY_S, worst_s))
    missing = int(before.sum()) * history.step_s
    if missing < max(GAP_MIN_S, 3 * history.step_s):
        return None
    sentence = f"nothing was measured in {missing / HOUR_S:.1f} of the 24 hours before the miss"
    return DayReason(DayCode.GAP, sentence)


def _outage(history: _History, worst_s: int) -> DayReason | None:
    """A run of almost nothing where there was demand before."""
    from_s = worst_s - 3 * HOUR_S
    limit = ZERO_MAX * history.usual()
    down = np.flatnonzero(history.between(from_s, worst_s + HOUR_S) <= limit)
    if not len(down) or limit == 0:
        return None
    began_s = history.step_at(from_s) + int(down[0]) * history.step_s
    if not history.median(began_s - HOUR_S, began_s) > 10 * limit:
        return None
    after = history.between(began_s, began_s + DAY_S)
    back = np.flatnonzero(after > limit)
    steps = int(back[0]) if len(back) else len(after)
    minutes = steps * history.step_s / 60
    sentence = f"demand fell to nothing at {clock_text(began_s)} for {minutes:,.0f} min"
    return DayReason(DayCode.OUTAGE, sentence)


def _change(history: _History, worst_s: int, *, more_came: bool) -> DayReason | None:
    """A rise or a fall near the miss, first of the kind that fits it, and whether it stayed."""
    rise, rose_s = history.steepest(worst_s, up=True)
    fall, fell_s = history.steepest(worst_s, up=False)
    minutes = max(RISE_WITHIN_S, history.step_s) // 60
    rose, fell = rise >= RISE_MIN, ZERO_MAX < fall <= FALL_MAX
    if rose and (more_came or not fell):
        words = f"demand rose {rise:.1f}-fold within {minutes} min at {clock_text(rose_s)}"
        code, at_s, times = DayCode.BURST, rose_s, rise
    elif fell:
        words = f"demand fell to {fall:.0%} within {minutes} min at {clock_text(fell_s)}"
        code, at_s, times = DayCode.DROP, fell_s, fall
    else:
        return None
    stayed = _level_change(history, at_s)
    if stayed is not None and (stayed > 1) == (times > 1):
        words += f" and stayed at {stayed:.1f} times its level"
        code = DayCode.LEVEL_STEP
    return DayReason(code, f"{words}, {_announced(history, at_s, times)}")


def _announced(history: _History, at_s: int, times: float) -> str:
    """Whether the same hour of the day or the week before did the like."""
    up = times > 1
    known = False
    for ago_s, words in ((WEEK_S, "a week"), (DAY_S, "a day")):
        then, _ = _like(history, at_s - ago_s, up=up)
        known |= math.isfinite(then)
        if math.isfinite(then) and abs(math.log(max(then, 1e-9))) >= abs(math.log(times)) / 2:
            return f"as it had {words} before"
    return "no history announces it" if known else "with no history to compare"


def _like(history: _History, at_s: int, *, up: bool) -> tuple[float, int]:
    moments = range(at_s - RISE_WITHIN_S, at_s + RISE_WITHIN_S + 1, history.step_s)
    changes = [(history.change(moment, up=up), moment) for moment in moments]
    known = [one for one in changes if math.isfinite(one[0])]
    if not known:
        return math.nan, at_s
    return max(known) if up else min(known)


def _level_change(history: _History, at_s: int) -> float | None:
    """How the six hours after compare with the six before, both against the day before."""
    six_s = 6 * HOUR_S
    after = history.median(at_s + HOUR_S, at_s + HOUR_S + six_s)
    before = history.median(at_s - six_s, at_s)
    after_then = history.median(at_s + HOUR_S - DAY_S, at_s + HOUR_S + six_s - DAY_S)
    before_then = history.median(at_s - six_s - DAY_S, at_s - DAY_S)
    if not (before > 0 and after_then > 0 and before_then > 0):
        return None
    change = (after / before) / (after_then / before_then)
    plain = after / before
    lasting = max(change, 1 / change) if change > 0 else math.inf
    stayed = max(plain, 1 / plain) if plain > 0 else math.inf
    return plain if min(lasting, stayed) >= LEVEL_CHANGE_MIN else None


def _unlike_week_before(history: _History, worst_s: int) -> DayReason | None:
    day_s = worst_s // DAY_S * DAY_S
    weekday = f"{datetime.fromtimestamp(day_s, UTC):%A}"
    for ago_s, words in ((WEEK_S, f"the {weekday} before"), (DAY_S, "the day before")):
        now, then = (history.between(from_s, from_s + DAY_S) for from_s in (day_s, day_s - ago_s))
        if not (_half_measured(now) and _half_measured(then)):
            continue
        times = float(np.nanmean(now)) / max(float(np.nanmean(then)), 1e-9)
        if max(times, 1 / max(times, 1e-9)) < DAY_CHANGE_MIN:
            return None
        sentence = f"the day held {_times(times)} the demand of {words}"
        return DayReason(DayCode.UNLIKE_WEEK_BEFORE, sentence)
    return None


def _half_measured(values: FloatArray) -> bool:
    return 2 * int(np.isfinite(values).sum()) >= max(len(values), 1)


def _times(times: float) -> str:
    return f"{times:.1f} times" if times >= 1 else f"{times:.0%} of"


def _nothing(history: _History, worst_s: int) -> DayReason:
    median = history.median(worst_s - 12 * HOUR_S, worst_s + 12 * HOUR_S)
    if median < SMALL_COUNT:
        sentence = f"the numbers are small (median {median:.1f}), so each one weighs much"
        return DayReason(DayCode.SMALL_NUMBERS, sentence)
    return DayReason(DayCode.NO_SINGLE_CAUSE, "the history shows no single cause")


def _more_came(judged: Judged, worst: int) -> bool:
    result = judged.result
    return bool(result.outcome[worst] > result.quantiles[worst, level_place(result.levels, 0.5)])


def _miss(judged: Judged, worst: int, at_s: int) -> str:
    """The greatest miss in numbers."""
    result = judged.result
    middle, high = (level_place(result.levels, level) for level in (0.5, 0.95))
    return (
        f"greatest miss at {clock_text(at_s)}: {number_text(result.outcome[worst])} came, "
        f"forecast were {number_text(result.quantiles[worst, middle])} (median) to "
        f"{number_text(result.quantiles[worst, high])} (0.95)"
    )


def number_text(value: float) -> str:
    """A value with three digits, or whole where it is larger."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
