"""Predictive HPA: the defect it ships with, its limits, and what it was meant to do."""

from __future__ import annotations

import numpy as np
import pytest

from predictor.arms.families import FAMILIES
from predictor.arms.holt_winters import Smoothing, forecast_weights
from predictor.arms.phpa import line_forecast, pruned, season_forecast
from tests.arms.arm_scenes import (
    SIZING,
    UNHELD,
    a_daily_load,
    a_learnt,
    a_scene,
    family_floors,
    floors_of,
)


def test_history_is_stored_newest_first_and_the_next_count_behind_it() -> None:
    stored: list[int] = []
    for count in range(1, 5):
        stored = pruned([*stored, count])
    assert stored == [4, 3, 2, 1]


def test_four_seasons_are_kept_and_the_oldest_goes_whole() -> None:
    lengths = set()
    stored: list[int] = []
    for count in range(100):
        stored = pruned([*stored, count])
        lengths.add(len(stored))
    assert max(lengths) == 29
    assert stored == list(range(99, 99 - len(stored), -1))


def test_reversed_history_is_worse_than_history_in_order_on_a_sine() -> None:
    season, kept = 24, 6 * 24
    counts = np.round(18 + 17 * np.sin(2 * np.pi * np.arange(12 * season) / season))
    weights = forecast_weights(kept + 1, season, Smoothing(0.3, 0.05, 0.3), 1)
    shipped, meant = [], []
    for now in range(kept, len(counts) - 1):
        past, coming = counts[now - kept : now + 1], counts[now + 1]
        turned = np.append(past[-2::-1], past[-1])
        meant.append(abs(weights @ past - coming))
        shipped.append(abs(weights @ turned - coming))
    assert np.mean(shipped) > 4 * np.mean(meant)


def test_too_short_a_history_forecasts_nothing() -> None:
    assert season_forecast([7] * 15) == 0
    assert season_forecast([7] * 16) == 7


@pytest.mark.parametrize(
    ("history", "forecast"),
    [
        pytest.param([5], 5, id="one count is its own forecast"),
        pytest.param([1, 2, 3, 4], 5, id="ten seconds on the line, then up"),
        pytest.param([9, 6, 3, 0], -2, id="a falling line goes below zero"),
    ],
)
def test_a_line_is_drawn_through_the_last_counts(history: list[int], forecast: int) -> None:
    assert line_forecast(history, 15.0) == forecast


def test_a_steady_hpa_gets_its_own_count_as_floor() -> None:
    arm = FAMILIES["phpa"].make(1.0, SIZING, a_learnt(np.empty(0)))
    learnt = a_learnt(np.ones(1))
    scenes = [a_scene(learnt, np.ones(9), learnt.end_s + 15 * n, recommended=6) for n in range(40)]
    assert {arm.floor(scene) for scene in scenes} == {6}


def test_as_meant_it_is_ahead_of_a_daily_load() -> None:
    learnt, judged = a_learnt(a_daily_load(6, 300), 300), a_daily_load(1, 300)
    arm = FAMILIES["phpa-meant"].make(1.0, UNHELD, learnt)
    floors = floors_of(arm, UNHELD, learnt, judged, every_s=300)
    needed = np.ceil(judged / 10.0 - 1e-9)
    assert np.abs(np.asarray(floors[2:]) - needed[2:]).max() <= 2
    assert np.mean(np.asarray(floors[2:]) >= needed[2:]) > 0.9


def test_as_meant_it_waits_for_two_days_when_nothing_is_learnt() -> None:
    empty = a_learnt(np.empty(0))
    floors = family_floors(FAMILIES["phpa-meant"], 1.0, empty, a_daily_load(2.5), 600)
    assert not any(floors[:288])
    assert all(floors[289:])
