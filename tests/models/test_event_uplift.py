from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.event_uplift import learn_uplift
from models.past_occurrences import PastOccurrences, occurrences_from_arrays
from models.planned_events import DAY_S, FACTOR_MAX, FACTOR_MIN, PlannedEvent, PlannedEvents
from models.series import FloatArray, SeriesBatch, SeriesKey
from models.uplift import Uplift
from tests.models.event_builders import KEY, a_launch, weeks_of_demand

PAST = tuple(a_launch(day) for day in (9, 15, 23))
COMING = a_launch(29)


def during(uplift: Uplift, event: PlannedEvent, key: SeriesKey = KEY) -> FloatArray:
    steps = (event.end_s - event.start_s) // 60
    return np.asarray(uplift.factor((key,), event.start_s, 60, steps)[0])


def launches(*factors: float, noise: float = 0.03) -> SeriesBatch:
    return weeks_of_demand(*zip(PAST, factors, strict=False), noise=noise)


def test_three_launches_teach_what_the_fourth_will_do() -> None:
    uplift = learn_uplift(launches(2.2, 2.5, 2.6), PlannedEvents((*PAST, COMING)))

    assert during(uplift, COMING).mean() == pytest.approx(2.4, rel=0.1)
    (sentence,) = uplift.sentences((KEY,), COMING.start_s, COMING.end_s)
    assert "launch 2020-10-13 14:00 to 15:00 UTC, past 3 changed demand 2.4-fold" in sentence


def test_shape_within_the_event_is_learnt_by_quarters() -> None:
    begun = [dataclasses.replace(event, end_s=event.start_s + 900) for event in PAST]
    batch = weeks_of_demand(*[(event, 4.0) for event in begun])

    factor = during(learn_uplift(batch, PlannedEvents((*PAST, COMING))), COMING)

    assert factor[:15].min() > 3.0
    assert factor[15:].max() < 1.1


def test_one_past_launch_is_believed_less_than_three_alike() -> None:
    once = learn_uplift(launches(3.0), PlannedEvents((PAST[0], COMING)))
    thrice = learn_uplift(launches(3.0, 3.0, 3.0), PlannedEvents((*PAST, COMING)))

    assert 1.5 < during(once, COMING).mean() < during(thrice, COMING).mean() < 3.05
    assert once.log_deviation((KEY,), COMING.start_s, 60, 60).mean() > (
        thrice.log_deviation((KEY,), COMING.start_s, 60, 60).mean()
    )


def test_stated_uplift_stands_in_until_events_have_shown_another() -> None:
    planned = [dataclasses.replace(event, stated_factor=4.0) for event in (*PAST, COMING)]

    unseen = learn_uplift(weeks_of_demand(), PlannedEvents(tuple(planned[3:])))
    seen = learn_uplift(launches(2.0, 2.0, 2.0), PlannedEvents(tuple(planned)))

    assert during(unseen, COMING) == pytest.approx(4.0)
    assert 2.0 < during(seen, COMING).mean() < 3.0


def test_event_without_past_and_without_stated_uplift_changes_nothing_and_is_said() -> None:
    uplift = learn_uplift(weeks_of_demand(), PlannedEvents((COMING,)))

    assert (during(uplift, COMING) == 1.0).all()
    (sentence,) = uplift.sentences((KEY,), COMING.start_s, COMING.end_s)
    assert sentence.endswith("has no past and states no uplift: nothing is changed")


def test_events_of_the_same_category_teach_a_new_one() -> None:
    new = dataclasses.replace(COMING, name="another campaign")

    uplift = learn_uplift(launches(2.5, 2.5, 2.5), PlannedEvents((*PAST, new)))

    assert 1.8 < during(uplift, new).mean() < 2.5
    (sentence,) = uplift.sentences((KEY,), new.start_s, new.end_s)
    assert "by its category marketing" in sentence


def test_past_event_is_given_only_what_was_known_before_it() -> None:
    planned = PlannedEvents((*PAST, COMING))
    early = launches(2.5, 2.5, 2.5)
    changed = early.values.copy()
    changed[:, 15 * 1440 :] *= 3.0
    late = dataclasses.replace(early, values=changed)

    for event in PAST[:2]:
        known = during(learn_uplift(early, planned), event)
        assert (known == during(learn_uplift(late, planned), event)).all()
    assert during(learn_uplift(early, planned), PAST[1]).mean() > 1.5


