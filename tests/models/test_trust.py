from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.flash_crowd import find_crowds, learn_bursts
from models.level_shift import find_level_shifts
from models.outage import find_outages
from models.series import FloatArray
from models.skill import METHODS, Rung, judge
from models.trust import Evidence, Trust, measured_samples, trust
from models.trust_code import TrustCode
from tests.models.series_builders import DAY_STEPS, a_batch, a_daily_load

LEVELS = (0.1, 0.5, 0.9, 0.95, 0.99)


def evidence_of(values: FloatArray, losses: FloatArray | None = None, rung: int = 0) -> Evidence:
    """All findings about some rows, as a forecaster would gather them."""
    batch = a_batch(values)
    count, ones = len(batch.keys), np.ones(batch.values.shape)
    outages = find_outages(batch, ones)
    demand = outages.without(batch.values)
    habits = learn_bursts(demand, ones, 60, (2, 12), LEVELS)
    before = np.full(count, rung)
    samples, days = measured_samples(batch)
    return Evidence(
        samples,
        days,
        np.ones((count, METHODS), dtype=np.bool_),
        before,
        outages,
        find_level_shifts(demand, ones, 60),
        find_crowds(batch.values, ones, 60, habits),
        judge(np.zeros((METHODS, count, 0)) if losses is None else losses, before),
    )


def said(found: Trust, row: int = 0) -> dict[TrustCode, str]:
    return {reason.code: reason.sentence for reason in found.reasons[row]}


def a_flat_load(days: float = 4.0, rows_: int = 1) -> FloatArray:
    drawn = np.random.default_rng(1).standard_normal((rows_, int(days * DAY_STEPS)))
    return np.asarray(100.0 * np.exp(0.05 * drawn))


def test_ordinary_days_give_the_best_rung_and_no_reason() -> None:
    found = trust(evidence_of(a_daily_load(4)))

    assert found.rung.tolist() == [Rung.ENSEMBLE]
    assert found.reasons == ((),)


@pytest.mark.parametrize(
    ("samples", "rung", "sentence"),
    [
        (29, Rung.NONE, "29 of 120 samples and 0.0 of 1.5 days"),
        (37, Rung.LAST_VALUE, "37 of 120 samples and 0.0 of 1.5 days"),
        (1728, Rung.ENSEMBLE, "1.2 of 1.5 days"),
        (2159, Rung.ENSEMBLE, "1.4 of 1.5 days"),
    ],
)
def test_cold_start_says_what_it_lacks(samples: int, rung: Rung, sentence: str) -> None:
    found = trust(evidence_of(a_daily_load(2)[:samples]))

    assert found.rung.tolist() == [rung]
    assert said(found) == {TrustCode.COLD_START: sentence}


def test_outage_is_told_with_its_age_and_the_level_before() -> None:
    load = a_flat_load()
    load[0, -20:] = 0.0

    sentence = said(trust(evidence_of(load)))[TrustCode.IN_OUTAGE]

    assert sentence.startswith("demand collapsed 20 min ago; the level before was ")
    assert float(sentence.split()[-1].removesuffix("/s")) == pytest.approx(100, rel=0.05)


def test_after_an_outage_it_is_told_how_long_it_was() -> None:
    load = a_flat_load()
    load[0, -50:-10] = 0.0

    found = said(trust(evidence_of(load)))

    assert found[TrustCode.AFTER_OUTAGE].startswith("a collapse of 40 min ended 10 min ago")
    assert TrustCode.IN_OUTAGE not in found


def test_new_level_is_told_with_its_age_and_factor() -> None:
    load = a_flat_load()
    load[0, -300:] *= 2.0

    sentence = said(trust(evidence_of(load)))[TrustCode.LEVEL_SHIFT]

    assert sentence.startswith("for 5.0 h demand has been at ")
    assert float(sentence.split()[7]) == pytest.approx(2.0, rel=0.05)


