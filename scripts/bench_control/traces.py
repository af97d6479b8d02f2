"""Load traces as loads of a simulation: every series a target, its newest days judged.

`python -m scripts.bench_control` calls it. It must never tune anything to a trace: sizes follow
from the load by one rule for all.
"""

from __future__ import annotations

from pathlib import Path

from predictor.history_sources.csv_history import csv_history, file_and_series
from predictor.history_sources.history import HistoryRefused
from predictor.simulation.load import DAY_S, LEARN_SHARE, SYNC_S, Load, load_of

STEP_S_MAX = 300
"""A coarser trace says nothing of what an HPA, which acts within a minute, would have met."""


class TraceError(ValueError):
    """A file is not there or not a trace; the message names it and what is wrong."""


def default_traces(folder: Path) -> list[tuple[Path, str]]:
    """All files of a folder with a step of five minutes or less."""
    paths = sorted(folder.glob("*.csv.gz"))
    if not paths:
        raise TraceError(f"{folder}: no traces (*.csv.gz) there")
    return [(path, "") for path in paths if _step_s(path) <= STEP_S_MAX]


def named_trace(argument: str) -> tuple[Path, str]:
    """FILE or FILE:SERIES."""
    path, series = file_and_series(argument)
    if not path.is_file():
        raise TraceError(f"{path}: no such file")
    return path, series or ""


def load_of_trace(path: Path, series: str, days_max: float) -> Load:
    """The trace in its own step (15 s at least); the newest 40 %, at most so many days, judged."""
    try:
        batch = csv_history(path, series or None).batch
        if batch.step_s < SYNC_S:
            batch = csv_history(path, series or None, SYNC_S).batch
        span_s = batch.values.shape[1] * batch.step_s
        judged_s = min(span_s * (1 - LEARN_SHARE), days_max * DAY_S)
        learn_s = int((span_s - judged_s) // batch.step_s * batch.step_s)
        return load_of(batch, region="here", routes={}, learn_s=learn_s, source=path.name)
    except (HistoryRefused, OSError) as error:
        raise TraceError(str(error)) from error


def _step_s(path: Path) -> int:
    try:
        return csv_history(path).batch.step_s
    except (HistoryRefused, OSError) as error:
        raise TraceError(str(error)) from error
