"""The series as they are handed out: the newest steps, the weeks behind them, and their name.

`predictor/core/history.py` fills one with what it has added up. The same batch is handed out until
something changes, and a batch never changes while it is held. It must never work out a rate itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.coarse_history import UNKNOWN, CoarseHistory, packed
from models.series import SeriesBatch, SeriesKey
from predictor.core.history_layers import HistoryLayers
from predictor.core.series_digest import SeriesDigest
from predictor.core.step_ring import Steps


class KeptSeries:
    """Rows in the order of `keys`, as far back and as finely as `layers` says."""

    def __init__(self, keys: tuple[SeriesKey, ...], layers: HistoryLayers) -> None:
        self._keys, self._layers = keys, layers
        self._older = layers.new_older(len(keys))
        self._ring = layers.new_ring(len(keys), self._older)
        self._batch: SeriesBatch | None = None
        self._digest, self._digest_text = SeriesDigest(), ""

    @property
    def start_s(self) -> int | None:
        """The start of the oldest fine step that is kept."""
        return self._ring.start_s

    @property
    def end_s(self) -> int | None:
        """The first instant after the newest step; None while there is none."""
        return self._ring.end_s

    def begin(self, start_s: int) -> None:
        """Say where the first step starts; only once, before any step."""
        self._ring.begin(start_s)

    def skip_to(self, step_start_s: int) -> None:
        """Fill with unknown up to the step that starts here."""
        self._let_go()
        self._ring.skip_to(step_start_s)

    def append(self, step: Steps) -> None:
        """Add the next step."""
        self._let_go()
        self._ring.append(step)

    def correct(self, step_s: int, step: Steps) -> None:
        """Put this in place of a step; nothing where it is not kept or says so already."""
        if self._ring.says(step_s, step):
            return
        self._let_go()
        self._digest.forget(step_s, self._layers.step_s)
        self._ring.replace(step_s, step)

    def lay_under(self, start_s: int, steps: Steps) -> None:
        """Put older steps under the ones known."""
        self._let_go()
        self._digest.forget_all()
        self._ring.prepend(start_s, steps)

    def lay_coarse_under(self, start_s: int, rates: NDArray[np.float32]) -> None:
        """Put older coarse steps, as rates, under the ones known."""
        self._lay_packed(CoarseHistory(start_s, self._layers.coarse_step_s, packed(rates)))

    def seed(self, batch: SeriesBatch) -> int:
        """Lay the rows of a batch that are kept here under what is; gives how many there were.

        Raises `ValueError` when its steps lie on another grid.
        """
        self._check_grid(batch)
        place = {key: row for row, key in enumerate(batch.keys)}
        known = [(row, place[key]) for row, key in enumerate(self._keys) if key in place]
        if not known:
            return 0
        own, given = np.array(known).T
        values = np.full((len(self._keys), batch.values.shape[1]), np.nan)
        variance = np.zeros_like(values)
        values[own] = batch.values[given]
        if batch.sampling_variance is not None:
            variance[own] = batch.sampling_variance[given]
        self.lay_under(batch.start_s, Steps(values, variance))
        if batch.coarser is not None:
            older = np.full((len(self._keys), batch.coarser.packed.shape[1]), UNKNOWN)
            older[own] = batch.coarser.packed[given]
            coarser = batch.coarser
            self._lay_packed(CoarseHistory(coarser.start_s, coarser.step_s, older))
        return len(known)

    def batch(self, empty_start_s: int) -> SeriesBatch:
        """All steps, read-only; the same object while nothing changed. Where there is none yet, an
        empty batch at `empty_start_s`."""
        if self._batch is None:
            start_s = self._ring.start_s
            steps = self._ring.view()
            self._batch = SeriesBatch(
                self._keys,
                empty_start_s if start_s is None else start_s,
                self._layers.step_s,
                steps.rates,
                steps.variance,
                None if self._older is None or start_s is None else self._older.view(),
            )
        return self._batch

    def digest(self) -> str:
        """The name of the newest batch by its content; worked out once per batch."""
        if self._batch is not None and not self._digest_text:
            self._digest_text = self._digest.of(self._batch)
        return self._digest_text

    def _let_go(self) -> None:
        """Hold the newest batch no longer: what nobody holds is changed in place."""
        self._batch, self._digest_text = None, ""

    def _lay_packed(self, coarser: CoarseHistory) -> None:
        """Coarse steps before the fine ones; those among them are known better."""
        start_s = self._ring.start_s
        if self._older is None or start_s is None:
            return
        self._let_go()
        self._digest.forget_all()
        before = max((start_s - coarser.start_s) // coarser.step_s, 0)
        self._older.lay_under(coarser.start_s, coarser.packed[:, :before])

    def _check_grid(self, batch: SeriesBatch) -> None:
        layers, coarser = self._layers, batch.coarser
        if batch.step_s != layers.step_s or batch.start_s % layers.step_s:
            raise ValueError(
                f"a history of {batch.step_s} s steps from {batch.start_s} does not lie on steps "
                f"of {layers.step_s} s"
            )
        if self._older is None or coarser is None:
            return
        if coarser.step_s != self._older.step_s or coarser.start_s % coarser.step_s:
            raise ValueError(
                f"an older history of {coarser.step_s} s steps from {coarser.start_s} does not lie "
                f"on steps of {self._older.step_s} s"
            )
