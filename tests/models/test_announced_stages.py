from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.announced_stages import AnnouncedStages
from models.series import ALL_REGIONS, FloatArray, SeriesKey

PLAN, TRACE = SeriesKey("plan", ALL_REGIONS), SeriesKey("trace", ALL_REGIONS)
STEP_S = 60
DAY_STEPS = 1440
PLAN_AFTER = {2: 0.5, 3: 1.0, 4: 0.5}
"""Requests per announcement by steps of delay."""


def announcements(steps: int, seed: int = 1) -> FloatArray:
    """Workflows per step, with the day's wave and bursts."""
    random = np.random.default_rng(seed)
    bursts = np.convolve(random.standard_normal(steps + 14), np.full(15, 0.06), "valid")
    wave = 0.5 * np.sin(2 * np.pi * np.arange(steps) / DAY_STEPS)
    return random.poisson(180.0 * np.exp(bursts + wave)).astype(np.float64)


def asked(announced: FloatArray, after: dict[int, float], seed: int = 2) -> FloatArray:
    """Measured rate per second at a module that is asked with these delays."""
    mean = np.zeros(len(announced))
    for delay, requests in after.items():
        mean[delay:] += requests * announced[: len(announced) - delay]
    return np.random.default_rng(seed).poisson(mean) / STEP_S


def told(
    announced: FloatArray, demand: FloatArray, *, by: int = 30, stages: tuple[str, ...] = ("plan",)
) -> AnnouncedStages:
    """A listener that was told everything up to now, some steps at a time."""
    listener = AnnouncedStages([PLAN, TRACE], STEP_S)
    for first in range(0, len(announced), by):
        for step in range(first, min(first + by, len(announced))):
            listener.announce(step * STEP_S + 7.0, stages, announced[step])
        listener.observe(first * STEP_S, demand[:, first : first + by])
    return listener


STEPS = 2 * DAY_STEPS
ANNOUNCED = announcements(STEPS)
UNRELATED = asked(announcements(STEPS, seed=9), {0: 1.0}, seed=8)
DEMAND = np.stack([asked(ANNOUNCED, PLAN_AFTER), UNRELATED])
LISTENER = told(ANNOUNCED, DEMAND, stages=("plan", "trace", "billing"))
"""Trace is announced as well, but its demand does not follow."""


def test_requests_per_announcement_and_their_delay_are_learnt() -> None:
    skill = LISTENER.skill()

    assert skill.requests_per_announcement[0] == pytest.approx(2.0, rel=0.05)
    assert skill.delay_s[0] == pytest.approx(3 * STEP_S, rel=0.05)
    assert skill.skill[0] > 0.8


def test_workflows_in_flight_foretell_what_is_asked_next() -> None:
    expected = LISTENER.expected(STEPS * STEP_S, 4)[0]

    # From the last step's announcements two steps on, nothing newer is in flight.
    sent = np.concatenate([ANNOUNCED, np.zeros(4)])
    wanted = [
        sum(n * sent[step - d] for d, n in PLAN_AFTER.items()) / STEP_S
        for step in range(STEPS, STEPS + 4)
    ]
    assert expected == pytest.approx(wanted, rel=0.1)


def test_burst_of_announcements_is_a_surplus_when_its_demand_is_due() -> None:
    listener = told(ANNOUNCED[:1600], DEMAND[:, :1600])
    before = listener.surplus(1600 * STEP_S, 10)[0]

    listener.announce(1600 * STEP_S, ("plan",), 3000)
    more = listener.surplus(1600 * STEP_S, 10)[0] - before

    assert np.argmax(more) == 3
    assert more[3] == pytest.approx(3000 / STEP_S, rel=0.2)


def test_module_whose_demand_does_not_follow_is_promised_nothing() -> None:
    assert not LISTENER.skill().is_believed[1]
    assert (LISTENER.expected(STEPS * STEP_S, 30)[1] == 0.0).all()
    assert (LISTENER.surplus(STEPS * STEP_S, 30)[1] == 0.0).all()


