"""Our side of the benchmark: rolling origins of our forecast, put as questions to the peers.

`scripts/bench_forecast.py` calls it. What a peer is asked is built from the origins and outcomes
that ours was scored at; without ours the same origins are laid here.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from models.series import SeriesBatch, SeriesKey
from scripts.forecast_peers.cells import Ours
from scripts.forecast_peers.request import LEVELS, FloatArray, IntArray, PeerRequest, peak_after
from scripts.forecast_peers.windows import ScoredWindow, lay_origins, scored_windows


class MissingPartError(RuntimeError):
    """A part of ours that the benchmark measures is not there; the message names it."""


class Question(NamedTuple):
    """One series: what the peers are asked, and what ours gave, one a window or none at all."""

    request: PeerRequest
    windows: tuple[ScoredWindow, ...]
    ours: tuple[Ours, ...]


def series_name(key: SeriesKey) -> str:
    """As it stands in tables: the file, and the series where it holds several."""
    return key.module if key.region == "-" else f"{key.module}:{key.region}"


def questions(history: SeriesBatch, *, with_ours: bool, faults: list[str]) -> Iterator[Question]:
    """One for each series of a file; why a series cannot be asked about goes to `faults`.

    Raises `MissingPartError` where ours cannot be scored.
    """
    windows = scored_windows(history.step_s)
    results = _rolling(history, windows) if with_ours else []
    for row, key in enumerate(history.keys):
        try:
            if with_ours:
                yield _asked(history, row, windows, [one for one in results if one.key == key])
            else:
                yield _laid(history, row, windows)
        except ValueError as error:
            faults.append(str(error))


def _laid(history: SeriesBatch, row: int, windows: tuple[ScoredWindow, ...]) -> Question:
    origins = lay_origins(history.values, row, windows, history.step_s)
    values = history.values[row]
    peaks = [peak_after(values, *one.steps(history.step_s))[origins] for one in windows]
    return Question(_request(history, row, windows, origins, np.array(peaks)), windows, ())


def _rolling(history: SeriesBatch, windows: tuple[ScoredWindow, ...]) -> Sequence[Any]:
    part = part_of_ours("models.rolling_origins")
    targets = tuple(part.Target(float(one.lead_s), float(one.hold_s)) for one in windows)
    found: Sequence[Any] = part.rolling_origins(history, targets, cpu_s=time.process_time)
    return found


def part_of_ours(module: str) -> Any:
    """A module that is measured and that the peers can be measured without."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingPartError(f"ours cannot be measured, {error.name} is not there") from error


def _asked(
    history: SeriesBatch, row: int, windows: tuple[ScoredWindow, ...], results: Sequence[Any]
) -> Question:
    name = series_name(history.keys[row])
    by_window = {(one.target.lead_s, one.target.hold_s): one for one in results}
    if any((one.lead_s, one.hold_s) not in by_window for one in windows):
        raise MissingPartError(f"{name}: ours gave no result for every window")
    in_order = [by_window[one.lead_s, one.hold_s] for one in windows]
    origin_s = in_order[0].origin_s
    if any(not np.array_equal(one.origin_s, origin_s) for one in in_order):
        raise MissingPartError(f"{name}: the windows of ours differ in their origins")
    origins = (origin_s - history.start_s) // history.step_s - 1
    outcome = np.array([one.outcome for one in in_order])
    request = _request(history, row, windows, origins, outcome)
    return Question(request, windows, tuple(_ours(one) for one in in_order))


def _request(
    history: SeriesBatch,
    row: int,
    windows: tuple[ScoredWindow, ...],
    origins: IntArray,
    outcome: FloatArray,
) -> PeerRequest:
    """Begins where the series does: a peer would take what lies before for an outage."""
    measured = np.flatnonzero(np.isfinite(history.values[row]))
    if not len(measured) or not len(origins):
        raise ValueError(f"{series_name(history.keys[row])}: no origin with measured windows")
    begin = int(measured[0])
    steps = np.array([one.steps(history.step_s) for one in windows], dtype=np.int64)
    return PeerRequest(
        series_name(history.keys[row]), history.step_s, history.values[row, begin:],
        origins.astype(np.int64) - begin, steps[:, 0], steps[:, 1], outcome,
    )  # fmt: skip


def _ours(result: Any) -> Ours:
    lacking = [level for level in LEVELS if level not in result.levels]
    if lacking:
        raise MissingPartError(f"ours gives no quantile {lacking[0]}, it has {result.levels}")
    places = [result.levels.index(level) for level in LEVELS]
    return Ours(
        result.quantiles[:, places], result.seasonal_naive[:, places],
        float(result.fit_s), float(result.forecast_s), tuple(result.reasons),
    )  # fmt: skip
