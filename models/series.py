"""What a forecaster reads: a batch of equally spaced demand series with gaps marked.

`predictor/core/history.py` and `models/training.py` build them, every forecaster reads them. A gap
is NaN and never zero: zero is a measurement. Nothing here may change a batch once it is built.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.coarse_history import CoarseHistory

ALL_REGIONS = "*"
"""The region name of demand that may be served anywhere (a routed module's weighted demand)."""

FloatArray = NDArray[np.float64]


class SeriesKey(NamedTuple):
    """Names a series: a module and the region that must serve it, or `ALL_REGIONS`."""

    module: str
    region: str


@dataclass(frozen=True, slots=True)
class SeriesBatch:
    """Demand of many series on one time grid.

    `values` has shape (series, steps): the mean rate per second over each step, NaN where nothing
    is known. Step `i` covers [start_s + i * step_s, start_s + (i + 1) * step_s), epoch seconds.
    `sampling_variance` has the same shape: what counting only a sample of the requests adds to each
    mean's variance; None where nothing was sampled. `coarser` is what came before `start_s`, for
    shapes of the day and week only.

    A service with very many series keeps both arrays as float32. Whoever adds up what it reads
    takes a slice of it as float64, or all of it by `in_double`.
    """

    keys: tuple[SeriesKey, ...]
    start_s: int
    step_s: int
    values: FloatArray
    sampling_variance: FloatArray | None = None
    coarser: CoarseHistory | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[0] != len(self.keys):
            raise ValueError(
                f"values of shape {self.values.shape} do not fit {len(self.keys)} series"
            )
        variance = self.sampling_variance
        if variance is not None and variance.shape != self.values.shape:
            raise ValueError(f"a variance of shape {variance.shape} is not one of these values")
        if self.step_s <= 0:
            raise ValueError(f"a step of {self.step_s} s is not a step")
        coarser = self.coarser
        if coarser is not None and (
            len(coarser.packed) != len(self.keys) or coarser.end_s > self.start_s
        ):
            raise ValueError(
                f"older demand of {len(coarser.packed)} series to {coarser.end_s} does not lie "
                f"before that of {len(self.keys)} from {self.start_s}"
            )

    @property
    def end_s(self) -> int:
        """The first instant after the last step: the 'now' of a forecast made from this batch."""
        return self.start_s + int(self.values.shape[1]) * self.step_s


def rows_of(known: tuple[SeriesKey, ...], asked: tuple[SeriesKey, ...]) -> NDArray[np.int64]:
    """The place of each asked key among the known, -1 where it is not there."""
    if asked is known or asked == known:
        return np.arange(len(asked))
    place = {key: row for row, key in enumerate(known)}
    return np.asarray([place.get(key, -1) for key in asked], dtype=np.int64)


def in_double(history: SeriesBatch) -> SeriesBatch:
    """The history in float64; the same object where it is already."""
    variance = history.sampling_variance
    if history.values.dtype == np.float64:
        return history
    return dataclasses.replace(
        history,
        values=history.values.astype(np.float64),
        sampling_variance=None if variance is None else variance.astype(np.float64),
    )


def until(history: SeriesBatch, steps: int) -> SeriesBatch:
    """The history as it was after its first `steps` steps."""
    variance = history.sampling_variance
    return dataclasses.replace(
        history,
        values=history.values[:, :steps],
        sampling_variance=None if variance is None else variance[:, :steps],
    )


def part_of(batch: SeriesBatch, places: NDArray[np.int64]) -> SeriesBatch:
    """Some rows of a batch; the very same arrays where it is all of them."""
    if len(places) == len(batch.keys):
        return batch
    keys = tuple(batch.keys[place] for place in places)
    variance = batch.sampling_variance
    return SeriesBatch(
        keys,
        batch.start_s,
        batch.step_s,
        batch.values[places],
        None if variance is None else variance[places],
    )
