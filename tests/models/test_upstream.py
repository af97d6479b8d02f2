from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.series import ALL_REGIONS, SeriesBatch, SeriesKey
from models.upstream import find_links
from models.upstream_pairs import CALLERS_MAX, PAIRS_MAX, likely_pairs
from tests.models.series_builders import a_batch, a_daily_load
from tests.models.upstream_builders import CORE, a_pair, counted, restless

CALLED_BY_CORE = {"plan": ("core",), "core": ()}


@pytest.mark.parametrize("lag", [1, 2, 5, 8, 15, 29])
def test_lag_and_gain_of_a_called_module_are_found(lag: int) -> None:
    batch = a_pair(lag)

    (link,) = find_links(batch, likely_pairs(batch))

    assert (link.callee, link.caller, link.lag_steps) == (1, 0, lag)
    assert link.gain == pytest.approx(1.0, abs=0.1)
    assert link.skill > 0.4


@pytest.mark.parametrize("seed", range(4))
def test_modules_that_do_not_lead_are_not_linked(seed: int) -> None:
    together = a_pair(0, seed)
    apart = np.stack([counted(restless(seed), 7), counted(restless(seed + 50), 8)])
    both = ((0, 1), (1, 0))

    assert find_links(together, both) == ()
    assert find_links(dataclasses.replace(together, values=apart), both) == ()
    assert find_links(a_pair(8, seed), ((0, 1),)) == ()


@pytest.mark.parametrize("days", [1.2, 4.0])
def test_day_that_modules_share_is_no_lead_however_noisy_the_one(days: float) -> None:
    rows = [a_daily_load(days, noise=noise, seed=seed) for seed, noise in enumerate((0.02, 0.2))]
    late = np.roll(a_daily_load(days, noise=0.02, seed=8), 60)

    batch = a_batch(np.stack([*rows, late]))

    every_pair = [
        (callee, caller) for callee in range(3) for caller in range(3) if callee != caller
    ]
    assert find_links(batch, every_pair) == ()


def test_only_configured_callers_are_tried_where_any_are() -> None:
    batch = a_pair(5)

    assert likely_pairs(batch, CALLED_BY_CORE) == [(1, 0)]
    assert likely_pairs(batch, {"plan": ("role", "plan"), "core": ()}) == []


def test_callee_in_a_region_is_led_by_the_caller_there() -> None:
    pair = a_pair(5)
    keys = tuple(SeriesKey(m, r) for r in ("eu", ALL_REGIONS) for m in ("core", "plan"))
    other = np.stack([counted(restless(90), 3), counted(restless(91), 4)])
    batch = SeriesBatch(keys, 0, 60, np.concatenate([pair.values, other]))

    for callers in ({}, CALLED_BY_CORE):
        links = find_links(batch, likely_pairs(batch, callers))

        assert [(link.callee, link.caller) for link in links] == [(1, 0)]


def test_callee_in_a_region_may_be_led_by_a_caller_served_anywhere() -> None:
    pair = dataclasses.replace(a_pair(5), keys=(CORE, SeriesKey("plan", "eu")))

    for callers in ({}, CALLED_BY_CORE):
        assert (1, 0) in likely_pairs(pair, callers)


def test_pairs_that_are_tried_are_bounded_however_many_modules_there_are() -> None:
    load = restless(1, 1500)
    rows = np.stack([counted(np.roll(load, by % 25), by) for by in range(120)])
    keys = tuple(SeriesKey(f"module-{row}", ALL_REGIONS) for row in range(len(rows)))

    pairs = likely_pairs(SeriesBatch(keys, 0, 60, rows))

    assert CALLERS_MAX * 20 < len(pairs) <= PAIRS_MAX
    assert max(np.bincount([callee for callee, _ in pairs])) <= CALLERS_MAX


@pytest.mark.parametrize("fill", [np.nan, 0.0, 1e12])
def test_short_or_unmeasured_or_odd_history_gives_no_link(fill: float) -> None:
    batch = a_pair(8)
    short = dataclasses.replace(batch, values=batch.values[:, :100])
    odd = dataclasses.replace(batch, values=np.full_like(batch.values, fill))

    for history in (short, odd):
        assert find_links(history, likely_pairs(history)) == ()
        assert find_links(history, likely_pairs(history, CALLED_BY_CORE)) == ()
