from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.coarse_history import CoarseHistory, packed, unpacked
from models.series import SeriesBatch, SeriesKey
from predictor.core.history import History
from predictor.core.history_layers import DAY_S, HistoryLayers
from predictor.core.older_steps import OlderSteps
from predictor.core.series_digest import SeriesDigest, series_digest
from predictor.core.step_ring import StepRing, Steps
from tests.core.core_values import EU, US, a_progress
from tests.core.history_blocks import blocks_at
from tests.core.history_feeding import T0, a_history, a_minute, fed

DAY0_S = 20_000 * DAY_S
THREE_DAYS = HistoryLayers(length_s=DAY_S, coarse_length_s=3 * DAY_S)
RATES = st.one_of(st.just(float("nan")), st.floats(0, 1e12))


def a_layered(layers: HistoryLayers = THREE_DAYS) -> History:
    return History(["core"], [US], layers=layers)


def a_ring(rows: int = 1, length: int = 20, older: int = 4) -> tuple[StepRing, OlderSteps]:
    behind = OlderSteps(rows, older, 300)
    ring = StepRing(rows, length, 60, older=behind)
    ring.begin(DAY0_S)
    return ring, behind


def means_of_five(rates: list[float]) -> list[float]:
    parts = np.asarray(rates).reshape(-1, 5)
    known = np.isfinite(parts)
    means = np.nansum(parts, axis=1) / np.maximum(known.sum(axis=1), 1)
    found: list[float] = np.where(known.sum(axis=1) >= 3, means, np.nan).tolist()
    return found


@given(st.lists(RATES, min_size=0, max_size=60))
@settings(max_examples=25, deadline=None)
def test_every_minute_is_kept_or_is_in_the_mean_of_five_that_lies_before(
    rates: list[float],
) -> None:
    ring, older = a_ring()
    for rate in rates:
        ring.append(Steps(np.array([rate])))

    fine, coarse = ring.view().rates[0], older.view()
    left = len(rates) - len(fine)
    assert left == max(len(rates) - 20, 0) // 5 * 5
    np.testing.assert_array_equal(fine, rates[left:])
    if coarse is not None:
        assert coarse.end_s == ring.start_s
        expected = means_of_five(rates[:left])[-4:]
        np.testing.assert_allclose(coarse.rates()[0], expected, rtol=0.004)


@given(st.lists(RATES, min_size=1, max_size=8))
@settings(max_examples=50)
def test_three_digits_of_an_older_rate_are_kept_and_a_gap_stays_a_gap(rates: list[float]) -> None:
    np.testing.assert_allclose(unpacked(packed(np.array(rates))), rates, rtol=0.004, atol=1e-37)


