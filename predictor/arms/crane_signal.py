"""What Crane's DSP makes of samples before it forecasts: no gaps, no outliers, and their period.

`predictor/arms/crane_dsp.py` calls it. It must never offer a period other than a day or a week.
Source: gocrane/crane 2b0ddae, `pkg/prediction/dsp/{preprocessing,prediction,signal,peak}.go`.
"""

from __future__ import annotations

import numpy as np

from models.series import FloatArray
from predictor.arms.known_demand import DAY_S, WEEK_S

GAP_MAX_S = 3600
PEAK_REACH_S = 4 * 3600
SHUFFLES = 100
OUTLIER_SAMPLES_MIN = 1000


def preprocessed(values: FloatArray, step_s: int) -> FloatArray:
    """Samples after the last gap of over an hour, gaps filled by lines, whole hours, no outliers.

    An outlier lies outside the percentiles 0.1 to 99.9 and takes the value before it; of fewer
    than 1,000 samples these percentiles do not exist and nothing is taken for one.
    """
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return values[:0]
    wide = np.flatnonzero(np.diff(known) * step_s > GAP_MAX_S)
    known = known[wide[-1] + 1 :] if len(wide) else known
    places = np.arange(known[0], known[-1] + 1)
    whole = np.interp(places, known, values[known])
    per_hour = max(3600 // step_s, 1)
    return _without_outliers(whole[len(whole) % per_hour :])


def whole_periods(values: FloatArray, step_s: int, period_s: int) -> tuple[FloatArray, int]:
    """The newest samples that make whole periods, and how many periods those are."""
    per_period = max(period_s // step_s, 1)
    many = len(values) // per_period
    return values[len(values) - many * per_period :], many


def found_period_s(values: FloatArray, step_s: int, rng: np.random.Generator) -> int | None:
    """86,400 or 604,800 where that is the highest peak of the autocorrelation; else None.

    Looked for in whole weeks from two on, else in whole days from two on.
    """
    signal, many = whole_periods(values, step_s, WEEK_S)
    if many < 2:
        signal, many = whole_periods(values, step_s, DAY_S)
    if many < 2 or float(np.ptp(signal)) <= 0.0:
        return None
    period_s = fundamental_steps(signal, step_s, rng) * step_s
    return period_s if period_s in (DAY_S, WEEK_S) else None


def fundamental_steps(signal: FloatArray, step_s: int, rng: np.random.Generator) -> int:
    """The period, in steps, that its autocorrelation peaks highest at; 0 if there is none.

    Candidates are the periods of frequencies stronger than 99 of 100 random orders of the same
    samples can explain (periodogram), verified by the autocorrelation; cf. Vlachos, Yu and
    Castelli, "On Periodicity Detection and Structural Periodic Similarity", 2005.
    """
    steps = len(signal)
    strength = np.abs(np.fft.rfft(signal))
    places = np.arange(2, steps // 2)
    strong = places[strength[places] > chance_strength(signal, rng)]
    correlation = _autocorrelation(signal)
    best, highest = 0, 0.0
    for period in np.unique(steps // strong)[::-1] if len(strong) else ():
        reach = min(PEAK_REACH_S // step_s, int(period) // 2)
        if correlation[period] > highest and _is_peak(correlation, int(period), reach):
            best, highest = int(period), float(correlation[period])
    return best


def chance_strength(signal: FloatArray, rng: np.random.Generator) -> float:
    """The second largest of the strongest frequencies of 100 random orders of the samples."""
    strongest = [
        float(np.abs(np.fft.rfft(rng.permutation(signal))[1 : len(signal) // 2]).max())
        for _ in range(SHUFFLES)
    ]
    return sorted(strongest)[SHUFFLES - 2]


def _without_outliers(values: FloatArray) -> FloatArray:
    if len(values) < OUTLIER_SAMPLES_MIN:
        return values
    low, high = _per_mille(values, 1), _per_mille(values, 999)
    kept = (values >= low) & (values <= high)
    kept[0] = True
    places = np.maximum.accumulate(np.where(kept, np.arange(len(values)), 0))
    return np.asarray(values[places])


def _per_mille(values: FloatArray, share: int) -> float:
    """A percentile as the library there takes it: a sample, or the mean of the two around it."""
    ordered = np.sort(values)
    place, rest = divmod(share * len(values), 1000)
    return float(ordered[place - 1] if rest == 0 else ordered[place - 1 : place + 1].mean())


def _autocorrelation(signal: FloatArray) -> FloatArray:
    """Circular, of the standardised samples."""
    scaled = (signal - signal.mean()) / signal.std()
    power = np.abs(np.fft.rfft(scaled)) ** 2
    return np.asarray(np.fft.irfft(power, len(signal)) / len(signal))


def _is_peak(correlation: FloatArray, place: int, reach: int) -> bool:
    """Rising towards it on the left and falling on the right, by lines of least squares."""
    if place < 1 or place > len(correlation) - 1 or reach < 1:
        return False
    left = correlation[max(place - reach, 0) : place + 1]
    right = correlation[place : place + reach + 1]
    return _slope(left) > 0.0 and len(right) > 1 and _slope(right) < 0.0


def _slope(values: FloatArray) -> float:
    places = np.arange(len(values)) - (len(values) - 1) / 2.0
    return float(places @ values / (places @ places))
