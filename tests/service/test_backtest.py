"""`mplp-predictor backtest` as a person runs it, and the same numbers wherever the work is done."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet
from typer.testing import CliRunner, Result

from models.rolling_origins import Target
from models.series import SeriesBatch, SeriesKey
from predictor.backtest import Backend, BackendMissing, Judged, backtest, default_targets, works
from predictor.backtest_files import put_in_place
from predictor.cli import app
from predictor.history_sources.history import SourceHistory
from tests.service.backtest_builders import (
    HOUR_S,
    STEP_S,
    T0,
    a_csv,
    daily_load,
    hourly_load,
)

SCORES = {
    "origins", "wql", "wql_seasonal_naive", "ratio", "wql_last_value", "coverage", "origins_span",
}  # fmt: skip


def command(*arguments: object) -> Result:
    environment = {"NO_COLOR": "1", "COLUMNS": "120"}
    return CliRunner().invoke(app, ["backtest", *map(str, arguments)], env=environment)


def three_series() -> list[SourceHistory]:
    """Two short ones, and one that is long enough for trees."""
    values = np.stack([hourly_load(20, seed) for seed in range(3)])
    values[:2, : 8 * 24] = np.nan
    keys = tuple(SeriesKey("core", region) for region in ("eu", "us", "asia"))
    return [SourceHistory("load.csv", SeriesBatch(keys, T0, HOUR_S, values))]


def numbers(judged: list[Judged]) -> list[bytes]:
    return [
        part.tobytes()
        for one in judged
        for part in (one.result.origin_s, one.result.outcome, one.result.quantiles)
    ]


def work(backend: Backend) -> list[Judged]:
    return backtest(works(three_series(), (Target(3600.0, 7200.0),), 60), backend)


@pytest.fixture(scope="module")
def alone() -> list[Judged]:
    return work(Backend())


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_csv(tmp_path_factory.mktemp("history") / "load.csv", hourly_load(12), HOUR_S)


@pytest.fixture(scope="module")
def document(history: Path) -> dict[str, Any]:
    out = history.parent / "out.json"
    done = command("--csv", history, "--lead", "120s", "--hold", "5m", "--json", out)
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = json.loads(out.read_text())
    return found


NEEDS_RAY = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


@pytest.mark.parametrize(
    "backend",
    [
        Backend(jobs=2),
        Backend("dask", jobs=1),
        pytest.param(Backend("ray", jobs=1), marks=NEEDS_RAY),
    ],
    ids=str,
)
def test_the_numbers_are_the_same_wherever_the_work_is_done(
    alone: list[Judged], backend: Backend
) -> None:
    assert len(alone) == 3
    assert numbers(work(backend)) == numbers(alone)


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed here")
def test_a_backend_that_is_not_installed_says_how_to_get_it() -> None:
    with pytest.raises(BackendMissing, match=r"pip install 'mplp-predictor\[ray\]'"):
        work(Backend("ray"))


@pytest.mark.parametrize(
    ("address", "code", "fault"),
    [("nonsense", 2, "missing port number"), ("tcp://127.0.0.1:1", 3, "127.0.0.1:1")],
)
def test_a_cluster_that_cannot_be_reached_is_one_line(
    history: Path, monkeypatch: pytest.MonkeyPatch, address: str, code: int, fault: str
) -> None:
    monkeypatch.setattr("predictor.backtest.CONNECT_TIMEOUT_S", 1)

    done = command("--csv", history, "--backend", "dask", "--cluster", address)

    assert done.exit_code == code, done.output
    assert done.stderr.startswith(f"--cluster {address}: ")
    assert fault in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_history_without_a_measured_step_is_one_line_whatever_was_to_be_written(
    tmp_path: Path,
) -> None:
    empty, out = tmp_path / "load.csv", tmp_path / "out"
    empty.write_text("timestamp,value\n2026-01-01T00:00:00Z,\n2026-01-01T00:05:00Z,\n")

    done = command("--csv", empty, "--parquet", out / "o.parquet", "--html", out / "o.html")

    assert done.exit_code == 1, done.output
    assert done.stderr.splitlines()[-1].endswith(
        "no series has a measured step, so there is nothing to judge"
    )
    assert "Traceback" not in done.output


def test_series_that_are_trained_together_are_judged_one_by_one() -> None:
    values = np.stack([hourly_load(10, seed) for seed in range(3)])
    keys = tuple(SeriesKey("core", region) for region in ("eu", "us", "asia"))
    history = SourceHistory("load.csv", SeriesBatch(keys, T0, HOUR_S, values))
    wanted = works([history], (Target(3600.0, 0.0),), 20, together=True)

    found = backtest(wanted, Backend())

    assert len(wanted) == 1, "so many as are trained together"
    assert [one.result.key.region for one in found] == ["eu", "us", "asia"]
    for one, row in zip(found, values, strict=True):
        assert one.series.keys == (one.result.key,)
        assert (one.series.values[0] == row).all()


def test_each_series_is_told_of_as_it_is_done() -> None:
    told: list[str] = []
    wanted = works(three_series(), (Target(600.0, 0.0),), 20)

    backtest(wanted, Backend(), lambda one: told.append(one.series.keys[0].region))

    assert told == ["eu", "us", "asia"]


@pytest.mark.parametrize(
    ("step_s", "targets"),
    [
        (60, [(120, 0), (300, 0), (600, 0), (120, 300)]),
        (300, [(600, 0), (1800, 0), (300, 900)]),
        (600, [(600, 0), (1800, 0), (600, 1800)]),
        (3600, [(600, 0), (3600, 10800)]),
    ],
)
def test_without_a_lead_the_step_says_what_is_forecast(
    step_s: int, targets: list[tuple[int, int]]
) -> None:
    assert [(one.lead_s, one.hold_s) for one in default_targets(step_s)] == targets


def test_a_series_is_judged_from_its_first_measured_step_to_its_last() -> None:
    values = np.full((2, 1000), np.nan)
    values[0, 100:900] = 5
    series = SeriesBatch((SeriesKey("a", "*"), SeriesKey("b", "*")), T0, STEP_S, values)

    wanted = works([SourceHistory("load.csv", series)], None, 100)

    assert [one.series.keys[0].module for one in wanted] == ["a"]
    assert wanted[0].series.start_s == T0 + 100 * STEP_S
    assert wanted[0].series.values.shape == (1, 800)


def test_the_json_holds_what_programs_rely_on(document: dict[str, Any]) -> None:
    assert {"command", "versions", "span", "geometric_mean_ratio", "results"} <= set(document)
    (one,) = document["results"]
    assert one["target"] == {"lead_s": 120, "hold_s": 300}
    assert one["reasons"] == [
        "the window of 2 to 7 min is read as the step of 60 min from 0 to 60 min"
    ]
    assert {*SCORES, "series", "step_s", "fit_s", "forecast_s", "reasons", "quarters"} <= set(one)
    assert {"0.1", "0.5", "0.9", "0.95", "0.99"} <= set(one["coverage"])
    assert [set(quarter) for quarter in one["quarters"]] == [{*SCORES, "fit_s", "forecast_s"}] * 4
    assert sum(quarter["fit_s"] for quarter in one["quarters"]) == pytest.approx(
        one["fit_s"], abs=1e-3
    )
    assert document["geometric_mean_ratio"] == pytest.approx(one["ratio"])
    for name in (*SCORES, "fit_s", "forecast_s"):
        assert document[name] == pytest.approx(one[name]), "alone it is all there is"
    assert [set(quarter) for quarter in document["quarters"]] == [
        {*SCORES, "fit_s", "forecast_s"}
    ] * 4


def test_every_forecast_is_in_the_parquet_file(history: Path, tmp_path: Path) -> None:
    out, scores = tmp_path / "all.parquet", tmp_path / "out.json"

    done = command("--csv", history, "--lead", "10m", "--parquet", out, "--json", scores)

    assert done.exit_code == 0, done.stderr
    table = parquet.read_table(out)
    (one,) = json.loads(scores.read_text())["results"]
    assert table.num_rows == one["origins"]
    below = np.asarray(table["outcome"]) <= np.asarray(table["q0.95"])
    assert below.mean() == pytest.approx(one["coverage"]["0.95"])


def test_the_table_and_the_verdict_go_to_standard_output(history: Path) -> None:
    done = command("--csv", history, "--lead", "10m", "--origins", 50)

    assert done.exit_code == 0
    assert "geometric mean" in done.stdout
    assert "our loss is" in done.stdout


def test_a_history_that_is_too_short_is_a_negative_answer(tmp_path: Path) -> None:
    done = command("--csv", a_csv(tmp_path / "short.csv", hourly_load(1)[:5], HOUR_S))

    assert done.exit_code == 1
    assert "leave no room for a forecast and its outcome" in done.stdout
    assert "no series has a single forecast" in done.stderr


def test_a_stamp_far_off_is_not_called_a_short_history(tmp_path: Path) -> None:
    far = a_csv(tmp_path / "far.csv", hourly_load(4), HOUR_S)
    with far.open("a") as rows:
        rows.write("2027-01-01T00:00:00+00:00,1\n")

    done = command("--csv", far)

    assert done.exit_code == 1
    assert "every series" not in done.stdout, "there is but one"
    assert "nothing to forecast from was measured in the newest 40%" in " ".join(
        done.stdout.split()
    )


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ((), 2, "give one kind of source"),
        (("--csv", "x.csv", "--from-topic"), 2, "give one kind of source"),
        (("--csv", "x.csv", "--hold", "5m"), 2, "--hold needs --lead"),
        (("--csv", "x.csv", "--query", "up"), 2, "go with --prometheus"),
        (("--prometheus", "http://127.0.0.1:9"), 2, "--prometheus needs --query"),
        (("--csv", "x.csv", "--lead", "soon"), 2, "'soon' is no duration"),
        (("--csv", "x.csv"), 2, "x.csv: no such file"),
        (("--csv", "/proc"), 2, "/proc: is a directory"),
        (("--events", "x.jsonl.gz"), 2, "x.jsonl.gz: no such file"),
        (("--csv", "x.csv", "--lead", "25h"), 2, "--lead 25 h: at most 24 h"),
        (("--csv", "x.csv", "--lead", "20h", "--hold", "5h"), 2, "--hold 5 h: together at most"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(
    arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    done = command(*arguments)

    assert done.exit_code == code
    assert sentence in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("option", "path", "fault"),
    [
        ("--json", "folder", "is a directory"),
        ("--json", "./load.csv", "is the history itself"),
        ("--html", "load.csv/x.html", "load.csv is a file, no folder"),
        ("--parquet", "/proc/nope/x.parquet", "/proc cannot be written to"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, path: str, fault: str
) -> None:
    a_csv(tmp_path / "load.csv", hourly_load(1), HOUR_S)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)

    done = command("--csv", "load.csv", option, path)

    assert done.exit_code == 2
    assert done.stderr.startswith(f"{option} {Path(path)}: {fault}")
    assert len(done.stderr.splitlines()) == 1
    assert (tmp_path / "load.csv").read_text().startswith("timestamp,value")


def test_a_file_that_fails_in_the_end_costs_neither_the_table_nor_the_others(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = tmp_path / "full.json"
    # What a disk that fills up during the work looks like.
    monkeypatch.setattr("predictor.output_paths.file_fault", lambda path: None)
    full.mkdir()

    done = command(
        "--csv", history, "--lead", "10m", "--origins", 8,
        "--json", full, "--html", tmp_path / "page.html",
    )  # fmt: skip

    assert done.exit_code == 3
    assert "geometric mean" in done.stdout
    assert f"{full}: Is a directory" in done.stderr
    assert (tmp_path / "page.html").exists()


def test_ctrl_c_in_the_midst_ends_with_130_and_leaves_nothing(tmp_path: Path) -> None:
    source = a_csv(tmp_path / "long.csv", daily_load(60))
    with source.open("a") as rows:
        rows.write("a row that is told of,before the work begins\n")
    out = tmp_path / "out"
    out.mkdir()
    words = [
        "--csv",
        str(source),
        "--json",
        str(out / "scores.json"),
        "--html",
        str(out / "x.html"),
    ]
    running = subprocess.Popen(
        [sys.executable, "-m", "predictor.cli", "backtest", *words],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stderr is not None
    assert "1 row set aside" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    try:
        shown, error = running.communicate(timeout=60)
    finally:
        running.kill()

    assert running.returncode == 130
    assert list(out.iterdir()) == []
    assert "Traceback" not in shown + error


def test_an_interrupted_write_leaves_the_older_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text("older")

    def write_half() -> None:
        with put_in_place(path) as beside:
            beside.write_text("half of the ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()

    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]
