"""What is announced lifts the upper quantiles of a forecast and touches nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.announced_floor import with_announced
from models.forecast import QUANTILE_LEVELS, ForecastBatch, ForecastCode, ForecastReason
from models.series import SeriesKey
from models.step_windows import StepWindows
from models.trust_code import TrustCode

STEPS = 6
ROWS = np.array([0, 2])
SAID = ("12 workflows announced plan", "7 workflows announced confirm")
WINDOWS = StepWindows(np.array([1, 1, 1]), np.array([4, 4, 4]))
LOWER = sum(level < 0.5 for level in QUANTILE_LEVELS)
RATES = arrays(np.float64, (2, STEPS), elements=st.floats(0, 1e6))
LEVELS = arrays(
    np.float64, (3, len(QUANTILE_LEVELS), STEPS), elements=st.floats(0, 1e6)
).map(lambda values: np.sort(values, axis=1))  # fmt: skip


def a_forecast(steps: np.ndarray) -> ForecastBatch:
    keys = tuple(SeriesKey(module, "eu") for module in ("plan", "core", "confirm"))
    own = ForecastReason(ForecastCode.ENSEMBLE, "a mix")
    peak = steps[:, :, 1:4].max(axis=2)
    return ForecastBatch(keys, 0, 60, QUANTILE_LEVELS, peak, steps, (own, own, own))


@given(LEVELS, RATES)
def test_no_quantile_falls_none_cross_and_the_lower_ones_stay(
    steps: np.ndarray, rates: np.ndarray
) -> None:
    made = a_forecast(steps)
    found = with_announced(made, ROWS, rates, SAID, WINDOWS)

    for new, old in ((found.steps, made.steps), (found.peak, made.peak)):
        assert (new >= old).all()
        assert (np.diff(new, axis=1) >= 0).all()
        assert (new[:, :LOWER] == old[:, :LOWER]).all()
        assert (new[1] == old[1]).all()
    assert (found.steps[ROWS, LOWER] >= rates).all()


def test_peak_is_that_of_the_window_alone() -> None:
    rates = np.array([[900.0, 50.0, 70.0, 60.0, 900.0, 900.0], np.zeros(STEPS)])
    found = with_announced(
        a_forecast(np.ones((3, len(QUANTILE_LEVELS), STEPS))), ROWS, rates, SAID, WINDOWS
    )

    assert found.peak[0, LOWER] == 70.0
    assert [reason.code for reason in found.reasons] == ["AnnouncedStages", "Ensemble", "Ensemble"]
    assert found.reasons[0].sentence == "12 workflows announced plan; without them: a mix"


def test_forecast_that_knows_of_more_is_the_same_object() -> None:
    made = a_forecast(np.full((3, len(QUANTILE_LEVELS), STEPS), 500.0))

    assert with_announced(made, ROWS, np.full((2, STEPS), 99.0), SAID, WINDOWS) is made


def test_row_without_a_forecast_stays_without_one() -> None:
    made = a_forecast(np.full((3, len(QUANTILE_LEVELS), STEPS), np.nan))
    found = with_announced(made, ROWS, np.full((2, STEPS), 99.0), SAID, WINDOWS)

    assert not found.usable.any()
    assert found.reasons == made.reasons


def test_alarm_keeps_its_code() -> None:
    made = a_forecast(np.ones((3, len(QUANTILE_LEVELS), STEPS)))
    alarm = ForecastReason(TrustCode.IN_OUTAGE, "an outage")
    made = dataclasses.replace(made, reasons=(alarm, *made.reasons[1:]))

    found = with_announced(made, ROWS, np.full((2, STEPS), 99.0), SAID, WINDOWS)

    assert found.reasons[0].code is TrustCode.IN_OUTAGE
    assert found.reasons[0].sentence.startswith("12 workflows announced plan")
