"""What the peers are asked: one series, the windows to forecast, and the very origins of ours.

`scripts/bench_forecast.py` writes one and `measured.py` hands it to the peers' process as a file.
It must hold nothing of how ours forecasts, so that a peer's figure outlives a change of ours.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

LEVELS = (0.1, 0.5, 0.9, 0.95, 0.99)
DAY_S = 86_400
DAYS_MIN = 2
"""Days before the first origin: a day back must itself have a day of past errors."""


@dataclass(frozen=True, slots=True)
class PeerRequest:
    """One series and what is asked of it.

    `values` has shape (steps,), NaN where not measured. `origins` has shape (origins,): the place
    of the newest step a forecast may see. Window `i` is the steps `origin + 1 + first[i]` up to and
    without `origin + 1 + stop[i]`; `outcome`, shape (windows, origins), holds its true peak.
    """

    name: str
    step_s: int
    values: FloatArray
    origins: IntArray
    first: IntArray
    stop: IntArray
    outcome: FloatArray

    def __post_init__(self) -> None:
        windows, origins = len(self.first), len(self.origins)
        if self.outcome.shape != (windows, origins) or not origins:
            raise ValueError(
                f"{self.name}: outcomes of shape {self.outcome.shape} for {windows} windows and "
                f"{origins} origins"
            )
        if self.origins[0] < DAYS_MIN * self.day:
            raise ValueError(
                f"{self.name}: {self.origins[0]} steps before the first origin, the peers need "
                f"{DAYS_MIN} days, {DAYS_MIN * self.day} steps"
            )
        self._check_outcome()

    def _check_outcome(self) -> None:
        """Other outcomes than ours would compare two different questions."""
        for row, (first, stop) in enumerate(zip(self.first, self.stop, strict=True)):
            peaks = peak_after(self.values, int(first), int(stop))[self.origins]
            known = np.isfinite(peaks)
            if not np.allclose(peaks[known], self.outcome[row, known], rtol=1e-6, atol=1e-9):
                raise ValueError(
                    f"{self.name}: the outcomes of steps {first + 1} to {stop} after an origin are "
                    "not the peaks of the series there"
                )

    @property
    def day(self) -> int:
        """Steps of a day."""
        return DAY_S // self.step_s

    def key(self) -> str:
        """Names the question: equal for equal series, origins and windows, whoever laid them."""
        digest = hashlib.sha256(f"{self.step_s} {LEVELS}".encode())
        for array in (self.values, self.origins, self.first, self.stop):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


def peak_after(values: FloatArray, first: int, stop: int) -> FloatArray:
    """The highest of the steps `first` to `stop - 1` after each step, NaN where one is unknown.

    Step 0 is the one right after. Shape as `values`.
    """
    peaks = np.full(len(values), np.nan)
    if stop < len(values):
        windows = np.lib.stride_tricks.sliding_window_view(values[1 + first :], stop - first)
        peaks[: len(values) - stop] = windows.max(axis=1)
    return peaks


def write_request(request: PeerRequest, path: Path) -> None:
    """Into an npz file, for a process that shares nothing else with this one."""
    np.savez(
        path, name=request.name, step_s=request.step_s, values=request.values,
        origins=request.origins, first=request.first, stop=request.stop, outcome=request.outcome,
    )  # fmt: skip


def read_request(path: Path) -> PeerRequest:
    """The request of a file."""
    with np.load(path) as found:
        return PeerRequest(
            str(found["name"]), int(found["step_s"]), found["values"], found["origins"],
            found["first"], found["stop"], found["outcome"],
        )  # fmt: skip
