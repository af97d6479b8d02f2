"""Learns what planned events do to demand, and gives the factor by which a profile is multiplied.

A forecaster that works with a profile calls it when it is fitted and multiplies what it expects of
past and coming steps by `Uplift.factor`. What an event did before is shrunk toward what its owner
stated, else toward what its category does, else toward no change: parametric empirical Bayes
(Morris, "Parametric Empirical Bayes Inference", JASA 78, 1983), in the form of the credibility
factor K / (K + k) of Buehlmann ("Experience rating and credibility", ASTIN Bulletin 4, 1967). It
must never let an event teach anything about itself: each one's factor is made of those that were
over before it began.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from models.past_occurrences import PastOccurrences, past_occurrences
from models.planned_events import (
    BODY,
    FACTOR_MAX,
    FACTOR_MIN,
    PHASES,
    BoolArray,
    PlannedEvent,
    PlannedEvents,
)
from models.series import ALL_REGIONS, FloatArray, SeriesBatch, SeriesKey
from models.step_windows import IntArray

LOOK_AHEAD_S = 7 * 86_400
"""Only events this near are estimated: a window reaches a day, and a fit is hours old at most."""
REASON_CODE = "PlannedEvent"
"""The code of the reason that `Uplift.sentences` are the words of."""
CREDIBILITY_MIN, CREDIBILITY_MAX = 0.25, 4.0
"""Bounds of k, the number of occurrences that weigh as much as the prior: one occurrence is never
believed by more than four fifths, and four are always believed by half."""
PRIOR_DEVIATION = 0.2
PRIOR_OCCURRENCES = 2.0
"""Before anything is measured, two occurrences of one event are taken to differ by some 20 %."""
EFFECT_DEVIATION = 0.4
"""And an event is taken to change demand by a half up or a third down, as one event's worth."""
INTERVAL_DEVIATIONS = 1.2816
"""Four in five occurrences lie within so many standard deviations of a normal distribution."""


class _Spreads(NamedTuple):
    """How much occurrences of one event differ, and how many of them weigh as much as a prior."""

    variance: float
    credibility: float


class _Estimate(NamedTuple):
    """Of one event: arrays (n, phases), and the number of past occurrences behind each row."""

    log_factor: FloatArray
    deviation: FloatArray
    raw: FloatArray
    seen: IntArray


