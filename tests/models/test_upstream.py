from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.series import ALL_REGIONS, FloatArray, SeriesBatch, SeriesKey
from models.upstream import (
    CallEdge,
    UpstreamLink,
    find_links,
    upstream_features,
    upstream_features_at,
)

CORE, PLAN = SeriesKey("core", ALL_REGIONS), SeriesKey("plan", ALL_REGIONS)
EDGES = (CallEdge("core", "plan"),)
STEPS = 3 * 1440
LINK = UpstreamLink(PLAN, CORE, 8, 0.9, 0.5, floor=5.0)


def restless(seed: int, steps: int = STEPS) -> FloatArray:
    """A day's wave with bursts of some twenty steps."""
    drawn = np.random.default_rng(seed).standard_normal(steps + 19)
    bursts = np.convolve(drawn, np.full(20, 0.04), "valid")
    return np.asarray(200.0 * np.exp(bursts + 0.5 * np.sin(2 * np.pi * np.arange(steps) / 1440)))


def counted(rate: FloatArray, seed: int) -> FloatArray:
    return np.random.default_rng(seed).poisson(rate * 60.0) / 60.0


def a_pair(lag: int, seed: int = 1, share: float = 0.4) -> SeriesBatch:
    """Core, and Plan which is asked `lag` steps later; both counted for themselves."""
    core = restless(seed, STEPS + lag)
    values = np.stack([counted(core[lag:], seed + 1), counted(share * core[:STEPS], seed + 2)])
    return SeriesBatch((CORE, PLAN), 0, 60, values)


@pytest.mark.parametrize("lag", [1, 2, 5, 8, 15, 29])
def test_lag_and_gain_of_a_called_module_are_found(lag: int) -> None:
    (link,) = find_links(a_pair(lag), EDGES)

    assert (link.callee, link.upstream, link.lag_steps) == (PLAN, CORE, lag)
    assert link.gain == pytest.approx(1.0, abs=0.1)
    assert link.skill > 0.4


def test_link_foretells_growth_that_the_last_value_misses() -> None:
    batch = a_pair(8)
    links = find_links(dataclasses.replace(batch, values=batch.values[:, : 2 * 1440]), EDGES)
    origins = np.arange(2 * 1440 + 100, STEPS - 8, 7)

    told = upstream_features_at(batch, links, origins)[1, :, 0]

    now = np.stack([batch.values[1, origins - back] for back in (1, 2, 3)]).mean(axis=0)
    coming = np.stack([batch.values[1, origins + 7 - back] for back in (0, 1, 2)]).mean(axis=0)
    error, last_value = (np.abs(np.log(coming / now) - one).mean() for one in (told, 0.0))
    assert error < 0.5 * last_value


@pytest.mark.parametrize("seed", range(4))
def test_modules_that_do_not_lead_are_not_linked(seed: int) -> None:
    together = a_pair(0, seed)
    apart = np.stack([counted(restless(seed), 7), counted(restless(seed + 50), 8)])

    assert find_links(together, EDGES) == ()
    assert find_links(dataclasses.replace(together, values=apart), EDGES) == ()
    assert find_links(a_pair(8, seed), (CallEdge("plan", "core"),)) == ()


def test_callee_in_a_region_is_led_by_the_caller_there() -> None:
    pair = a_pair(5)
    keys = tuple(SeriesKey(m, r) for r in ("eu", ALL_REGIONS) for m in ("core", "plan"))
    other = counted(restless(90), 3)
    values = np.concatenate([pair.values, np.stack([other, counted(restless(91), 4)])])

    links = find_links(SeriesBatch(keys, 0, 60, values), EDGES)

    assert [(link.callee.region, link.upstream.region) for link in links] == [("eu", "eu")]


def test_series_without_a_link_has_neutral_features() -> None:
    batch = a_pair(8)

    assert (upstream_features(batch, ()) == 0.0).all()
    assert (upstream_features(batch, (LINK,))[0] == 0.0).all()
    assert (upstream_features(batch, (LINK,))[1] != 0.0).all()


@settings(max_examples=30, deadline=None)
@given(origin=st.integers(0, 400), ahead=st.integers(0, 40), data=st.data())
def test_features_see_nothing_from_their_origin_on(
    origin: int, ahead: int, data: st.DataObject
) -> None:
    batch = a_pair(8)
    changed = batch.values.copy()
    changed[:, origin:] = data.draw(st.sampled_from([0.0, np.nan, 1e9]))
    ahead_steps = np.full(2, ahead)

    seen, otherwise = (
        upstream_features_at(one, (LINK,), np.array([origin]), ahead_steps)
        for one in (batch, dataclasses.replace(batch, values=changed))
    )

    assert (seen == otherwise).all()


def test_features_at_the_end_are_those_of_the_newest_origin() -> None:
    batch = a_pair(8)

    many = upstream_features_at(batch, (LINK,), np.array([STEPS - 5, STEPS]))

    assert (many[:, 1] == upstream_features(batch, (LINK,))).all()
    assert many.shape == (2, 2, 3)


def test_near_forecast_is_told_only_what_reaches_the_callee_by_then() -> None:
    batch = a_pair(8)
    risen = batch.values.copy()
    risen[0] = 100.0
    risen[0, -3:] = 200.0  # reaches Plan eight steps from now
    batch = dataclasses.replace(batch, values=risen)

    near, far = (upstream_features(batch, (LINK,), np.full(2, ahead))[1, 0] for ahead in (2, 8))

    assert near == pytest.approx(0.0)
    assert far == pytest.approx(0.9 * np.log(205 / 105))


def test_gap_of_the_caller_says_nothing() -> None:
    batch = a_pair(8)
    values = batch.values.copy()
    values[0, -3:] = np.nan

    assert (upstream_features(dataclasses.replace(batch, values=values), (LINK,)) == 0.0).all()


def test_short_or_unmeasured_history_gives_no_link() -> None:
    batch = a_pair(8)
    short = dataclasses.replace(batch, values=batch.values[:, :100])
    unknown = dataclasses.replace(batch, values=np.full_like(batch.values, np.nan))

    assert find_links(short, EDGES) == ()
    assert find_links(unknown, EDGES) == ()


def test_origin_beyond_the_batch_is_an_error() -> None:
    with pytest.raises(ValueError, match=f"origins reach to {STEPS + 1} of {STEPS} steps"):
        upstream_features_at(a_pair(8), (LINK,), np.array([STEPS + 1]))
