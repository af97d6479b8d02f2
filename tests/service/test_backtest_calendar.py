"""`backtest --calendar` scores what a service with that calendar would have forecast."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from models import rolling_origins
from models.planned_events import PlannedEvent, PlannedEvents
from models.rolling_origins import RollingResult, Target
from models.series import SeriesBatch
from predictor.backtest_calendar import planned_origins
from predictor.calendar_option import without_events
from predictor.cli import app
from predictor.config import load_settings
from predictor.history_sources.history import SourceHistory
from tests.models.ensemble_builders import few_trees
from tests.models.event_builders import KEY, a_launch, weeks_of_demand
from tests.service.calendar_bodies import a_calendar, an_entry

STEP_S = 1800
LAUNCHES = tuple(a_launch(day, hour=11.0, hours=3.0) for day in (8, 10, 14, 18))
TARGET = Target(1800.0, 3600.0)


def half_hours(*lifted: tuple[PlannedEvent, float]) -> SeriesBatch:
    minutes = weeks_of_demand(*lifted, days=20)
    values = minutes.values.reshape(1, -1, STEP_S // 60).mean(axis=2)
    return SeriesBatch((KEY,), minutes.start_s, STEP_S, values)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(rolling_origins, "LEARNT_ORIGINS_MAX", 250)
    with few_trees():
        yield


LIFTED = half_hours(*[(launch, 3.0) for launch in LAUNCHES])


def scored(history: SeriesBatch, *planned: PlannedEvent) -> RollingResult:
    events = PlannedEvents(planned)
    with few_trees():
        (found,) = planned_origins(history, (TARGET,), events, origins_max=120, cpu_s=lambda: 0.0)
    return found


@cache
def told_all() -> RollingResult:
    return scored(LIFTED, *LAUNCHES)


def at_beginnings(result: RollingResult) -> np.ndarray:
    """The origins whose window begins with a launch."""
    starts = [launch.start_s for launch in LAUNCHES]
    return np.isin(result.origin_s + STEP_S, starts)


def test_calendar_covers_the_launches_that_had_others_before_them() -> None:
    told, untold = told_all(), scored(LIFTED)

    begun = at_beginnings(told)
    assert begun.sum() >= 1
    upper = told.levels.index(0.95)
    assert (told.outcome[begun] <= told.quantiles[begun, upper]).all()
    assert (untold.outcome[begun] > untold.quantiles[begun, upper]).all()
    assert np.array_equal(told.seasonal_naive, untold.seasonal_naive)
    assert "the loss is 0." in told.reasons[-1]


def test_no_value_at_or_after_an_origin_changes_its_forecast() -> None:
    # In the middle of the third launch.
    step = 14 * 48 + 27
    values = LIFTED.values.copy()
    values[:, step:] *= 3.0
    changed = scored(dataclasses.replace(LIFTED, values=values), *LAUNCHES)

    before = told_all()

    early = before.origin_s <= LIFTED.start_s + step * STEP_S
    assert np.array_equal(changed.quantiles[early], before.quantiles[early])


def test_command_takes_a_calendar_and_says_what_it_did(tmp_path: Path) -> None:
    entry = an_entry(
        "DTSTART:20200922T110000Z", "DTEND:20200922T140000Z", "RRULE:FREQ=DAILY;INTERVAL=2"
    )
    (tmp_path / "launches.ics").write_bytes(a_calendar(entry, an_entry(uid="bad")))
    values = LIFTED.values[0, : 12 * 48]
    stamps = LIFTED.start_s + STEP_S * np.arange(len(values))
    rows = [f"{at},{value}" for at, value in zip(stamps, values, strict=True)]
    (tmp_path / "load.csv").write_text("\n".join(["timestamp,value", *rows]))

    ended = run(
        "--csv", tmp_path / "load.csv", "--calendar", tmp_path / "launches.ics",
        "--lead", "30m", "--hold", "1h", "--origins", 20, "--json", tmp_path / "out.json",
    )  # fmt: skip

    assert ended.exit_code == 0, ended.output
    assert "calendar: 2 planned events within the history" in ended.stderr
    assert "entry bad: has no DTSTART" in ended.stderr
    written = json.loads((tmp_path / "out.json").read_text())
    assert "planned events change" in json.dumps(written)


def test_model_is_trained_on_demand_without_what_the_calendar_explains(tmp_path: Path) -> None:
    hours = ("DTSTART:20200922T110000Z", "DTEND:20200922T140000Z")
    days = "RDATE:20200924T110000Z,20200928T110000Z,20201002T110000Z"
    (tmp_path / "launches.ics").write_bytes(a_calendar(an_entry(*hours, days)))
    source = [SourceHistory("load.csv", LIFTED)]

    (freed,) = without_events(source, tmp_path / "launches.ics", load_settings(None, {}))

    assert without_events(source, None, load_settings(None, {})) == source
    assert freed.batch.values == pytest.approx(half_hours().values, rel=0.1)
    assert freed.notes[0] == "calendar: 4 planned events within the history"


def test_missing_calendar_ends_the_command_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "load.csv").write_text("timestamp,value\n0,1\n60,2\n")

    ended = run("--csv", tmp_path / "load.csv", "--calendar", tmp_path / "none.ics")

    assert ended.exit_code == 3
    assert "none.ics" in ended.stderr


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["backtest", *map(str, arguments)])
