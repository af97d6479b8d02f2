"""Remembers what pods used at which load, and learns from it what a request costs.

`predictor/core/decide.py` calls `learn_rates` once per decision. Of each target at most
`USAGE_SLOTS` loads are kept, a tenth apart, each with the newest usage there: so a day's whole
range stays, however long its nights are. Usage without load is idle use and no cost of requests. A
sample must never be of pods that are starting, or of a reading that the HPA could not make.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray
from predictor.core.capacity.quantised import quantised
from predictor.core.line_fit import INTERCEPT, SLOPE, fit_lines
from predictor.core.metric_columns import MetricColumns
from predictor.core.pods_seen import blank
from predictor.core.response_time import fit_response_times
from predictor.core.state import USAGE_SLOTS, TargetState

SLOTS_PER_DOUBLING = 6
"""Loads 12 % apart share no slot; all slots span a factor of 16, more than an HPA lets happen."""
SLOT_WEIGHT = 0.25
"""Weight of a new reading in its slot."""
RATIO_WEIGHT = 0.1
"""Weight of a new ratio. The HPA's own reading already averages, so ten readings suffice."""
USAGE_RATIO_MIN = 0.3
"""Of the target. Below it idle use outweighs the cost of requests, and a ratio says nothing."""
READING_RATIO_MAX = 1.3
"""A reading beyond this factor of what is known is cut: a wild one moves little, and what has
really doubled is followed in a dozen."""
COST_RATIO_MIN, COST_RATIO_MAX = 0.5, 8.0
"""How much cheaper and dearer a deploy is believed to make requests, until there is a new line."""
READINGS_MAX = 1e6
STEADY_S = 45.0
"""Pods count from this long after the last one came or went: readings are of them all by then."""
RATE_MIN_PER_S, RATE_MAX_PER_S, USAGE_MAX = 1e-6, 1e9, 1e9
DIGITS = 4
LINE_DIGITS = 6
FITS_MAX = 2_000
"""Rows fitted anew in one decision; more take turns. A fit sorts 276 slopes a row."""

Rows = NDArray[np.intp]


class Reading(NamedTuple):
    """What one decision sees of the targets `rows`: load per pod and second, usage, p95 seconds."""

    rows: Rows
    rate_per_s: FloatArray
    usage: FloatArray
    response_s: FloatArray


