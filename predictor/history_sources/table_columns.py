"""Which columns a table of history has, and which series a row belongs to.

`csv_history.py` and `parquet_history.py` share it. A column it does not know is refused rather than
passed over: it may be what tells two series apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.series import ALL_REGIONS, SeriesKey
from predictor.history_sources.history import HistoryRefused

TIME, VALUE, SERIES, MODULE, REGION = "timestamp", "value", "series", "module", "region"
_SHAPES = (
    {TIME, VALUE},
    {SERIES, TIME, VALUE},
    {MODULE, TIME, VALUE},
    {MODULE, REGION, TIME, VALUE},
)


@dataclass(frozen=True, slots=True)
class TableColumns:
    """Places of the columns; `names` are those that name the series, in the order of a key."""

    width: int
    time: int
    value: int
    names: tuple[int, ...]

    def key(self, cells: Sequence[str], alone: str) -> SeriesKey:
        """The series of a row; raises `ValueError` for an empty name."""
        if not self.names:
            return SeriesKey(alone, ALL_REGIONS)
        named = [cells[place].strip() for place in self.names]
        if not all(named):
            raise ValueError("the series has no name")
        return SeriesKey(named[0], named[1] if len(named) > 1 else ALL_REGIONS)


def table_columns(place: str, heading: Sequence[str]) -> TableColumns:
    """Reads the heading; raises `HistoryRefused` that names `place` and what is missing or new."""
    names = [name.strip().lower() for name in heading]
    if len(set(names)) < len(names) or set(names) not in _SHAPES:
        raise HistoryRefused(
            f"{place}: the columns are {', '.join(heading)[:200] or 'none'}; expected "
            "timestamp,value or series,timestamp,value or module,region,timestamp,value"
        )
    keys = [names.index(name) for name in (SERIES, MODULE, REGION) if name in names]
    return TableColumns(len(names), names.index(TIME), names.index(VALUE), tuple(keys))
