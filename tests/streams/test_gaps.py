"""Gaps of a partition: what was lost is never taken for counted, in whatever order it is told."""

from __future__ import annotations

import itertools
from functools import reduce

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.demand import Progress, decode_demand, encode_demand, merged_progress
from streams.gaps import GAP_KEPT_S, GAPS_MAX, Gaps, bounded, united, without

SPAN_S = 24


def a_report(closed_s: int, *gaps: tuple[int, int], idle: bool = False) -> Progress:
    return Progress(3, closed_s, idle, 8, gaps=gaps)


def merged(*reports: Progress) -> Progress:
    return reduce(merged_progress, reports[1:], merged_progress(None, reports[0]))


def buckets(gaps: Gaps) -> set[int]:
    return {bucket for from_s, until_s in gaps for bucket in range(from_s, until_s)}


def counted(report: Progress) -> set[int]:
    return set(range(report.closed_through_s)) - buckets(report.gaps)


def test_a_gap_since_nobody_knows_when_begins_where_the_partition_had_come_to() -> None:
    #   closed through 500, then 700 was skipped to with no memory of what was before
    assert merged(a_report(500), a_report(700, (0, 700))).gaps == ((500, 700),)


def test_a_narrowed_gap_is_not_widened_by_its_repetition() -> None:
    known = merged(a_report(500), a_report(700, (0, 700)))

    again = merged(known, a_report(700, (0, 700)), a_report(900, (0, 700)))

    assert again == a_report(900, (500, 700))


def test_a_gap_of_which_nothing_is_known_stays_as_it_was_said() -> None:
    assert merged(a_report(700, (0, 700)), a_report(800, (0, 700))).gaps == ((0, 700),)


def test_gaps_of_one_partition_are_all_kept() -> None:
    reports = a_report(300, (100, 200)), a_report(600, (100, 200), (400, 500))

    assert merged(*reports).gaps == ((100, 200), (400, 500))


def test_a_stretch_that_is_read_once_more_after_all_is_a_gap_no_longer() -> None:
    # an operator sets the offsets back to before the gap; reading begins at 50
    known = a_report(300, (100, 200))

    assert merged(known, a_report(150, (0, 50))).gaps == ((150, 200),)
    assert merged(known, a_report(250, (0, 50))).gaps == ()


def test_a_record_written_before_there_were_gaps_is_read() -> None:
    old = b'{"kind":"progress","partition":3,"closed_through_s":70,"idle":false,"partitions":8}'

    assert decode_demand(old) == a_report(70)
    assert decode_demand(encode_demand(a_report(70, (0, 30)))) == a_report(70, (0, 30))


def test_what_lies_before_every_history_is_forgotten() -> None:
    assert bounded([(0, 10), (90, 100)], 50 + GAP_KEPT_S) == ((90, 100),)


def test_of_too_many_gaps_the_closest_become_one() -> None:
    gaps = [(at_s, at_s + 10) for at_s in (0, 100, 111, 200, 300, 400, 500, 600, 700)]

    assert bounded(gaps, 1000) == ((0, 10), (100, 121), *gaps[3:])


GAPS = st.lists(st.tuples(st.integers(0, SPAN_S), st.integers(0, SPAN_S)), max_size=3)
REPORTS = st.builds(
    lambda closed_s, gaps, idle: a_report(closed_s, *united(gaps), idle=idle),
    st.integers(0, SPAN_S),
    GAPS,
    st.booleans(),
)


@given(GAPS, GAPS)
def test_gaps_add_and_subtract_as_sets_of_buckets(
    one: list[tuple[int, int]], two: list[tuple[int, int]]
) -> None:
    assert buckets(united(one, two)) == buckets(tuple(one)) | buckets(tuple(two))
    assert buckets(without(one, two)) == buckets(tuple(one)) - buckets(tuple(two))
    assert all(a[1] < b[0] for a, b in itertools.pairwise(united(one, two)))


@given(st.lists(REPORTS, min_size=1, max_size=5), st.data())
@settings(max_examples=300, deadline=None)
def test_order_and_repetition_of_reports_change_nothing(
    reports: list[Progress], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(reports))
    again = data.draw(st.lists(st.sampled_from(reports), max_size=4))

    assert merged(*order, *again) == merged(*reports)


@given(st.lists(REPORTS, min_size=1, max_size=5))
@settings(max_examples=300, deadline=None)
def test_a_gap_is_what_some_report_lost_and_none_counted(reports: list[Progress]) -> None:
    lost = set().union(*(buckets(one.gaps) for one in reports))
    known = set().union(*map(counted, reports))

    assert buckets(merged(*reports).gaps) == lost - known
    assert counted(merged(*reports)) == known


MANY = st.lists(st.integers(0, 60), min_size=18, max_size=40, unique=True).map(
    lambda edges: united(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))
)


@given(st.lists(st.tuples(st.integers(0, 60), MANY), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_however_many_gaps_nothing_lost_is_called_counted(
    drawn: list[tuple[int, Gaps]],
) -> None:
    reports = [a_report(closed_s, *gaps) for closed_s, gaps in drawn]

    whole = merged(*reports)

    assert len(whole.gaps) <= GAPS_MAX
    assert counted(whole) <= set().union(*map(counted, reports))
    assert merged(whole, whole) == whole
