"""What planned events do to demand: a factor for each series and step, and the words for it.

`models/event_uplift.py` makes one. `models/planned_forecast.py` divides the past by `past_factor`,
multiplies what is forecast by `factor` and widens it by `log_deviation`. It must never look at
demand, and costs next to nothing where no event lies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from models.past_occurrences import PastOccurrences
from models.planned_events import (
    BODY,
    FACTOR_MAX,
    FACTOR_MIN,
    BoolArray,
    PlannedEvent,
    PlannedEvents,
)
from models.series import FloatArray, SeriesKey, rows_of
from models.step_windows import IntArray

INTERVAL_DEVIATIONS = 1.2816
"""Four in five occurrences lie within so many standard deviations of a normal distribution."""


@dataclass(frozen=True, slots=True)
class Uplift:
    """What each planned event is expected to do to each series; made by
    `models/event_uplift.py`.

    `log_factor` and `deviation` have the shape (events, n + 1, phases): the last row is for a
    series without any past. `raw` (events, n + 1) is the mean log ratio that was seen during the
    event, NaN where none was, and `count` (events, n + 1) by how many occurrences. `usual`
    (events,) marks those that the profile already holds, which change nothing. `past_log` (events,
    n + 1, phases) is what to take out of demand that lies behind: as measured where the event is
    over, else as expected. `feels` are the rows of `keys` that each event concerns.
    """

    keys: tuple[SeriesKey, ...]
    planned: PlannedEvents
    log_factor: FloatArray
    deviation: FloatArray
    raw: FloatArray
    count: IntArray
    usual: BoolArray
    occurrences: PastOccurrences
    past_log: FloatArray
    feels: tuple[IntArray, ...] = field(repr=False)

    def factor(
        self, keys: tuple[SeriesKey, ...], start_s: int, step_s: int, steps: int
    ) -> FloatArray:
        """Demand over usual demand, shape (n, steps), within `FACTOR_MIN` and `FACTOR_MAX`.

        Two events at once are not multiplied: the greatest rise holds, and the deepest fall where
        nothing rises, since each has learnt while the other went on.
        """
        return self._bounded_factor(self.log_factor, keys, start_s, step_s, steps)

    def past_factor(
        self, keys: tuple[SeriesKey, ...], start_s: int, step_s: int, steps: int
    ) -> FloatArray:
        """What to divide past demand by to see it without events, shape (n, steps), bounded alike.

        It knows how an event turned out, so it is for learning from what is over; whoever scores
        past forecasts divides by `factor`.
        """
        return self._bounded_factor(self.past_log, keys, start_s, step_s, steps)

    def log_deviation(
        self, keys: tuple[SeriesKey, ...], start_s: int, step_s: int, steps: int
    ) -> FloatArray:
        """The standard deviation of the log factor, shape (n, steps): by how much a band widens."""
        widest, _ = self._logs(self.deviation, keys, start_s, step_s, steps)
        return widest

    def stretches(self, start_s: int, step_s: int, steps: int) -> tuple[tuple[int, int], ...]:
        """The stretches [first, stop) of the grid's steps in which any event changes anything."""
        felt = np.zeros(steps + 2, dtype=bool)
        for number, event in self._within(start_s, start_s + step_s * steps):
            if self._changes(number):
                first, phase = event.phases(start_s, step_s, steps)
                felt[1 + first : 1 + first + len(phase)] = True
        edges = np.flatnonzero(felt[1:] != felt[:-1])
        return tuple((int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True))

    def sentences(
        self, keys: tuple[SeriesKey, ...], from_s: float, until_s: float
    ) -> tuple[str, ...]:
        """What is planned within [from_s, until_s), lead-in and aftermath with it, in words.

        Empty for a row without anything; of several events the one that changes most is named.
        """
        strongest = np.full(len(keys), -1, dtype=np.int64)
        strength = np.full(len(keys), -1.0)
        rows = self._rows(keys)
        for number, _ in self._within(from_s, until_s):
            places = self._feeling(number, keys)
            effect = np.abs(self.log_factor[number, rows[places]][:, BODY].mean(axis=1))
            more = effect > strength[places]
            strength[places[more]] = effect[more]
            strongest[places[more]] = number
        said = np.full(len(keys), "", dtype=object)
        for number in np.unique(strongest[strongest >= 0]).tolist():
            places = np.flatnonzero(strongest == number)
            said[places] = self._said(number, rows[places])
        return tuple(said.tolist())

    def _bounded_factor(
        self,
        table: FloatArray,
        keys: tuple[SeriesKey, ...],
        start_s: int,
        step_s: int,
        steps: int,
    ) -> FloatArray:
        rise, fall = self._logs(table, keys, start_s, step_s, steps)
        log_factor = np.where(rise > 0, rise, fall)
        return np.asarray(np.exp(np.clip(log_factor, np.log(FACTOR_MIN), np.log(FACTOR_MAX))))

    def _within(self, from_s: float, until_s: float) -> list[tuple[int, PlannedEvent]]:
        """The events that touch [from_s, until_s), lead-in and aftermath with them, numbered."""
        return [
            (number, event)
            for number, event in enumerate(self.planned.events)
            if event.from_s < until_s and event.until_s > from_s
        ]

    def _changes(self, number: int) -> bool:
        """Whether the event may change any series at all."""
        tables = (self.log_factor, self.past_log, self.deviation)
        return not self.usual[number] and any(bool(table[number].any()) for table in tables)

    def _feeling(self, number: int, keys: tuple[SeriesKey, ...]) -> IntArray:
        """The places of the keys that the event concerns."""
        if keys is self.keys or keys == self.keys:
            return self.feels[number]
        return concerned(self.planned.events[number], keys)

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
        for number, event in self._within(start_s, start_s + step_s * steps):
            first, phase = event.phases(start_s, step_s, steps)
            if self.usual[number] or not len(phase):
                continue
            feels = self._feeling(number, keys)
            entries = table[number][rows[feels]]
            # A slice is a good deal quicker than places, and most events concern every series.
            own = slice(None) if len(feels) == len(keys) else feels
            for some, extreme, sought in (
                (rise, np.maximum, entries > 0), (fall, np.minimum, entries < 0)
            ):  # fmt: skip
                if sought.any():
                    part = some[own, first : first + len(phase)]
                    some[own, first : first + len(phase)] = extreme(part, entries[:, phase])
        return rise, fall

    def _rows(self, keys: tuple[SeriesKey, ...]) -> IntArray:
        rows = rows_of(self.keys, keys)
        return np.where(rows < 0, len(self.keys), rows)

    def _said(self, number: int, rows: IntArray) -> list[str]:
        """The event in words, for each of some rows."""
        event = self.planned.events[number]
        head = f"{event.name} {_span(event)}"
        if self.usual[number]:
            return [f"{head} takes place on most days and is part of what is usual"] * len(rows)
        effect = self.log_factor[number, rows][:, BODY].mean(axis=1)
        reach = INTERVAL_DEVIATIONS * self.deviation[number, rows][:, BODY].mean(axis=1)
        columns = (np.exp(one) for one in (effect, effect - reach, effect + reach))
        known = zip(
            self.count[number, rows].tolist(),
            np.exp(self.raw[number, rows]).tolist(),
            *(column.tolist() for column in columns),
            strict=True,
        )
        return [f"{head}{_sentence(event, _Known(*one))}" for one in known]


