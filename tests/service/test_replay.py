"""`replay`: recorded decisions come out the same, or the first difference is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.audit_chain import Link
from predictor.audit_policy import OtherPolicy, TargetFloors
from predictor.audit_replay import Replay, Replayed
from predictor.core.audit import RECORD_VERSION
from predictor.core.policy import Policy
from tests.core.core_values import CORE, NOW_S, ROLE
from tests.service.audit_builders import QUICK, Recorder, a_morning, called, written

VERSION = f'"version":{RECORD_VERSION}'
SLOW = Policy(
    defaults=msgspec.structs.replace(QUICK, step_up_replicas_max=1, step_up_ratio_max=0),
    warm_up_s=0.0,
)
"""One replica up at a time; all else as in `QUICK`."""


def replayed(records: list[bytes], policy: Policy | None = None) -> tuple[Replayed, OtherPolicy]:
    replay, other = Replay(), OtherPolicy(policy or SLOW)
    for number, body in enumerate(records):
        read = replay.take(f"line {number + 1}", body)
        if read is not None:
            other.take(*read)
    return replay.report(), other


def core_floors(records: list[bytes], policy: Policy | None = None) -> TargetFloors:
    return replayed(records, policy)[1].targets[CORE]


def test_a_whole_morning_is_made_again_to_the_byte(tmp_path: Path) -> None:
    result = called("replay", "--file", written(a_morning(), tmp_path / "audit.jsonl.gz"))

    assert result.exit_code == 0
    assert "64 of 64 decisions are the same to the byte" in result.output


@pytest.mark.parametrize(
    ("field", "said"),
    [
        pytest.param(
            ('"floor":7', '"floor":8'),
            "floors[core/us-east-1].floor: recorded 8, made again 7",
            id="a number of a target",
        ),
        pytest.param(
            ("at most 7 in one step", "at most 9 in one step"),
            "floors[core/us-east-1].reasons[1].sentence",
            id="a word of a reason",
        ),
        pytest.param(
            (VERSION, f'{VERSION},"note":"by hand"'),
            'note: recorded "by hand", made again nothing',
            id="a field that nobody knows",
        ),
        pytest.param(
            (VERSION, VERSION.replace(":", ": ")), "written otherwise from byte", id="other spacing"
        ),
    ],
)
def test_the_first_difference_names_field_and_target_with_both_sides(
    field: tuple[str, str], said: str, tmp_path: Path
) -> None:
    records = a_morning()
    records[4] = records[4].decode().replace(*field, 1).encode()

    result = called("replay", "--file", written(records, tmp_path / "audit.jsonl"))

    assert result.exit_code == 1
    assert "63 of 64 decisions" in result.output
    assert "decision 5 of 2027-01-15 08:01:00 UTC, line 5" in result.output
    assert said in result.output


def test_records_that_cannot_be_read_are_counted_with_the_reason(tmp_path: Path) -> None:
    records = a_morning()[:3]
    records[1:1] = [b"{", records[0].replace(VERSION.encode(), b'"version":99', 1)]

    mixed = called("replay", "--file", written(records, tmp_path / "mixed.jsonl"))
    none = called("replay", "--file", written(records[1:3], tmp_path / "none.jsonl"))

    assert (mixed.exit_code, none.exit_code) == (0, 1)
    assert f"1 set aside: version 99, this reads version {RECORD_VERSION}" in mixed.stderr
    assert "3 of 3 decisions" in mixed.stdout
    assert "2 records, none can be read" in none.stdout


def test_a_record_whose_rows_do_not_fit_is_set_aside() -> None:
    body = a_morning()[0].replace(b'"keys":[["core","us-east-1"]]', b'"keys":[]', 1)

    report, _ = replayed([body])

    assert (report.agreed, report.differed, len(report.refused)) == (0, 0, 1)


def test_a_decision_at_a_whole_second_is_made_again_whoever_counts_in_whole_numbers() -> None:
    recorder = Recorder(now_s=int(NOW_S))
    recorder.tick(200.0, ticks=3)

    report, _ = replayed(recorder.records)

    assert (report.agreed, report.links) == (3, {Link.FIRST: 1, Link.FOLLOWS: 2})


def test_a_restart_is_told_and_is_no_error(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.tick(200.0, ticks=3)
    recorder.restart()
    recorder.tick(200.0, ticks=3)

    result = called("replay", "--file", written(recorder.records, tmp_path / "audit.jsonl"))

    assert result.exit_code == 0
    assert "6 of 6" in result.output
    assert "1 began with another state than the one before left: a restart" in result.output


def test_missing_and_repeated_records_are_told_apart() -> None:
    records = a_morning()[:6]

    report, _ = replayed([*records[:2], records[1], *records[4:]])

    assert report.links == {Link.FIRST: 1, Link.FOLLOWS: 2, Link.REPEATED: 1, Link.MISSING: 1}


def test_records_of_two_workers_are_two_chains() -> None:
    one, two = a_morning()[:5], a_morning(targets=(ROLE,))[:5]
    mixed = [body for pair in zip(one, two, strict=True) for body in pair]

    report, _ = replayed(mixed)

    assert report.links == {Link.FIRST: 2, Link.FOLLOWS: 8}


rates = st.floats(min_value=0, max_value=2500)


@settings(max_examples=40)
@given(st.lists(st.tuples(rates, rates), min_size=1, max_size=12), st.booleans(), st.integers(0, 9))
def test_the_recorded_policy_would_have_decided_the_same(
    ticks: list[tuple[float, float]], active: bool, begins_at: int
) -> None:
    recorder = Recorder(active=active)
    for demand, peak in ticks:
        recorder.tick(demand, peak, ticks=2)

    # From the middle of a chain, too: whoever reads a topic begins anywhere.
    _, other = replayed(
        recorder.records[min(begins_at, len(recorder.records) - 1) :], recorder.policy
    )

    row = other.targets[CORE]
    assert (row.differing, row.pod_hours_more) == (0, 0.0)
    assert row.recorded == row.would_be


@pytest.mark.parametrize("active", [True, False], ids=["active", "shadow"])
def test_steps_of_another_policy_go_on_from_where_its_own_floor_stands(active: bool) -> None:
    row = core_floors(a_morning(active=active))

    # 3 to 9 in two steps was recorded; one at a time takes six, and never stands higher.
    assert (row.recorded.raises, row.would_be.raises) == (2, 6)
    assert (row.recorded.highest, row.would_be.highest) == (9, 9)
    assert row.pod_hours_more < 0
    assert row.first is not None
    assert (row.first.recorded.floor, row.first.would_be.floor) == (7, 4)


def test_another_hold_cannot_change_the_recorded_forecast_window(tmp_path: Path) -> None:
    policy = tmp_path / "other.yaml"
    policy.write_text("defaults: {hold_s: 1200, step_up_replicas_max: 2}\n")
    path = written(a_morning(), tmp_path / "audit.jsonl")

    result = called("replay", "--file", path, "--policy", policy)

    assert result.exit_code == 0
    assert "as they were recorded" in result.output
    assert "hold_s of the file could not act" in result.output
    assert "peak 120 to 720 s ahead" in result.output.partition("would be  floor")[2]


def test_a_floor_that_its_owner_sets_stands_there_under_every_policy() -> None:
    recorder = Recorder(policy=Policy(defaults=QUICK, warm_up_s=0.0))
    recorder.tick(200.0, ticks=4)
    recorder.floors[CORE] = 12
    recorder.tick(1150.0, ticks=1)

    row = core_floors(recorder.records)

    assert (row.recorded.highest, row.would_be.highest) == (12, 12)
    assert row.differing == 0


def test_after_a_restart_the_other_policy_finds_its_own_floor_again() -> None:
    recorder = Recorder()
    recorder.tick(200.0, ticks=3)
    recorder.tick(900.0, ticks=4)
    recorder.restart()
    recorder.tick(900.0, ticks=1)

    row = core_floors(recorder.records)

    # Its fourth raise led to 7; the recorded floor of 9 is not taken over.
    assert row.would_be.highest == 7
    assert row.recorded.highest == 9


def test_the_file_holds_what_the_table_shows(tmp_path: Path) -> None:
    policy, out = tmp_path / "other.yaml", tmp_path / "replay.json"
    policy.write_text("defaults: {step_up_replicas_max: 1, step_up_ratio_max: 0}\n")
    path = written(a_morning(), tmp_path / "audit.jsonl")

    shown = called("replay", "--file", path, "--policy", policy, "--json", out).stdout

    content: dict[str, Any] = json.loads(out.read_bytes())
    (row,) = content["targets"]
    means = [row[side]["total"] / row["decisions"] for side in ("recorded", "would_be")]
    assert f"{means[0]:.2f} → {means[1]:.2f}" in shown
    assert f"{row['pod_hours_more']:+,.2f}" in shown
    assert content["replayed"]["agreed"] == 64


def test_standard_input_and_packed_files_are_read_alike(tmp_path: Path) -> None:
    records = a_morning()
    plain = written(records, tmp_path / "audit.jsonl")

    piped = called("replay", "--file", "-", input=plain.read_bytes())
    packed = called("replay", "--file", written(records, tmp_path / "audit.jsonl.gz"))

    assert piped.stdout == packed.stdout
    assert piped.exit_code == 0


def test_only_decisions_of_the_time_asked_for_are_made_again(tmp_path: Path) -> None:
    path = written(a_morning(), tmp_path / "audit.jsonl")
    stretch = ("--since", "2027-01-15T08:01:00Z", "--until", "2027-01-15T08:02:00Z")

    result = called("replay", "--file", path, *stretch)
    cut = called("replay", "--file", path, "--max-records", 10)

    assert "5 of 5 decisions" in result.stdout
    assert "10 of 10 decisions" in cut.stdout
    assert "stopped after 10 records" in cut.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param((), 2, id="no source"),
        pytest.param(("--file", "a.jsonl", "--from-topic"), 2, id="two sources"),
        pytest.param(("--file", "not-there.jsonl"), 3, id="no such file"),
    ],
)
def test_what_is_asked_wrongly_ends_with_its_code(arguments: tuple[str, ...], code: int) -> None:
    assert called("replay", *arguments).exit_code == code
