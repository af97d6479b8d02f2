"""Lays rows of samples on one grid of equal steps.

`csv_history.py` and `parquet_history.py` call it. The step is the usual distance of two rows, or a
coarser one that was asked for, whose value is the mean of its measured samples. Pure. It must never
fill a step that nobody measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray, SeriesBatch, SeriesKey
from predictor.history_sources.history import HistoryRefused, check_size, instant_text
from predictor.history_sources.sample_rows import SampleRows, SeriesRows

STEP_S_MAX = 86_400


@dataclass(frozen=True, slots=True)
class _Ordered:
    """One series in the order of time, every time once."""

    time_s: FloatArray
    value: FloatArray


def gridded(rows: SampleRows, step_s: int | None = None) -> SeriesBatch:
    """All series on one grid; raises `HistoryRefused`. What happened to rows is told in `rows`."""
    rows.check()
    ordered = {key: _in_order(rows, found) for key, found in rows.series.items()}
    usual_s = _usual_distance_s(rows.source, list(ordered.values()))
    step = _step_s(rows.source, usual_s, step_s)
    times = np.concatenate([one.time_s for one in ordered.values()])
    # A step that was asked for begins with the clock; the file's own keeps the file's phase.
    phase_s = _modal(np.mod(times, step)) if step == usual_s else 0.0
    first = int(np.floor((times.min() - phase_s) / step))
    steps = int(np.floor((times.max() - phase_s) / step)) - first + 1
    start_s = round(phase_s + first * step)
    check_size(rows.source, len(ordered), steps, start_s, step)
    values = np.full((len(ordered), steps), np.nan)
    for row, (key, one) in enumerate(ordered.items()):
        places = np.floor((one.time_s - phase_s) / step).astype(np.int64) - first
        values[row] = _means(places, one.value, steps)
        if step == usual_s:
            _tell_shared(rows, key, one, places)
    return SeriesBatch(tuple(ordered), start_s, step, values)


def _in_order(rows: SampleRows, found: SeriesRows) -> _Ordered:
    """Sorted by time; of rows with one time the first in the file stays."""
    time_s, value = np.array(found.time_s), np.array(found.value)
    places = np.array(found.place)
    back = np.flatnonzero(np.diff(time_s) < 0) + 1
    if len(back):
        first = f"{rows.unit} {places[back[0]]}: {instant_text(time_s[back[0]])}"
        rows.tell("out of order, sorted by time", len(back), first)
    order = np.argsort(time_s, kind="stable")
    time_s, value, places = time_s[order], value[order], places[order]
    again = np.r_[False, np.diff(time_s) == 0]
    if again.any():
        at = int(np.argmax(again))
        first = f"{rows.unit} {places[at]}: {instant_text(time_s[at])}"
        rows.tell("set aside: the time is there already", int(again.sum()), first)
    return _Ordered(time_s[~again], value[~again])


def _usual_distance_s(source: str, ordered: list[_Ordered]) -> int:
    distances = np.concatenate([np.diff(one.time_s) for one in ordered])
    if not len(distances):
        raise HistoryRefused(f"{source}: no series has two rows, so there is no step")
    return max(round(_modal(np.round(distances))), 1)


def _step_s(source: str, usual_s: int, asked_s: int | None) -> int:
    step = usual_s if asked_s is None else asked_s
    if step < usual_s:
        raise HistoryRefused(
            f"{source}: rows lie {usual_s} s apart, a step of {step} s would be mostly gaps"
        )
    if step > STEP_S_MAX:
        raise HistoryRefused(f"{source}: a step of {step} s, at most {STEP_S_MAX} s")
    return step


def _modal(values: FloatArray) -> float:
    """The most frequent value, the smallest of several."""
    found, counts = np.unique(values, return_counts=True)
    return float(found[np.argmax(counts)])


def _means(places: NDArray[np.int64], values: FloatArray, steps: int) -> FloatArray:
    measured = np.isfinite(values)
    counts = np.bincount(places[measured], minlength=steps)
    sums = np.bincount(places[measured], weights=values[measured], minlength=steps)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _tell_shared(
    rows: SampleRows, key: SeriesKey, one: _Ordered, places: NDArray[np.int64]
) -> None:
    shared = np.flatnonzero(np.diff(places) == 0) + 1
    if len(shared):
        first = f"{key.module} at {instant_text(one.time_s[shared[0]])}"
        rows.tell("in a step that has a row already, which holds their mean", len(shared), first)
