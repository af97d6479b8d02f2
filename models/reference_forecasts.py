"""What a forecast is measured against: a day or a week ago, and what a reactive autoscaler knows.

`models/rolling_origins.py` calls it. Each is a point with quantiles of its own past errors over the
last week. It must never use an error whose window was not over at the origin.
"""

from __future__ import annotations

import numpy as np

from models.forecast import QUANTILE_LEVELS
from models.origin_run import CONFORMAL_SPAN_S, Run
from models.origin_windows import outcomes
from models.series import FloatArray
from models.sight import DAY_S

ERRORS_MIN = 20
LEVELS = np.asarray(QUANTILE_LEVELS)


def last_value_quantiles(run: Run, start: int) -> FloatArray:
    """The newest value with quantiles of its own past errors, shape (n, origins from `start` on,
    levels)."""
    return _with_own_errors(run, run.sight.points[:, :, 0], start)


def seasonal_naive_quantiles(run: Run, values: FloatArray, start: int) -> FloatArray:
    """As a day ago or as a week ago, whichever of the two lost less over these very origins."""
    day = DAY_S // run.step_s
    found = []
    for back in (day, 7 * day):
        if run.window.stop > back or (back > day and int(run.origins[start]) < 8 * day):
            continue
        point = outcomes(values, run.origins - back, run.window.first, run.window.stop)
        point = np.where(np.isfinite(point), point, run.sight.points[:, :, 0])
        found.append(_with_own_errors(run, point, start))
    if not found:
        return last_value_quantiles(run, start)
    losses = np.stack([_loss(run.outcome[:, start:], one) for one in found])
    return np.asarray(np.stack(found)[losses.argmin(axis=0), np.arange(len(found[0]))])


def _with_own_errors(run: Run, point: FloatArray, start: int) -> FloatArray:
    errors = run.outcome - point
    made = np.repeat(point[:, start:, None], len(LEVELS), axis=2)
    for place in range(start, len(run.origins)):
        origin = int(run.origins[place])
        oldest = int(np.searchsorted(run.origins, origin - CONFORMAL_SPAN_S // run.step_s))
        past = errors[:, oldest : run.complete_at(origin)]
        for row in range(len(errors)):
            known = past[row][np.isfinite(past[row])]
            if len(known) > ERRORS_MIN:
                made[row, place - start] += np.quantile(known, LEVELS)
    return np.asarray(np.maximum(made, 0.0))


def _loss(outcome: FloatArray, quantiles: FloatArray) -> FloatArray:
    over = outcome[:, :, None] - quantiles
    return np.asarray(np.nansum(np.maximum(LEVELS * over, (LEVELS - 1.0) * over), axis=(1, 2)))
