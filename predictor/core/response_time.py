"""How requests slow down with load, and the load at which they are as slow as the objective allows.

`predictor/core/capacity` calls it where an HPA has a metric of response times. It must never say a
load for samples that do not bend as queues do: there is no line then, and no answer.

The model: response time = a / (1 - load / saturation), at every quantile, `a` being that of a
request that meets nobody. It is exact for one server that shares itself among its requests (M/M/1;
Kleinrock, "Queueing Systems", volume 1, 1975, section 3.2: response times are exponential, so the
95th percentile is 3.0 times the mean), and for several servers at high load. Its reciprocal is a
straight line of the load, which is fitted robustly: 1 / time = 1 / a - load / (a saturation).
"""

from __future__ import annotations

import numpy as np

from models.series import FloatArray
from predictor.core.line_fit import SLOPE, fit_lines, objection, x_at


def fit_response_times(rate_per_s: FloatArray, response_s: FloatArray) -> FloatArray:
    """The line -1 / time over the load of a pod, for each row; see `fit_lines` for shapes."""
    return fit_lines(rate_per_s, _speed(response_s))


def rate_at_objective(lines: FloatArray, objective_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Requests per second and pod at which the objective is just met, and what surely meets it.

    Each has shape (n,), in requests per second, NaN or at most 0 where there is no such load.
    """
    return x_at(lines, _speed(objective_s))


def utilisation_at_objective(
    lines: FloatArray, usage_lines: FloatArray, objective_s: FloatArray
) -> FloatArray:
    """The CPU usage at that load, in the unit of the usage lines, shape (n,)."""
    _, sure_per_s = rate_at_objective(lines, objective_s)
    return usage_lines[:, SLOPE + 1] + usage_lines[:, SLOPE] * sure_per_s


def response_objection(rate_per_s: FloatArray, response_s: FloatArray) -> str:
    """Why one target's samples, shape (samples,), carry no curve; empty where they do."""
    return objection(rate_per_s, _speed(response_s))


def _speed(response_s: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(response_s > 0, -1.0 / response_s, np.nan)
