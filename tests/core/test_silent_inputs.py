"""Silence is not zero, a lost partition is not zero, and the reason names what is missing."""

from __future__ import annotations

import numpy as np
import pytest

from predictor.core.history import History
from predictor.core.input_partitions import InputPartitions
from streams.demand import DemandPart, Progress, input_number, topic_and_partition
from tests.core.core_values import a_part, a_progress
from tests.core.history_feeding import T0, a_history, a_minute, fed, row

REQUESTS, METRICS = 0, 1
NAMES = {REQUESTS: "mplp.requests", METRICS: "mplp.metrics"}


def with_names(*topics: int, **changes: object) -> History:
    names = {topic: NAMES[topic] for topic in topics or (REQUESTS,)}
    return a_history(inputs=InputPartitions(topic_names=names, **changes))  # type: ignore[arg-type]


def in_topic(topic: int, partition: int = 0) -> int:
    return input_number(topic, partition)


def flowing(history: History, minutes: range, *, partition: int = 0, partitions: int = 1) -> None:
    for minute in minutes:
        start_s = T0 + 60 * minute
        fed(history, *a_minute(start_s, 5, partition=partition))
        history.advance(a_progress(start_s + 60, partition, partitions))
        history.series(start_s + 60)


def test_a_quiet_partition_is_zero_while_others_prove_that_the_senders_live() -> None:
    history = fed(a_history(), a_progress(T0, 1, 2, idle=True, quiet_s=T0 + 600))

    flowing(history, range(10), partitions=2)

    assert row(history, T0 + 600) == [5.0] * 10
    assert history.observed(T0 + 600).incomplete == ""


def test_a_quiet_partition_that_nobody_reads_any_more_is_a_gap() -> None:
    # its last reader found it empty at minute 2 and was never heard of again
    history = fed(with_names(), a_progress(T0, 1, 2, idle=True, quiet_s=T0 + 120))

    flowing(history, range(10), partitions=2)

    np.testing.assert_equal(row(history, T0 + 600), [5.0, 5.0, *[np.nan] * 8])
    assert (
        history.observed(T0 + 600).incomplete
        == "partition 1 of 2 of mplp.requests was silent and is not read for 480 s"
    )


def test_a_new_reader_of_a_quiet_partition_fills_the_gap() -> None:
    history = fed(a_history(), a_progress(T0, 1, 2, idle=True, quiet_s=T0 + 120))
    flowing(history, range(10), partitions=2)

    fed(
        history,
        *a_minute(T0 + 300, 2, partition=1),
        a_progress(T0 + 360, 1, 2, idle=True, quiet_s=T0 + 600),
    )

    assert row(history, T0 + 600) == [5.0] * 5 + [7.0] + [5.0] * 4


def test_a_topic_that_falls_silent_is_a_gap_while_another_flows_on() -> None:
    history = with_names(REQUESTS, METRICS)
    metrics = in_topic(METRICS)
    fed(history, *a_minute(T0, 1, partition=metrics), a_progress(T0 + 60, metrics))
    fed(history, a_progress(T0 + 60, metrics, idle=True, quiet_s=T0 + 9000))

    flowing(history, range(10))

    np.testing.assert_equal(row(history, T0 + 600), [6.0, *[np.nan] * 9])
    assert (
        history.observed(T0 + 600).incomplete
        == "mplp.metrics is silent for 540 s, without a heartbeat"
    )


def test_a_heartbeat_makes_the_silence_of_a_topic_zero() -> None:
    history = with_names(REQUESTS, METRICS)
    metrics = in_topic(METRICS)
    fed(history, *a_minute(T0, 1, partition=metrics))

    for minute in range(10):
        flowing(history, range(minute, minute + 1))
        history.advance(a_progress(T0 + 60 * minute + 60, metrics))

    assert row(history, T0 + 600) == [6.0] + [5.0] * 9


def test_a_topic_in_which_nothing_has_ever_happened_holds_nobody_up() -> None:
    history = fed(
        with_names(REQUESTS, METRICS), a_progress(0, in_topic(METRICS), idle=True, quiet_s=T0 + 600)
    )

    flowing(history, range(10))

    assert row(history, T0 + 600) == [5.0] * 10


SILENCE = (T0 + 60, T0 + 600)


def after_silence(*progress: Progress, **changes: object) -> History:
    """A minute of demand, nine minutes of nothing, a minute of demand."""
    history = with_names(**changes)
    return fed(history, *a_minute(T0, 5), *a_minute(T0 + 600, 5), *progress)


def test_a_topic_that_was_silent_as_a_whole_is_a_gap_and_no_outage_of_demand() -> None:
    history = after_silence(
        a_progress(T0 + 660, 0, 2, silences=(SILENCE,)),
        a_progress(T0 + 660, 1, 2, silences=((0, T0 + 600),)),
    )

    np.testing.assert_equal(row(history, T0 + 660), [5.0, *[np.nan] * 9, 5.0])
    assert (
        history.observed(T0 + 660).incomplete
        == "mplp.requests was silent from 08:00:00 to 08:09:00 UTC"
    )


def test_a_partition_that_was_silent_alone_had_no_demand() -> None:
    history = after_silence(
        a_progress(T0 + 660, 0, 2, silences=(SILENCE,)), a_progress(T0 + 660, 1, 2)
    )

    assert row(history, T0 + 660) == [5.0] + [0.0] * 9 + [5.0]