@pytest.mark.parametrize("jump", [7, 26, 500])
def test_a_jump_in_time_leaves_every_minute_at_its_place(jump: int) -> None:
    ring, older = a_ring(older=400)
    for _ in range(20):
        ring.append(Steps(np.array([8.0])))
    ring.skip_to(DAY0_S + 60 * (20 + jump))

    ring.append(Steps(np.array([9.0])))

    assert ring.end_s == DAY0_S + 60 * (21 + jump)
    assert ring.view().rates[0, -1] == 9.0
    coarse = older.view()
    assert coarse is not None
    assert coarse.start_s == DAY0_S
    assert coarse.end_s <= (ring.start_s or 0)
    assert (coarse.rates()[0, : min(jump // 5, 4)] == 8.0).all()
    assert np.isnan(coarse.rates()[0, 4:]).all()


def test_a_batch_that_is_held_stays_what_it_was() -> None:
    ring, _ = a_ring(length=200)
    for minute in range(200):
        ring.append(Steps(np.array([float(minute)])))
    held = ring.view().rates

    for minute in range(200, 900):
        ring.append(Steps(np.array([0.5])))
        ring.replace(DAY0_S + 60 * minute - 600, Steps(np.array([7.0])))

    np.testing.assert_array_equal(held[0], np.arange(200.0))


def test_what_nobody_holds_is_corrected_and_moved_without_a_second_copy() -> None:
    rows, length = 2000, 300
    ring, _ = a_ring(rows, length)
    step = Steps(np.ones(rows))
    for _ in range(length + 10):
        ring.append(step)
    tracemalloc.start()

    for number in range(100):
        ring.view()
        ring.append(Steps(np.full(rows, float(number))))
        ring.replace((ring.end_s or 0) - 600, step)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rows * length * 8 / 2


def test_recovered_weeks_are_minutes_for_a_day_and_means_of_five_before() -> None:
    rng = np.random.default_rng(1)
    requests = rng.poisson(50.0, 3 * 8640).astype(float)
    history = fed(a_layered(), a_progress(DAY0_S + 3 * DAY_S, partition=0, partitions=2))
    history.advance(a_progress(DAY0_S + 3 * DAY_S, partition=1, partitions=2))
    for partition in range(2):
        for block in blocks_at(DAY0_S, requests, partition):
            history.add_block(block)

    batch = history.series(DAY0_S + 3 * DAY_S)

    assert batch.coarser is not None
    assert (batch.start_s, batch.end_s) == (DAY0_S + 2 * DAY_S, DAY0_S + 3 * DAY_S)
    assert (batch.coarser.start_s, batch.coarser.end_s) == (DAY0_S, batch.start_s)
    per_s = requests * 2 / 10
    np.testing.assert_allclose(batch.values[0], per_s.reshape(-1, 6).mean(axis=1)[-1440:])
    older = per_s.reshape(-1, 30).mean(axis=1)[: 2 * 288]
    np.testing.assert_allclose(batch.coarser.rates()[0], older, rtol=0.004)


def test_lost_records_of_weeks_ago_are_a_gap_of_the_older_means_too() -> None:
    lost = ((DAY0_S + 3600, DAY0_S + 4200),)
    history = fed(a_layered(), a_progress(DAY0_S + 2 * DAY_S, gaps=lost))
    for block in blocks_at(DAY0_S, np.full(2 * 8640, 50.0)):
        history.add_block(block)

    coarser = history.series(DAY0_S + 2 * DAY_S).coarser

    assert coarser is not None
    assert np.flatnonzero(np.isnan(coarser.rates()[0])).tolist() == [12, 13]


def test_an_older_history_fills_minutes_and_means() -> None:
    keys = (SeriesKey("core", US),)
    weeks = CoarseHistory(DAY0_S - DAY_S, 300, packed(np.full((1, 288), 3.0)))
    given = SeriesBatch(keys, DAY0_S, 60, np.full((1, 2 * 1440), 4.0), coarser=weeks)
    history = a_layered()

    assert history.seed(given) == 1

    batch = history.series(DAY0_S + 2 * DAY_S)
    assert batch.coarser is not None
    assert batch.values.shape == (1, 1440)
    assert (batch.values == 4.0).all()
    assert batch.coarser.rates()[0].tolist() == [3.0] * 288 + [4.0] * 288


def test_an_older_history_on_other_steps_is_refused() -> None:
    weeks = CoarseHistory(DAY0_S - 600, 600, packed(np.ones((1, 1))))
    given = SeriesBatch((SeriesKey("core", US),), DAY0_S, 60, np.ones((1, 1)), coarser=weeks)

    with pytest.raises(ValueError, match="does not lie on steps of 300 s"):
        a_layered().seed(given)


@given(
    st.lists(
        st.tuples(st.sampled_from(["append", "correct", "jump"]), st.integers(0, 90)), max_size=12
    )
)
@settings(max_examples=25, deadline=None)
def test_the_name_of_a_batch_depends_on_nothing_but_the_batch(
    changes: list[tuple[str, int]],
) -> None:
    history, minute = a_history(), 0
    for kind, number in changes:
        minute += number if kind == "jump" else 1
        at_s = T0 + 60 * (max(minute - number % 10, 0) if kind == "correct" else minute)
        fed(
            history, *a_minute(at_s, number + 1, revision=minute), a_progress(T0 + 60 * minute + 60)
        )
        history.series(T0 + 60 * minute + 60)
        assert history.series_digest() == series_digest(history.series(T0 + 60 * minute + 60))


def test_another_past_is_another_name() -> None:
    keys, fine = (SeriesKey("core", EU),), np.arange(300.0)[None]
    weeks = CoarseHistory(DAY0_S - 600, 300, packed(np.array([[1.0, 2.0]])))
    other = CoarseHistory(DAY0_S - 600, 300, packed(np.array([[1.0, 3.0]])))
    batch = SeriesBatch(keys, DAY0_S, 60, fine, coarser=weeks)
    digest = SeriesDigest()

    names = {
        digest.of(batch),
        digest.of(dataclasses.replace(batch, coarser=None)),
        SeriesDigest().of(dataclasses.replace(batch, coarser=other)),
        SeriesDigest().of(dataclasses.replace(batch, sampling_variance=np.ones_like(fine))),
        SeriesDigest().of(dataclasses.replace(batch, values=fine[::-1] + 1)),
    }

    assert len(names) == 5


def test_single_precision_takes_half_the_memory_and_keeps_seven_digits() -> None:
    found = {}
    for is_single in (False, True):
        layers = HistoryLayers(length_s=7200, is_single=is_single)
        found[is_single] = fed(a_history(layers=layers), *a_minute(T0, 1 / 3), a_progress(T0 + 60))
    double, single = (history.series(T0 + 60).values for history in found.values())

    assert single.nbytes * 2 == double.nbytes
    np.testing.assert_allclose(single, double, rtol=1e-7)


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ({"length_s": 90}, "must hold whole steps of 60 s"),
        ({"coarse_step_s": 90, "coarse_length_s": 30 * DAY_S}, "lie in a day"),
        ({"coarse_step_s": 420, "coarse_length_s": 30 * DAY_S}, "lie in a day"),
        ({"length_s": 3600, "coarse_length_s": 30 * DAY_S}, "less than a day"),
    ],
)
def test_lengths_that_do_not_fit_together_are_refused(
    layers: dict[str, int], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        HistoryLayers(**layers)  # type: ignore[arg-type]
