"""Finds whose demand leads whose, along the calls between modules, and what that says of now.

A forecaster that takes features calls it: `find_links` when it is fitted, `upstream_features` at
each forecast. A callee is linked to a caller of the same region where the caller's growth tells the
callee's growth `lag` steps later, and tells it better, on steps held back, than both the callee's
last value and the callee's own growth do (Granger, "Investigating Causal Relations by Econometric
Models and Cross-spectral Methods", Econometrica 37, 1969). It must never look beyond an origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.series import ALL_REGIONS, FloatArray, SeriesBatch, SeriesKey
from models.step_windows import IntArray

FEATURES = ("upstream_growth", "upstream_recent_growth", "upstream_skill")
"""The callee's growth that the caller's foretells (a log ratio, times the gain); the caller's
newest growth over its own half hour; the share of error that the link took away on held-back
steps. All are zero without a link."""
SMOOTH_STEPS = 3
"""The newest value is the mean of three steps: one step of counts is mostly noise."""
LEVEL_STEPS = 30
LAG_STEPS_MAX = 30
LAGS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 22, 24, 27, 30)
"""Every lag while they are short, then some: neighbouring long ones tell the same growth."""
GAIN_MAX = 1.5
"""Demand at a callee does not grow faster than what calls it, but for noise in the caller."""
GAIN_MIN = 0.1
HELD_BACK_SHARE = 0.3
MARGIN = 0.05
"""A link takes at least a twentieth off the error, or it is not worth its place."""
PAIRS_MIN = 300
CALLERS_MAX = 4
SHARE_MIN = 0.05
ORIGINS_MAX = 5000
"""Origins that a link is found by, spread evenly over the history."""
GROWTH_MAX = 2.0
"""Growth beyond e^2 within a lag is a restart or a gap's edge, and tells nothing."""
FLOOR_SHARE = 0.05


class CallEdge(NamedTuple):
    """`caller` asks `callee`; `share` (0 to 1) of the callee's demand comes from there."""

    caller: str
    callee: str
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class UpstreamLink:
    """The series `upstream` leads `callee` by `lag_steps`; growth is passed on times `gain`.

    `skill` is the share of the last value's absolute error that the link took away on held-back
    steps. `floor` is a rate (upstream) that is added so that growth from nothing is bounded.
    """

    callee: SeriesKey
    upstream: SeriesKey
    lag_steps: int
    gain: float
    skill: float
    floor: float

    def sentence(self, step_s: int) -> str:
        """The link in words."""
        return (
            f"{self.upstream.module} leads {self.callee.module} by {self.lag_steps * step_s} s, "
            f"gain {self.gain:.2f}, {self.skill:.0%} less error than the last value"
        )


def find_links(history: SeriesBatch, edges: Sequence[CallEdge]) -> tuple[UpstreamLink, ...]:
    """The best accepted link of each callee series, at most one each, in the order of the keys."""
    place = {key: row for row, key in enumerate(history.keys)}
    origins = _spread_origins(history.values.shape[1])
    if len(origins) < PAIRS_MIN:
        return ()
    floors = _floors(history.values, history.step_s)
    newest = _trailing_log_means(history.values, floors, SMOOTH_STEPS)
    found: list[UpstreamLink] = []
    for row, key in enumerate(history.keys):
        links = []
        for upstream in _candidates(key, edges, place):
            best = _best_link(newest[row], newest[upstream], origins)
            if best is not None:
                floor = float(floors[upstream])
                links.append(UpstreamLink(key, history.keys[upstream], *best, floor=floor))
        if links:
            found.append(max(links, key=lambda link: link.skill))
    return tuple(found)


def upstream_features(
    batch: SeriesBatch, links: Sequence[UpstreamLink], ahead_steps: IntArray | None = None
) -> FloatArray:
    """`FEATURES` of each series at the end of the batch, shape (n, len(FEATURES)).

    `ahead_steps` (n,) is how far ahead each forecast looks: what a caller will still pass on is
    known up to the lag, so a nearer forecast is told less. None means each link's own lag.
    """
    end = np.array([batch.values.shape[1]])
    return upstream_features_at(batch, links, end, ahead_steps)[:, 0]


