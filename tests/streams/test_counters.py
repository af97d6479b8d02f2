"""Requests from counters: what happened between two samples, once, and never out of silence."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.counter_shares import spread
from streams.counters import CounterDemand, SampleVerdict
from streams.event_types import OTHER, MetricSample, SampleType
from streams.metric_names import MetricMeaning, MetricNames
from tests.streams.metric_builders import (
    BETTER,
    COUNTER,
    NAMES,
    RATE,
    T0,
    a_sample,
    amounts,
    buckets,
    cumulative,
    delta,
    taken,
)


def verdicts(samples: list[MetricSample], demand: CounterDemand | None = None) -> list[str]:
    demand = demand or CounterDemand(NAMES)
    seen: list[str] = []
    for offset, sample in enumerate(samples):
        before = demand.counts.copy()
        demand.add(sample, offset)
        seen += [verdict.name for verdict in demand.counts - before]
    return seen


def test_what_was_added_is_shared_out_over_the_buckets_between_the_samples() -> None:
    # event time   5 --- 10 -------- 20 -------- 30 --- 35
    # requests         3        6          6         3
    made = taken(CounterDemand(NAMES), [a_sample(5, 100), a_sample(35, 118)])

    assert buckets(made) == {0: 3, 10: 6, 20: 6, 30: 3}


def test_first_sample_of_a_series_counts_nothing() -> None:
    assert amounts([a_sample(0, 1_000_000)]) == []


def test_every_sample_says_at_least_zero_at_its_own_time() -> None:
    made = taken(CounterDemand(NAMES), [a_sample(0, 7), a_sample(15, 7)])

    assert [(one.event.time_s - T0, one.event.requests) for one in made] == [(0, 0), (15, 0)]


def test_counter_that_fell_began_anew_and_counts_what_it_shows() -> None:
    samples = [a_sample(0, 100), a_sample(10, 104), a_sample(20, 3), a_sample(30, 5)]

    assert amounts(samples) == [4, 3, 2]


def test_jump_after_a_gap_is_no_demand() -> None:
    samples = [a_sample(0, 0), a_sample(301, 90_000), a_sample(310, 90_009)]
    demand = CounterDemand(NAMES)

    assert sum(amounts(samples, demand)) == 9
    assert demand.counts[SampleVerdict.AFTER_GAP] == 1


@pytest.mark.parametrize("at_s", [10, 8], ids=["repeated", "out of order"])
def test_sample_that_is_not_newer_is_passed_over_and_counted(at_s: int) -> None:
    demand = CounterDemand(NAMES)
    samples = [a_sample(0, 0), a_sample(10, 5), a_sample(at_s, 99), a_sample(20, 7)]

    assert sum(amounts(samples, demand)) == 7
    assert demand.counts[SampleVerdict.REPEATED] == 1


def test_count_that_says_when_it_began_counts_from_there() -> None:
    """A new pod's first requests are not lost, which would look like a drop while scaling up."""
    made = taken(CounterDemand(NAMES), [cumulative(20, 8, start_s=10)])

    assert buckets(made) == {10: 8}


def test_count_that_began_long_before_it_was_first_seen_counts_nothing() -> None:
    assert amounts([cumulative(1000, 50_000, start_s=0)]) == []


def test_count_with_an_unknown_start_counts_from_its_second_sample() -> None:
    # An unknown start is the time of the first point (OpenTelemetry metrics data model).
    assert amounts([cumulative(10, 5_000, start_s=10), cumulative(20, 5_004, start_s=10)]) == [4]


def test_restart_with_a_higher_count_is_seen_by_its_start() -> None:
    samples = [cumulative(10, 3, 10), cumulative(20, 5, 10), cumulative(30, 50, 22)]

    assert sum(amounts(samples)) == 2 + 50


def test_two_pods_without_names_of_their_own_are_no_counter_that_keeps_falling() -> None:
    first = [cumulative(at_s, 1_000_000 + at_s, -900) for at_s in range(0, 60, 10)]
    second = [cumulative(at_s + 5, 10 + at_s, -800) for at_s in range(0, 60, 10)]

    assert sum(amounts([one for pair in zip(first, second, strict=True) for one in pair])) == 100


def test_delta_counts_as_it_is_and_needs_no_earlier_sample() -> None:
    made = taken(CounterDemand(NAMES), [delta(20, 10, start_s=0)])

    assert buckets(made) == {0: 5, 10: 5}
    assert {one.needed_offset for one in made} == {0}
    assert CounterDemand(NAMES).needed_offset(T0) is None


def test_delta_that_is_delivered_twice_has_the_identity_of_the_first() -> None:
    first, second = (taken(CounterDemand(NAMES), [delta(20, 10, start_s=0)]) for _ in range(2))
    (other,) = taken(CounterDemand(NAMES), [delta(30, 10, start_s=20)])[-1:]

    assert [one.event for one in first] == [one.event for one in second]
    assert other.event.event_id not in {"", first[0].event.event_id}


