"""Measures what past planned events did to demand: a log ratio per occurrence, series and phase.

`models/event_uplift.py` calls it and shrinks what is found here. The usual demand is the same time
of the week in the weeks before, brought to the level of the days before, both without any event. It
must never look beyond the end of the history, and never count an event that is not over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.one_grid import grid_start_s, on_one_grid
from models.planned_events import DAY_S, PHASES, PlannedEvent, PlannedEvents
from models.series import FloatArray, SeriesBatch, SeriesKey
from models.step_windows import IntArray

WEEKS = 6
DAYS = 7
"""Days stand in where no week without an event is known."""
REFERENCE_DAYS = 3
REFERENCE_HALF_LIFE_S = DAY_S
"""The level is that of the three days before, yesterday's the most: a day alone is a weekday."""
REFERENCE_STEPS_MAX = 900
"""Of more steps than that only every so many is looked at: a level needs no finer ones."""
REFERENCE_SHARE_MIN = 0.1
PHASE_MEASURED_MIN = 0.5
OCCURRENCES_MAX = 200
OF_ONE_GROUP_MAX = 20
"""The newest twenty say what an event does today; older ones were another platform."""
ROWS_AT_ONCE = 64
"""Series measured together: some tens of megabytes at a minute's step."""


@dataclass(frozen=True, slots=True)
class PastOccurrences:
    """Occurrences that are over, oldest first; `log_ratio` (o, n, phases) of demand over usual.

    NaN where an event did not concern the series or too little was measured. `until_s` is when the
    time after the event was over. Kept with a model, since launches are rarer than a history long.
    """

    keys: tuple[SeriesKey, ...]
    groups: tuple[str, ...]
    categories: tuple[str, ...]
    start_s: IntArray
    until_s: IntArray
    log_ratio: FloatArray

    def arrays(self) -> dict[str, np.ndarray]:
        """The occurrences as plain arrays, text as unicode, for a model's file."""
        return {
            "modules": np.array([key.module for key in self.keys], dtype=np.str_),
            "regions": np.array([key.region for key in self.keys], dtype=np.str_),
            "groups": np.array(self.groups, dtype=np.str_),
            "categories": np.array(self.categories, dtype=np.str_),
            "start_s": self.start_s,
            "until_s": self.until_s,
            "log_ratio": self.log_ratio,
        }

    def of(self, keys: tuple[SeriesKey, ...]) -> FloatArray:
        """The log ratios of these series, shape (o, n, phases); NaN for a series not known."""
        place = {key: row for row, key in enumerate(self.keys)}
        rows = np.array([place.get(key, len(self.keys)) for key in keys], dtype=np.int64)
        unknown = np.full((len(self.groups), 1, len(PHASES)), np.nan)
        return np.asarray(np.concatenate([self.log_ratio, unknown], axis=1)[:, rows])

    def still_planned(self, planned: PlannedEvents, from_s: int) -> PastOccurrences:
        """Without those from `from_s` on that the calendar does not have any more: an entry that
        was moved or cancelled teaches nothing. Of older ones a calendar need not know."""
        known = {(event.group(), event.start_s) for event in planned.events}
        pairs = zip(self.groups, self.start_s.tolist(), strict=True)
        kept = [place for place, one in enumerate(pairs) if one in known or one[1] < from_s]
        return self if len(kept) == len(self.groups) else _part(self, kept)


def occurrences_from_arrays(arrays: dict[str, np.ndarray]) -> PastOccurrences:
    """The inverse of `PastOccurrences.arrays`; raises `ValueError` for arrays that do not fit."""
    names = ("modules", "regions", "groups", "categories", "start_s", "until_s", "log_ratio")
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ValueError(f"past occurrences lack the arrays {', '.join(missing)}")
    modules, regions, groups, categories, start_s, until_s, ratio = (arrays[n] for n in names)
    shape = (len(groups), len(modules), len(PHASES))
    lengths = {len(groups), len(categories), len(start_s), len(until_s)}
    if ratio.shape != shape or len(lengths) > 1 or len(modules) != len(regions):
        raise ValueError(f"past occurrences of shape {ratio.shape}, expected {shape}")
    return PastOccurrences(
        tuple(SeriesKey(*pair) for pair in zip(modules.tolist(), regions.tolist(), strict=True)),
        tuple(groups.tolist()),
        tuple(categories.tolist()),
        start_s.astype(np.int64),
        until_s.astype(np.int64),
        ratio.astype(np.float64),
    )


