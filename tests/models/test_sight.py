from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.series import FloatArray
from models.sight import HOLT_STEPS, POINTS, Window, see
from tests.models.series_builders import a_batch, a_daily_load

WINDOW = Window(2, 12)


def floor_of(values: FloatArray) -> FloatArray:
    return np.full(len(np.atleast_2d(values)), 0.5)


def a_load_with_gaps(days: float = 2.2, seed: int = 3) -> FloatArray:
    load = a_daily_load(days, seed=seed)
    load[200:230] = np.nan
    load[-700:-690:2] = np.nan
    return load


@settings(max_examples=20)
@given(st.integers(0, 3100), st.floats(0, 1e9), st.booleans())
def test_nothing_at_or_after_an_origin_is_seen(origin: int, later: float, one: bool) -> None:
    load = a_load_with_gaps()
    changed = load.copy()
    changed[origin:] = later
    origins = np.array([origin]) if one else np.arange(max(origin - 40, 0), origin + 1)

    seen, other = (
        see(a_batch(values), origins, WINDOW, floor_of(values)) for values in (load, changed)
    )

    for one_kind, other_kind in zip(seen, other, strict=True):
        np.testing.assert_array_equal(one_kind, other_kind)


def test_one_moment_alone_looks_as_it_does_among_many() -> None:
    load = a_load_with_gaps()
    origins = np.arange(1, len(load) + 1, 53)

    together = see(a_batch(load), origins, WINDOW, floor_of(load))

    for place, origin in enumerate(origins):
        alone = see(a_batch(load), np.array([origin]), WINDOW, floor_of(load))
        for kind, whole in zip(alone, together, strict=True):
            np.testing.assert_allclose(kind[:, 0], whole[:, place], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rate", [0.0, 1e-9, 1e12, np.nan])
def test_candidates_are_finite_and_not_negative_whatever_was_measured(rate: float) -> None:
    values = np.full((1, 1500), rate)
    values[0, 700:720] = np.nan

    seen = see(a_batch(values), np.array([0, 1, 3, 710, 1500]), WINDOW, floor_of(values))

    assert np.isfinite(seen.points).all()
    assert (seen.points >= 0).all()
    assert (seen.level > 0).all()
    assert not np.isinf(seen.features).any()


def test_features_do_not_change_with_the_unit_of_the_rate() -> None:
    load = a_load_with_gaps()
    origins = np.array([900, 1800, len(load)])

    ones, thousands = (
        see(a_batch(load * unit), origins, WINDOW, floor_of(load) * unit) for unit in (1.0, 1e3)
    )

    differs = ~np.isclose(ones.features, thousands.features, rtol=1e-3, equal_nan=True)
    of_level = np.isclose(thousands.features - ones.features, np.log(1e3), rtol=1e-3)
    assert (differs <= of_level).all()
    assert differs.any(axis=(0, 1)).sum() == 1
    np.testing.assert_allclose(thousands.points, ones.points * 1e3)


def test_demand_of_yesterday_at_this_hour_is_carried_over() -> None:
    load = a_daily_load(2.5, noise=0.0)
    origin = 3 * 720
    load[origin:] = np.nan
    seen = see(a_batch(load), np.array([origin]), WINDOW, floor_of(load))

    def point(name: str) -> float:
        return float(seen.points[0, 0, POINTS.index(name)])

    peak = load[origin - 1438 : origin - 1428].max()
    assert point("last") == load[origin - 1]
    assert point("yesterday-plus") == pytest.approx(peak, rel=1e-3)
    assert point("yesterday-times") == pytest.approx(peak, rel=1e-3)


@pytest.mark.parametrize("gap", [False, True])
def test_holt_smoothing_is_the_textbook_recursion(gap: bool) -> None:
    load = np.linspace(50.0, 90.0, HOLT_STEPS) + np.random.default_rng(1).normal(size=HOLT_STEPS)
    if gap:
        load[20] = np.nan
    level, trend, ahead = load[0], 0.0, 0.5 * (WINDOW.first + 1 + WINDOW.stop)
    for value in load[1:]:
        expected = level + 0.9 * trend
        seen = expected if np.isnan(value) else value
        forward = 0.5 * seen + 0.5 * expected
        trend = 0.1 * (forward - level) + 0.9 * 0.9 * trend
        level = forward
    wanted = level + trend * 0.9 * (1 - 0.9**ahead) / (1 - 0.9)

    found = see(a_batch(load), np.array([HOLT_STEPS]), WINDOW, floor_of(load))

    assert found.points[0, 0, POINTS.index("holt-steady")] == pytest.approx(wanted)
