from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.series import ALL_REGIONS, SeriesBatch, SeriesKey
from predictor.core.history import History
from predictor.core.series_digest import series_digest
from streams.demand import DemandCell, DemandPart, Progress
from streams.gaps import united
from tests.core.core_values import EU, US, a_part, a_progress
from tests.core.history_feeding import T0, a_history, a_minute, fed, row


def test_a_minute_is_its_mean_rate_once_every_partition_has_passed_it() -> None:
    history = fed(
        a_history(),
        *a_minute(T0, 5, partition=0),
        *a_minute(T0, 7, partition=1),
        a_progress(T0 + 60, 0, 2),
    )
    assert history.series(T0 + 70).values.shape[1] == 0  # partition 1 of 2 has not reported

    history.advance(a_progress(T0 + 60, 1, 2))

    assert row(history, T0 + 70) == [12.0]


def test_a_module_without_events_has_zero_demand_where_the_bucket_is_whole() -> None:
    history = fed(a_history(), *a_minute(T0, 5), a_progress(T0 + 60))

    assert row(history, T0 + 60, "role") == [0.0]


def test_provisional_demand_is_seen_at_once_and_whole_demand_later() -> None:
    history = fed(a_history(), *a_minute(T0, 5), a_progress(T0 + 60))
    fed(history, *(a_part(T0 + 60 + 10 * i, 500) for i in range(3)))

    observed = history.observed(T0 + 90)

    assert observed.provisional_per_s[0] == 50.0
    assert observed.complete_per_s[0] == 5.0


def test_a_partition_left_behind_makes_a_gap_and_is_named() -> None:
    history = fed(
        a_history(), *a_minute(T0, 5), a_progress(T0 + 60, 0, 2), a_progress(T0 + 60, 1, 2)
    )
    for minute in range(1, 5):
        fed(history, *a_minute(T0 + 60 * minute, 5), a_progress(T0 + 60 * (minute + 1), 0, 2))

    values = row(history, T0 + 300)

    assert values[0] == 5.0
    assert np.isnan(values[1:]).all()
    assert len(values) == 5
    assert history.observed(T0 + 300).incomplete == "partition 1 of 2 is 240 s behind the others"


def test_a_partition_that_comes_back_closes_the_gap_it_made() -> None:
    history = fed(a_history(), a_progress(T0, 0, 2), a_progress(T0, 1, 2))
    for minute in range(5):
        fed(history, *a_minute(T0 + 60 * minute, 5), a_progress(T0 + 60 * (minute + 1), 0, 2))
    assert np.isnan(row(history, T0 + 300)).all()

    fed(history, *a_minute(T0, 2, partition=1), a_progress(T0 + 300, 1, 2))

    assert row(history, T0 + 300) == [7.0, 5.0, 5.0, 5.0, 5.0]
    assert history.observed(T0 + 300).incomplete == ""


def test_an_idle_partition_is_not_waited_for() -> None:
    history = fed(
        a_history(), *a_minute(T0, 5), a_progress(T0 + 60, 0, 2), a_progress(0, 1, 2, idle=True)
    )

    assert row(history, T0 + 60) == [5.0]


def test_a_report_that_comes_twice_and_late_wakes_no_partition() -> None:
    history = fed(a_history(), *a_minute(T0, 5), a_progress(T0 + 60, 0, 2))

    fed(history, a_progress(T0, 1, 2, idle=True), a_progress(T0, 1, 2, idle=False))

    assert row(history, T0 + 60) == [5.0]


def test_a_partition_that_never_reported_is_named() -> None:
    history = fed(a_history(), a_progress(T0, 0, 3), a_progress(T0, 1, 3))

    assert history.observed(T0).incomplete == "partition 2 of 3 has not reported"


def test_silence_ages_and_gives_no_zero() -> None:
    history = fed(a_history(), *a_minute(T0, 5), a_progress(T0 + 60))

    observed = history.observed(T0 + 660)

    assert observed.telemetry_age_s == 600
    assert row(history, T0 + 660) == [5.0]


