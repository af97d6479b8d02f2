"""The commands of the guide work as they stand, on the sample in the repository."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from predictor.cli import app
from tests.docs.pages import DOCS, ROOT, text_of

SAMPLE = "predictor/samples/nasa_jul95_14_days.csv.gz"
COMMANDS = [
    line.strip()
    for line in text_of(DOCS / "guide" / "train-and-judge.md").splitlines()
    if line.startswith("    mplp-predictor") and SAMPLE in line
]


def test_the_guide_shows_commands_on_the_sample() -> None:
    assert len(COMMANDS) >= 4


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_guide_works_as_it_stands(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = shlex.split(command)[1:]
    if words[0] == "backtest":
        words += ["--step", "1h"]  # the last one counts: the same, sooner
    monkeypatch.chdir(tmp_path)
    words = [str(ROOT / word) if word == SAMPLE else word for word in words]

    done = CliRunner().invoke(app, words, env={"COLUMNS": "120"})

    assert done.exit_code == 0, done.stderr
    written = [word for word in words if word.startswith("build/")]
    assert all((tmp_path / path).exists() for path in written)