@dataclass(frozen=True, slots=True)
class Uplift:
    """What each planned event is expected to do to each series; made by `learn_uplift`.

    `log_factor` and `deviation` have the shape (events, n + 1, phases): the last row is for a
    series without any past. `raw` (events, n + 1) is the mean log ratio that was seen during the
    event, NaN where none was, and `count` (events, n + 1) by how many occurrences. `usual`
    (events,) marks those that the profile already holds, which change nothing.
    """

    keys: tuple[SeriesKey, ...]
    planned: PlannedEvents
    log_factor: FloatArray
    deviation: FloatArray
    raw: FloatArray
    count: IntArray
    usual: BoolArray
    occurrences: PastOccurrences

    def factor(
        self, keys: tuple[SeriesKey, ...], start_s: int, step_s: int, steps: int
    ) -> FloatArray:
        """Demand over usual demand, shape (n, steps), within `FACTOR_MIN` and `FACTOR_MAX`.

        Two events at once are not multiplied: the greatest rise holds, and the deepest fall where
        nothing rises, since each has learnt while the other went on.
        """
        rise, fall = self._logs(self.log_factor, keys, start_s, step_s, steps)
        log_factor = np.where(rise > 0, rise, fall)
        return np.asarray(np.exp(np.clip(log_factor, np.log(FACTOR_MIN), np.log(FACTOR_MAX))))

    def log_deviation(
        self, keys: tuple[SeriesKey, ...], start_s: int, step_s: int, steps: int
    ) -> FloatArray:
        """The standard deviation of the log factor, shape (n, steps): by how much a band widens."""
        widest, _ = self._logs(self.deviation, keys, start_s, step_s, steps)
        return widest

    def event_steps(
        self, keys: tuple[SeriesKey, ...], start_s: int, step_s: int, steps: int
    ) -> BoolArray:
        """Steps that a profile must not learn from, shape (n, steps)."""
        return self.planned.mask(keys, start_s, step_s, steps, ~self.usual)

    def sentences(
        self, keys: tuple[SeriesKey, ...], from_s: float, until_s: float
    ) -> tuple[str, ...]:
        """What is planned within [from_s, until_s), in words; empty for a row without anything.

        Of several events the one that changes most is named.
        """
        said = [""] * len(keys)
        strength = np.full(len(keys), -1.0)
        rows = self._rows(keys)
        for number, event in enumerate(self.planned.events):
            if event.start_s >= until_s or event.end_s <= from_s:
                continue
            for place, key in enumerate(keys):
                effect = float(np.abs(self.log_factor[number, rows[place], BODY].mean()))
                if event.concerns(key) and effect > strength[place]:
                    strength[place] = effect
                    said[place] = self._sentence(number, int(rows[place]))
        return tuple(said)

    def _logs(
        self,
        table: FloatArray,
        keys: tuple[SeriesKey, ...],
        start_s: int,
        step_s: int,
        steps: int,
    ) -> tuple[FloatArray, FloatArray]:
        """The highest and the lowest entry over the events of each step, zero without any."""
        rows = self._rows(keys)
        rise = np.zeros((len(keys), steps))
        fall = np.zeros((len(keys), steps))
        for number, event in enumerate(self.planned.events):
            first, phase = event.phases(start_s, step_s, steps)
            if self.usual[number] or not len(phase):
                continue
            feels = np.flatnonzero([event.concerns(key) for key in keys])
            at = np.ix_(feels, np.arange(first, first + len(phase)))
            found = table[number][rows[feels][:, None], phase]
            rise[at] = np.maximum(rise[at], found)
            fall[at] = np.minimum(fall[at], found)
        return rise, fall

    def _rows(self, keys: tuple[SeriesKey, ...]) -> IntArray:
        place = {key: row for row, key in enumerate(self.keys)}
        return np.array([place.get(key, len(self.keys)) for key in keys], dtype=np.int64)

    def _sentence(self, number: int, row: int) -> str:
        event = self.planned.events[number]
        head = f"{event.name} {_span(event)}"
        if self.usual[number]:
            return f"{head} takes place on most days and is part of what is usual"
        count = int(self.count[number, row])
        effect = self.log_factor[number, row, BODY].mean()
        reach = INTERVAL_DEVIATIONS * self.deviation[number, row, BODY].mean()
        low, high = np.exp(effect - reach), np.exp(effect + reach)
        taken = f"taken {np.exp(effect):.1f}-fold ({low:.1f} to {high:.1f})"
        if count:
            times = f"past {count}" if count > 1 else "the one before it"
            seen = np.exp(self.raw[number, row])
            return f"{head}, {times} changed demand {seen:.1f}-fold, {taken}"
        if event.stated_factor is not None:
            return f"{head}, no past; {event.stated_factor:.1f}-fold is stated, {taken}"
        if effect != 0.0:
            return f"{head}, no past of its own; by its category {event.category} {taken}"
        return f"{head} has no past and states no uplift: nothing is changed"


def learn_uplift(
    history: SeriesBatch,
    planned: PlannedEvents,
    former: PastOccurrences | None = None,
    region_shares: Mapping[str, float] | None = None,
) -> Uplift:
    """Learn from the events that are over; `former` holds those of earlier histories.

    `region_shares` (0 to 1) tells how much of movable demand comes from a region: an uplift stated
    for some regions counts for that share of it, or in full where the shares are not told.
    """
    past = past_occurrences(history, planned, former)
    near_until_s = history.end_s + LOOK_AHEAD_S
    near = np.array(
        [e.until_s > history.start_s and e.from_s < near_until_s for e in planned.events],
        dtype=bool,
    )
    usual = planned.usual(history.start_s, history.end_s)[near]
    planned = PlannedEvents(tuple(planned.events[number] for number in np.flatnonzero(near)))
    rows = len(history.keys) + 1
    unseen = np.full((len(past.groups), 1, len(PHASES)), np.nan)
    ratio = np.concatenate([past.log_ratio, unseen], axis=1)
    spreads: dict[int, _Spreads] = {}
    made = []
    for event in planned.events:
        # Sorted by their ends, so that their number names the occurrences that were over.
        over = int(np.searchsorted(past.until_s, event.from_s, side="right"))
        if over not in spreads:
            spreads[over] = _spreads(ratio[:over], past.groups[:over])
        stated = _stated(event, history.keys, region_shares or {})
        made.append(_estimate(event, past, ratio[:over], spreads[over], stated))
    shape = (len(made), rows, len(PHASES))
    return Uplift(
        history.keys,
        planned,
        np.array([one.log_factor for one in made]).reshape(shape),
        np.array([one.deviation for one in made]).reshape(shape),
        np.array([one.raw for one in made]).reshape(shape[:2]),
        np.array([one.seen for one in made], dtype=np.int64).reshape(shape[:2]),
        usual,
        past,
    )


