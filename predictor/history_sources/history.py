"""What every source of history gives: series on one grid, and in words what became of its rows.

`predictor/history_sources` builds it; `predictor/training.py` and `predictor/backtest.py` read it.
It must never fill a gap: what nobody measured stays NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.series import ALL_REGIONS, SeriesBatch, SeriesKey

CELLS_MAX = 50_000_000
"""Steps of all series together, 400 MB; a single wrong stamp would otherwise ask for more."""


class HistoryRefused(Exception):  # noqa: N818 - a refusal is what it is
    """A source that holds no usable history; the sentence names source, place and reason."""


@dataclass(frozen=True, slots=True)
class SourceHistory:
    """The series of one source; `notes` are sentences for the person who gave it."""

    source: str
    batch: SeriesBatch
    notes: tuple[str, ...] = ()


def series_name(key: SeriesKey) -> str:
    """A series as people write it: `core/eu-west-1`, or only `core` where any region may serve."""
    return key.module if key.region == ALL_REGIONS else f"{key.module}/{key.region}"


def picked(history: SourceHistory, name: str) -> SourceHistory:
    """The one series called so; raises `HistoryRefused` with the names there are."""
    names = [series_name(key) for key in history.batch.keys]
    if name not in names:
        raise HistoryRefused(f"{history.source}: no series {name!r}; it has {_listed(names)}")
    row = names.index(name)
    batch = history.batch
    one = replace(batch, keys=batch.keys[row : row + 1], values=batch.values[row : row + 1])
    return replace(history, source=f"{history.source}:{name}", batch=one)


def joined(histories: tuple[SourceHistory, ...]) -> SourceHistory:
    """All series on one grid that spans them; raises `HistoryRefused` where none can."""
    if len(histories) == 1:
        return histories[0]
    first = histories[0].batch
    for history in histories[1:]:
        batch = history.batch
        if batch.step_s != first.step_s or (batch.start_s - first.start_s) % first.step_s:
            raise HistoryRefused(
                f"{history.source}: steps of {batch.step_s} s do not lie on the {first.step_s} s "
                f"steps of {histories[0].source}; give --step"
            )
    keys = tuple(key for history in histories for key in history.batch.keys)
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise HistoryRefused(f"series {series_name(twice)} is in more than one source")
    source = ", ".join(history.source for history in histories)
    notes = tuple(note for history in histories for note in history.notes)
    return SourceHistory(source, _on_one_grid(histories, keys), notes)


def _on_one_grid(histories: tuple[SourceHistory, ...], keys: tuple[SeriesKey, ...]) -> SeriesBatch:
    batches = [history.batch for history in histories]
    step_s = batches[0].step_s
    start_s = min(batch.start_s for batch in batches)
    steps = (max(batch.end_s for batch in batches) - start_s) // step_s
    check_size(histories[0].source, len(keys), steps, start_s, step_s)
    values = np.full((len(keys), steps), np.nan)
    row = 0
    for batch in batches:
        rows, width = batch.values.shape
        at = (batch.start_s - start_s) // step_s
        values[row : row + rows, at : at + width] = batch.values
        row += rows
    return SeriesBatch(keys, start_s, step_s, values)


def check_size(source: str, series: int, steps: int, start_s: float, step_s: int) -> None:
    """Raises `HistoryRefused` for a grid beyond `CELLS_MAX`."""
    if series * steps > CELLS_MAX:
        raise HistoryRefused(
            f"{source}: {series:,} series from {instant_text(start_s)} to "
            f"{instant_text(start_s + steps * step_s)} in steps of {step_s} s are "
            f"{series * steps:,} values, at most {CELLS_MAX:,}; is a time wrong, or give --step"
        )


def instant_text(at_s: float) -> str:
    """An instant as RFC 3339 in UTC, to the second."""
    return str(np.datetime64(round(at_s), "s")) + "Z"


def _listed(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