def test_growth_and_crowd_are_told_together() -> None:
    load = a_flat_load() * 1.08 ** (np.arange(4 * DAY_STEPS) / DAY_STEPS)
    load[0, -3:] = 700.0

    found = said(trust(evidence_of(load)))

    assert found[TrustCode.LEVEL_DRIFT] == "demand grows by 8% a day"
    assert found[TrustCode.FLASH_CROWD].startswith("700/s where 13")
    assert found[TrustCode.FLASH_CROWD].endswith("before a rise that began 2 min ago")


def test_method_that_lost_is_replaced_and_all_reasons_are_kept() -> None:
    drawn = np.random.default_rng(1).exponential(1.0, (METHODS, 1, 340))
    losses = drawn * np.array([1.5, 1.0, 2.0])[:, None, None]
    load = a_flat_load()
    load[0, -20:] = 0.0

    found = trust(evidence_of(load, losses))

    assert found.rung.tolist() == [Rung.LAST_VALUE]
    assert [reason.code for reason in found.reasons[0]] == [
        TrustCode.IN_OUTAGE,
        TrustCode.DEMOTED,
    ]
    assert "over 340 windows" in said(found)[TrustCode.DEMOTED]


def test_method_that_returns_is_named() -> None:
    drawn = np.random.default_rng(1).exponential(1.0, (METHODS, 1, 340))
    losses = drawn * np.array([0.5, 1.0, 2.0])[:, None, None]

    found = trust(evidence_of(a_flat_load(), losses, rung=Rung.LAST_VALUE))

    assert found.rung.tolist() == [Rung.ENSEMBLE]
    assert said(found)[TrustCode.RETURNED].startswith("back at ensemble: loss 0.")


@pytest.mark.parametrize(
    ("available", "rung", "sentence"),
    [
        ([False, True, True], Rung.LAST_VALUE, "no forecast by ensemble, last value instead"),
        ([False, False, True], Rung.SEASONAL_NAIVE, "no forecast by ensemble, seasonal naive inst"),
        ([False, False, False], Rung.NONE, "no forecast by ensemble, none instead"),
    ],
)
def test_rung_without_a_forecast_gives_way_to_the_next(
    available: list[bool], rung: Rung, sentence: str
) -> None:
    evidence = dataclasses.replace(evidence_of(a_daily_load(4)), available=np.array([available]))

    found = trust(evidence)

    assert found.rung.tolist() == [rung]
    assert said(found)[TrustCode.RUNG_WITHOUT_FORECAST].startswith(sentence)


def test_rows_that_do_not_fit_are_refused() -> None:
    evidence = dataclasses.replace(
        evidence_of(a_daily_load(4)), available=np.ones((2, METHODS), dtype=np.bool_)
    )

    with pytest.raises(ValueError, match="for 1 rows"):
        trust(evidence)


ODD = st.sampled_from([0.0, 1e-9, 1.0, 100.0, 1e12, np.nan])
EVENTS: dict[str, Any] = {"max_examples": 60, "deadline": None}


@settings(**EVENTS)
@given(st.integers(0, 200).flatmap(lambda steps: arrays(np.float64, (2, steps), elements=ODD)))
def test_any_history_gives_a_rung_and_sentences_without_holes(values: FloatArray) -> None:
    found = trust(evidence_of(values))

    assert set(found.rung.tolist()) <= set(Rung)
    assert all("nan" not in reason.sentence for row in found.reasons for reason in row)


@pytest.mark.parametrize("odd", [0.0, 5.0, 1e12], ids=["zeros", "constant", "huge"])
@pytest.mark.parametrize("steps", [1, 3 * DAY_STEPS])
def test_flat_series_are_nothing_out_of_the_ordinary(odd: float, steps: int) -> None:
    found = trust(evidence_of(np.full((1, steps), odd)))

    assert set(said(found)) <= {TrustCode.COLD_START}


def test_alternating_series_is_neither_outage_nor_shift_nor_crowd() -> None:
    values = np.tile([0.0, 500.0], 2 * DAY_STEPS)[None]

    assert said(trust(evidence_of(values))) == {}
