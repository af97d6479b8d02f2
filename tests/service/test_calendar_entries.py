from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.planned_events import DAY_S
from predictor.calendar_entries import read_entries
from tests.service.calendar_bodies import PLACE, a_calendar, an_entry, at, read

NINE = (
    "DTSTART;TZID=America/New_York:20261030T090000",
    "DTEND;TZID=America/New_York:20261030T100000",
)


def starts(*lines: str) -> list[int]:
    return [event.start_s for event in read(an_entry(*lines)).events]


def test_daily_time_stays_the_same_on_the_clock_when_daylight_saving_ends() -> None:
    # Clocks go back in New York on 2026-11-01.
    assert starts(*NINE, "RRULE:FREQ=DAILY;COUNT=3") == [
        at("2026-10-30T09:00-04:00"),
        at("2026-10-31T09:00-04:00"),
        at("2026-11-01T09:00-05:00"),
    ]


def test_excepted_day_is_left_out() -> None:
    excepted = "EXDATE;TZID=America/New_York:20261031T090000"

    assert at("2026-10-31T09:00-04:00") not in starts(*NINE, "RRULE:FREQ=DAILY;COUNT=3", excepted)


def test_moved_occurrence_is_where_it_was_moved_to() -> None:
    series = an_entry(*NINE, "RRULE:FREQ=WEEKLY;COUNT=2")
    moved = an_entry(
        "RECURRENCE-ID;TZID=America/New_York:20261106T090000",
        "DTSTART;TZID=America/New_York:20261107T120000",
        "DTEND;TZID=America/New_York:20261107T130000",
    )

    found = [event.start_s for event in read(series, moved).events]

    assert found == [at("2026-10-30T09:00-04:00"), at("2026-11-07T12:00-05:00")]


def test_cancelled_occurrence_does_not_take_place() -> None:
    assert starts(*NINE, "STATUS:CANCELLED") == []


def test_whole_day_begins_at_each_regions_own_midnight() -> None:
    entry = an_entry("DTSTART;VALUE=DATE:20260704", "DTEND;VALUE=DATE:20260705")

    found = {event.regions: event for event in read(entry).events}

    assert found[frozenset({"eu-west-1"})].start_s == at("2026-07-04T00:00+01:00")
    assert found[frozenset({"us-east-1"})].start_s == at("2026-07-04T00:00-04:00")
    assert all(event.end_s - event.start_s == DAY_S for event in found.values())


def test_day_on_which_clocks_change_has_its_true_length() -> None:
    entry = an_entry("DTSTART;VALUE=DATE:20260329", "X-MPLP-REGIONS:eu-west-1")

    (event,) = read(entry).events

    assert event.end_s - event.start_s == 23 * 3600


def test_uplift_modules_regions_and_category_are_read() -> None:
    entry = an_entry(
        *NINE,
        "CATEGORIES:marketing,web",
        "X-MPLP-UPLIFT:2.5",
        "X-MPLP-MODULES:core, plan",
        "X-MPLP-REGIONS:eu-west-1",
    )

    (event,) = read(entry).events

    assert event.name == "launch"
    assert (event.stated_factor, event.category) == (2.5, "marketing")
    assert event.modules == frozenset({"core", "plan"})
    assert event.regions == frozenset({"eu-west-1"})


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ((NINE[0],), "entry bad: 'launch' lasts 0 s"),
        ((*NINE, "X-MPLP-UPLIFT:much"), "X-MPLP-UPLIFT is 'much'; expected a number"),
        ((*NINE, "X-MPLP-UPLIFT:50"), "states an uplift of 50; expected 0.3 to 10"),
        ((*NINE, "X-MPLP-UPLIFT:nan"), "states an uplift of nan"),
        ((*NINE, "X-MPLP-MODULES:billing"), "names the module 'billing', which is not configured"),
        ((*NINE, "X-MPLP-REGIONS:mars"), "names the region 'mars', which is not configured"),
        ((*NINE, "RRULE:FREQ=SECONDLY"), "repeats SECONDLY; expected one of"),
        ((*NINE, "RRULE:FREQ=DAILY;INTERVAL=0"), "repeats at an interval below 1"),
        (("DTSTART;TZID=Mars/Base:20261030T090000", "DURATION:PT1H"), "the time zone 'Mars/Base'"),
        (("DTSTART:19010101T000000Z", "RRULE:FREQ=DAILY"), "DTSTART is in the year 1901"),
        (("DTSTART:20269930T090000Z", "DURATION:PT1H"), "DTSTART cannot be read"),
        (("SUMMARY:no time",), "has no DTSTART"),
        ((*NINE, NINE[0]), "has 2 DTSTART; expected one"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_entry_is_set_aside_with_its_reason_and_the_rest_is_used(
    lines: tuple[str, ...], sentence: str
) -> None:
    found = read(an_entry(*lines, uid="bad"), an_entry(*NINE, uid="good"))

    assert [event.start_s for event in found.events] == [at("2026-10-30T09:00-04:00")]
    assert sentence in found.set_aside[0]
    assert len(found.set_aside) == 1


def test_entry_of_too_many_occurrences_is_set_aside() -> None:
    entry = an_entry(*NINE, "RRULE:FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17")

    found = read(entry, last="2027-06-01")

    assert found.events == []
    assert "occurrences; at most 1000" in found.set_aside[0]


@pytest.mark.parametrize("body", [b"", b"hello", b"\xff\xfe\x00", a_calendar(an_entry())[:60]])
def test_what_is_no_calendar_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_entries(body, PLACE, 0.0, 1.0)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damage_to_a_file_raises_anything_else(data: st.DataObject) -> None:
    body = bytearray(a_calendar(an_entry(*NINE, "RRULE:FREQ=DAILY;COUNT=3")))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        piece = st.sampled_from(
            [b"", b"\r\n", b"-", b"9999", b";TZID=America", b"T", b",", b"\x00"]
        )
        body[place : place + data.draw(st.integers(0, 12))] = data.draw(piece)

    try:
        found = read_entries(bytes(body), PLACE, at("2026-01-01T00:00Z"), at("2027-01-01T00:00Z"))
    except ValueError:
        return
    assert all(event.end_s > event.start_s for event in found.events)