def test_a_partition_that_is_still_silent_proves_nothing_for_the_others() -> None:
    history = after_silence(
        a_progress(T0, 1, 2, idle=True, quiet_s=T0 + 660),
        a_progress(T0 + 660, 0, 2, silences=(SILENCE,)),
    )

    np.testing.assert_equal(row(history, T0 + 660), [5.0, *[np.nan] * 9, 5.0])


def test_partitions_that_were_silent_in_turn_leave_no_gap() -> None:
    history = after_silence(
        a_progress(T0 + 660, 0, 2, silences=((T0 + 60, T0 + 300),)),
        a_progress(T0 + 660, 1, 2, silences=((T0 + 240, T0 + 600),)),
    )

    assert not np.isnan(row(history, T0 + 660)).any()


def test_where_each_partition_needs_its_own_proof_one_silence_is_a_gap() -> None:
    history = after_silence(
        a_progress(T0 + 660, 0, 2, silences=(SILENCE,)),
        a_progress(T0 + 660, 1, 2),
        proof="partition",
    )
    np.testing.assert_equal(row(history, T0 + 660), [5.0, *[np.nan] * 9, 5.0])

    history.advance(a_progress(T0 + 1000, 1, 2))
    history.advance(a_progress(T0 + 660, 0, 2, idle=True, quiet_s=T0 + 1000))
    assert (
        history.observed(T0 + 1000).incomplete
        == "partition 0 of 2 of mplp.requests is silent for 340 s, without a heartbeat"
    )


def test_a_partition_that_is_written_off_is_counted_and_not_waited_for() -> None:
    inputs = InputPartitions(given_up=frozenset({in_topic(REQUESTS, 1)}))
    history = fed(a_history(inputs=inputs), *a_minute(T0, 2, partition=1))
    history.advance(a_progress(T0 + 60, 1, 2))

    flowing(history, range(10), partitions=2)

    assert row(history, T0 + 600) == [7.0] + [5.0] * 9
    assert history.observed(T0 + 600).incomplete == ""


def test_the_age_of_what_is_relied_on_is_that_of_the_slowest_partition() -> None:
    history = fed(with_names(), a_progress(T0 + 100, 1, 2), a_progress(T0 + 190, 0, 2))

    observed = history.observed(T0 + 200)

    assert (observed.telemetry_age_s, observed.lag_s) == (10.0, 100.0)
    assert observed.slowest == "partition 1 of 2 of mplp.requests is 90 s behind the others"


def test_a_partition_that_is_added_lags_from_when_it_was_heard_of() -> None:
    history = a_history()
    flowing(history, range(60))

    history.advance(a_progress(T0 + 3600, 0, 2))

    observed = history.observed(T0 + 3630)
    assert observed.incomplete == "partition 1 of 2 has not reported"
    assert observed.lag_s == 30.0


def test_a_partition_that_has_counted_nothing_since_the_start_is_of_no_age() -> None:
    history = fed(a_history(), a_progress(0, 0, 2), a_progress(T0 + 60, 1, 2))

    observed = history.observed(T0 + 70)

    assert observed.incomplete == "partition 0 of 2 has not counted anything yet"
    assert observed.lag_s == np.inf  # and not fifty years, after which everything is handed back


@pytest.mark.parametrize("seen", [False, True])
def test_nothing_is_whole_before_a_partition_has_counted_something(seen: bool) -> None:
    history = fed(a_history(), a_progress(T0 + 60, 0, 2))
    if seen:
        history.advance(a_progress(0, 1, 2))

    told = "counted anything yet" if seen else "reported"
    assert history.observed(T0 + 60).incomplete == f"partition 1 of 2 has not {told}"
    assert history.series(T0 + 60).values.shape[1] == 0


@pytest.mark.parametrize("numbers", [(0, 0), (7, 3), (99, 9999)])
def test_an_input_number_names_one_partition_of_one_topic(numbers: tuple[int, int]) -> None:
    assert topic_and_partition(input_number(*numbers)) == numbers


@pytest.mark.parametrize("numbers", [(-1, 0), (0, -1), (0, 10_000), (100, 0)])
def test_a_partition_beyond_the_numbers_is_refused(numbers: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"topic number -?\d+, partition -?\d+: a topic number is"):
        input_number(*numbers)


def test_partitions_of_two_topics_with_one_number_are_two_inputs() -> None:
    history = with_names(REQUESTS, METRICS)
    parts: list[DemandPart] = []
    for topic in (REQUESTS, METRICS):
        parts += a_minute(T0, 5, partition=in_topic(topic))
    fed(history, *parts, a_progress(T0 + 60, in_topic(REQUESTS)))
    history.advance(a_progress(0, in_topic(METRICS), 3))

    assert (
        history.observed(T0 + 60).incomplete
        == "partition 0 of 3 and 2 more of mplp.metrics has not counted anything yet"
    )
    fed(history, *(a_progress(T0 + 60, in_topic(METRICS, p), 3) for p in range(3)))
    assert row(history, T0 + 60) == [10.0]


def test_a_topic_that_is_configured_and_was_never_heard_of_is_waited_for() -> None:
    history = with_names(REQUESTS, METRICS)

    flowing(history, range(10))

    assert np.isnan(row(history, T0 + 600)).all()
    assert history.observed(T0 + 600).incomplete == "no partition of mplp.metrics has reported"


def test_numbers_beyond_all_bounds_are_set_aside() -> None:
    history = a_history()

    fed(history, a_progress(T0, 5_000, 6_000), a_part(T0, 1, partition=-1))
    history.advance(Progress(10_000 * 100, T0, False, 1))

    assert history.set_aside == {"impossible partition": 3}
