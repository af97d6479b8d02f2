"""Reads history from CSV, packed or not.

`predictor/history_options.py` calls it. Columns: `timestamp,value`, `series,timestamp,value` or
`module,region,timestamp,value`; a stamp is the start of what the value stands for, and the value is
taken as it is, whether a rate or a count. It must never guess what a column means.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from predictor.history_sources.history import HistoryRefused, SourceHistory, picked
from predictor.history_sources.sample_grid import gridded
from predictor.history_sources.sample_rows import SampleRows, demand_value
from predictor.history_sources.stamps import stamp_s
from predictor.history_sources.table_columns import TableColumns, table_columns

ROWS_MAX = 20_000_000
_SUFFIXES = {".gz", ".csv", ".txt", ".parquet"}


def csv_history(path: Path, series: str | None = None, step_s: int | None = None) -> SourceHistory:
    """The file's series on one grid; raises `HistoryRefused` and `OSError`."""
    rows = SampleRows(path.name)
    with _opened(path) as text, _read_errors(path):
        reader = csv.reader(text, strict=True)
        columns = table_columns(f"{path.name}:1", next(reader, []))
        _read_rows(reader, columns, rows, plain_name(path))
    batch = gridded(rows, step_s)
    history = SourceHistory(path.name, batch, rows.notes())
    return history if series is None else picked(history, series)


def file_and_series(text: str) -> tuple[Path, str | None]:
    """The parts of `FILE:SERIES`; a file that is really called so is taken as it is."""
    file, mark, series = text.rpartition(":")
    if not mark or not file or Path(text).exists():
        return Path(text), None
    return Path(file), series


def plain_name(path: Path) -> str:
    """The file's name without `.csv.gz` and the like, which names its only series."""
    while path.suffix.lower() in _SUFFIXES and path.stem:
        path = Path(path.stem)
    return path.name


def _read_rows(
    reader: Iterator[list[str]], columns: TableColumns, rows: SampleRows, alone: str
) -> None:
    width, time, value = columns.width, columns.time, columns.value
    for cells in reader:
        if not cells:
            continue
        line: int = reader.line_num  # type: ignore[attr-defined]
        if len(cells) != width:
            rows.refuse("cells", line, f"{len(cells)} cells, the heading has {width}")
            continue
        try:
            key = columns.key(cells, alone)
            at_s, measured = stamp_s(cells[time]), demand_value(cells[value])
        except ValueError as error:
            rows.refuse("it cannot be read", line, str(error))
            continue
        rows.add(key, at_s, measured, line)
        if rows.seen > ROWS_MAX:
            raise HistoryRefused(f"{rows.source}: more than {ROWS_MAX:,} rows; give fewer, coarser")


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    packed = path.suffix.lower() == ".gz"
    opened = gzip.open if packed else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as text:
        yield text


@contextmanager
def _read_errors(path: Path) -> Iterator[None]:
    """What a torn or foreign file raises on the way becomes a sentence."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise HistoryRefused(f"{path.name}: the packed file is torn: {error}") from None
    except UnicodeDecodeError as error:
        raise HistoryRefused(f"{path.name}: it is no text in UTF-8: {error.reason}") from None
    except csv.Error as error:
        raise HistoryRefused(f"{path.name}: it is no CSV: {error}") from None
