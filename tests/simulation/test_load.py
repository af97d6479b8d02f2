"""A history as a load: who is asked for what, what is judged, and what nobody may know yet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.series import ALL_REGIONS, SeriesBatch, SeriesKey
from predictor.core.cluster import TargetKey
from predictor.history_sources.history import HistoryRefused
from predictor.simulation.load import DAY_S, load_of
from predictor.simulation.load_history import LATENESS_S, LoadHistory
from tests.simulation.loads import HERE, START_S, STEP_S, a_batch, a_load, two_peaks


def test_a_series_without_a_region_lies_in_the_configured_one() -> None:
    assert a_load().targets == (TargetKey("core", HERE),)


def test_a_routed_module_is_asked_for_in_every_region_by_its_weights() -> None:
    batch = a_batch(two_peaks(3))
    load = load_of(batch, region=HERE, routes={"core": {"east": 70, "west": 30}}, learn_s=DAY_S)

    assert load.targets == (TargetKey("core", "east"), TargetKey("core", "west"))
    assert load.demand_of(TargetKey("core", "west"))[0] == pytest.approx(60.0)


def test_every_request_of_the_judged_time_is_played() -> None:
    load = a_load()
    steps = load.stretch.until_s - load.stretch.from_s
    judged = load.batch.values[0, -steps // STEP_S :]

    assert load.served[0][load.counted[0]].sum() * 15 == pytest.approx(judged.sum() * STEP_S)


def test_a_short_gap_is_bridged_and_a_long_one_is_not_judged() -> None:
    values = two_peaks(3)
    values[700:706] = np.nan  # half an hour
    values[750:800] = np.nan  # four hours
    load = a_load(values=values)
    chunk = (START_S + 700 * STEP_S - load.play_from_s) // 15

    assert load.counted[0, chunk : chunk + 120].all()
    lost = (START_S + 750 * STEP_S - load.play_from_s) // 15
    assert not load.counted[0, lost : lost + 50 * 20].any()
    assert "not judged" in load.notes[0]


def test_a_history_that_is_too_short_is_refused_with_what_it_would_need() -> None:
    with pytest.raises(HistoryRefused, match="at least 120"):
        load_of(a_batch(two_peaks(0.2)), region=HERE, routes={})


def test_demand_with_and_without_a_region_of_one_module_is_refused() -> None:
    keys = (SeriesKey("core", HERE), SeriesKey("core", ALL_REGIONS))
    batch = SeriesBatch(keys, START_S, STEP_S, np.array([two_peaks(3)] * 2))

    with pytest.raises(HistoryRefused, match="no route"):
        load_of(batch, region=HERE, routes={})


@settings(max_examples=40, deadline=None)
@given(second=st.integers(0, 3 * DAY_S - 1), later=st.floats(0, 1e6))
def test_nothing_is_known_before_it_was_over(second: int, later: float) -> None:
    now_s = START_S + second
    values = two_peaks(3)
    changed = values.copy()
    changed[-(-second // STEP_S) :] = later
    seen = [LoadHistory(a_load(values=one)) for one in (values, changed)]

    batches = [one.series(now_s) for one in seen]
    observed = [one.observed(now_s) for one in seen]

    assert batches[0].end_s <= now_s - LATENESS_S or batches[0].values.shape[1] == 0
    assert np.array_equal(batches[0].values, batches[1].values)
    assert np.array_equal(
        observed[0].provisional_per_s, observed[1].provisional_per_s, equal_nan=True
    )


def test_a_burst_is_seen_within_a_minute_though_its_step_is_not_over() -> None:
    history = LoadHistory(a_load())
    at_s = START_S + 9 * 3600

    assert history.observed(at_s).provisional_per_s[0] == 200.0
    assert history.observed(at_s + 40).provisional_per_s[0] == pytest.approx(800.0)
    assert history.observed(at_s + 40).complete_per_s[0] == 200.0
