"""What a stored model is made of, whatever the numbers mean.

A fitted model becomes this before `models/store.py` writes it, and is made from it again after it
was read and checked. Nothing here may know a forecasting method.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from models.manifest import ModelRow

if TYPE_CHECKING:  # heavy, and most readers have no trees
    from sklearn.ensemble import HistGradientBoostingRegressor


@dataclass(frozen=True, slots=True, eq=False)
class StoredParameters:
    """The payload: numbers by name, trees in their order, and a row for each series.

    `arrays` hold booleans, integers or floats of any shape. `levels` are the quantile levels that
    the numbers belong to. The history they were learnt from covers [`trained_from_s`,
    `trained_to_s`), epoch seconds.
    """

    arrays: Mapping[str, NDArray[Any]]
    rows: tuple[ModelRow, ...]
    step_s: int
    levels: tuple[float, ...]
    trained_from_s: int
    trained_to_s: int
    trees: tuple[HistGradientBoostingRegressor, ...] = field(default=())