def test_nothing_is_promised_before_enough_was_foretold() -> None:
    listener = told(ANNOUNCED[:300], DEMAND[:, :300])

    assert (listener.expected(300 * STEP_S, 10) == 0.0).all()


def test_new_release_that_asks_twice_as_often_is_learnt_within_days() -> None:
    announced = announcements(4 * DAY_STEPS)
    change = DAY_STEPS
    rate = np.concatenate([asked(announced, PLAN_AFTER)[:change], np.zeros(3 * DAY_STEPS)])
    rate[change:] = asked(announced, {delay: 2 * n for delay, n in PLAN_AFTER.items()})[change:]

    listener = told(announced, np.stack([rate, np.zeros_like(rate)]))

    assert listener.skill().requests_per_announcement[0] > 3.0


def test_gap_in_demand_teaches_nothing_and_does_no_harm() -> None:
    gap = DEMAND.copy()
    gap[:, 500:900] = np.nan

    learnt = told(ANNOUNCED, gap).skill()

    assert learnt.requests_per_announcement[0] == pytest.approx(2.0, rel=0.05)


def test_demand_told_twice_counts_once() -> None:
    listener, again = (told(ANNOUNCED[:1000], DEMAND[:, :1000]) for _ in range(2))
    again.observe(950 * STEP_S, DEMAND[:, 950:1000])

    assert (listener.expected(60_000, 9) == again.expected(60_000, 9)).all()
    assert listener.skill().skill[0] == again.skill().skill[0]


def test_announcement_of_a_region_is_for_its_series_and_for_movable_demand() -> None:
    keys = [PLAN, SeriesKey("plan", "eu"), SeriesKey("plan", "us")]
    listener = AnnouncedStages(keys, STEP_S)
    demand = np.stack([DEMAND[0], DEMAND[0], DEMAND[0]])
    for first, step in itertools.product(range(0, 1200, 10), range(10)):
        listener.announce((first + step) * STEP_S, ("plan",), ANNOUNCED[first + step], "eu")
        if step == 9:
            listener.observe(first * STEP_S, demand[:, first : first + 10])

    assert listener.skill().is_believed.tolist() == [True, True, False]


@pytest.mark.parametrize("count", [0.0, -1.0, float("nan"), float("inf")])
def test_number_of_workflows_that_is_none_is_an_error(count: float) -> None:
    with pytest.raises(ValueError, match="workflows announced; expected above 0"):
        AnnouncedStages([PLAN], STEP_S).announce(0.0, ("plan",), count)


def test_demand_of_another_shape_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"demand of shape \(2, 5\); expected 1 series"):
        AnnouncedStages([PLAN], STEP_S).observe(0, np.zeros((2, 5)))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-(10**9), 10**9), st.floats(1e-3, 1e6), st.booleans()), max_size=30
    )
)
def test_any_order_of_times_keeps_memory_bounded_and_numbers_finite(
    told_at: list[tuple[int, float, bool]],
) -> None:
    listener = AnnouncedStages([PLAN], STEP_S)
    for at_s, count, is_demand in told_at:
        if is_demand:
            listener.observe(at_s, np.full((1, 5), count))
        else:
            listener.announce(at_s, ("plan",) * 100, count)

    assert listener._counts.shape == AnnouncedStages([PLAN], STEP_S)._counts.shape
    expected = listener.expected(0, 100)
    assert np.isfinite(expected).all()
    assert (expected >= 0.0).all()


def test_clock_far_ahead_forgets_nothing_and_is_counted() -> None:
    listener = told(ANNOUNCED[:1600], DEMAND[:, :1600])
    before = listener.expected(1600 * STEP_S, 5)

    listener.announce(10_000 * STEP_S, ("plan",), 5.0)

    assert listener.dropped == 5.0
    assert (listener.expected(1600 * STEP_S, 5) == before).all()
