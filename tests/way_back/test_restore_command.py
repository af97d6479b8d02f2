"""`restore` before it has asked any server anything."""

from __future__ import annotations

from typer.testing import CliRunner

from predictor.cli import app


def test_a_pause_of_nothing_is_refused_before_it_asks_a_server_without_end() -> None:
    said = CliRunner().invoke(app, ["restore", "--every", "0s", "--kubeconfig", "absent"])

    assert said.exit_code == 2
    assert "would never let the API server rest" in said.output
