"""Reads tables of counts in CSV: a row for each count, or a column for each module.

`predictor/events/convert.py` uses it. Long: columns time, module, region, count. Wide: a time and
columns named `core`, `core/eu-west-1` or, with a fixed module, by region. Pure.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from predictor.events.arrivals import Arrivals, SetAside, place
from predictor.events.log_time import log_time_s
from streams.events import Catalog

TIME_COLUMNS = ("time", "timestamp", "datetime", "date", "ts", "start", "bucket_start")
COUNT_COLUMNS = ("count", "requests", "value", "hits")
MODULE_COLUMNS = ("module", "service")
REGION_COLUMNS = ("region",)
SEPARATORS = "/|:"
COUNT_MAX = 1e9


class TableError(ValueError):
    """The heading does not say what the columns are; the message says what is missing."""


class CountTable:
    """One table; its heading is known, rows come as lines."""

    def __init__(
        self,
        heading: bytes,
        catalog: Catalog,
        *,
        module: str | None = None,
        region: str | None = None,
        zone: ZoneInfo | None = None,
    ) -> None:
        """Raises `TableError`."""
        self._catalog = catalog
        self._fixed = (module, region)
        self._zone = zone
        names = [name.strip() for name in _cells(heading)]
        lower = [name.lower() for name in names]
        self._time = _column(lower, TIME_COLUMNS)
        if self._time is None:
            raise TableError(f"no column is called one of {', '.join(TIME_COLUMNS)}: {names}")
        self._count = _column(lower, COUNT_COLUMNS)
        self._module = _column(lower, MODULE_COLUMNS)
        self._region = _column(lower, REGION_COLUMNS)
        self._columns = len(names)
        self._wide = [] if self._count is not None else self._wide_columns(names)

    def read(self, line: bytes) -> list[Arrivals | SetAside]:
        """The counts of a row; raises `SetAside`."""
        cells = _cells(line)
        if len(cells) != self._columns:
            sentence = f"{len(cells)} cells, the heading has {self._columns}"
            raise SetAside("malformed", sentence)
        assert self._time is not None, "checked with the heading"
        time_s = log_time_s(cells[self._time], self._zone)
        if self._count is None:
            return self._wide_row(time_s, cells)
        module = None if self._module is None else cells[self._module].strip()
        region = None if self._region is None else cells[self._region].strip()
        count = _number(cells[self._count])
        if count is None:
            raise SetAside("no_count", "the cell is empty: not measured")
        return [Arrivals(time_s, *place(self._catalog, module, region, self._fixed), count)]

    def _wide_columns(self, names: list[str]) -> list[tuple[int, str | None, str | None]]:
        """Number, module and region of each column; a name may be of either."""
        columns: list[tuple[int, str | None, str | None]] = []
        for number, name in enumerate(names):
            if number == self._time:
                continue
            at = next((name.index(mark) for mark in SEPARATORS if mark in name), None)
            if at is not None:
                columns.append((number, name[:at].strip(), name[at + 1 :].strip()))
            elif self._catalog.module(name) is None and self._catalog.region(name) is not None:
                columns.append((number, None, name))
            else:
                columns.append((number, name, None))
        if not columns:
            raise TableError("there is no column besides the time")
        return columns

    def _wide_row(self, time_s: float, cells: Sequence[str]) -> list[Arrivals | SetAside]:
        found: list[Arrivals | SetAside] = []
        for number, module, region in self._wide:
            try:
                count = _number(cells[number])
                if count is not None:
                    where = place(self._catalog, module, region, self._fixed)
                    found.append(Arrivals(time_s, *where, count))
            except SetAside as error:
                found.append(error)
        return found


def is_table(line: bytes) -> bool:
    """Whether a first line looks like a heading."""
    try:
        names = [name.strip().lower() for name in _cells(line)]
    except SetAside:
        return False
    return len(names) > 1 and _column(names, TIME_COLUMNS) is not None


def _cells(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode("utf-8-sig")], strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise SetAside("malformed", str(error)) from error


def _column(names: list[str], wanted: tuple[str, ...]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _number(cell: str) -> float | None:
    """None for an empty cell: not measured is not zero."""
    text = cell.strip()
    if not text or text.lower() in ("nan", "null", "none", "na"):
        return None
    try:
        count = float(text)
    except ValueError:
        raise SetAside("invalid_count", f"{text[:32]!r} is no number") from None
    if not (math.isfinite(count) and 0 <= count <= COUNT_MAX):
        raise SetAside("invalid_count", f"{text[:32]} is not between 0 and 1e9")
    return count
