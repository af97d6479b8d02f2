"""What a forecast of the ensemble says of itself, written once at fit.

`models/ensemble_fit.py` and `models/stored_ensemble.py` call it. It must never be called for each
forecast, which formats nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.forecast import ForecastCode, ForecastReason
from models.point_mix import PointState
from models.upstream_columns import CANDIDATES, FORETOLD


def reasons_of(
    points: PointState, with_trees: bool, told: Sequence[str] = ()
) -> tuple[ForecastReason, ...]:
    """What rows with a forecast say; written once at fit, so that a forecast formats nothing.
    `told` ends each sentence with who leads the row, empty for nobody."""
    told = told or [""] * len(points.seen)
    loss = points.loss.copy()
    loss[[not one for one in told], -len(FORETOLD) :] = np.inf
    best = loss.argmin(axis=1)
    corrected = ", corrected by trees," if with_trees else ","
    return tuple(
        ForecastReason(
            ForecastCode.ENSEMBLE,
            f"mix of {len(CANDIDATES)} candidates led by {CANDIDATES[lead]}{corrected} "
            f"calibrated on {seen:.0f} past peaks{also}",
        )
        for lead, seen, also in zip(best, points.seen, told, strict=True)
    )
