"""History from files: every row is either in the series or counted, and gaps stay gaps."""

from __future__ import annotations

import gzip
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from models.series import ALL_REGIONS, SeriesKey
from predictor.history_sources.csv_history import csv_history, file_and_series
from predictor.history_sources.history import HistoryRefused, SourceHistory, joined
from predictor.history_sources.parquet_history import parquet_history
from predictor.history_sources.sample_grid import gridded
from predictor.history_sources.sample_rows import SampleRows
from predictor.history_sources.stamps import stamp_s

T0 = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp())


def minute(place: int) -> str:
    return (datetime(2026, 1, 5, tzinfo=UTC) + timedelta(minutes=place)).isoformat()


def a_file(folder: Path, *lines: str, name: str = "load.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def values(history: SourceHistory, row: int = 0) -> list[float | None]:
    return [None if math.isnan(value) else value for value in history.batch.values[row]]


def test_a_step_without_a_row_stays_unknown(tmp_path: Path) -> None:
    rows = [f"{minute(place)},{place}" for place in (0, 1, 2, 5)]

    history = csv_history(a_file(tmp_path, "timestamp,value", *rows))

    assert (history.batch.start_s, history.batch.step_s) == (T0, 60)
    assert history.batch.keys == (SeriesKey("load", ALL_REGIONS),)
    assert values(history) == [0, 1, 2, None, None, 5]


def test_an_empty_value_is_not_measured_and_zero_is(tmp_path: Path) -> None:
    rows = [f"{minute(0)},0", f"{minute(1)},", f"{minute(2)},nan", f"{minute(3)},4"]

    assert values(csv_history(a_file(tmp_path, "timestamp,value", *rows))) == [0, None, None, 4]


def test_a_coarser_step_is_the_mean_of_what_was_measured(tmp_path: Path) -> None:
    rows = [f"{minute(place)},{place}" for place in (0, 1, 2, 3, 4, 9, 10, 11)]

    history = csv_history(a_file(tmp_path, "timestamp,value", *rows), step_s=300)

    assert values(history) == [2, 9, 10.5]


def test_series_of_one_file_lie_on_one_grid(tmp_path: Path) -> None:
    rows = [f"a,{minute(0)},1", f"b,{minute(2)},7", f"a,{minute(1)},2", f"b,{minute(3)},8"]

    history = csv_history(a_file(tmp_path, "series,timestamp,value", *rows))

    assert [key.module for key in history.batch.keys] == ["a", "b"]
    assert (values(history, 0), values(history, 1)) == ([1, 2, None, None], [None, None, 7, 8])


def test_module_and_region_are_the_key_and_one_series_can_be_picked(tmp_path: Path) -> None:
    rows = [f"core,{region},{minute(at)},{at}" for region in ("eu", "us") for at in (0, 1)]
    path = a_file(tmp_path, "module,region,timestamp,value", *rows)

    history = csv_history(*file_and_series(f"{path}:core/us"))

    assert history.batch.keys == (SeriesKey("core", "us"),)
    with pytest.raises(HistoryRefused, match="no series 'core/asia'; it has core/eu, core/us"):
        csv_history(path, "core/asia")


def test_rows_that_cannot_be_used_are_counted_with_the_first_line(tmp_path: Path) -> None:
    good = [f"{minute(place)},{place}" for place in range(6)]
    bad = [f"{minute(6)},many", f"{minute(7)},-1", f"{minute(8)},inf", f"{minute(2)},99"]

    history = csv_history(a_file(tmp_path, "timestamp,value", *good, *bad))

    assert values(history) == [0, 1, 2, 3, 4, 5]
    assert (
        "3 rows set aside: it cannot be read (first: line 8: 'many' is no number)"
        in (history.notes[0])
    )
    assert (
        "1 row set aside: the time is there already (first: line 11: 2026-01-05T00:02"
        in (history.notes[2])
    )


def test_rows_out_of_order_are_sorted_and_counted(tmp_path: Path) -> None:
    rows = [f"{minute(place)},{place}" for place in (0, 2, 1, 3)]

    history = csv_history(a_file(tmp_path, "timestamp,value", *rows))

    assert values(history) == [0, 1, 2, 3]
    assert "1 row out of order, sorted by time (first: line 4" in history.notes[0]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([], r"load.csv:1: the columns are none; expected timestamp,value"),
        (["2026-01-05T00:00Z,1"], r"load.csv:1: the columns are 2026-01-05T00:00Z, 1"),
        (["timestamp,value,host", "1,2,a"], r"the columns are timestamp, value, host"),
        (["timestamp,value"], r"load.csv: there is no row below the heading"),
        (["timestamp,value", "yesterday,1"], r"load.csv, line 2: time 'yesterday'"),
        (["timestamp,value", "9e40,1"], r"line 2: time '9e40': not between the years 1970"),
        (["timestamp,value", "1767571200,1,2"], r"line 2: 3 cells, the heading has 2"),
        (["timestamp,value", "1767571200,1"], r"no series has two rows"),
        (["timestamp,value", "1,1", "2,2", "1767571200,1"], r"is a time wrong, or give --step"),
    ],
)
def test_nonsense_is_refused_by_file_line_and_reason(
    tmp_path: Path, lines: list[str], sentence: str
) -> None:
    with pytest.raises(HistoryRefused, match=sentence):
        csv_history(a_file(tmp_path, *lines))