def no_occurrences(keys: tuple[SeriesKey, ...]) -> PastOccurrences:
    """Nothing has been seen yet."""
    nothing = np.zeros(0, dtype=np.int64)
    return PastOccurrences(keys, (), (), nothing, nothing, np.zeros((0, len(keys), len(PHASES))))


def past_occurrences(
    history: SeriesBatch,
    planned: PlannedEvents,
    former: PastOccurrences | None = None,
) -> PastOccurrences:
    """Measure every event that is over within the history, and keep what `former` knew before it.

    An occurrence is measured anew at most once: one that `former` holds is taken from there.
    """
    former = former or no_occurrences(history.keys)
    known = set(zip(former.groups, former.start_s.tolist(), strict=True))
    start_s = grid_start_s(history)
    usual = planned.usual(start_s, history.end_s)
    over = [
        event
        for number, event in enumerate(planned.events)
        if event.from_s > start_s
        and event.until_s <= history.end_s
        and not usual[number]
        and (event.group(), event.start_s) not in known
    ]
    if not over:
        return _bounded(_joined(former, history.keys, [], []))
    over = over[-OCCURRENCES_MAX:]
    measured = np.full((len(over), len(history.keys), len(PHASES)), np.nan)
    for begin in range(0, len(history.keys), ROWS_AT_ONCE):
        rows = slice(begin, begin + ROWS_AT_ONCE)
        some = on_one_grid(history, rows)
        felt = planned.mask(some.keys, some.start_s, some.step_s, some.values.shape[1], ~usual)
        quiet = np.where(felt, np.nan, some.values)
        for number, event in enumerate(over):
            measured[number, rows] = _log_ratio(some, quiet, event)
    return _bounded(_joined(former, history.keys, over, measured))


def _joined(
    former: PastOccurrences,
    keys: tuple[SeriesKey, ...],
    events: list[PlannedEvent],
    measured: FloatArray | list[FloatArray],
) -> PastOccurrences:
    """Old and new ones in the order of their ends, on the series of the history."""
    until_s = np.concatenate([former.until_s, [event.until_s for event in events]])
    start_s = np.concatenate([former.start_s, [event.start_s for event in events]])
    shape = (len(events), len(keys), len(PHASES))
    ratio = np.concatenate([former.of(keys), np.array(measured).reshape(shape)])
    groups = (*former.groups, *(event.group() for event in events))
    categories = (*former.categories, *(event.category_group() for event in events))
    order = np.argsort(until_s, kind="stable")
    return PastOccurrences(
        keys,
        tuple(groups[place] for place in order),
        tuple(categories[place] for place in order),
        start_s[order].astype(np.int64),
        until_s[order].astype(np.int64),
        ratio[order],
    )


def _bounded(found: PastOccurrences) -> PastOccurrences:
    """The newest of each group, and the newest of all."""
    seen: dict[str, int] = {}
    kept: list[int] = []
    for place in range(len(found.groups) - 1, -1, -1):
        group = found.groups[place]
        seen[group] = seen.get(group, 0) + 1
        if seen[group] <= OF_ONE_GROUP_MAX and len(kept) < OCCURRENCES_MAX:
            kept.append(place)
    kept.reverse()
    return _part(found, kept)


def _part(found: PastOccurrences, kept: list[int]) -> PastOccurrences:
    return PastOccurrences(
        found.keys,
        tuple(found.groups[place] for place in kept),
        tuple(found.categories[place] for place in kept),
        found.start_s[kept],
        found.until_s[kept],
        found.log_ratio[kept],
    )


