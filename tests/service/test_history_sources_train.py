"""`mplp-predictor train` learns from a table as it does from events."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from models.store import load_model
from predictor.cli import app
from tests.service.backtest_builders import HOUR_S, a_csv, hourly_load


def train(*arguments: object) -> Result:
    environment = {"NO_COLOR": "1", "COLUMNS": "140"}
    return CliRunner().invoke(app, ["train", *map(str, arguments)], env=environment)


def test_a_model_is_learned_from_a_csv_file_and_says_what_it_holds(tmp_path: Path) -> None:
    path = a_csv(tmp_path / "core.csv", hourly_load(8), HOUR_S)

    done = train("--csv", path, "--out", tmp_path / "model")

    assert done.exit_code == 0, done.stderr
    load_model(tmp_path / "model")
    assert '"core"' in (tmp_path / "model" / "manifest.json").read_text()
    assert "what was learned" in done.stderr
    assert "8.0" in done.stderr
    assert "held out from its trees" in done.stderr
    report = json.loads((tmp_path / "model" / "manifest.json").read_text())["report"]
    (one,) = report["scores"]["by_series"].values()
    assert 0 < one["ratio"] < 2
    assert {"0.9", "0.95", "0.99"} <= set(one["coverage"])
    assert report["scores"]["in_all"] == one


def test_what_run_would_not_use_is_said(tmp_path: Path) -> None:
    path = a_csv(tmp_path / "shop.csv", hourly_load(4), HOUR_S)

    done = train("--csv", path, "--out", tmp_path / "model")

    assert "modules that are not configured: shop" in done.stderr
    assert "steps of 60 s, this history has 3600 s" in done.stderr


def test_equal_input_at_the_same_moment_gives_the_same_bytes_and_says_what_made_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = a_csv(tmp_path / "core.csv", hourly_load(8), HOUR_S), tmp_path / "model"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767323045")
    monkeypatch.setenv("MPLP_PREDICTOR_REVISION", "0123abc")

    written = []
    for _ in range(2):
        assert train("--csv", path, "--out", folder).exit_code == 0
        written.append({one.name: one.read_bytes() for one in folder.iterdir()})

    assert written[0] == written[1], "the second took the place of the first"
    manifest = load_model(folder).manifest
    assert manifest.created == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (manifest.revision, manifest.seed) == ("0123abc", 0)


def test_a_moment_that_is_none_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")

    done = train("--csv", "core.csv", "--out", tmp_path / "model")

    assert done.exit_code == 2
    assert done.stderr == "SOURCE_DATE_EPOCH=yesterday: expected whole epoch seconds\n"


def some_other_file(folder: Path) -> None:
    (folder / "model").mkdir()
    (folder / "model" / "precious.txt").write_text("hi")


def some_other_folder(folder: Path) -> None:
    (folder / "model" / "signature").mkdir(parents=True)


def manifest_of_something_else(folder: Path) -> None:
    (folder / "model").mkdir()
    (folder / "model" / "manifest.json").write_text("{}")


def leftover_of_somebody(folder: Path) -> None:
    (folder / ".model.old").mkdir()
    (folder / ".model.old" / "precious.txt").write_text("hi")


def file_above(folder: Path) -> None:
    (folder / "above").write_text("hi")


@pytest.mark.parametrize(
    ("there", "out", "fault"),
    [
        (some_other_file, "model", "holds precious.txt, which is no model's"),
        (some_other_folder, "model", "holds signature, which is no model's"),
        (manifest_of_something_else, "model", "holds a part of a model, or no model"),
        (leftover_of_somebody, "model", "has beside it .model.old, which holds precious.txt"),
        (file_above, "above/model", "above is a file, no folder"),
        (file_above, ".", "is the folder this runs in"),
        (file_above, "core.csv", "is a file"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_nothing_but_a_former_model_is_ever_replaced(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: Callable[[Path], None],
    out: str,
    fault: str,
) -> None:
    a_csv(tmp_path / "core.csv", hourly_load(1), HOUR_S)
    there(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))

    done = train("--csv", "core.csv", "--out", out)

    assert done.exit_code == 2
    assert done.stderr.startswith(f"--out {out}: {fault}")
    assert len(done.stderr.splitlines()) == 1, "and nothing was trained"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("text", ["timestamp,value\n", "time;value\n1;2\n"])
def test_a_table_without_history_leaves_no_model(tmp_path: Path, text: str) -> None:
    path = tmp_path / "core.csv"
    path.write_text(text)

    done = train("--csv", path, "--out", tmp_path / "model")

    assert done.exit_code == 1
    assert done.stderr.startswith("core.csv")
    assert not (tmp_path / "model").exists()