def test_pinned_and_movable_demand_of_a_routed_module_are_told_apart() -> None:
    history = a_history(routed=("core",))
    cells = (
        DemandCell(US, True, 60, 60),
        DemandCell(US, False, 120, 120),
        DemandCell(EU, False, 180, 180),
    )
    fed(history, *(DemandPart("core", T0 + 10 * i, 10, 0, cells) for i in range(6)))
    fed(history, a_progress(T0 + 60))

    assert row(history, T0 + 60, "core", US) == [6.0]
    assert row(history, T0 + 60, "core", EU) == [0.0]
    assert row(history, T0 + 60, "core", ALL_REGIONS) == [30.0]
    assert history.observed(T0 + 60).served_per_s.tolist() == [[12.0, 18.0]]


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        pytest.param(a_part(T0, 5, module="nobody"), "unknown module", id="an unknown module"),
        pytest.param(a_part(T0 + 3, 5), "other bucket length", id="a bucket off the grid"),
        pytest.param(a_part(T0, 5, partition=9999), "impossible partition", id="no such partition"),
        pytest.param(a_part(T0, float("nan")), "impossible demand", id="demand is no number"),
        pytest.param(a_part(T0, -1), "impossible demand", id="demand below zero"),
        pytest.param(a_part(T0, 5, region="mars"), "unknown region", id="an unknown region"),
        pytest.param(a_part(T0 + 86_400, 5), "too far ahead", id="tomorrow's bucket"),
        pytest.param(a_part(T0 - 86_400, 5), "too late", id="a bucket long since folded"),
    ],
)
def test_what_cannot_be_counted_is_set_aside_with_its_reason(part: DemandPart, reason: str) -> None:
    history = fed(a_history(), *a_minute(T0, 5), a_progress(T0 + 60))
    history.series(T0 + 60)

    history.add(part)

    assert history.set_aside == {reason: 1}
    assert row(history, T0 + 60, "role") == [0.0]


def test_a_batch_handed_out_never_changes() -> None:
    history = fed(a_history(), *a_minute(T0, 5), a_progress(T0 + 60))
    batch = history.series(T0 + 60)
    digest = series_digest(batch)

    fed(history, a_part(T0, 500), a_part(T0 + 60, 1), a_progress(T0 + 600))

    assert history.series(T0 + 600).values[0, 0] > 5.0
    assert series_digest(batch) == digest
    with pytest.raises(ValueError, match="read-only"):
        batch.values[0, 0] = 1.0


def test_nothing_new_gives_the_same_batch() -> None:
    history = fed(a_history(), *a_minute(T0, 5), a_progress(T0 + 60))

    assert history.series(T0 + 60) is history.series(T0 + 70)
    assert history.series_digest() == series_digest(history.series(T0 + 70))


def test_history_stays_within_its_length() -> None:
    history = a_history()
    for minute in range(300):
        fed(history, a_part(T0 + 60 * minute, 60), a_progress(T0 + 60 * (minute + 1)))
        history.series(T0 + 60 * minute)

    batch = history.series(T0 + 18_000)

    assert batch.values.shape[1] == 120
    assert batch.end_s == T0 + 18_000
    assert np.all(batch.values[0] == 1.0)


def test_a_seeded_history_lies_under_what_is_measured() -> None:
    history = a_history()
    older = SeriesBatch((SeriesKey("core", US),), T0 - 120, 60, np.array([[3.0, 4.0]]))

    assert history.seed(older) == 1
    fed(history, *a_minute(T0 + 60, 5), a_progress(T0 + 120))

    batch = history.series(T0 + 120)
    assert batch.start_s == T0 - 120
    np.testing.assert_equal(row(history, T0 + 120), [3.0, 4.0, np.nan, 5.0])


def test_a_history_on_another_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="does not lie on steps of 60 s"):
        a_history().seed(SeriesBatch((SeriesKey("core", US),), T0 + 7, 60, np.zeros((1, 1))))


