"""Scores forecasters of the window's peak on rolling origins, next to seasonal naive.

`scripts/bench.py` and `tests/models/score_trace.py` call it. At an origin a method sees only what
was before it: it is fitted on the fold before and asked with a batch that ends there. It must never
be imported by the service's forecast path: it uses scikit-learn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import TimeSeriesSplit

from models.forecast import QUANTILE_LEVELS, Forecaster, Horizon
from models.registry import QUICK_FITS, Fit
from models.series import FloatArray, SeriesBatch, until
from models.step_windows import IntArray, step_windows, window_peaks

BAR = "seasonal-naive"
"""The method that every other is a ratio to."""
FOLDS = 5
ORIGINS_PER_FOLD = 60
SCORED_SHARE = 0.4
"""The share of the history, its newest part, in which origins lie."""


@dataclass(frozen=True, slots=True)
class Score:
    """How one method did on the peaks of one batch.

    `loss` is the weighted quantile loss 2 * sum(pinball) / (levels * sum(|y|)), `ratio` is it over
    that of seasonal naive at the same origins, `coverage` the share of peaks at or below each level
    of `levels`, `origins` how many peaks of how many series were compared.
    """

    method: str
    levels: tuple[float, ...]
    loss: float
    ratio: float
    coverage: tuple[float, ...]
    origins: int


@dataclass(frozen=True, slots=True)
class Fold:
    """A method is fitted on the first `fitted_steps` steps and asked at each of `origins`."""

    fitted_steps: int
    origins: IntArray


def score(
    history: SeriesBatch,
    horizon: Horizon,
    methods: Mapping[str, Fit] = QUICK_FITS,
    folds: int = FOLDS,
    origins_per_fold: int = ORIGINS_PER_FOLD,
) -> Mapping[str, Score]:
    """Score each method by its name; only origins at which all of them had a forecast count.

    Returns nothing where history is too short for a single common origin.
    """
    asked = {**methods, BAR: QUICK_FITS[BAR]}
    actual = actual_peaks(history, horizon)
    outcomes: list[FloatArray] = []
    made: dict[str, list[FloatArray]] = {method: [] for method in asked}
    for fold in rolling_folds(history, horizon, folds, origins_per_fold):
        outcomes.append(actual[:, fold.origins].ravel())
        for method, fit in asked.items():
            fitted = fit(until(history, fold.fitted_steps), horizon)
            made[method].append(_asked_at(fitted, history, horizon, fold.origins))
    if not outcomes:
        return {}
    outcome = np.concatenate(outcomes)
    quantiles = {method: np.concatenate(parts) for method, parts in made.items()}
    common = np.isfinite(outcome)
    for found in quantiles.values():
        common &= np.isfinite(found).all(axis=1)
    if not common.any() or outcome[common].sum() == 0:
        return {}
    bar = _loss(outcome[common], quantiles[BAR][common])
    return {
        method: _score_of(method, outcome[common], quantiles[method][common], bar)
        for method in methods
    }


def actual_peaks(history: SeriesBatch, horizon: Horizon) -> FloatArray:
    """The peak in each row's window after each origin, shape (n, steps + 1); NaN unknown."""
    windows = step_windows(horizon, len(history.keys), history.step_s)
    rows, steps = history.values.shape
    peaks = np.full((rows, steps + 1), np.nan)
    for row in range(rows):
        first, hold = int(windows.first[row]), int(windows.hold[row])
        if first < steps:
            found = window_peaks(history.values[row : row + 1], hold)[0, first:]
            peaks[row, : len(found)] = found
    return peaks


def rolling_folds(
    history: SeriesBatch, horizon: Horizon, folds: int, origins_per_fold: int
) -> Iterator[Fold]:
    """Folds in time order over the newest part of the history, none seeing the next."""
    windows = step_windows(horizon, len(history.keys), history.step_s)
    steps = history.values.shape[1]
    fold_steps = int(steps * SCORED_SHARE / folds)
    if fold_steps == 0:
        return
    splitter = TimeSeriesSplit(n_splits=folds, test_size=fold_steps)
    last = steps - int(windows.stop.max(initial=1))
    for fitted, asked in splitter.split(np.arange(steps)):
        origins = np.unique(np.linspace(asked[0], asked[-1], origins_per_fold).astype(np.int64))
        origins = origins[origins <= last]
        if len(origins):
            yield Fold(len(fitted), origins)


def _asked_at(
    forecaster: Forecaster, history: SeriesBatch, horizon: Horizon, origins: IntArray
) -> FloatArray:
    """The peak quantiles at each origin, shape (n * origins, levels), row by row."""
    made = [forecaster.forecast(until(history, int(at)), horizon).peak for at in origins]
    return np.stack(made, axis=1).reshape(-1, len(QUANTILE_LEVELS))


def _loss(outcome: FloatArray, quantiles: FloatArray) -> float:
    pinball = sum(
        mean_pinball_loss(outcome, quantiles[:, place], alpha=level)
        for place, level in enumerate(QUANTILE_LEVELS)
    )
    return float(2.0 * pinball / (len(QUANTILE_LEVELS) * np.abs(outcome).mean()))


def _score_of(method: str, outcome: FloatArray, quantiles: FloatArray, bar: float) -> Score:
    coverage = tuple(float(share) for share in (outcome[:, None] <= quantiles).mean(axis=0))
    loss = _loss(outcome, quantiles)
    ratio = loss / bar if bar > 0 else float("inf")
    return Score(method, QUANTILE_LEVELS, loss, ratio, coverage, len(outcome))
