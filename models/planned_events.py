"""Planned events as a value: what is known beforehand of launches, holidays and the like.

`predictor/calendar_file.py` builds them, `models/event_uplift.py` learns from those that are past
and `models/past_occurrences.py` measures them. An event is cut into phases: a lead-in, four
quarters and the time after it. Nothing here may know a file, a clock or a time zone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.series import ALL_REGIONS, SeriesKey
from models.step_windows import IntArray

BoolArray = NDArray[np.bool_]

PHASES = ("lead-in", "first quarter", "second quarter", "third quarter", "last quarter", "after")
BODY = slice(1, 5)
"""The phases that are the event itself."""
EVENTS_MAX = 2000
"""Some five a day over a year; arrays over events, series and phases stay bounded."""
NAME_CHARACTERS_MAX = 120
LENGTH_S_MAX = 31 * 86_400
"""What lasts longer than a month is no event but the new usual."""
MARGIN_SHARE = 0.25
MARGIN_S_MIN = 300
MARGIN_S_MAX = 3600
"""People come before a launch and stay after it: a quarter of its length, within bounds."""
FACTOR_MIN, FACTOR_MAX = 0.3, 10.0
"""A calendar alone never takes more than 70 % of the usual away: where the event is cancelled or
its time is wrong, the HPA must make up for it in one go. Nor does it ask for more than ten-fold: a
greater ratio is one to a base of nearly nothing, or a typing error."""
DAY_S = 86_400
USUAL_SHARE = 0.5
"""An event that takes place on more than half of all days is what is usual."""
USUAL_DAYS_MIN = 3


@dataclass(frozen=True, slots=True)
class PlannedEvent:
    """One occurrence, [start_s, end_s) in epoch seconds, of modules and regions; None means all.

    `stated_factor` is the owner's own guess of demand during the event over the usual demand.
    `category` groups events of different names; empty for none. Raises `ValueError` with a sentence
    for anything that is no event.
    """

    name: str
    start_s: int
    end_s: int
    category: str = ""
    modules: frozenset[str] | None = None
    regions: frozenset[str] | None = None
    stated_factor: float | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= NAME_CHARACTERS_MAX:
            raise ValueError(f"a name has 1 to {NAME_CHARACTERS_MAX} characters")
        if not 0 < self.end_s - self.start_s <= LENGTH_S_MAX:
            raise ValueError(
                f"{self.name!r} lasts {self.end_s - self.start_s} s; expected more than 0 and at "
                f"most {LENGTH_S_MAX} s"
            )
        stated = self.stated_factor
        if stated is not None and not FACTOR_MIN <= stated <= FACTOR_MAX:
            raise ValueError(
                f"{self.name!r} states an uplift of {stated:g}; expected {FACTOR_MIN:g} to "
                f"{FACTOR_MAX:g}"
            )

    @property
    def margin_s(self) -> int:
        """How long the lead-in and the time after it are, each."""
        share = math.ceil((self.end_s - self.start_s) * MARGIN_SHARE)
        return min(max(share, MARGIN_S_MIN), MARGIN_S_MAX)

    @property
    def from_s(self) -> int:
        """Where the lead-in starts."""
        return self.start_s - self.margin_s

    @property
    def until_s(self) -> int:
        """Where the time after it ends."""
        return self.end_s + self.margin_s

    def group(self) -> str:
        """What is learnt together: events of one name in the same regions."""
        return f"{self.name.casefold()} @ {_named(self.regions)}"

    def category_group(self) -> str:
        """The wider group to fall back on; empty without a category."""
        if not self.category:
            return ""
        return f"{self.category.casefold()} @ {_named(self.regions)}"

    def concerns(self, key: SeriesKey) -> bool:
        """Whether the series may feel it; movable demand feels an event of any region."""
        if self.modules is not None and key.module not in self.modules:
            return False
        return self.regions is None or key.region == ALL_REGIONS or key.region in self.regions

    def phases(self, start_s: int, step_s: int, steps: int) -> tuple[int, IntArray]:
        """The first of the grid's steps whose middle it covers, and the phase of each from it on.

        The second is empty where the event lies outside the grid.
        """
        quarters = np.linspace(self.start_s, self.end_s, 5)
        edges = np.concatenate([[self.from_s], quarters, [self.until_s]])
        first = max(math.ceil((self.from_s - start_s) / step_s - 0.5), 0)
        stop = min(math.ceil((self.until_s - start_s) / step_s - 0.5), steps)
        middle = start_s + step_s * (np.arange(first, max(stop, first)) + 0.5)
        phase = np.searchsorted(edges, middle, side="right") - 1
        return first, np.clip(phase, 0, len(PHASES) - 1).astype(np.int64)


@dataclass(frozen=True, slots=True)
class PlannedEvents:
    """All that is planned or was, in the order of their starts; raises `ValueError` beyond
    `EVENTS_MAX`."""

    events: tuple[PlannedEvent, ...] = ()

    def __post_init__(self) -> None:
        if len(self.events) > EVENTS_MAX:
            raise ValueError(f"{len(self.events)} planned events; at most {EVENTS_MAX}")
        ordered = sorted(self.events, key=lambda event: (event.start_s, event.end_s, event.group()))
        object.__setattr__(self, "events", tuple(ordered))

    def usual(self, start_s: int, end_s: int) -> BoolArray:
        """Which events are part of what is usual over [start_s, end_s), shape (events,).

        A nightly batch run stands in the profile already: masking it would take it out, and its
        uplift would count it twice. Such events are those whose group covers the same time of day
        on more than half of the days.
        """
        days = (end_s - start_s) // DAY_S
        if days < USUAL_DAYS_MIN or not self.events:
            return np.zeros(len(self.events), dtype=bool)
        of_group: dict[str, list[int]] = {}
        for number, event in enumerate(self.events):
            of_group.setdefault(event.group(), []).append(number)
        found = np.zeros(len(self.events), dtype=bool)
        last_day = start_s + days * DAY_S
        for members in of_group.values():
            starts = np.array([self.events[number].start_s for number in members])
            ends = np.array([self.events[number].end_s for number in members])
            middles = (starts + ends) // 2
            # The same time of day on each of the days, shape (members, days).
            times = start_s + (middles - start_s)[:, None] % DAY_S + DAY_S * np.arange(days)
            at = np.searchsorted(starts, times, side="right") - 1
            longest = np.maximum.accumulate(ends)
            covered = (at >= 0) & (longest[np.maximum(at, 0)] > times) & (times < last_day)
            found[members] = covered.mean(axis=1) > USUAL_SHARE
        return found

    def mask(
        self,
        keys: Sequence[SeriesKey],
        start_s: int,
        step_s: int,
        steps: int,
        chosen: BoolArray | None = None,
    ) -> BoolArray:
        """Steps in which a series may feel an event, shape (n, steps); `chosen` (events,) leaves
        others out.

        For learning what is usual: give `chosen=~usual(...)`, and take these steps for gaps.
        """
        felt = np.zeros((len(keys), steps), dtype=bool)
        for number, event in enumerate(self.events):
            if chosen is not None and not chosen[number]:
                continue
            first, phase = event.phases(start_s, step_s, steps)
            if len(phase):
                rows = [row for row, key in enumerate(keys) if event.concerns(key)]
                felt[rows, first : first + len(phase)] = True
        return felt


def _named(regions: frozenset[str] | None) -> str:
    return ALL_REGIONS if regions is None else ",".join(sorted(regions))
