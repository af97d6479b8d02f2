"""Rows of a table as they come: usable ones by series, the others counted with the first example.

`csv_history.py` and `parquet_history.py` fill it, `sample_grid.py` lays it on a grid. It must never
lose a row without counting it.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field

from models.series import SeriesKey
from predictor.history_sources.history import HistoryRefused

BAD_SHARE_MAX = 0.5
"""A table of which most rows cannot be read is another table than we think."""


@dataclass(slots=True)
class SeriesRows:
    """One series: epoch seconds, values (NaN: not measured) and the line or row of each."""

    time_s: array[float] = field(default_factory=lambda: array("d"))
    value: array[float] = field(default_factory=lambda: array("d"))
    place: array[int] = field(default_factory=lambda: array("q"))


@dataclass(slots=True)
class Tally:
    """How many rows something happened to, and the first of them."""

    rows: int
    first: str


@dataclass(slots=True)
class SampleRows:
    """All rows of one source; `unit` is what a place is called there, line or row."""

    source: str
    unit: str = "line"
    series: dict[SeriesKey, SeriesRows] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    seen: int = 0
    bad: int = 0

    def add(self, key: SeriesKey, time_s: float, value: float, place: int) -> None:
        """A row that can be used."""
        self.seen += 1
        rows = self.series.get(key)
        if rows is None:
            rows = self.series[key] = SeriesRows()
        rows.time_s.append(time_s)
        rows.value.append(value)
        rows.place.append(place)

    def refuse(self, what: str, place: int, detail: str) -> None:
        """A row that is set aside."""
        self.seen += 1
        self.bad += 1
        self.tell(f"set aside: {what}", 1, f"{self.unit} {place}: {detail}")

    def tell(self, what: str, rows: int, first: str) -> None:
        """Counts rows to which something happened."""
        tally = self.tallies.setdefault(what, Tally(0, first))
        tally.rows += rows

    def check(self) -> None:
        """Raises `HistoryRefused` where there is nothing, or mostly nonsense."""
        if not self.seen:
            raise HistoryRefused(f"{self.source}: there is no row below the heading")
        if self.bad > BAD_SHARE_MAX * self.seen:
            tally = next(iter(self.tallies.values()))
            raise HistoryRefused(
                f"{self.source}, {tally.first}; {self.bad:,} of {self.seen:,} rows cannot be read"
            )

    def notes(self) -> tuple[str, ...]:
        """A sentence for everything that happened to rows."""
        return tuple(
            f"{self.source}: {tally.rows:,} {'row' if tally.rows == 1 else 'rows'} {what} "
            f"(first: {tally.first})"
            for what, tally in self.tallies.items()
        )


def demand_value(text: str) -> float:
    """A value of demand, NaN for an empty cell: not measured. Raises `ValueError`."""
    text = text.strip()
    if not text or text.lower() in {"nan", "null", "none", "na"}:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no number") from None
    return checked_value(value)


def checked_value(value: float) -> float:
    """The value itself; raises `ValueError` for one that demand cannot have."""
    if math.isinf(value):
        raise ValueError("the value is infinite")
    if value < 0:
        raise ValueError(f"{value:g} is negative; demand is not")
    return value
