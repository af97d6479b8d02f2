"""Rows of a batch that look at the same steps ahead are forecast and taught together.

`models/ensemble.py` and `models/ensemble_fit.py` call it. It must never leave a chosen row out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models.sight import Window
from models.step_windows import IntArray, StepWindows


def same_windows(
    windows: StepWindows, chosen: NDArray[np.bool_]
) -> Iterator[tuple[Window, IntArray]]:
    """The chosen rows by their window, each with the places of its rows."""
    places = np.flatnonzero(chosen)
    if not len(places):
        return
    pairs = np.stack([windows.first[places], windows.stop[places]], axis=1)
    kinds, kind = np.unique(pairs, axis=0, return_inverse=True)
    for number, (first, stop) in enumerate(kinds):
        yield Window(int(first), int(stop)), places[kind.ravel() == number]
