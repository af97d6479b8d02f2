"""What a person meets at the console script."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("numpy", "sklearn", "statsmodels", "scipy", "pandas", "kubernetes", "faust", "aiokafka")


def mplp_predictor(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "predictor.cli", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": "/usr/bin:/bin", "NO_COLOR": "1", "COLUMNS": "100"},
    )  # fmt: skip


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys, runpy\n"
        "sys.argv = ['mplp-predictor', '--help']\n"
        "try:\n    runpy.run_module('predictor.cli', run_name='__main__')\n"
        "except SystemExit:\n    pass\n"
        f"print('loaded:', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.strip().endswith("loaded: []")


def test_run_with_a_wrong_configuration_ends_with_2_and_names_file_key_and_expectation(
    tmp_path: Path,
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("kafka:\n  bootstrap_servers: 9092\n")

    done = mplp_predictor("run", "--config", str(path))

    assert done.returncode == 2
    assert f"{path}:2: kafka.bootstrap_servers: expected `str`, got `int`" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [(), ("--events", "x", "--from-topic")])
def test_train_wants_exactly_one_source(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = mplp_predictor("train", "--out", str(tmp_path / "model"), *arguments)

    assert done.returncode == 2
    assert "either --events FILE or --from-topic" in done.stderr


def test_the_effective_configuration_can_be_read_back(tmp_path: Path) -> None:
    shown = mplp_predictor("config", "show")
    path = tmp_path / "shown.yaml"
    path.write_text(shown.stdout)

    again = mplp_predictor("config", "show", "--config", str(path))

    assert again.returncode == 0
    assert again.stdout == shown.stdout


def test_a_secret_file_that_is_not_there_is_the_operators_fault(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("kafka: {ssl_ca_file: /nowhere/ca.crt}\n")

    done = mplp_predictor("run", "--config", str(path))

    assert done.returncode == 2
    assert done.stderr == "kafka.ssl_ca_file: /nowhere/ca.crt cannot be read\n"


def test_a_torn_history_file_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"kind":"heartbeat","time":1750000000}\n' * 1000)[:-20])

    done = mplp_predictor("train", "--events", str(path), "--out", str(tmp_path / "model"))

    assert done.returncode == 3
    assert done.stderr.startswith(f"{path}: ")