def test_delta_without_a_start_counts_since_the_sample_before() -> None:
    samples = [a_sample(at_s, 6, type=SampleType.DELTA) for at_s in (0, 20)]

    assert buckets(taken(CounterDemand(NAMES), samples)) == {0: 3, 10: 3}


def test_rate_counts_for_the_time_since_the_sample_before() -> None:
    samples = [a_sample(0, 99, RATE), a_sample(10, 2.5, RATE), a_sample(400, 50, RATE)]

    assert amounts(samples) == [25]


@pytest.mark.parametrize(
    ("sample", "verdict"),
    [
        (a_sample(0, 5, "mplp_network_connections_active"), "NOT_DEMAND"),
        (a_sample(0, 5, "somebody_elses_total"), "UNKNOWN_NAME"),
        (a_sample(0, 5, module=OTHER, region=OTHER), "OTHER"),
        (a_sample(0, 5, type=SampleType.GAUGE), "WRONG_TYPE"),
        (a_sample(0, 5, RATE, type=SampleType.CUMULATIVE), "WRONG_TYPE"),
        (a_sample(0, -5), "IMPLAUSIBLE"),
        (delta(10, 1e10, start_s=0), "IMPLAUSIBLE"),
        (a_sample(0, 1e300, RATE), "FIRST"),
    ],
)
def test_sample_that_cannot_be_demand_is_counted_by_its_reason(
    sample: MetricSample, verdict: str
) -> None:
    demand = CounterDemand(NAMES)

    assert verdicts([sample], demand) == [verdict]
    assert amounts([sample], demand) == []


def test_module_with_two_sources_is_counted_by_the_better_one() -> None:
    samples = [a_sample(0, 0), a_sample(1, 0, BETTER), a_sample(10, 50), a_sample(11, 40, BETTER)]

    assert sum(amounts(samples)) == 40


def test_lower_source_takes_over_once_the_better_one_has_been_silent() -> None:
    demand = CounterDemand(NAMES, source_hold_s=60)
    samples = [a_sample(0, 0, BETTER)]
    samples += [a_sample(at_s, at_s) for at_s in range(0, 200, 20)]

    made = buckets(taken(demand, samples))

    assert min(made) == 60  # since the last sample within the hold
    assert sum(made.values()) == 180 - 60


def test_sources_of_other_modules_and_regions_are_their_own() -> None:
    samples = [
        a_sample(0, 0, BETTER),
        a_sample(0, 0, module="plan"),
        a_sample(0, 0, region="eu-west-1"),
        a_sample(10, 3, module="plan"),
        a_sample(10, 4, region="eu-west-1"),
    ]

    assert amounts(samples) == [3, 4]


def test_two_prometheus_servers_that_scrape_the_same_are_counted_once() -> None:
    samples = [
        a_sample(at_s + behind_s, 2 * at_s, replica=replica)
        for at_s in range(0, 100, 10)
        for replica, behind_s in (("prometheus-1", 3), ("prometheus-0", 0))
    ]

    assert sum(amounts(samples)) == 180


def test_other_prometheus_server_is_followed_when_the_first_one_is_gone() -> None:
    demand = CounterDemand(NAMES, source_hold_s=60)
    samples = [a_sample(0, 0, replica="prometheus-0")]
    samples += [a_sample(at_s, at_s, replica="prometheus-1") for at_s in range(0, 200, 20)]

    assert sum(amounts(samples, demand)) == 180 - 80


def test_series_beyond_the_limit_are_refused_and_those_before_go_on() -> None:
    demand = CounterDemand(NAMES, series_max=2)
    pods = [(("pod", str(pod)),) for pod in range(5)]
    samples = [a_sample(at_s, at_s, labels=pod) for at_s in (0, 10) for pod in pods]

    assert amounts(samples, demand) == [10, 10]
    assert demand.series == 2
    assert demand.counts[SampleVerdict.REFUSED] == 6


def test_counter_whose_samples_are_scattered_over_partitions_is_not_guessed_at() -> None:
    demand = CounterDemand(NAMES)
    samples = [a_sample(0, 0), a_sample(10, 50), delta(10, 7, start_s=0)]

    made = [one for sample in samples for one in demand.add(sample, 0, whole_series=False)]

    assert [one.event.requests for one in made if one.event.requests] == [7]
    assert demand.counts[SampleVerdict.UNKEYED] == 2


def test_scale_turns_the_value_into_requests() -> None:
    per_minute = MetricMeaning(means="requests_per_s", scale=1 / 60)
    demand = CounterDemand(MetricNames(["core"], {"calls_per_minute": per_minute}))

    assert amounts([a_sample(at_s, 120, "calls_per_minute") for at_s in (0, 10)], demand) == [20]


