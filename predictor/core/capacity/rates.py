"""Turns demand into replicas, from what the HPA's own metric specs say one pod carries.

`predictor/core/decide.py` calls it. What the operator set comes first. Else each of the HPA's
metrics says what one pod carries at its target, and the smallest binds, as the HPA takes the
largest of its proposals: the target of a metric that counts requests; a level (connections, a
queue) over the demand that it came with; the load at which response times reach their objective;
the load at which CPU reaches its target. What was learned is planned with the value that the true
one exceeds nine times in ten. Where nothing says what a pod carries, the answer is "unknown".
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray
from predictor.core.cost_since_deploy import cost_since_deploy, rate_in_proportion
from predictor.core.line_fit import REACH, x_at
from predictor.core.metric_columns import MetricColumns
from predictor.core.policy_rows import PolicyRows
from predictor.core.response_time import rate_at_objective
from predictor.core.state import TargetState

BoolArray = NDArray[np.bool_]

BEYOND_SAMPLES_MAX = 1.5
"""A line is believed up to this factor beyond the largest load that was seen."""
DOUBT_MAX = 0.5
"""A learned rate whose lower bound is less than half of it is no knowledge."""
LEVEL_GROWTH_MAX = 2.0
"""A level is taken to grow with demand up to this factor: connections outlive their requests, so a
quiet hour with many of them says little of a busy one."""
REPLICAS_MAX = 1_000_000_000
"""More than any cluster has; an absurd demand must still be an integer."""
DUST = 1e-9
"""Relative. 300 / 0.1 must not become 3001 replicas by a rounding of the last bit."""


class RateSource(enum.StrEnum):
    """Where a rate per pod comes from."""

    CONFIGURED = "configured"
    HPA_METRIC = "hpa metric"
    LEVEL = "level"
    RESPONSE_TIME = "response time"
    LEARNED = "learned"
    RATIO = "ratio"
    FORMER = "learned before a deploy"
    UNKNOWN = "unknown"


BY_LINE = (RateSource.HPA_METRIC, RateSource.LEVEL, RateSource.RESPONSE_TIME, RateSource.LEARNED)
"""Those of which the smallest binds, in the order of their columns."""


@dataclass(frozen=True, slots=True)
class RatesPerPod:
    """Demand per second one Ready pod carries, shape (n,), NaN where unknown, and its source.

    `likely_per_s` is the most likely value where `rate_per_s` is a lower bound, NaN where the rate
    is of no line. `objective_s` is the response time to be kept, NaN where the HPA knows none.
    """

    rate_per_s: FloatArray
    sources: tuple[RateSource, ...]
    likely_per_s: FloatArray
    objective_s: FloatArray

    def planned(self, rows: PolicyRows) -> FloatArray:
        """What the policy plans a pod of a floor to carry, shape (n,)."""
        return self.rate_per_s * rows.pod_load_ratio


def rates_per_pod(
    metrics: MetricColumns,
    rows: PolicyRows,
    targets: TargetState,
    ahead_per_s: FloatArray,
) -> RatesPerPod:
    """What one pod of each target carries at the HPA's own target.

    `ahead_per_s`, shape (n,), is the demand that will be sized for, NaN where not known: a level
    is not taken to grow with it without end.
    """
    learned, learned_low, is_former = _by_usage(metrics, targets)
    # Without the HPA's metric a response time scales nothing, whatever was learned of it.
    objective_s = np.where(
        np.isfinite(rows.response_time_objective_s) & np.isfinite(metrics.response_target_s),
        rows.response_time_objective_s,
        metrics.response_target_s,
    )
    timed, timed_low = _believed(targets.response_line, *_timed(targets, objective_s))
    level = _by_level(metrics, targets, ahead_per_s)
    low = np.stack([metrics.stated_per_s, level, timed_low, learned_low])
    likely = np.stack([metrics.stated_per_s, level, timed, learned])
    low = np.where(np.isfinite(low) & (low > 0), low, np.inf)
    place, each = low.argmin(axis=0), np.arange(low.shape[1])
    bound = np.where(np.isfinite(low[place, each]), low[place, each], np.nan)
    ratio, is_old = rate_in_proportion(targets)
    options = (
        (rows.rate_per_pod_per_s, RateSource.CONFIGURED),
        (np.where((place == 3) & is_former, bound, np.nan), RateSource.FORMER),
        *((np.where(place == at, bound, np.nan), one) for at, one in enumerate(BY_LINE)),
        (np.where(is_old, ratio, np.nan), RateSource.FORMER),
        (ratio, RateSource.RATIO),
    )
    rate, chosen = _first(options, len(each))
    return RatesPerPod(
        rate, chosen, np.where(rate == bound, likely[place, each], np.nan), objective_s
    )


def replicas_for(demand_per_s: FloatArray, rate_per_s: FloatArray) -> FloatArray:
    """Whole replicas that carry the demand, shape as given; NaN where either is unknown."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        replicas = np.ceil(demand_per_s / rate_per_s * (1.0 - DUST))
    return np.minimum(replicas, REPLICAS_MAX)


def _by_usage(
    metrics: MetricColumns, targets: TargetState
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """The load at which CPU reaches its target, its lower bound, and whose line is of old pods."""
    is_former = targets.is_former_line > 0
    cost = np.where(is_former, cost_since_deploy(targets), 1.0)
    likely, low = _believed(targets.usage_line, *x_at(targets.usage_line, metrics.usage_target))
    return likely / cost, low / cost, is_former


def _timed(targets: TargetState, objective_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    return rate_at_objective(targets.response_line, objective_s)


def _believed(
    lines: FloatArray, likely: FloatArray, low: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Both values where the line says enough; the low one never far beyond the samples."""
    reach = lines[:, REACH] * BEYOND_SAMPLES_MAX
    with np.errstate(invalid="ignore"):
        usable = (low > 0) & (low >= DOUBT_MAX * likely)
    return (
        np.where(usable, likely, np.nan),
        np.where(usable, np.minimum(low, reach), np.nan),
    )


def _by_level(metrics: MetricColumns, targets: TargetState, ahead_per_s: FloatArray) -> FloatArray:
    """Requests per second a pod at which the level reaches its target, if it follows demand."""
    pods = np.where(metrics.level_pods > 0, metrics.level_pods, np.nan)
    following = targets.demand_smoothed_per_s / pods
    return np.fmax(following, ahead_per_s / (LEVEL_GROWTH_MAX * pods))


def _first(
    options: tuple[tuple[FloatArray, RateSource], ...], count: int
) -> tuple[FloatArray, tuple[RateSource, ...]]:
    """The first usable value of each row and whose it is."""
    values = np.stack([value for value, _ in options])
    usable = np.isfinite(values) & (values > 0)
    some = usable.any(axis=0)
    first = np.where(some, usable.argmax(axis=0), len(options))
    rate = np.where(some, values[np.minimum(first, len(options) - 1), np.arange(count)], np.nan)
    names = (*(source for _, source in options), RateSource.UNKNOWN)
    return rate, tuple(names[place] for place in first.tolist())
