"""Crane's estimators of the next period, and which of them it trusts.

`predictor/arms/crane_dsp.py` calls it. Values are in the metric's own unit, and its thresholds are
in that unit, too: the same load in millicores is estimated otherwise. Source: gocrane/crane
2b0ddae, `pkg/prediction/dsp/{estimators,config,prediction}.go`, `pkg/prediction/accuracy`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.series import FloatArray

WAVES_MAX = 100
HIGH_FREQUENCY_HZ = 1.0 / 3600.0
VALUE_MIN = 0.01


class FftEstimator(NamedTuple):
    """Keeps the slow waves and the strong ones; `margin` is added as a share.

    At least `waves_min` waves are strong, at most 100, and none below `low_amplitude` counts so
    but to make up the former.
    """

    waves_min: int
    low_amplitude: float
    margin: float


DEFAULT = tuple(
    FftEstimator(waves_min, low_amplitude, margin)
    for waves_min, low_amplitude in ((3, 1.0), (50, 0.05))
    for margin in (0.01, 0.10, 0.15, 0.20)
)


def estimated(estimator: FftEstimator, signal: FloatArray, step_s: int, period: int) -> FloatArray:
    """The next period as the last one of the smoothed samples, shape (period,)."""
    steps = len(signal)
    waves = np.fft.rfft(signal)
    amplitude = np.abs(waves) / steps
    weak = amplitude < _least_amplitude(estimator, amplitude[1 : steps // 2])
    fast = np.arange(len(waves)) / (step_s * steps) > HIGH_FREQUENCY_HZ
    waves[weak & fast] = 0.0
    smooth = np.fft.irfft(waves, steps)[steps - period :]
    return np.asarray(np.where(smooth <= 0.0, VALUE_MIN, smooth) * (1.0 + estimator.margin))


def best_estimator(signal: FloatArray, step_s: int, period: int) -> FftEstimator:
    """The one that errs least on the last period when it has seen those before it only."""
    before, last = signal[:-period], signal[len(signal) - period :]
    errors = [prediction_error(last, estimated(one, before, step_s, period)) for one in DEFAULT]
    return DEFAULT[int(np.argmin(errors))]


def prediction_error(actual: FloatArray, predicted: FloatArray) -> float:
    """Mean relative error with shortfalls amplified; mean absolute where an actual is near zero."""
    if float(actual.min()) < 1e-3:
        return float(np.abs(actual - predicted).mean())
    over = (predicted - actual) / actual
    short = -np.log1p(np.minimum(over, 0.0)) / np.log(1.25)
    return float(np.where(over < 0.0, short, over).mean())


def _least_amplitude(estimator: FftEstimator, amplitudes: FloatArray) -> float:
    """What a fast wave has to reach to stay."""
    if not len(amplitudes):
        return estimator.low_amplitude
    largest = np.sort(amplitudes)[::-1]
    least = max(float(largest[min(WAVES_MAX, len(largest)) - 1]), estimator.low_amplitude)
    if len(largest) >= estimator.waves_min:
        least = min(least, float(largest[estimator.waves_min - 1]))
    return least