def test_commit_may_not_pass_the_last_sample_of_a_series() -> None:
    demand = CounterDemand(NAMES)
    plan = (("pod", "plan-0"),)
    taken(demand, [a_sample(0, 0), a_sample(0, 0, labels=plan, module="plan"), a_sample(10, 1)])

    assert demand.needed_offset(T0 + 10) == 1


def test_dead_series_holds_the_commit_no_longer_than_windows_can_need_it() -> None:
    demand = CounterDemand(NAMES, series_gap_max_s=300, kept_back_s=100)
    taken(demand, [a_sample(0, 0), a_sample(0, 0, labels=(("pod", "b"),))])

    assert demand.needed_offset(T0 + 399) == 0
    demand.add(a_sample(420, 1), 2)
    assert demand.needed_offset(T0 + 420) == 2
    assert demand.series == 1


STEPS = st.lists(
    st.tuples(st.integers(1, 300), st.integers(0, 10_000), st.booleans()), min_size=1, max_size=30
)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_total_is_what_was_served_whatever_restarts_lie_between(
    steps: list[tuple[int, int, bool]],
) -> None:
    """Each step: seconds to the next sample, requests served, whether it restarted before them."""
    at_s, value, start_s = 0.0, 0, 0.0
    samples = [cumulative(at_s, value, start_s)]
    for seconds, served, restarts in steps:
        if restarts:
            value, start_s = 0, at_s + seconds / 2
        at_s, value = at_s + seconds, value + served
        samples.append(cumulative(at_s, value, start_s))

    assert sum(amounts(samples)) == sum(served for _, served, _ in steps)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_total_is_what_was_served_where_only_a_fall_tells_of_a_restart(
    steps: list[tuple[int, int, bool]],
) -> None:
    at_s, value = 0.0, 0
    samples = [a_sample(at_s, value)]
    for seconds, served, restarts in steps:
        at_s += seconds
        # A restart that serves more than ever before cannot be told from none.
        value = served if restarts and served < value else value + served
        samples.append(a_sample(at_s, value))

    assert sum(amounts(samples)) == sum(served for _, served, _ in steps)


ANY_SAMPLE = st.builds(
    a_sample,
    st.floats(-1000, 1000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([COUNTER, BETTER, RATE, "up"]),
    type=st.sampled_from(SampleType),
    start_s=st.one_of(st.none(), st.floats(T0 - 2000, T0 + 2000)),
    replica=st.sampled_from(["", "a", "b"]),
    labels=st.sampled_from([(), (("pod", "a"),)]),
)


@given(st.lists(ANY_SAMPLE, max_size=20))
@settings(max_examples=200, deadline=None)
def test_no_amount_is_negative_or_no_number_or_late_in_its_own_list(
    samples: list[MetricSample],
) -> None:
    demand = CounterDemand(NAMES)
    for offset, sample in enumerate(samples):
        made = demand.add(sample, offset)

        assert all(0 <= one.event.requests <= 1e9 for one in made)
        assert all(0 <= one.needed_offset <= offset for one in made)
        times_s = [one.event.time_s for one in made]
        assert times_s == sorted(times_s)
        assert times_s[-1:] in ([], [sample.time_s])
        assert len(made) <= 32


@given(st.lists(st.lists(st.integers(0, 50), min_size=2, max_size=6), max_size=4), st.randoms())
@settings(max_examples=100, deadline=None)
def test_order_of_the_series_among_each_other_does_not_matter(
    increments: list[list[int]], chance: random.Random
) -> None:
    series = [
        [
            a_sample(15 * place, sum(of_one[: place + 1]), labels=(("pod", str(number)),))
            for place in range(len(of_one))
        ]
        for number, of_one in enumerate(increments)
    ]
    in_turn = [sample for of_one in series for sample in of_one]
    turns = [number for number, of_one in enumerate(series) for _ in of_one]
    chance.shuffle(turns)
    waiting = [iter(of_one) for of_one in series]
    mixed = [next(waiting[number]) for number in turns]

    one, other = (buckets(taken(CounterDemand(NAMES), order)) for order in (in_turn, mixed))
    assert one == other


@example(4.0, T0 + 990.9999998, 49.0)
@given(
    st.one_of(st.integers(0, 10**9).map(float), st.floats(0, 1e9)),
    st.floats(T0, T0 + 1000),
    st.floats(0, 300),
)
@settings(max_examples=200, deadline=None)
def test_shares_add_up_to_the_amount_and_lie_between_the_samples(
    requests: float, from_s: float, length_s: float
) -> None:
    until_s = from_s + length_s
    shares = spread(requests, from_s, until_s, 10)

    expected = requests if requests.is_integer() else round(requests * 1024) / 1024
    assert math.fsum(share for _, share in shares) == expected
    assert all(from_s - 1e-6 <= at_s <= until_s + 1e-6 for at_s, _ in shares)
    starts_s = [at_s // 10 for at_s, _ in shares]
    assert len(set(starts_s)) == len(starts_s)