def _estimate(
    event: PlannedEvent,
    past: PastOccurrences,
    ratio: FloatArray,
    spreads: _Spreads,
    stated: FloatArray | None,
) -> _Estimate:
    """The posterior of one event's log factor, from what was over before its lead-in."""
    variance, credibility = spreads
    own = np.array([group == event.group() for group in past.groups[: len(ratio)]], dtype=bool)
    prior, has_prior = _prior(event, past, ratio, own, credibility)
    if stated is not None:
        prior, has_prior = stated, np.ones_like(has_prior)
    mean, count = _means(ratio[own])
    log_factor = (count * mean + credibility * prior) / (count + credibility)
    deviation = np.sqrt(variance / (count + credibility))
    limited = np.clip(log_factor, np.log(FACTOR_MIN), np.log(FACTOR_MAX))
    seen = count[:, BODY].max(axis=1).astype(np.int64)
    known = np.maximum((count[:, BODY] > 0).sum(axis=1), 1)
    raw = np.where(seen > 0, mean[:, BODY].sum(axis=1) / known, np.nan)
    # Without a past and without a prior nothing is changed, neither the middle nor the width.
    return _Estimate(limited, np.where((count > 0) | has_prior, deviation, 0.0), raw, seen)


def _prior(
    event: PlannedEvent,
    past: PastOccurrences,
    ratio: FloatArray,
    own: BoolArray,
    credibility: float,
) -> tuple[FloatArray, BoolArray]:
    """What other events of the category did, itself shrunk toward no change; and where any did."""
    wanted = event.category_group()
    alike = [bool(wanted) and category == wanted for category in past.categories[: len(ratio)]]
    mean, count = _means(ratio[np.array(alike, dtype=bool) & ~own])
    return count * mean / (count + credibility), count > 0


def _means(ratio: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean over the occurrences, zero where none, and their number; shapes (n, phases)."""
    count = np.isfinite(ratio).sum(axis=0).astype(np.float64)
    return np.nansum(ratio, axis=0) / np.maximum(count, 1.0), count


def _spreads(ratio: FloatArray, groups: tuple[str, ...]) -> _Spreads:
    """The variance between occurrences of one event, and the credibility constant k.

    k is that variance over the variance of the effects of events, both by moments over all series
    and phases of the events themselves, each begun with `PRIOR_OCCURRENCES` as assumed.
    """
    within, freedom = 0.0, 0.0
    effect, effects = 0.0, 0.0
    names = np.array(groups, dtype=np.str_)
    for group in np.unique(names):
        body = ratio[names == group][:, :, BODY]
        mean, count = _means(body)
        within += float(np.nansum((body - mean) ** 2))
        freedom += float(np.maximum(count - 1.0, 0.0).sum())
        effect += float((mean**2)[count > 0].sum())
        effects += float((count > 0).sum())
    # Series and phases of one occurrence go together, so they weigh as one degree of freedom.
    cells = max(effects / max(len(np.unique(names)), 1), 1.0)
    begun = PRIOR_OCCURRENCES * PRIOR_DEVIATION**2
    variance = (begun + within / cells) / (PRIOR_OCCURRENCES + freedom / cells)
    between = (EFFECT_DEVIATION**2 + effect / cells) / (1.0 + effects / cells)
    constant = variance / max(between - variance, 1e-6)
    return _Spreads(variance, float(np.clip(constant, CREDIBILITY_MIN, CREDIBILITY_MAX)))


def _stated(
    event: PlannedEvent, keys: tuple[SeriesKey, ...], shares: Mapping[str, float]
) -> FloatArray | None:
    """The log of the stated factor in each phase, shape (n + 1, phases); None if none is stated."""
    if event.stated_factor is None:
        return None
    factor = np.full(len(keys) + 1, event.stated_factor)
    if event.regions is not None and event.regions <= shares.keys():
        share = min(sum(shares[region] for region in event.regions), 1.0)
        movable = [row for row, key in enumerate(keys) if key.region == ALL_REGIONS]
        factor[movable] = 1.0 + share * (event.stated_factor - 1.0)
    stated = np.zeros((len(keys) + 1, len(PHASES)))
    stated[:, BODY] = np.log(factor)[:, None]
    return stated


def _span(event: PlannedEvent) -> str:
    """`14:00 to 15:00 UTC` with its dates."""
    start = datetime.fromtimestamp(event.start_s, UTC)
    end = datetime.fromtimestamp(event.end_s, UTC)
    last = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"{start:%Y-%m-%d %H:%M} to {last} UTC"
