"""What every forecaster promises, as a list of checks that each registered one must pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.forecast import ForecastBatch, ForecastCode, Forecaster, Horizon
from models.registry import FITS
from models.series import SeriesBatch
from tests.models.series_builders import a_batch, a_daily_load, a_horizon

Check = Callable[[str, Forecaster], None]
NO_FORECAST = {ForecastCode.SHORT_HISTORY, ForecastCode.STALE_HISTORY}
EXAMPLES = {"ensemble": 5}
"""Where a fit takes a second, fewer histories are drawn than the usual fifty."""
SHARED_BETWEEN_ROWS = {"ensemble": 0.1}
"""How far rows may move each other where trees are trained on all rows together; others: not."""


def bounded(name: str) -> settings:
    return settings(
        max_examples=EXAMPLES.get(name, 50),
        deadline=None,
        suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
    )


@st.composite
def some_history(draw: st.DrawFn) -> SeriesBatch:
    """Loads with growth, bursts, outages to zero, gaps, nearly idle rows and short rows."""
    days = draw(st.sampled_from([0.01, 0.1, 1.2, 2.3]))
    rows = []
    for seed in draw(st.lists(st.integers(0, 1000), min_size=1, max_size=3)):
        rate = draw(st.sampled_from([0.0, 1e-6, 0.02, 5.0, 1e7]))
        row = a_daily_load(days, rate, draw(st.sampled_from([0.0, 0.1, 1.5])), seed)
        at = draw(st.integers(0, len(row) - 1))
        row[at : at + draw(st.integers(0, 200))] *= draw(st.sampled_from([0.0, 50.0]))
        gap = draw(st.integers(0, len(row) - 1))
        row[gap : gap + draw(st.integers(0, 300))] = np.nan
        rows.append(row)
    return a_batch(np.stack(rows))


def both(
    name: str, forecaster: Forecaster, batch: SeriesBatch, horizon: Horizon
) -> list[ForecastBatch]:
    """The forecasts of the method as it is registered and of the method fitted to the batch."""
    fitted = FITS[name](batch, horizon)
    return [forecaster.forecast(batch, horizon), fitted.forecast(batch, horizon)]


def quantiles_never_cross(name: str, forecaster: Forecaster) -> None:
    @bounded(name)
    @given(some_history())
    def check(batch: SeriesBatch) -> None:
        for made in both(name, forecaster, batch, a_horizon(len(batch.keys))):
            assert (np.diff(made.peak[made.usable], axis=1) >= 0).all()
            assert (np.diff(made.steps[made.usable], axis=1) >= 0).all()

    check()


def never_negative_never_non_finite(name: str, forecaster: Forecaster) -> None:
    @bounded(name)
    @given(some_history(), st.sampled_from([0.0, 45.0, 7200.0]), st.sampled_from([0.0, 600.0]))
    def check(batch: SeriesBatch, lead_s: float, hold_s: float) -> None:
        horizon = a_horizon(len(batch.keys), lead_s, hold_s)
        for made in both(name, forecaster, batch, horizon):
            assert (made.peak[made.usable] >= 0).all()
            assert (made.steps[made.usable] >= 0).all()
            assert np.isfinite(made.steps[made.usable]).all()
            assert np.isnan(made.peak[~made.usable]).all()
            assert np.isnan(made.steps[~made.usable]).all()
            for usable, reason in zip(made.usable, made.reasons, strict=True):
                assert usable == (reason.code not in NO_FORECAST)
                assert reason.sentence

    check()


def same_input_same_bytes(name: str, forecaster: Forecaster) -> None:
    batch = a_batch(np.stack([a_daily_load(3, seed=1), a_daily_load(3, seed=2)]))
    first, second = (both(name, forecaster, batch, a_horizon(2)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one.peak.tobytes() == other.peak.tobytes()
        assert one.steps.tobytes() == other.steps.tobytes()
        assert one.reasons == other.reasons


def input_is_left_unchanged(name: str, forecaster: Forecaster) -> None:
    batch = a_batch(a_daily_load(3))
    batch.values[0, 50:60] = np.nan
    before = batch.values.tobytes()

    both(name, forecaster, batch, a_horizon(1))

    assert batch.values.tobytes() == before


def gap_is_not_zero_demand(name: str, forecaster: Forecaster) -> None:
    load = a_daily_load(3, rate=100, swing=0.0)
    # ------- 100/s ------- | 5 min unknown | now
    load[-5:] = np.nan

    for made in both(name, forecaster, a_batch(load), a_horizon(1)):
        assert made.usable[0]
        assert 85 < made.peak[0, 0] < 130


def short_history_is_refused_with_reason(name: str, forecaster: Forecaster) -> None:
    for samples in (0, 1, 6, 12):
        batch = a_batch(np.full((1, samples), 5.0))

        for made in both(name, forecaster, batch, a_horizon(1)):
            assert not made.usable[0]
            assert made.reasons[0].code is ForecastCode.SHORT_HISTORY
            assert any(character.isdigit() for character in made.reasons[0].sentence)


def no_series_is_no_forecast(name: str, forecaster: Forecaster) -> None:
    batch = SeriesBatch((), 0, 60, np.zeros((0, 3 * 1440)))

    for made in both(name, forecaster, batch, a_horizon(0)):
        assert len(made.keys) == len(made.reasons) == 0
        assert made.usable.shape == (0,)


def stale_history_is_refused_with_reason(name: str, forecaster: Forecaster) -> None:
    batch = a_batch(a_daily_load(3))
    fitted = FITS[name](batch, a_horizon(1))
    stale = batch.values.copy()
    stale[:, -30:] = np.nan
    stale_batch = dataclasses.replace(batch, values=stale)

    for method in (forecaster, fitted):
        made = method.forecast(stale_batch, a_horizon(1))
        assert not made.usable[0]
        assert made.reasons[0].code is ForecastCode.STALE_HISTORY
        assert "1800 s" in made.reasons[0].sentence


def rows_are_independent(name: str, forecaster: Forecaster) -> None:
    loads = [a_daily_load(3, seed=seed, rate=10.0**seed) for seed in range(3)]
    broken = np.full_like(loads[0], np.nan)
    spiky = loads[2] * np.where(np.arange(len(loads[2])) % 97 == 0, 1e6, 1.0)
    together = a_batch(np.stack([loads[0], broken, loads[1], spiky]))
    horizon = Horizon(np.array([120.0, 0.0, 300.0, 3600.0]), np.array([600.0, 60.0, 600.0, 7200.0]))

    made_together = both(name, forecaster, together, horizon)
    for place in (0, 2):
        row = dataclasses.replace(
            together, keys=(together.keys[place],), values=together.values[[place]]
        )
        own = Horizon(horizon.lead_s[[place]], horizon.hold_s[[place]])
        for made, alone in zip(made_together, both(name, forecaster, row, own), strict=True):
            assert made.usable.tolist() == [True, False, True, made.usable[3]]
            assert made.reasons[place] == alone.reasons[0]
            share = SHARED_BETWEEN_ROWS.get(name, 1e-9)
            np.testing.assert_allclose(made.peak[place], alone.peak[0], rtol=share)


def memory_stays_bounded(name: str, forecaster: Forecaster) -> None:
    """A forecast holds what its rows need, however long the window or the history."""
    batch = a_batch(np.stack([a_daily_load(3)] * 4))
    horizon = a_horizon(4, lead_s=40_000, hold_s=46_400)

    for made in both(name, forecaster, batch, horizon):
        assert made.steps.shape == (4, len(made.levels), 1440)
        assert made.steps.nbytes < 2**20


def coverage_is_what_it_says(name: str, forecaster: Forecaster) -> None:
    """Fitted on five days, asked through the sixth: 90 % of the peaks lie at or below the 0.9."""
    rows = 12
    load = np.stack([a_daily_load(6, noise=0.2, seed=seed, swing=0.3) for seed in range(rows)])
    batch = a_batch(load)
    horizon = a_horizon(rows)
    known = dataclasses.replace(batch, values=load[:, : 5 * 1440])
    fitted = FITS[name](known, horizon)
    below: list[np.ndarray] = []
    for origin in range(5 * 1440, 6 * 1440 - 12, 37):
        made = fitted.forecast(dataclasses.replace(batch, values=load[:, :origin]), horizon)
        peak = load[:, origin + 2 : origin + 12].max(axis=1)
        below.append(peak[:, None] <= made.peak)

    covered = np.concatenate(below).mean(axis=0)

    for level, share in zip(made.levels, covered, strict=True):
        assert abs(share - level) < 0.06, (level, share)


CHECKS: tuple[Check, ...] = (
    quantiles_never_cross,
    never_negative_never_non_finite,
    same_input_same_bytes,
    input_is_left_unchanged,
    gap_is_not_zero_demand,
    short_history_is_refused_with_reason,
    stale_history_is_refused_with_reason,
    no_series_is_no_forecast,
    rows_are_independent,
    memory_stays_bounded,
    coverage_is_what_it_says,
)
