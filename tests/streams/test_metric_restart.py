"""Counters and windows together: a reader that stops anywhere hands over the same demand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.checkpoint import Checkpoint
from streams.counters import CounterDemand
from streams.demand import DemandCell, DemandPart
from streams.event_columns import columns_of
from streams.event_types import MetricSample, SampleType
from streams.windows import PartitionWindows
from tests.streams.metric_builders import BETTER, COUNTER, NAMES, RATE, T0, a_sample
from tests.streams.window_builders import CELLS

LATENESS_S, AMEND_S, GAP_S, HOLD_S = 20, 20, 150, 45
Series = tuple[str, str, str]
Demand = dict[tuple[str, int], tuple[DemandCell, ...]]


class Reader:
    """What one partition's owner does with metric samples, with its commits."""

    def __init__(self, checkpoint: Checkpoint | None = None) -> None:
        self.windows = PartitionWindows(
            3, CELLS, lateness_s=LATENESS_S, amend_s=AMEND_S, checkpoint=checkpoint
        )
        self.counters = CounterDemand(
            NAMES,
            series_gap_max_s=GAP_S,
            source_hold_s=HOLD_S,
            kept_back_s=LATENESS_S + AMEND_S + 10,
        )

    def read(self, samples: Sequence[MetricSample], until: int) -> None:
        for offset in range(self.windows.position, min(until, len(samples))):
            made = self.counters.add(samples[offset], offset)
            events, needed = [one.event for one in made], [one.needed_offset for one in made]
            self.windows.add_columns(columns_of(events, [offset] * len(made), CELLS, needed))
            self.windows.pass_by(offset)

    def commit(self) -> tuple[list[DemandPart], Checkpoint]:
        parts = self.windows.close()
        offset, metadata = self.windows.checkpoint()
        needed = self.counters.needed_offset(self.windows.newest_s)
        return parts, Checkpoint(offset if needed is None else min(offset, needed), metadata)


def latest(parts: Sequence[DemandPart]) -> Demand:
    """The last word on each bucket; zeros are left out, whether they were said or not."""
    said = {(part.module, part.bucket_start_s): part.cells for part in parts}
    return {
        key: tuple(cell for cell in cells if cell.requests)
        for key, cells in said.items()
        if any(cell.requests for cell in cells)
    }


def drawn_sample(at_s: int, series: Series, value: int, start_s: int | None) -> MetricSample:
    name, pod, replica = series
    sample_type, began_s = SampleType.UNKNOWN, None
    if start_s is not None and name == COUNTER and not replica:
        sample_type, began_s = SampleType.CUMULATIVE, T0 + start_s
    return a_sample(
        at_s, value, name, labels=(("pod", pod),), replica=replica, type=sample_type,
        start_s=began_s,
    )  # fmt: skip


Draw = tuple[int, int, int, int, int | None]
POOLS: tuple[tuple[Series, ...], ...] = (
    ((COUNTER, "a", ""),),
    ((RATE, "a", ""),),
    ((COUNTER, "a", ""), (COUNTER, "b", "")),
    ((COUNTER, "a", ""), (BETTER, "a", "")),
    ((COUNTER, "a", "0"), (COUNTER, "a", "1"), (COUNTER, "a", "2")),
    ((COUNTER, "a", ""), (BETTER, "b", ""), (RATE, "a", ""), (COUNTER, "c", "0")),
)
DRAWN = st.tuples(
    st.sampled_from([0, 1, 5, 12, 25, 25, 40, 70]),  # how far event time moves on
    st.sampled_from([0, 0, 0, 0, 3, 15, 35]),  # and how far this sample lies behind it
    st.integers(0, 3),  # whose it is
    st.integers(0, 40),
    st.sampled_from([None, None, 80, 130]),
)
STOPS = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 8)), max_size=6)


def in_the_order_of_arrival(pool: tuple[Series, ...], drawn: list[Draw]) -> list[MetricSample]:
    """Event time moves on; at the end a series of its own closes every bucket."""
    samples, now_s = [], 100
    for step_s, behind_s, whose, value, start_s in drawn:
        now_s += step_s
        series = pool[whose % len(pool)]
        samples.append(drawn_sample(now_s - behind_s, series, value, start_s))
    flush = [a_sample(now_s + 40 * place, 0, module="plan") for place in range(1, 9)]
    return samples + flush


SAMPLES = st.builds(in_the_order_of_arrival, st.sampled_from(POOLS), st.lists(DRAWN, max_size=25))


def handed_over(samples: list[MetricSample], stops: list[tuple[int, int]]) -> Demand:
    """Each stop commits after so many records, reads some more in vain and is killed."""
    parts: list[DemandPart] = []
    reader = Reader()
    for until_commit, wasted in stops:
        reader.read(samples, reader.windows.position + until_commit)
        out, checkpoint = reader.commit()
        parts += out
        reader.read(samples, reader.windows.position + wasted)
        reader = Reader(checkpoint)
    reader.read(samples, len(samples))
    return latest(parts + reader.commit()[0])


@given(SAMPLES, STOPS)
@settings(max_examples=400, deadline=None)
def test_reader_of_counters_that_stops_anywhere_hands_over_the_same_demand(
    samples: list[MetricSample], stops: list[tuple[int, int]]
) -> None:
    assert handed_over(samples, stops) == handed_over(samples, [])


@pytest.mark.soak
@given(SAMPLES, STOPS)
@settings(max_examples=20_000, deadline=None)
def test_reader_of_counters_that_stops_anywhere_hands_over_the_same_demand_for_long(
    samples: list[MetricSample], stops: list[tuple[int, int]]
) -> None:
    assert handed_over(samples, stops) == handed_over(samples, [])


def test_commit_goes_back_no_further_than_the_live_series_need() -> None:
    samples = [a_sample(10 * place, place) for place in range(100)]
    reader = Reader()
    reader.read(samples, 100)

    _, checkpoint = reader.commit()

    # Kept buckets reach back lateness and amendment, each needs the sample before it.
    assert 90 <= checkpoint.offset < 99
