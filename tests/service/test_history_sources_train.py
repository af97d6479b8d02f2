"""`mplp-predictor train` learns from a table as it does from events."""

from __future__ import annotations

import json
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


@pytest.mark.parametrize("text", ["timestamp,value\n", "time;value\n1;2\n"])
def test_a_table_without_history_leaves_no_model(tmp_path: Path, text: str) -> None:
    path = tmp_path / "core.csv"
    path.write_text(text)

    done = train("--csv", path, "--out", tmp_path / "model")

    assert done.exit_code == 1
    assert done.stderr.startswith("core.csv")
    assert not (tmp_path / "model").exists()
