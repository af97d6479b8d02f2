"""The next two hours of traffic from the last two, the hour and the weekday: a linear model.

`predictor/arms/kapacity.py` calls it. It stands in for that product's small network and reads what
that one reads; it must never read beyond the period it forecasts from.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.series import FloatArray
from predictor.arms.known_demand import DAY_S, WEEK_S

CONTEXT = 12
AHEAD = 12
DIFFERENCE = 0.8
"""The share of the former value that is taken off a value in the differenced history."""
WAVES_OF_DAY, WAVES_OF_WEEK = 8, 3
PENALTIES = (0.1, 1.0, 10.0, 100.0)
WINDOWS_MIN = 144
HELD_OUT = 5
"""One of so many windows, the newest, chooses the penalty."""


class TrafficModel(NamedTuple):
    """Weights of ridge regression (Hoerl and Kennard, 1970), one column for each period ahead.

    History is divided by its own mean, and the answer multiplied by it.
    """

    weights: FloatArray
    period_s: int

    def ahead(self, context: FloatArray, end_s: int) -> FloatArray:
        """Rates of the twelve periods from `end_s`, shape (12,), from the twelve before it."""
        scale = _scales(context[None])
        columns = _columns(context[None] / scale, np.asarray([end_s]))
        return np.asarray(np.maximum((columns @ self.weights * scale)[0], 0.0))


def learnt_model(values: FloatArray, end_s: int, period_s: int) -> TrafficModel | None:
    """Fit on every window of whole periods without a gap; None with fewer than 144 of them.

    Windows whose history is all zero have no scale and teach nothing.
    """
    if len(values) < CONTEXT + AHEAD:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(values, CONTEXT + AHEAD)
    ends_s = end_s - period_s * (np.arange(len(windows))[::-1] + AHEAD)
    whole = np.isfinite(windows).all(axis=1) & (windows[:, :CONTEXT] > 0.0).any(axis=1)
    if int(whole.sum()) < WINDOWS_MIN:
        return None
    windows, ends_s = windows[whole], ends_s[whole]
    scale = _scales(windows[:, :CONTEXT])
    # In traffic, not in shares of it: else the burst after a quiet hour is all that is learnt.
    weight = scale / scale.mean()
    columns = _columns(windows[:, :CONTEXT] / scale, ends_s) * weight
    outcomes = windows[:, CONTEXT:] / scale * weight
    penalty = _best_penalty(columns, outcomes)
    return TrafficModel(_ridge(columns, outcomes, penalty), period_s)


def _scales(contexts: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(contexts.mean(axis=1, keepdims=True), 1e-10))


def _columns(contexts: FloatArray, ends_s: np.ndarray) -> FloatArray:
    """History, differenced history, waves of the day and of the week: shape (n, columns)."""
    means = np.concatenate([contexts.mean(axis=1, keepdims=True), contexts], axis=1)
    differenced = means[:, 1:] - DIFFERENCE * means[:, :-1]
    day = 2.0 * np.pi * ends_s[:, None] / DAY_S * np.arange(1, WAVES_OF_DAY + 1)
    week = 2.0 * np.pi * ends_s[:, None] / WEEK_S * np.arange(1, WAVES_OF_WEEK + 1)
    waves = [np.sin(day), np.cos(day), np.sin(week), np.cos(week)]
    return np.concatenate([np.ones((len(contexts), 1)), contexts, differenced, *waves], axis=1)


def _best_penalty(columns: FloatArray, outcomes: FloatArray) -> float:
    """The penalty that errs least on the newest fifth when fitted on the rest."""
    cut = len(columns) - len(columns) // HELD_OUT
    losses = []
    for penalty in PENALTIES:
        error = columns[cut:] @ _ridge(columns[:cut], outcomes[:cut], penalty) - outcomes[cut:]
        losses.append(float(np.square(error).mean()))
    return PENALTIES[int(np.argmin(losses))]


def _ridge(columns: FloatArray, outcomes: FloatArray, penalty: float) -> FloatArray:
    square = columns.T @ columns + penalty * np.eye(columns.shape[1])
    return np.asarray(np.linalg.solve(square, columns.T @ outcomes))
