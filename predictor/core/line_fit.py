"""Fits a straight line to each of many rows of samples, robustly, with bounds for its slope.

`predictor/core/capacity` fits what a request costs, `response_time.py` how requests slow
down. Pure arrays. It must never give a line for samples that do not carry one: the row is NaN then,
and `objection` says why.

Source of the slope: Theil (1950) and Sen, "Estimates of the regression coefficient based on
Kendall's tau", Journal of the American Statistical Association 63 (1968): the median of the slopes
between all pairs of samples, which up to 29 % of wild samples cannot carry away, with bounds that
are order statistics of the same slopes and assume no distribution of the errors.
"""

from __future__ import annotations

import numpy as np

from models.series import FloatArray

SLOPE, INTERCEPT, CENTRE, SLOPE_LOW, SLOPE_HIGH, ERROR, REACH = range(7)
"""Columns of a line. `CENTRE` is the median x; `ERROR` how far the line itself may lie too low or
too high there, in y; `REACH` the largest x of the samples."""
LINE_WIDTH = 7
SAMPLES_MIN = 6
"""A line needs this many samples: with fewer Sen's bounds at 0.9 are the extreme slopes."""
RANGE_MIN = 1.5
"""Largest over smallest x. Narrower, and intercept and slope cannot be told apart."""
Z_90 = 1.2816
"""The 0.9 quantile of the normal distribution: each bound holds nine times in ten, the same share
that the default quantile of the forecast's peak asks for."""
_MAD_TO_SIGMA = 1.4826
_MEDIAN_TO_MEAN = 1.2533
"""The standard error of a median over that of a mean, normal errors: sqrt(pi / 2)."""


def fit_lines(x: FloatArray, y: FloatArray) -> FloatArray:
    """A rising line y = intercept + slope x for each row, shape (n, LINE_WIDTH).

    `x` and `y` have shape (n, samples), NaN where there is none, x above 0. A row is NaN where the
    samples are too few, span too little of x or do not clearly rise. The order of samples does not
    matter.
    """
    lines = np.full((len(x), LINE_WIDTH), np.nan)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(known, x, np.nan), np.where(known, y, np.nan)
    rows = np.flatnonzero(_are_enough(x))
    if not len(rows):
        return lines
    with np.errstate(all="ignore"):
        fitted = _fitted(x[rows], y[rows])
    is_line = np.isfinite(fitted).all(axis=1) & (fitted[:, SLOPE_LOW] > 0)
    lines[rows[is_line]] = fitted[is_line]
    return lines


def x_at(lines: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Where each line reaches y, and the x that is surely not beyond (0.9), each shape (n,)."""
    slope, centre = lines[:, SLOPE], lines[:, CENTRE]
    with np.errstate(all="ignore"):
        away = y - (lines[:, INTERCEPT] + slope * centre)
        point = centre + away / slope
        flat, steep = away / lines[:, SLOPE_LOW], away / lines[:, SLOPE_HIGH]
        low = centre + np.minimum(flat, steep) - lines[:, ERROR] / slope
    return point, np.minimum(low, point)


def objection(x: FloatArray, y: FloatArray) -> str:
    """Why samples of shape (samples,) carry no line, in words; empty where they carry one."""
    known = x[np.isfinite(x) & np.isfinite(y)]
    if len(known) < SAMPLES_MIN:
        return f"{len(known)} different loads seen of {SAMPLES_MIN} that a line needs"
    if known.max() < RANGE_MIN * known.min():
        return (
            f"loads of {known.min():.3g} to {known.max():.3g}/s a pod are too near to each other "
            f"to tell idle use from the cost of requests"
        )
    if not np.isfinite(fit_lines(x[None], y[None])).all():
        return "it does not clearly rise with the load"
    return ""


def _are_enough(x: FloatArray) -> FloatArray:
    filled = np.isfinite(x)
    least = np.where(filled, x, np.inf).min(axis=1, initial=np.inf)
    most = np.where(filled, x, 0.0).max(axis=1, initial=0.0)
    enough: FloatArray = (filled.sum(axis=1) >= SAMPLES_MIN) & (most >= RANGE_MIN * least)
    return enough


def _fitted(x: FloatArray, y: FloatArray) -> FloatArray:
    first, second = np.triu_indices(x.shape[1], 1)
    run = x[:, second] - x[:, first]
    slopes = (y[:, second] - y[:, first]) / np.where(run == 0, np.nan, run)
    slopes.sort(axis=1)  # NaN last
    samples, pairs = np.isfinite(x).sum(axis=1), np.isfinite(slopes).sum(axis=1)
    spread = Z_90 * np.sqrt(samples * (samples - 1.0) * (2.0 * samples + 5.0) / 18.0)
    low = np.maximum(np.floor((pairs - spread) / 2.0) - 1.0, 0.0)
    high = np.minimum(np.ceil((pairs + spread) / 2.0), pairs - 1.0)
    slope, centre = _median(slopes, pairs), _medians(x)
    intercept = _medians(y - slope[:, None] * x)
    residuals = np.abs(y - slope[:, None] * x - intercept[:, None])
    error = Z_90 * _MEDIAN_TO_MEAN * _MAD_TO_SIGMA * _medians(residuals) / np.sqrt(samples)
    bounds = (_at(slopes, low), _at(slopes, high))
    return np.stack([slope, intercept, centre, *bounds, error, np.nanmax(x, axis=1)], axis=1)


def _medians(values: FloatArray) -> FloatArray:
    return _median(np.sort(values, axis=1), np.isfinite(values).sum(axis=1))


def _median(ordered: FloatArray, counts: FloatArray) -> FloatArray:
    """The median of each row's first `counts` values, which are in order."""
    below = _at(ordered, np.maximum((counts - 1) // 2, 0))
    return (below + _at(ordered, counts // 2)) / 2.0


def _at(ordered: FloatArray, places: FloatArray) -> FloatArray:
    """One value of each row."""
    last = ordered.shape[1] - 1
    return ordered[np.arange(len(ordered)), np.clip(places.astype(np.intp), 0, last)]
