"""What a peer may look at: the load up to an origin, and errors that were complete by then.

Every group of peers reads it. Gaps are filled forward and never interpolated; steps that were not
measured are neither trained on nor scored. It must never let a number from after an origin through.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from scripts.forecast_peers.request import (
    LEVELS,
    BoolArray,
    FloatArray,
    IntArray,
    PeerRequest,
    peak_after,
)

ERROR_DAYS = 7
ERRORS_MAX = 2_500
ERRORS_MIN = 20
"""With fewer past errors a quantile of them is chance, and the point stands for all quantiles."""
LEVEL_MEMORY_S = 3_600
LEVEL_FLOOR = 0.01
"""Of the mean load: without it nothing can be said relative to a series at zero."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window of a request: `peak[t]` is what came after step t, `known` once it has passed.

    `reach` steps after t all of the window has passed. `steps` are its steps, 1 right after t.
    """

    peak: FloatArray
    known: BoolArray
    reach: int
    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """A request as the peers see it: `load` without gaps, and where it was measured."""

    load: FloatArray
    measured: BoolArray
    day: int
    step_s: int
    origins: IntArray
    windows: tuple[Window, ...]

    @property
    def first_origin(self) -> int:
        """Everything before it is past to every origin: where constants may be chosen on."""
        return int(self.origins[0])


@dataclass(slots=True)
class PeerForecasts:
    """One peer's quantiles, shape (windows, rows, levels), at the origins `rows` of the request.

    `cpu_s` is what all of them cost, fitting included.
    """

    rows: IntArray
    quantiles: FloatArray
    cpu_s: float = 0.0


Forecasts = Mapping[str, PeerForecasts]


@dataclass(slots=True)
class CpuClock:
    """CPU seconds by name, for peers whose work is done in turns."""

    spent_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def charge(self, name: str) -> Iterator[None]:
        """Put what happens inside on this name's account."""
        began = time.process_time()
        try:
            yield
        finally:
            self.spent_s[name] = self.spent_s.get(name, 0.0) + time.process_time() - began


def past_of(request: PeerRequest) -> Past:
    """The request with gaps filled and the peaks of its windows worked out."""
    measured = np.isfinite(request.values)
    load = filled_forward(request.values)
    windows = []
    for first, stop in zip(request.first.tolist(), request.stop.tolist(), strict=True):
        known = np.isfinite(peak_after(request.values, first, stop))
        steps = tuple(range(first + 1, stop + 1))
        windows.append(Window(peak_after(load, first, stop), known, stop, steps))
    return Past(load, measured, request.day, request.step_s, request.origins, tuple(windows))


def filled_forward(values: FloatArray) -> FloatArray:
    """Each gap with the last value before it, however long: a zero would be a measurement."""
    places = np.arange(len(values))
    last = np.maximum.accumulate(np.where(np.isfinite(values), places, 0))
    return np.nan_to_num(values[last])


def lagged(values: FloatArray, steps: int) -> FloatArray:
    """Each value `steps` later; NaN at the beginning."""
    return np.concatenate([np.full(steps, np.nan), values[: len(values) - steps]])


def smoothed(values: FloatArray, constant: float) -> FloatArray:
    """Simple exponential smoothing, started at the first value."""
    level, out = float(values[0]), np.empty(len(values))
    for place, value in enumerate(values.tolist()):
        level += constant * (value - level)
        out[place] = level
    return out


def recent_level(past: Past) -> FloatArray:
    """The load smoothed over about an hour, never zero: what relative forecasts are relative to."""
    steps = max(2, LEVEL_MEMORY_S // past.step_s)
    floor = LEVEL_FLOOR * max(float(past.load[: past.first_origin].mean()), 1e-9)
    return smoothed(past.load, 2 / (1 + steps)) + floor + 1e-9


def with_past_errors(
    past: Past, window: Window, point: FloatArray, scale: FloatArray | None = None
) -> FloatArray:
    """Quantiles around a point forecast, from its errors of the last week; shape (origins, levels).

    Split conformal prediction on a rolling window; with `scale`, of the errors relative to it.
    """
    unit = np.ones(len(point)) if scale is None else scale
    errors = np.where(window.known, (window.peak - point) / unit, np.nan)
    back = ERROR_DAYS * past.day
    stride = max(1, back // ERRORS_MAX)
    out = np.empty((len(past.origins), len(LEVELS)))
    for row, origin in enumerate(past.origins.tolist()):
        complete = origin - window.reach + 1
        pool = errors[max(0, complete - back) : complete : stride]
        pool = pool[np.isfinite(pool)]
        spread = np.quantile(pool, LEVELS) if len(pool) > ERRORS_MIN else 0.0
        out[row] = point[origin] + unit[origin] * spread
    return np.maximum(out, 0.0)


def every_origin(past: Past, quantiles: list[FloatArray], cpu_s: float) -> PeerForecasts:
    """Forecasts of a peer that has one for each origin; `quantiles` has one array a window."""
    return PeerForecasts(np.arange(len(past.origins)), np.stack(quantiles), cpu_s)