def upstream_features_at(
    batch: SeriesBatch,
    links: Sequence[UpstreamLink],
    origins: IntArray,
    ahead_steps: IntArray | None = None,
) -> FloatArray:
    """The same as of many origins, shape (n, origins, len(FEATURES)).

    An origin is the number of steps that are known there; nothing from it on is looked at. Raises
    `ValueError` for an origin beyond the batch.
    """
    steps = batch.values.shape[1]
    if len(origins) and (origins.min() < 0 or origins.max() > steps):
        raise ValueError(f"origins reach to {origins.max()} of {steps} steps")
    place = {key: row for row, key in enumerate(batch.keys)}
    made = np.zeros((len(batch.keys), len(origins), len(FEATURES)))
    for link in links:
        row, upstream = place.get(link.callee), place.get(link.upstream)
        if row is None or upstream is None:
            continue
        ahead = link.lag_steps if ahead_steps is None else int(ahead_steps[row])
        values = batch.values[upstream : upstream + 1]
        made[row] = _features(values, link, origins, min(max(ahead, 0), link.lag_steps))
    return made


def _features(values: FloatArray, link: UpstreamLink, origins: IntArray, ahead: int) -> FloatArray:
    """One link's features; a caller that is not measured says nothing."""
    floor = np.array([link.floor])
    newest = _trailing_log_means(values, floor, SMOOTH_STEPS)[0]
    level = _trailing_log_means(values, floor, LEVEL_STEPS)[0]
    # What reaches the callee `ahead` steps from now left the caller `lag - ahead` steps ago.
    leaves = origins - (link.lag_steps - ahead)
    passed_on = _at(newest, leaves) - _at(newest, origins - link.lag_steps)
    growth = np.stack([link.gain * passed_on, _at(newest, origins) - _at(level, origins)], axis=1)
    growth = np.where(np.abs(growth) <= GROWTH_MAX, growth, 0.0)
    known = np.isfinite(passed_on)[:, None]
    told = np.concatenate([growth, np.full((len(origins), 1), link.skill)], axis=1)
    return np.where(known, told, 0.0)


def _spread_origins(steps: int) -> IntArray:
    """Origins at which both a lag before and a lag after lie within the history."""
    first, last = LAG_STEPS_MAX + SMOOTH_STEPS, steps - LAG_STEPS_MAX
    if last <= first:
        return np.zeros(0, dtype=np.int64)
    return np.unique(np.linspace(first, last, min(last - first, ORIGINS_MAX)).astype(np.int64))


def _candidates(
    callee: SeriesKey, edges: Sequence[CallEdge], place: dict[SeriesKey, int]
) -> list[int]:
    """The rows of the callers with the largest shares: of the same region, else movable demand."""
    callers = sorted(
        (edge for edge in edges if edge.callee == callee.module and edge.caller != callee.module),
        key=lambda edge: -edge.share,
    )
    rows = []
    for edge in callers[:CALLERS_MAX]:
        for region in (callee.region, ALL_REGIONS):
            row = place.get(SeriesKey(edge.caller, region))
            if row is not None and edge.share >= SHARE_MIN:
                rows.append(row)
                break
    return rows


def _best_link(
    callee: FloatArray, upstream: FloatArray, origins: IntArray
) -> tuple[int, float, float] | None:
    """Lag, gain and skill of the pair; None unless it beats both bars on the held-back steps.

    The lag is chosen on the older steps alone, where it explains the most of what the callee's own
    growth leaves. Between the two parts a gap of a lag keeps their windows apart.
    """
    cut = int(len(origins) * (1.0 - HELD_BACK_SHARE))
    old = origins[:cut]
    held_back = origins[origins >= old[-1] + 2 * LAG_STEPS_MAX]
    explained = {lag: _explained(callee, upstream, old, lag) for lag in LAGS}
    near = max(explained, key=lambda lag: explained[lag])
    for lag in {max(near - 1, 1), min(near + 1, LAG_STEPS_MAX)} - explained.keys():
        explained[lag] = _explained(callee, upstream, old, lag)
    best_lag = max(explained, key=lambda lag: explained[lag])
    if explained[best_lag] <= 0.0:
        return None
    gain, own = _slopes(_growths(callee, upstream, old, best_lag))
    growth = _growths(callee, upstream, held_back, best_lag)
    if len(growth.coming) < PAIRS_MIN // 3 or not GAIN_MIN <= gain <= GAIN_MAX:
        return None
    error = _error(growth.coming - gain * growth.upstream)
    last_value, own_error = _error(growth.coming), _error(growth.coming - own * growth.own)
    if error > (1.0 - MARGIN) * min(last_value, own_error):
        return None
    return best_lag, gain, 1.0 - error / max(last_value, 1e-12)