def an_hour_with_a_gap() -> History:
    """Two partitions of 5/s; partition 1 has nothing from minute 10 to 20 and says so."""
    history = a_history()
    for minute in range(60):
        start_s = T0 + 60 * minute
        gaps = ((T0 + 600, T0 + 1200),) if minute >= 20 else ()
        fed(history, *a_minute(start_s, 5, partition=0), a_progress(start_s + 60, 0, 2))
        if not 10 <= minute < 20:
            fed(history, *a_minute(start_s, 5, partition=1))
            history.advance(a_progress(start_s + 60, 1, 2, gaps=gaps))
        history.series(start_s + 60)
    return history


def test_records_that_expired_are_a_gap_and_no_drop_of_demand() -> None:
    values = np.array(row(an_hour_with_a_gap(), T0 + 3600))

    assert np.isnan(values[10:20]).all()
    assert values[:10].tolist() == [10.0] * 10
    assert values[20:].tolist() == [10.0] * 40


def test_a_gap_that_becomes_known_late_corrects_steps_that_were_taken_for_whole() -> None:
    history = fed(a_history(), a_progress(T0, 0, 2), a_progress(T0, 1, 2, idle=True))
    for minute in range(60):
        start_s = T0 + 60 * minute
        fed(history, *a_minute(start_s, 5, partition=0), a_progress(start_s + 60, 0, 2))
        history.series(start_s + 60)
    assert row(history, T0 + 3600) == [5.0] * 60
    handed_out = history.series(T0 + 3600)

    history.advance(a_progress(T0 + 3600, 1, 2, gaps=((0, T0 + 1800),)))

    values = np.array(row(history, T0 + 3600))
    assert np.isnan(values[:30]).all()
    assert values[30:].tolist() == [5.0] * 30
    assert not np.isnan(handed_out.values[0]).any()


def test_a_gap_in_the_newest_step_leaves_its_demand_unknown() -> None:
    history = fed(
        a_history(),
        *a_minute(T0, 5),
        *a_minute(T0 + 60, 5),
        a_progress(T0 + 120, 0, 1, gaps=((T0 + 70, T0 + 80),)),
    )

    observed = history.observed(T0 + 120)

    assert np.isnan(observed.complete_per_s).all()
    assert observed.provisional_per_s[0] == 5.0


@pytest.mark.parametrize("lost_s", [T0 + 60, T0 + 110])
def test_one_lost_bucket_makes_its_step_unknown_and_no_other(lost_s: int) -> None:
    history = fed(a_history(), *(part for n in range(3) for part in a_minute(T0 + 60 * n, 5)))

    history.advance(a_progress(T0 + 180, gaps=((lost_s, lost_s + 10),)))

    np.testing.assert_equal(row(history, T0 + 180), [5.0, np.nan, 5.0])


def test_a_stretch_read_once_more_after_all_is_demand_again() -> None:
    history = fed(a_history(), *a_minute(T0, 5), *a_minute(T0 + 60, 5))
    fed(history, a_progress(T0 + 120, gaps=((T0, T0 + 60),)))
    np.testing.assert_equal(row(history, T0 + 120), [np.nan, 5.0])

    fed(history, a_progress(T0 + 60, gaps=((0, T0),)))

    assert row(history, T0 + 120) == [5.0, 5.0]


# T0 is 2027-01-15 07:59:00 UTC.
@pytest.mark.parametrize(
    ("gap", "sentence"),
    [
        pytest.param(
            (T0 - 3600, T0),
            "partition 3 of 8 lost the records from 06:59:00 to 07:59:00 UTC",
            id="since a known time",
        ),
        pytest.param(
            (T0 - 86_400, T0 - 10),
            "partition 3 of 8 lost the records from 2027-01-14 07:59:00 to 07:58:50 UTC",
            id="since the day before",
        ),
        pytest.param(
            (0, T0),
            "partition 3 of 8 lost the records before 07:59:00 UTC",
            id="since nobody knows",
        ),
        pytest.param((T0 - 3600, T0 - 600), "", id="long ago"),
        pytest.param(
            (T0 - 3600, 10**17),
            "partition 3 of 8 lost the records from 2027-01-15 06:59:00 to 23:59:59 UTC",
            id="no such date",
        ),
    ],
)
def test_a_gap_is_named_while_it_is_recent(gap: tuple[int, int], sentence: str) -> None:
    history = a_history()

    for partition in range(8):
        history.advance(a_progress(T0, partition, 8, gaps=(gap,) if partition == 3 else ()))

    assert history.observed(T0).incomplete == sentence