def concerned(event: PlannedEvent, keys: tuple[SeriesKey, ...]) -> IntArray:
    """The places of the keys that an event concerns."""
    return np.flatnonzero([event.concerns(key) for key in keys])


class _Known(NamedTuple):
    """Of one event and series: how many there were and what they did, and what it is taken for."""

    times: int
    seen: float
    factor: float
    low: float
    high: float


def _sentence(event: PlannedEvent, known: _Known) -> str:
    """What follows on an event's name and times."""
    count, seen, factor, low, high = known
    taken = f"taken {factor:.1f}-fold ({low:.1f} to {high:.1f})"
    if count:
        times = f"past {count}" if count > 1 else "the one before it"
        return f", {times} changed demand {seen:.1f}-fold, {taken}"
    if event.stated_factor is not None:
        return f", no past; {event.stated_factor:.1f}-fold is stated, {taken}"
    if factor != 1.0:
        return f", no past of its own; by its category {event.category} {taken}"
    return " has no past and states no uplift: nothing is changed"


def _span(event: PlannedEvent) -> str:
    """`14:00 to 15:00 UTC` with its dates."""
    start = datetime.fromtimestamp(event.start_s, UTC)
    end = datetime.fromtimestamp(event.end_s, UTC)
    last = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"{start:%Y-%m-%d %H:%M} to {last} UTC"
