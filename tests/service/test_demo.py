"""The demo's own promise: events in, floors out, and an honest comparison, the same every time."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from predictor.demo import DAY_S, TICK_S, play, write_events
from predictor.demo_report import ArmsRun, print_table, verdict, write_page
from predictor.sample_load import MINUTE_S, SampleLoad, load_sample
from tests.models.ensemble_builders import few_trees

DAYS, LEARN_DAYS = 3, 2
MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)


def the_first_days() -> SampleLoad:
    load = load_sample()
    return SampleLoad(load.start_s, load.counts[: DAYS * DAY_S // MINUTE_S])


def a_run(folder: Path) -> ArmsRun:
    load, events = the_first_days(), folder / "events.jsonl.gz"
    assert list(write_events(load, events)) == list(range(1, DAYS + 1))
    with few_trees():
        return asyncio.run(play(load, events, learn_days=LEARN_DAYS))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ArmsRun:
    return a_run(tmp_path_factory.mktemp("demo"))


def test_the_floor_spares_violations_and_its_price_is_shown(run: ArmsRun) -> None:
    alone, helped = run.arms

    assert alone.violation_minutes > 5, "a load that hurts nobody shows nothing"
    assert helped.violation_minutes < alone.violation_minutes * 0.6
    assert alone.pod_hours < helped.pod_hours < alone.pod_hours * 1.1


def test_every_tick_of_the_judged_day_is_on_the_page(run: ArmsRun, tmp_path: Path) -> None:
    page = write_page(run, tmp_path / "report.html", MADE_AT).read_text()

    assert [track.name for track in run.tracks] == [
        "core in us-east-1", "core in eu-west-1", "core in ap-southeast-1",
    ]  # fmt: skip
    assert {len(track.times_s) for track in run.tracks} == {DAY_S // TICK_S}
    assert all(any(high is not None for high in track.forecast_high) for track in run.tracks)
    assert verdict(run.arms) in page
    assert "quantile of the peak" in page, "a decision is told in words"


def test_the_same_events_give_the_same_page(run: ArmsRun, tmp_path: Path) -> None:
    again = a_run(tmp_path)

    pages = [
        write_page(one, tmp_path / f"{number}.html", MADE_AT).read_bytes()
        for number, one in enumerate((run, again))
    ]
    assert pages[0] == pages[1]


def test_the_table_names_both_arms(run: ArmsRun) -> None:
    console = Console(file=io.StringIO(), width=120)

    print_table(console, run)

    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "HPA alone" in text
    assert "HPA with our floor" in text
    assert verdict(run.arms)[:40] in text
