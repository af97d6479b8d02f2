"""Our recursion against statsmodels, which Predictive HPA calls."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.tsa.holtwinters import ExponentialSmoothing

from predictor.arms.holt_winters import HoltWinters, Smoothing, forecast_weights, values_min

CASES = [
    pytest.param(16, 6, (0.9, 0.9, 0.9), id="as little as it takes, documented parameters"),
    pytest.param(29, 6, (0.9, 0.9, 0.9), id="the most that is stored"),
    pytest.param(41, 7, (0.2, 0.1, 0.4), id="an odd season"),
    pytest.param(200, 24, (0.3, 0.05, 0.3), id="more seasons than the start looks at"),
]


@pytest.mark.parametrize(("values", "season", "smoothing"), CASES)
def test_forecasts_equal_those_of_statsmodels(
    values: int, season: int, smoothing: tuple[float, float, float]
) -> None:
    counts = np.random.default_rng(values).integers(1, 36, values).astype(float)
    level, trend, seasonal = smoothing
    theirs = (
        ExponentialSmoothing(
            counts,
            trend="additive",
            seasonal="additive",
            seasonal_periods=season,
            initialization_method="estimated",
        )
        .fit(
            smoothing_level=level,
            smoothing_trend=trend,
            smoothing_seasonal=seasonal,
            optimized=False,
        )
        .forecast(season)
    )
    share = Smoothing(*smoothing)
    model = HoltWinters(counts[:, None], season, share)
    # A whole season ahead statsmodels 0.15 takes a seasonal term from the season before.
    for steps in (1, 2, season - 1):
        assert model.ahead(steps)[0] == pytest.approx(theirs[steps - 1], rel=1e-8)
        weighted = forecast_weights(values, season, share, steps) @ counts
        assert weighted == pytest.approx(theirs[steps - 1], rel=1e-8)


def test_values_taken_one_by_one_equal_values_given_at_once() -> None:
    counts = np.random.default_rng(1).integers(1, 9, (40, 1)).astype(float)
    share = Smoothing(0.4, 0.1, 0.3)
    least = values_min(6) + 14  # five seasons, all that the start reads
    grown = HoltWinters(counts[:least], 6, share)
    for row in counts[least:]:
        grown.add(row)
    assert grown.ahead(4) == pytest.approx(HoltWinters(counts, 6, share).ahead(4))
