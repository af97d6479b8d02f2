"""Learns what planned events do to demand from those that are over.

`predictor/current_events.py` learns anew as history grows, `predictor/backtest_calendar.py` once.
What an event did before is shrunk toward what its owner stated, else toward what its category does,
else toward no change: parametric empirical Bayes (Morris, "Parametric Empirical Bayes Inference",
JASA 78, 1983), in the form of the credibility factor K / (K + k) of Buehlmann ("Experience rating
and credibility", ASTIN Bulletin 4, 1967). It must never let an event teach anything about itself:
each one's factor is made of those that were over before it began.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from models.one_grid import grid_start_s
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
from models.uplift import Uplift, concerned

LOOK_AHEAD_S = 7 * 86_400
"""Only events this near are estimated: a window reaches a day, and a fit is hours old at most."""
CREDIBILITY_MIN, CREDIBILITY_MAX = 0.25, 4.0
"""Bounds of k, the number of occurrences that weigh as much as the prior: one occurrence is never
believed by more than four fifths, and four are always believed by half."""
PRIOR_DEVIATION = 0.2
PRIOR_OCCURRENCES = 2.0
"""Before anything is measured, two occurrences of one event are taken to differ by some 20 %."""
EFFECT_DEVIATION = 0.4
"""And an event is taken to change demand by a half up or a third down, as one event's worth."""


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
    start_s = grid_start_s(history)
    near_until_s = history.end_s + LOOK_AHEAD_S
    near = np.array(
        [e.until_s > start_s and e.from_s < near_until_s for e in planned.events],
        dtype=bool,
    )
    usual = planned.usual(start_s, history.end_s)[near]
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
    log_factor = np.array([one.log_factor for one in made]).reshape(shape)
    return Uplift(
        history.keys,
        planned,
        log_factor,
        np.array([one.deviation for one in made]).reshape(shape),
        np.array([one.raw for one in made]).reshape(shape[:2]),
        np.array([one.seen for one in made], dtype=np.int64).reshape(shape[:2]),
        usual,
        past,
        _measured_or(log_factor, planned, past),
        tuple(concerned(event, history.keys) for event in planned.events),
    )


def _measured_or(expected: FloatArray, planned: PlannedEvents, past: PastOccurrences) -> FloatArray:
    """What each event did where that was measured, else what was expected of it; same shape."""
    found = expected.copy()
    number_of = {(one.group(), one.start_s): at for at, one in enumerate(planned.events)}
    for place, occurrence in enumerate(zip(past.groups, past.start_s.tolist(), strict=True)):
        number = number_of.get(occurrence)
        if number is not None:
            measured = past.log_ratio[place]
            known = np.isfinite(measured)
            found[number, :-1] = np.where(known, measured, found[number, :-1])
    return found


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
