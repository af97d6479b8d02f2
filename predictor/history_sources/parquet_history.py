"""Reads history from Parquet; pyarrow is an extra, `mplp-predictor[parquet]`.

`predictor/history_options.py` calls it. The columns are those of `csv_history.py`. It must never
load the file whole: record batches come one by one.
"""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

from predictor.history_sources.csv_history import ROWS_MAX, plain_name
from predictor.history_sources.history import HistoryRefused, SourceHistory, picked
from predictor.history_sources.sample_grid import gridded
from predictor.history_sources.sample_rows import SampleRows, checked_value, demand_value
from predictor.history_sources.stamps import epoch_s, stamp_s
from predictor.history_sources.table_columns import TableColumns, table_columns

EXTRA = "pip install 'mplp-predictor[parquet]'"
MISSING = f"reading Parquet needs pyarrow: {EXTRA}"


def parquet_history(
    path: Path, series: str | None = None, step_s: int | None = None
) -> SourceHistory:
    """The file's series on one grid; raises `HistoryRefused` and `OSError`."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise HistoryRefused(MISSING) from None
    rows = SampleRows(path.name, unit="row")
    try:
        with parquet.ParquetFile(path) as file:
            columns = table_columns(path.name, file.schema_arrow.names)
            if file.metadata.num_rows > ROWS_MAX:
                raise HistoryRefused(f"{path.name}: more than {ROWS_MAX:,} rows")
            for batch in file.iter_batches():
                _read_batch([_plain(column) for column in batch.columns], columns, rows, path)
    except pa.ArrowException as error:
        raise HistoryRefused(f"{path.name}: it is no Parquet file: {error}") from None
    history = SourceHistory(path.name, gridded(rows, step_s), rows.notes())
    return history if series is None else picked(history, series)


def _plain(column: Any) -> list[Any]:
    """A column as Python values; times as microseconds since 1970, for UTC where no zone is."""
    from pyarrow import compute, int64, timestamp, types  # noqa: PLC0415 - an extra

    if types.is_timestamp(column.type):
        column = compute.cast(column, timestamp("us", column.type.tz), safe=False).cast(int64())
        return [None if at is None else at / 1e6 for at in column.to_pylist()]
    plain: list[Any] = column.to_pylist()
    return plain


def _read_batch(
    table: list[list[Any]], columns: TableColumns, rows: SampleRows, path: Path
) -> None:
    alone = plain_name(path)
    for cells in zip(*table, strict=True):
        place = rows.seen + 1
        try:
            key = columns.key(["" if cell is None else str(cell) for cell in cells], alone)
            at_s, value = _time_s(cells[columns.time]), _value(cells[columns.value])
        except ValueError as error:
            rows.refuse("it cannot be read", place, str(error))
            continue
        rows.add(key, at_s, value, place)


def _time_s(cell: Any) -> float:
    if isinstance(cell, str):
        return stamp_s(cell)
    if not isinstance(cell, int | float):
        raise ValueError(f"{cell!r} is no time")  # noqa: TRY004 - a fault of the row, like the others
    return epoch_s(float(cell))


def _value(cell: Any) -> float:
    if cell is None:
        return math.nan
    if isinstance(cell, str):
        return demand_value(cell)
    if not isinstance(cell, int | float | Decimal):
        raise ValueError(f"{cell!r} is no number")  # noqa: TRY004
    return checked_value(float(cell))
