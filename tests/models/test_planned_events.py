from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.planned_events import PHASES, PlannedEvent, PlannedEvents
from models.series import ALL_REGIONS, SeriesKey
from tests.models.event_builders import DAY_S, HOUR_S, KEY, a_launch
from tests.models.series_builders import MONDAY_S


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"hours": 0.0}, "lasts 0 s"),
        ({"hours": 24.0 * 40}, "lasts 3456000 s"),
        ({"name": ""}, "a name has 1 to 120 characters"),
        ({"stated_factor": 40.0}, "states an uplift of 40; expected 0.3 to 10"),
        ({"stated_factor": float("nan")}, "states an uplift of nan"),
    ],
)
def test_what_is_no_event_is_refused_in_a_sentence(
    fields: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        a_launch(1, **fields)  # type: ignore[arg-type]


@given(
    start_s=st.integers(0, 5 * DAY_S),
    length_s=st.integers(60, 3 * DAY_S),
    step_s=st.sampled_from([10, 60, 300, 3600]),
)
def test_phases_are_in_order_and_lie_within_the_event_and_its_margins(
    start_s: int, length_s: int, step_s: int
) -> None:
    event = PlannedEvent("launch", start_s, start_s + length_s)
    steps = 4 * DAY_S // step_s

    first, phase = event.phases(0, step_s, steps)

    middle = (first + np.arange(len(phase)) + 0.5) * step_s
    assert (np.diff(phase) >= 0).all()
    assert first + len(phase) <= max(steps, first)
    assert ((middle >= event.from_s) & (middle < event.until_s)).all()
    assert ((phase >= 1) & (phase <= 4) == (middle >= start_s) & (middle < event.end_s)).all()


def test_event_of_a_region_is_felt_there_and_by_movable_demand() -> None:
    event = a_launch(0, regions=frozenset({"eu"}), modules=frozenset({"core"}))
    keys = [SeriesKey("core", "eu"), SeriesKey("core", "us"), KEY, SeriesKey("plan", "eu")]

    felt = PlannedEvents((event,)).mask(keys, MONDAY_S, 3600, 24)

    assert felt.any(axis=1).tolist() == [True, False, True, False]
    assert KEY.region == ALL_REGIONS


def test_mask_covers_the_event_with_its_margins_and_nothing_else() -> None:
    event = a_launch(0, hour=12, hours=2)

    felt = PlannedEvents((event,)).mask([KEY], MONDAY_S, 60, 1440)[0]

    assert np.flatnonzero(felt).tolist() == list(range(12 * 60 - 30, 14 * 60 + 30))
    assert event.margin_s == HOUR_S // 2


def test_nightly_run_is_part_of_what_is_usual_and_a_weekly_sale_is_not() -> None:
    nightly = [a_launch(day, hour=3, name="batch") for day in range(14)]
    weekly = [a_launch(day, name="sale") for day in (2, 9)]
    planned = PlannedEvents((*nightly, *weekly))

    usual = planned.usual(MONDAY_S, MONDAY_S + 14 * DAY_S)

    named = {event.name for event, is_usual in zip(planned.events, usual, strict=True) if is_usual}
    assert named == {"batch"}
    assert usual.sum() == 14


def test_more_events_than_memory_is_made_for_are_refused() -> None:
    with pytest.raises(ValueError, match="2001 planned events; at most 2000"):
        PlannedEvents(tuple(a_launch(day / 10) for day in range(2001)))


def test_every_phase_has_a_name() -> None:
    _, phase = a_launch(0).phases(MONDAY_S, 60, 1440)

    assert sorted(set(phase.tolist())) == list(range(len(PHASES)))