class _Stretch(NamedTuple):
    """The steps of the history that tell of one occurrence."""

    reference: IntArray
    first: int
    phase: IntArray


def _log_ratio(history: SeriesBatch, quiet: FloatArray, event: PlannedEvent) -> FloatArray:
    """What the event did to each series, shape (n, phases)."""
    ratio = np.full((len(history.keys), len(PHASES)), np.nan)
    first, phase = event.phases(history.start_s, history.step_s, history.values.shape[1])
    back = REFERENCE_DAYS * DAY_S // history.step_s
    apart = -(-back // REFERENCE_STEPS_MAX)
    reference = np.arange(first - 1, max(first - back, 0) - 1, -apart)
    stretch = _Stretch(reference, first, phase)
    rows = np.flatnonzero([event.concerns(key) for key in history.keys])
    if len(rows):
        ratio[rows] = _phase_ratios(history.values[rows], quiet[rows], history.step_s, stretch)
    return ratio


def _phase_ratios(
    values: FloatArray, quiet: FloatArray, step_s: int, stretch: _Stretch
) -> FloatArray:
    """Log of measured over usual demand by phase, shape (rows, phases)."""
    usual = _usual(quiet, step_s, stretch.first + np.arange(len(stretch.phase)))
    usual *= _level(quiet, step_s, stretch)[:, None]
    found = values[:, stretch.first : stretch.first + len(stretch.phase)]
    both = np.isfinite(found) & np.isfinite(usual)
    of_phase = (stretch.phase[:, None] == np.arange(len(PHASES))).astype(np.float64)
    steps = both @ of_phase
    enough = steps >= np.maximum(PHASE_MEASURED_MIN * of_phase.sum(axis=0), 1.0)
    # One request a step on both sides: no demand over no demand is no change.
    floor = steps / step_s
    above = np.where(both, found, 0.0) @ of_phase + floor
    below = np.where(both, usual, 0.0) @ of_phase + floor
    return np.where(enough, np.log(np.where(enough, above / np.maximum(below, 1e-12), 1.0)), np.nan)


def _level(quiet: FloatArray, step_s: int, stretch: _Stretch) -> FloatArray:
    """Demand over usual demand in the days before, shape (rows,); one where too little is known."""
    if not len(stretch.reference):
        return np.ones(len(quiet))
    usual = _usual(quiet, step_s, stretch.reference)
    found = quiet[:, stretch.reference]
    both = np.isfinite(found) & np.isfinite(usual)
    age_s = step_s * (stretch.first - stretch.reference)
    weight = np.exp2(-age_s / REFERENCE_HALF_LIFE_S)
    above = np.where(both, found, 0.0) @ weight
    below = np.where(both, usual, 0.0) @ weight
    known = (both.mean(axis=1) >= REFERENCE_SHARE_MIN) & (below > 0)
    return np.where(known, above / np.where(known, below, 1.0), 1.0)


def _usual(quiet: FloatArray, step_s: int, steps: IntArray) -> FloatArray:
    """Demand at the same time of the week before, or of the day where no week is known."""
    weekly = _median_before(quiet, steps, 7 * DAY_S // step_s, WEEKS)
    unknown = np.flatnonzero(np.isnan(weekly).any(axis=0))
    if len(unknown):
        daily = _median_before(quiet, steps[unknown], DAY_S // step_s, DAYS)
        weekly[:, unknown] = np.where(np.isnan(weekly[:, unknown]), daily, weekly[:, unknown])
    return weekly


def _median_before(quiet: FloatArray, steps: IntArray, apart: int, times: int) -> FloatArray:
    """The median of `times` earlier values, `apart` steps from each other; NaN where none is."""
    source = steps - apart * np.arange(1, times + 1)[:, None]
    seen = np.where(source >= 0, quiet[:, np.maximum(source, 0)], np.nan)
    ordered = np.sort(seen, axis=1)
    count = np.isfinite(ordered).sum(axis=1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0), axis=1)
    high = np.take_along_axis(ordered, np.minimum(count // 2, times - 1), axis=1)
    return np.asarray(((low + high) / 2.0)[:, 0])
