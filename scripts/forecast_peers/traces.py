"""Reads load traces into series on equal steps, what was not measured left open.

`scripts/bench_forecast.py` calls it. Format: CSV, gzipped or not, `timestamp,value` or
`series,timestamp,value`, ISO 8601, the stamp is the start of the step. It must never fill a gap.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.series import SeriesBatch, SeriesKey
from scripts.forecast_peers.request import FloatArray, IntArray

LEFT_OUT = "azure_llm_2023_seconds"
"""An hour of seconds: too short for a season."""
MINUTES_TOO = ("worldcup98_may_jun", "nasa_jul95")
"""The default traces that are also scored at steps of one minute."""
SLOW_STEP_S, FAST_STEP_S = 300, 60


class TraceError(ValueError):
    """A file is not there or not a trace; the message names it and what is wrong."""


class Wanted(NamedTuple):
    """A file, one of its series or all of them, and the steps to score at, in seconds."""

    path: Path
    series: str
    step_s: int

    @property
    def name(self) -> str:
        """The file's name without its endings."""
        return self.path.name.removesuffix(".gz").removesuffix(".csv")


class _Stamped(NamedTuple):
    at_s: IntArray
    value: FloatArray


def default_traces(folder: Path) -> list[Wanted]:
    """All series of a folder at five minutes, and those of `MINUTES_TOO` at one as well."""
    found = [Wanted(path, "", SLOW_STEP_S) for path in sorted(folder.glob("*.csv.gz"))]
    found = [one for one in found if one.name != LEFT_OUT]
    if not found:
        raise TraceError(f"{folder}: no traces (*.csv.gz) there")
    return found + [one._replace(step_s=FAST_STEP_S) for one in found if one.name in MINUTES_TOO]


def named_trace(argument: str) -> list[Wanted]:
    """FILE or FILE:SERIES at five minutes, and at one where the default has it so."""
    file, _, series = argument.partition(":")
    wanted = Wanted(Path(file), series, SLOW_STEP_S)
    if not wanted.path.is_file():
        raise TraceError(f"{file}: no such file")
    steps = (SLOW_STEP_S, FAST_STEP_S) if wanted.name in MINUTES_TOO else (SLOW_STEP_S,)
    return [wanted._replace(step_s=step_s) for step_s in steps]


def read_traces(wanted: Wanted) -> SeriesBatch:
    """The wanted series on one grid, rates per second, NaN where nothing was measured.

    A file whose values are all whole numbers holds counts per its own step, any other one rates.
    Steps are never finer than the file's own.
    """
    rows = _rows(wanted)
    name, series = wanted.name, list(rows)
    if wanted.series and wanted.series not in rows:
        raise TraceError(f"{name}: no series {wanted.series!r}, it has {', '.join(series)}")
    chosen = {one: rows[one] for one in ([wanted.series] if wanted.series else series)}
    own_step_s = max(_own_step_s(one) for one in chosen.values())
    step_s = max(wanted.step_s, own_step_s)
    start_s = min(int(one.at_s.min()) for one in chosen.values()) // step_s * step_s
    end_s = max(int(one.at_s.max()) for one in chosen.values())
    steps = (end_s - start_s) // step_s + 1
    values = [_means(one, start_s, step_s, steps) for one in chosen.values()]
    counted = all(bool((one.value == np.round(one.value)).all()) for one in chosen.values())
    keys = tuple(SeriesKey(name, one or "-") for one in chosen)
    return SeriesBatch(keys, start_s, step_s, np.array(values) / (own_step_s if counted else 1))


def _rows(wanted: Wanted) -> dict[str, _Stamped]:
    stamps: dict[str, tuple[list[int], list[float]]] = {}
    try:
        for series, stamp, value in _lines(wanted.path):
            at_s, values = stamps.setdefault(series, ([], []))
            at_s.append(_epoch_s(stamp))
            values.append(float(value))
    except (ValueError, KeyError, OSError) as error:
        raise TraceError(f"{wanted.path}: not a trace of timestamp,value: {error}") from error
    if not stamps:
        raise TraceError(f"{wanted.path}: no values")
    return {one: _Stamped(np.array(at), np.array(of)) for one, (at, of) in stamps.items()}


def _lines(path: Path) -> Iterator[tuple[str, str, str]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in csv.DictReader(lines):
            yield line.get("series") or "", line["timestamp"], line["value"]


def _epoch_s(stamp: str) -> int:
    at = datetime.fromisoformat(stamp)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def _own_step_s(rows: _Stamped) -> int:
    """The step that most neighbouring stamps are apart."""
    apart = np.diff(np.unique(rows.at_s)).tolist()
    return Counter(apart).most_common(1)[0][0] if apart else FAST_STEP_S


def _means(rows: _Stamped, start_s: int, step_s: int, steps: int) -> FloatArray:
    """The mean of what was measured in each step, NaN where nothing was."""
    place = (rows.at_s - start_s) // step_s
    count = np.bincount(place, minlength=steps).astype(float)
    total = np.bincount(place, weights=rows.value, minlength=steps)
    return np.asarray(np.divide(total, count, out=np.full(steps, np.nan), where=count > 0))
