"""The trajectories were recorded from the HorizontalController of Kubernetes v1.37.2.

`hpa_trajectories` holds 120 of usual HPAs, `hpa_wider_trajectories` 60 of unusual ones: External
and ContainerResource metrics, tolerances, absent fields of `behavior`, pending pods, late samples,
a status that lags, zero replicas, wild readings, syncs that are not 15 seconds apart.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from predictor.hpa_conformance import ConformanceRefused, conformance, conformance_lines

HERE = Path(__file__).parent
USUAL, WIDER = (HERE / f"hpa_{name}trajectories.jsonl.gz" for name in ("", "wider_"))


@pytest.mark.parametrize(
    ("path", "steps"), [(USUAL, 120 * 160), (WIDER, 60 * 60)], ids=["usual", "wider"]
)
def test_the_twin_does_at_every_step_what_the_controller_did(path: Path, steps: int) -> None:
    result = conformance(path)

    assert (result.steps_matched, result.first_difference) == (steps, None)
    assert result.trajectories == result.trajectories_matched
    assert result.is_whole


def _one() -> dict[str, Any]:
    with gzip.open(USUAL, "rt") as lines:
        trajectory: dict[str, Any] = json.loads(next(lines))
    return trajectory


def _written(folder: Path, *lines: str) -> Path:
    path = folder / "trajectories.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_first_difference_is_told_with_both_sides(tmp_path: Path) -> None:
    altered = _one()
    altered["steps"][4]["desired"] = 17

    result = conformance(_written(tmp_path, json.dumps(_one()), "", json.dumps(altered)))

    assert (result.steps, result.steps_matched) == (320, 319)
    assert (result.trajectories, result.trajectories_matched) == (2, 1)
    told = "\n".join(conformance_lines(result))
    assert "319 of 320 steps and 1 of 2 trajectories" in told
    assert "trajectory 0, step 4, t = 60 s" in told
    assert "controller: 17 replicas" in told
    assert "twin:       3 replicas; its metrics asked for" in told
    assert '"queue":16134' in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"steps": 3}, r"line 2: Expected `array`, got `int` - at `\$.steps`"),
        ({"steps": [{}]}, r"line 2: Object missing required field `t` - at `\$.steps"),
        ({"metrics": [{"type": "Pods"}]}, r"line 2: metrics\[0\].pods: must be a mapping"),
        ({"behavior": {"scaleUp": []}}, r"line 2: behavior.scaleUp: must be a mapping"),
        ({"steps": _one()["steps"][::-1]}, r"line 2: steps\[\].t goes back"),
    ],
)
def test_a_line_that_is_no_trajectory_is_refused_by_field(
    tmp_path: Path, change: Any, told: str
) -> None:
    path = _written(tmp_path, json.dumps(_one()), json.dumps(_one() | change))

    with pytest.raises(ConformanceRefused, match=told):
        conformance(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no trajectory in it"),
        (b"a,b\n1,2\n", "line 1: JSON is malformed"),
        (USUAL.read_bytes()[:5000], "line 1: not whole gzip"),
        (b"\x1f\x8bnothing", "line 1: not whole gzip"),
        (b"\xff\xfe{}", "line 1: "),
    ],
)
def test_a_file_that_holds_no_trajectories_is_refused(
    tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    with pytest.raises(ConformanceRefused, match=told):
        conformance(path)