def test_several_partitions_with_a_gap_are_counted() -> None:
    history = fed(a_history(), a_progress(T0, 0, 3))
    fed(history, *(a_progress(T0, p, 3, gaps=((T0 - 60, T0 - 10 * p),)) for p in (1, 2)))

    assert (
        history.observed(T0).incomplete
        == "partition 1 of 3 and 1 more lost the records from 07:58:00 to 07:58:50 UTC"
    )


def test_a_gap_of_the_topic_leaves_a_seeded_history_alone() -> None:
    history = a_history()
    history.seed(SeriesBatch((SeriesKey("core", US),), T0 - 120, 60, np.array([[3.0, 4.0]])))
    fed(history, *a_minute(T0, 5), *a_minute(T0 + 60, 5))

    fed(history, a_progress(T0 + 120, gaps=((0, T0 + 60),)))

    np.testing.assert_equal(row(history, T0 + 120), [3.0, 4.0, np.nan, 5.0])


@st.composite
def shuffled_records(draw: st.DrawFn) -> tuple[list[DemandPart | Progress], list[int]]:
    records: list[DemandPart | Progress] = []
    for bucket in range(draw(st.integers(6, 18))):
        for partition in range(3):
            for module in ("core", "role"):
                if draw(st.booleans()):
                    requests = draw(st.floats(0, 1e6))
                    start_s, revision = T0 + 10 * bucket, draw(st.integers(0, 2))
                    records += [
                        a_part(
                            start_s,
                            requests * number,
                            partition=partition,
                            module=module,
                            revision=number,
                            variance=requests * draw(st.integers(0, 1)),
                        )
                        for number in range(revision + 1)
                    ]
    first_s = T0 + 10 * draw(st.integers(0, 12))
    silences = ((first_s, first_s + 10 * draw(st.integers(1, 18))),)
    for partition in range(3):
        closed_s = T0 + 10 * draw(st.integers(0, 30))
        gaps = [T0 + 10 * edge for edge in draw(st.lists(st.integers(-3, 33), max_size=4))]
        found = united(zip(gaps[::2], gaps[1::2], strict=False))
        quiet_s = draw(st.none() | st.just(closed_s + 60))
        records.append(
            a_progress(closed_s, partition, 3, quiet_s is not None, found, quiet_s, silences)
        )
    records += [a_progress(T0 + 240, p, 3) for p in range(3)]
    order = draw(st.permutations(range(len(records))))
    again = draw(st.lists(st.sampled_from(range(len(records))), max_size=10))
    return records, [*order, *again]


@settings(max_examples=60, deadline=None)
@given(shuffled_records(), st.integers(0, 40))
def test_order_and_repetition_of_records_change_nothing(
    given_records: tuple[list[DemandPart | Progress], list[int]], looked_at: int
) -> None:
    records, order = given_records
    # A look fixes where the series begins, so both have their first part before anything else.
    first = a_part(T0, 60)
    straight = fed(a_history(), first, *records)
    shuffled = fed(a_history(), first)
    for place, index in enumerate(order):
        fed(shuffled, records[index])
        if place == looked_at:
            shuffled.series(T0 + 240)
            shuffled.observed(T0 + 240)

    assert series_digest(shuffled.series(T0 + 240)) == series_digest(straight.series(T0 + 240))
    assert (
        shuffled.observed(T0 + 240).provisional_per_s.tobytes()
        == straight.observed(T0 + 240).provisional_per_s.tobytes()
    )