def test_a_finer_step_than_the_rows_is_refused(tmp_path: Path) -> None:
    path = a_file(tmp_path, "timestamp,value", "0,1", "300,2", "600,3")

    with pytest.raises(HistoryRefused, match="rows lie 300 s apart, a step of 60 s"):
        csv_history(path, step_s=60)


def test_a_torn_packed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "load.csv.gz"
    whole = "timestamp,value\n" + "".join(f"{minute(place)},{place}\n" for place in range(999))
    path.write_bytes(gzip.compress(whole.encode())[:-200])

    with pytest.raises(HistoryRefused, match=r"load\.csv\.gz: the packed file is torn"):
        csv_history(path)


@pytest.mark.parametrize("text", [str(T0), f"{T0}000", f"{T0}000000", minute(0), "2026-01-05"])
def test_a_time_may_be_iso_or_an_epoch_of_any_unit(text: str) -> None:
    assert stamp_s(text) == T0


def test_histories_of_two_files_are_joined_over_both_spans(tmp_path: Path) -> None:
    first = a_file(tmp_path, "timestamp,value", "0,1", "60,2", name="a.csv")
    second = a_file(tmp_path, "timestamp,value", "120,3", "180,4", name="b.csv")

    both = joined((csv_history(first), csv_history(second)))

    assert (values(both, 0), values(both, 1)) == ([1, 2, None, None], [None, None, 3, 4])


def test_histories_with_unlike_steps_are_not_joined(tmp_path: Path) -> None:
    first = a_file(tmp_path, "timestamp,value", "0,1", "60,2", name="a.csv")
    second = a_file(tmp_path, "timestamp,value", "0,3", "300,4", name="b.csv")

    with pytest.raises(HistoryRefused, match=r"b.csv: steps of 300 s .* give --step"):
        joined((csv_history(first), csv_history(second)))


@pytest.mark.parametrize("kind", [pa.timestamp("us", "UTC"), pa.timestamp("ns"), pa.int64()])
def test_parquet_gives_what_the_same_csv_gives(tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "load.parquet"
    moments = [datetime.fromtimestamp(T0 + 60 * place, UTC) for place in (0, 1, 4)]
    given: list[object] = [*moments]
    if pa.types.is_integer(kind):
        given = [int(moment.timestamp()) for moment in moments]
    columns = {"timestamp": pa.array(given, kind), "value": pa.array([1, None, 3])}
    parquet.write_table(pa.table(columns), path)

    history = parquet_history(path, step_s=60)

    assert history.batch.start_s == T0
    assert values(history) == [1, None, None, None, 3]


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HistoryRefused, match=r"load\.csv: it is no Parquet file"):
        parquet_history(a_file(tmp_path, "timestamp,value", "0,1"))


@given(
    samples=st.lists(
        st.tuples(st.integers(0, 500), st.floats(0, 1e6)), min_size=2, unique_by=lambda one: one[0]
    ),
    step_s=st.sampled_from([None, 600, 3600]),
)
def test_no_measured_value_is_lost_or_made_up(
    samples: list[tuple[int, float]], step_s: int | None
) -> None:
    rows = SampleRows("file")
    for line, (place, value) in enumerate(samples):
        rows.add(SeriesKey("a", "*"), float(place), value, line)

    batch = gridded(rows, step_s)

    measured = batch.values[np.isfinite(batch.values)]
    lowest, highest = min(value for _, value in samples), max(value for _, value in samples)
    slack = 1e-9 * (1 + highest)
    assert len(measured) >= 1
    assert (measured >= lowest - slack).all()
    assert (measured <= highest + slack).all()
    assert batch.start_s <= min(place for place, _ in samples)
    assert batch.end_s > max(place for place, _ in samples)