def learn_rates(
    targets: TargetState, metrics: MetricColumns, *, now_s: float, number: int
) -> TargetState:
    """Add one reading per target whose pods stand, and learn from all there are.

    `number` counts decisions: beyond `FITS_MAX` targets it says whose turn it is to be fitted.
    """
    targets = _of_one_metric(targets, metrics)
    reading = _reading(targets, metrics, now_s)
    if not len(reading.rows):
        return targets
    targets = _with_samples(_with_ratios(targets, metrics, reading), reading)
    turns = -(-len(targets.looked_at_s) // FITS_MAX)
    return _fitted(targets, reading.rows[(reading.rows + number) % turns == 0])


def _of_one_metric(targets: TargetState, metrics: MetricColumns) -> TargetState:
    """Samples of another metric, or in another unit, are no samples."""
    before, now = targets.usage_metric_seen, metrics.usage_metric
    other = np.isfinite(before) & np.isfinite(now) & (before != now)
    targets = msgspec.structs.replace(
        targets, usage_metric_seen=np.where(np.isfinite(now), now, before)
    )
    if not other.any():
        return targets
    return msgspec.structs.replace(
        targets,
        usage_rates_per_s=blank(targets.usage_rates_per_s, other),
        usage_readings=blank(targets.usage_readings, other),
        usage_line=blank(targets.usage_line, other),
        cost_ratio=blank(targets.cost_ratio, other),
        rate_learned_per_s=blank(targets.rate_learned_per_s, other),
        rate_former_per_s=blank(targets.rate_former_per_s, other),
        rate_readings=np.where(other, 0.0, targets.rate_readings),
    )


def _reading(targets: TargetState, metrics: MetricColumns, now_s: float) -> Reading:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        rate = targets.demand_smoothed_per_s / targets.ready_seen
    usage, response_s = (
        np.where((values > 0) & (values < USAGE_MAX), values, np.nan)
        for values in (metrics.usage_now, metrics.response_now_s)
    )
    usable = (rate >= RATE_MIN_PER_S) & (rate <= RATE_MAX_PER_S)
    usable &= now_s - targets.pods_since_s >= STEADY_S
    rows = np.flatnonzero(usable & (np.isfinite(usage) | np.isfinite(response_s)))
    return Reading(rows, rate[rows], usage[rows], response_s[rows])


def _with_ratios(targets: TargetState, metrics: MetricColumns, reading: Reading) -> TargetState:
    """What a pod would carry at the HPA's target if all of its use were the cost of requests.

    Beside it, what requests cost now over what the line of the former pods says.
    """
    share = reading.usage / metrics.usage_target[reading.rows]
    near = share >= USAGE_RATIO_MIN
    rows, rate, usage = (one[near] for one in (reading.rows, reading.rate_per_s, reading.usage))
    counts = targets.rate_readings.copy()
    counts[rows] = np.minimum(counts[rows] + 1.0, READINGS_MAX)
    line = targets.usage_line[rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        dearer = (usage - line[:, INTERCEPT]) / (line[:, SLOPE] * rate)
    dearer = np.clip(dearer, COST_RATIO_MIN, COST_RATIO_MAX)
    dearer = np.where(targets.is_former_line[rows] > 0, dearer, np.nan)
    weight = np.maximum(1.0 / counts[rows], RATIO_WEIGHT)
    ratios, learned = targets.cost_ratio.copy(), targets.rate_learned_per_s.copy()
    ratios[rows] = quantised(_moved(ratios[rows], dearer, weight), DIGITS)
    learned[rows] = _moved(learned[rows], rate / share[near], RATIO_WEIGHT)
    return msgspec.structs.replace(
        targets, rate_learned_per_s=learned, cost_ratio=ratios, rate_readings=counts
    )


def _with_samples(targets: TargetState, reading: Reading) -> TargetState:
    """Each reading goes to the slot of its load, and replaces what is there of another load."""
    rows, rate = reading.rows, quantised(reading.rate_per_s, DIGITS)
    band = _band(rate)
    slot = (band % USAGE_SLOTS).astype(np.intp)
    loads = targets.usage_rates_per_s.copy()
    is_same = _band(loads[rows, slot]) == band
    before = np.where(is_same, loads[rows, slot], np.nan)
    loads[rows, slot] = quantised(_moved(before, rate, SLOT_WEIGHT), DIGITS)
    columns = {"usage_rates_per_s": loads}
    for name, values in (
        ("usage_readings", reading.usage),
        ("response_readings_s", reading.response_s),
    ):
        kept = getattr(targets, name)
        if not (np.isfinite(values).any() or np.isfinite(kept).any()):
            continue
        before = np.where(is_same, kept[rows, slot], np.nan)
        columns[name] = kept.copy()
        columns[name][rows, slot] = quantised(_moved(before, values, SLOT_WEIGHT), DIGITS)
    return msgspec.structs.replace(targets, **columns)


def _fitted(targets: TargetState, rows: Rows) -> TargetState:
    """The lines of these rows anew; a line of former pods stays until there is a new one."""
    loads = targets.usage_rates_per_s[rows]
    lines, former = targets.usage_line.copy(), targets.is_former_line.copy()
    fresh = quantised(fit_lines(loads, targets.usage_readings[rows]), LINE_DIGITS)
    replaces = np.isfinite(fresh[:, SLOPE]) | ~(former[rows] > 0)
    lines[rows[replaces]] = fresh[replaces]
    former[rows[replaces]] = 0.0
    targets = msgspec.structs.replace(targets, usage_line=lines, is_former_line=former)
    timed = rows[np.isfinite(targets.response_readings_s[rows]).any(axis=1)]
    if not len(timed):
        return targets
    curves = targets.response_line.copy()
    found = fit_response_times(targets.usage_rates_per_s[timed], targets.response_readings_s[timed])
    curves[timed] = quantised(found, LINE_DIGITS)
    return msgspec.structs.replace(targets, response_line=curves)


def _band(rate_per_s: FloatArray) -> FloatArray:
    band: FloatArray = np.floor(np.log2(rate_per_s) * SLOTS_PER_DOUBLING)
    return band


def _moved(before: FloatArray, new: FloatArray, weight: FloatArray | float) -> FloatArray:
    """Go from before towards new, which is cut to a factor of before; NaN is none of either."""
    cut = np.clip(new, before / READING_RATIO_MAX, before * READING_RATIO_MAX)
    moved = np.where(np.isfinite(before), before + weight * (cut - before), new)
    return np.where(np.isfinite(new), moved, before)
