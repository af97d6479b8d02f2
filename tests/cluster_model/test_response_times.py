"""Response times against queueing theory, and their quantiles against sorted numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.cluster_model.response_times import ResponseTimes, slot_wait_s


def erlang_wait_s(utilisation: float, slots: int, service_time_s: float) -> float:
    """The exact mean wait of an M/M/c queue, by Erlang's C formula."""
    load = utilisation * slots
    blocked = 1.0
    for slot in range(1, slots + 1):
        blocked = load * blocked / (slot + load * blocked)
    waits = blocked / (1.0 - utilisation * (1.0 - blocked))
    return waits * service_time_s / (slots * (1.0 - utilisation))


@pytest.mark.parametrize("utilisation", [0.5, 0.7, 0.9, 0.98])
def test_one_slot_waits_as_an_m_m_1_queue_does(utilisation: float) -> None:
    exact_s = utilisation / (1.0 - utilisation) * 0.05

    assert slot_wait_s(utilisation, 1.0, 0.05) == pytest.approx(exact_s)


@pytest.mark.parametrize("slots", [2, 7, 30, 100])
@pytest.mark.parametrize("utilisation", [0.7, 0.9, 0.97])
def test_many_slots_wait_nearly_as_erlang_says(slots: int, utilisation: float) -> None:
    exact_s = erlang_wait_s(utilisation, slots, 0.05)

    assert slot_wait_s(utilisation, slots, 0.05) == pytest.approx(exact_s, rel=0.15, abs=0.0005)


@given(st.floats(0.0, 2.0), st.floats(0.0, 1.0), st.floats(0.1, 1000.0))
def test_more_load_never_waits_less(utilisation: float, more: float, slots: float) -> None:
    wait_s = slot_wait_s(utilisation, slots, 0.05)

    assert 0.0 <= wait_s <= slot_wait_s(utilisation + more, slots, 0.05) < math.inf


def test_quantiles_are_those_of_the_requests_themselves() -> None:
    # 9000 requests of 0.1 s on average, and 1000 of 0.3 s behind a backlog of 5 s
    times = ResponseTimes()
    times.add(9000.0, 0.1, 0.0)
    times.add(1000.0, 0.3, 5.0)
    rng = np.random.default_rng(1)
    sample = np.concatenate([rng.exponential(0.1, 90_000), 5.0 + rng.exponential(0.3, 10_000)])

    for share in (0.5, 0.85, 0.95, 0.99):
        assert times.quantile_s(share) == pytest.approx(np.quantile(sample, share), rel=0.05)


def test_counts_between_bounds_are_those_that_the_quantiles_say() -> None:
    times = ResponseTimes()
    times.add(900.0, 0.1, 0.0)
    times.add(100.0, 0.3, 5.0)
    bounds_s = [times.quantile_s(share) for share in (0.5, 0.95)]

    assert times.counts_between(bounds_s) == pytest.approx([500.0, 450.0, 50.0])


def test_runs_of_two_regions_add_up() -> None:
    apart, together = (ResponseTimes(), ResponseTimes()), ResponseTimes()
    for place, mean_s in enumerate((0.1, 0.4)):
        apart[place].add(10.0, mean_s, 0.0)
        together.add(10.0, mean_s, 0.0)

    apart[0].merge(apart[1])

    assert apart[0] == together


def test_without_requests_there_is_no_time() -> None:
    assert ResponseTimes().quantile_s(0.95) == 0.0