def _explained(callee: FloatArray, upstream: FloatArray, origins: IntArray, lag: int) -> float:
    """The share of error that the caller's growth takes off what the callee's own leaves."""
    growth = _growths(callee, upstream, origins, lag)
    if len(growth.coming) < PAIRS_MIN:
        return 0.0
    gain, own = _slopes(growth)
    left = _error(growth.coming - own * growth.own)
    return 1.0 - _error(growth.coming - gain * growth.upstream) / max(left, 1e-12)


class _Growths(NamedTuple):
    """Log growth over a lag, before or after an origin; shape (pairs,), all finite."""

    coming: FloatArray
    own: FloatArray
    upstream: FloatArray


def _growths(callee: FloatArray, upstream: FloatArray, origins: IntArray, lag: int) -> _Growths:
    now = _at(callee, origins)
    coming = _at(callee, origins + lag) - now
    own = now - _at(callee, origins - lag)
    led = _at(upstream, origins) - _at(upstream, origins - lag)
    all_three = np.stack([coming, own, led])
    usable = np.isfinite(all_three).all(axis=0) & (np.abs(all_three) <= GROWTH_MAX).all(axis=0)
    return _Growths(*all_three[:, usable])


def _slopes(growth: _Growths) -> tuple[float, float]:
    """The least-squares slopes through the origin of coming growth on upstream's and on its own."""
    led, own = growth.upstream, growth.own
    return (
        float(growth.coming @ led) / max(float(led @ led), 1e-12),
        float(growth.coming @ own) / max(float(own @ own), 1e-12),
    )


def _error(residual: FloatArray) -> float:
    return float(np.abs(residual).mean())


def _floors(values: FloatArray, step_s: int) -> FloatArray:
    """A rate (n,) below which growth is noise: a twentieth of the mean, or a request a step."""
    measured = np.isfinite(values)
    mean = np.where(measured, values, 0.0).sum(axis=1) / np.maximum(measured.sum(axis=1), 1)
    return np.asarray(np.maximum(FLOOR_SHARE * mean, 1.0 / step_s))


def _trailing_log_means(values: FloatArray, floor: FloatArray, width: int) -> FloatArray:
    """Log of the mean of the `width` steps before each origin, shape (n, steps + 1).

    NaN where less than half of them is measured, and before the first whole width.
    """
    measured = np.isfinite(values)
    sums = np.pad(np.cumsum(np.where(measured, values, 0.0), axis=1), ((0, 0), (1, 0)))
    counts = np.pad(np.cumsum(measured, axis=1), ((0, 0), (1, 0)))
    log_mean = np.full(sums.shape, np.nan)
    if sums.shape[1] <= width:
        return log_mean
    count = counts[:, width:] - counts[:, :-width]
    mean = (sums[:, width:] - sums[:, :-width]) / np.maximum(count, 1)
    enough = 2 * count >= width
    # A running sum leaves a rounding error below zero where demand is zero.
    level = np.maximum(mean, 0.0) + floor[:, None]
    log_mean[:, width:] = np.where(enough, np.log(level), np.nan)
    return log_mean


def _at(log_means: FloatArray, origins: IntArray) -> FloatArray:
    """The entries of these origins; NaN before the first."""
    return np.where(origins >= 0, log_means[np.maximum(origins, 0)], np.nan)