def test_launch_on_a_day_of_twice_the_usual_level_is_measured_against_that_level() -> None:
    batch = launches(1.0, 1.0, 2.0)
    values = batch.values.copy()
    values[:, 20 * 1440 :] *= 2.0

    uplift = learn_uplift(
        dataclasses.replace(batch, values=values), PlannedEvents((PAST[2], COMING))
    )

    assert np.exp(uplift.occurrences.log_ratio[0, 0, 1:5]) == pytest.approx(2.0, rel=0.1)


def test_two_events_at_once_are_not_multiplied() -> None:
    twin = [dataclasses.replace(event, name="press release") for event in (*PAST, COMING)]
    batch = launches(2.5, 2.5, 2.5)

    alone = learn_uplift(batch, PlannedEvents((*PAST, COMING)))
    both = learn_uplift(batch, PlannedEvents((*PAST, COMING, *twin)))

    assert during(both, COMING).mean() == pytest.approx(during(alone, COMING).mean(), rel=0.1)


def test_nightly_run_is_left_to_the_profile() -> None:
    nights = tuple(a_launch(day, hour=3, name="batch", stated_factor=5.0) for day in range(29))

    uplift = learn_uplift(weeks_of_demand(*[(n, 5.0) for n in nights[:28]]), PlannedEvents(nights))

    assert uplift.stretches(nights[0].from_s, 60, 29 * 1440) == ()
    assert (during(uplift, nights[-1]) == 1.0).all()


def test_stated_uplift_of_one_region_counts_for_its_share_of_movable_demand() -> None:
    event = a_launch(28, regions=frozenset({"eu"}), stated_factor=3.0)

    uplift = learn_uplift(weeks_of_demand(), PlannedEvents((event,)), region_shares={"eu": 0.3})

    assert during(uplift, event) == pytest.approx(1.6)
    assert during(uplift, event, SeriesKey("core", "eu")) == pytest.approx(3.0)
    assert during(uplift, event, SeriesKey("core", "us")) == pytest.approx(1.0)


def test_what_was_learnt_outlives_the_history_it_was_learnt_from() -> None:
    first = learn_uplift(launches(2.5, 2.5, 2.5), PlannedEvents(PAST)).occurrences
    kept = occurrences_from_arrays(first.arrays())
    young = weeks_of_demand(days=2)
    later = dataclasses.replace(young, start_s=COMING.start_s - 2 * DAY_S)

    uplift = learn_uplift(later, PlannedEvents((COMING,)), kept)

    assert during(uplift, COMING).mean() == pytest.approx(2.4, rel=0.1)


def test_arrays_of_another_shape_are_refused_in_a_sentence() -> None:
    arrays = learn_uplift(launches(2.5), PlannedEvents(PAST)).occurrences.arrays()

    with pytest.raises(ValueError, match=r"past occurrences of shape \(2, 1, 6\), expected"):
        occurrences_from_arrays(arrays | {"log_ratio": arrays["log_ratio"][1:]})
    with pytest.raises(ValueError, match="lack the arrays groups"):
        occurrences_from_arrays({k: v for k, v in arrays.items() if k != "groups"})


def test_memory_of_past_events_stays_bounded() -> None:
    uplift = learn_uplift(launches(2.5, 2.5, 2.5), PlannedEvents(PAST)).occurrences
    many = PastOccurrences(
        uplift.keys,
        uplift.groups * 100,
        uplift.categories * 100,
        np.tile(uplift.start_s, 100) + np.arange(300),
        np.tile(uplift.until_s, 100) + np.arange(300),
        np.tile(uplift.log_ratio, (100, 1, 1)),
    )

    kept = learn_uplift(launches(2.5), PlannedEvents(()), many).occurrences

    assert len(kept.groups) == 20


@settings(max_examples=25, deadline=None)
@given(
    lifts=st.lists(st.floats(0.0, 1e4), min_size=3, max_size=3),
    stated=st.none() | st.floats(FACTOR_MIN, FACTOR_MAX),
    gap=st.integers(0, 27),
)
def test_factor_is_bounded_and_finite_whatever_happened(
    lifts: list[float], stated: float | None, gap: int
) -> None:
    batch = launches(*lifts)
    values = batch.values.copy()
    values[:, gap * 1440 : (gap + 1) * 1440] = np.nan
    coming = dataclasses.replace(COMING, stated_factor=stated)

    uplift = learn_uplift(dataclasses.replace(batch, values=values), PlannedEvents((*PAST, coming)))

    factor = uplift.factor((KEY,), batch.start_s, 60, 30 * 1440)
    assert np.isfinite(factor).all()
    assert factor.min() >= FACTOR_MIN * (1 - 1e-9)
    assert factor.max() <= FACTOR_MAX * (1 + 1e-9)
