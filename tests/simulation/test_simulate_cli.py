"""`simulate` and `tune` as a person calls them: files, tables, refusals, exit codes."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from predictor.cli import app
from predictor.core.audit import replay
from predictor.simulation import tune
from tests.models.ensemble_builders import few_trees
from tests.simulation.loads import START_S, STEP_S, two_peaks

GOLDEN = Path("tests/core/hpa_trajectories.jsonl.gz")
HPA = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 40
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}
  behavior:
    scaleUp: {policies: [{type: Pods, value: 4, periodSeconds: 60}]}
"""


def called(*arguments: object) -> Result:
    with few_trees():
        return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "160"})


def a_csv(folder: Path, days: float = 1.8) -> Path:
    path = folder / "load.csv"
    rows = [
        f"{datetime.fromtimestamp(START_S + place * STEP_S, UTC).isoformat()},{value}"
        for place, value in enumerate(two_peaks(days))
    ]
    path.write_text("\n".join(["timestamp,value", *rows]) + "\n")
    return path


def test_own_history_against_own_manifest_leaves_table_page_figures_and_records(
    tmp_path: Path,
) -> None:
    (tmp_path / "web.yaml").write_text(HPA)
    out = tmp_path / "out"

    result = called(
        "simulate", "--csv", a_csv(tmp_path), "--manifests", tmp_path / "web.yaml",
        "--learn", "36h", "--arms", "last-week,foresight", "--out", out,
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    assert "violation minutes" in result.output
    assert "behavior.scaleUp" in result.output  # a raise of ours takes from its budget
    figures = json.loads((out / "simulation.json").read_bytes())
    assert [arm["arm"] for arm in figures["arms"]] == ["hpa", "ours", "last-week", "foresight"]
    assert "HPA web of" in "".join(figures["assumptions"])
    assert "The day that went worst for us" in (out / "report.html").read_text()
    with gzip.open(out / "audit.jsonl.gz") as lines:
        first = next(lines).rstrip(b"\n")
    assert replay(first).rstrip(b"\n") == first


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--arms", "magic"), 2, "no arm 'magic'; there are keda-cron"),
        (("--start-up", "soon"), 2, "--start-up soon"),
        (("--nodes", "10"), 2, "expected PODS:NODES:TIME"),
        (("--incidents", "2:-1"), 2, "expected DEPLOYS:FAILURES"),
        (("--manifests", "no/such/folder"), 3, "no/such/folder"),
        (("--learn", "1h"), 1, "a simulation needs at least"),
    ],
)
def test_what_cannot_be_played_is_said_in_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    result = called("simulate", "--csv", a_csv(tmp_path), "--out", tmp_path / "out", *arguments)

    assert result.exit_code == code, result.output
    assert sentence in result.output


def test_recorded_trajectories_that_match_end_with_zero() -> None:
    result = called("simulate", "--conformance", GOLDEN)

    assert result.exit_code == 0
    assert "120 of 120 trajectories" in result.output


def test_one_step_that_differs_ends_with_one_and_both_sides(tmp_path: Path) -> None:
    with gzip.open(GOLDEN) as lines:
        trajectory = json.loads(next(lines))
    trajectory["steps"][7]["desired"] += 1
    path = tmp_path / "altered.jsonl"
    path.write_text(json.dumps(trajectory) + "\n")

    result = called("simulate", "--conformance", path)

    assert result.exit_code == 1
    assert str(trajectory["steps"][7]["desired"]) in result.output


def test_the_price_of_a_violation_minute_decides_what_is_cheapest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap = {"quantile": 0.5, "pod_load_ratio": 2.0}
    monkeypatch.setattr(tune, "STAGES", ((cheap,),))
    out, quantiles = tmp_path / "out", []
    for price in (0, 1000):
        result = called(
            "tune", "--csv", a_csv(tmp_path, 1.4), "--learn", "24h", "--price", price, "--out", out
        )
        assert result.exit_code == 0, result.output
        chosen = json.loads((out / "simulation.json").read_bytes())
        ours = next(one for one in chosen["arms"] if one["arm"] == "ours" and one["is_usual"])
        quantiles.append(ours["setting"])

    assert "quantile 0.5" in quantiles[0]
    assert "defaults:" in result.output or "cheapest that was tried" in result.output
    assert quantiles[0] != quantiles[1]
