"""Names a batch by its content, without reading weeks of unchanged history again and again.

`predictor/core/history.py` keeps one, and the audit record carries what it says. The name depends
on the batch alone, never on what was asked before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.series import SeriesBatch

BLOCK_STEPS = 60
"""An hour of minutes: of thousands of series a few megabytes, and a few hundred blocks in all."""

Read = Callable[[slice], bytes]


class SeriesDigest:
    """SHA-256 over the SHA-256 of blocks of steps; whole blocks that did not change are kept."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], bytes] = {}

    def forget(self, step_start_s: int, step_s: int) -> None:
        """A step was corrected: its block is read again."""
        self._known.pop(("fine", _block_start(step_start_s, step_s)), None)

    def forget_all(self) -> None:
        """Everything is read again."""
        self._known.clear()

    def of(self, batch: SeriesBatch) -> str:
        """Keys, grid, values and sampling variance as little-endian doubles, and older steps."""
        header = f"{batch.start_s}|{batch.step_s}|" + "|".join(f"{m}/{r}" for m, r in batch.keys)
        digest = hashlib.sha256(header.encode())
        seen: dict[tuple[str, int], bytes] = {}
        values, variance, coarser = batch.values, batch.sampling_variance, batch.coarser

        def fine(steps: slice) -> bytes:
            added = None if variance is None else variance[:, steps]
            has_added = added is not None and added.any()
            doubles = _doubles(values[:, steps])
            return doubles + (_doubles(added) if added is not None and has_added else b"")

        self._add(digest, seen, "fine", (batch.start_s, batch.end_s, batch.step_s), fine)
        if coarser is not None:
            packed = coarser.packed
            digest.update(f"|{coarser.start_s}|{coarser.step_s}".encode())
            grid = coarser.start_s, coarser.end_s, coarser.step_s
            self._add(digest, seen, "coarse", grid, lambda steps: _words(packed[:, steps]))
        self._known = seen
        return digest.hexdigest()

    def _add(
        self,
        digest: hashlib._Hash,
        seen: dict[tuple[str, int], bytes],
        layer: str,
        grid: tuple[int, int, int],
        read: Read,
    ) -> None:
        start_s, end_s, step_s = grid
        for block_s in range(_block_start(start_s, step_s), end_s, BLOCK_STEPS * step_s):
            begin_s, stop_s = max(block_s, start_s), min(block_s + BLOCK_STEPS * step_s, end_s)
            is_whole = stop_s - begin_s == BLOCK_STEPS * step_s
            block = self._known.get((layer, block_s)) if is_whole else None
            if block is None:
                steps = slice((begin_s - start_s) // step_s, (stop_s - start_s) // step_s)
                block = hashlib.sha256(read(steps)).digest()
            if is_whole:
                seen[layer, block_s] = block
            digest.update(block)


def series_digest(batch: SeriesBatch) -> str:
    """The same name, worked out from the batch alone."""
    return SeriesDigest().of(batch)


def _block_start(step_start_s: int, step_s: int) -> int:
    return step_start_s // (BLOCK_STEPS * step_s) * BLOCK_STEPS * step_s


def _doubles(values: NDArray[np.floating]) -> bytes:
    return np.ascontiguousarray(values, dtype="<f8").tobytes()


def _words(values: NDArray[np.uint16]) -> bytes:
    return np.ascontiguousarray(values, dtype="<u2").tobytes()
