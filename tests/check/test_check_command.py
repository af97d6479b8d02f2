"""`check` on files as a person calls it: tables, exit codes, JSON, patches, refusals."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from predictor.cli import app
from predictor.core.opt_in import CEILING, FLOOR
from tests.check.check_scenes import HPA, QUIET, SECOND, annotated, changed

ROOT = Path(__file__).parents[2]
GUIDE = ROOT.parent / "shared" / "guide" / "scaling-guide.zh.md"


def called(*arguments: object, stdin: str = "") -> Result:
    return CliRunner().invoke(app, ["check", *map(str, arguments)], input=stdin)


def findings(*arguments: object, stdin: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(called(*arguments, "--json", stdin=stdin).stdout)
    return found


def manifests(folder: Path, *objects: dict[str, Any]) -> Path:
    (folder / "platform.yaml").write_text(yaml.safe_dump_all(objects))
    return folder


def test_the_manifests_of_this_repository_hold_no_error() -> None:
    result = called(ROOT / "deploy" / "mplp")

    assert result.exit_code == 0, result.output
    assert ": 0 errors" in result.stdout


def test_the_scaling_guide_verbatim_would_leave_core_without_autoscaling() -> None:
    if not GUIDE.exists():
        pytest.skip(f"the scaling guide does not lie at {GUIDE}")
    stream = "---\n".join(re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL))

    found = Counter((one["severity"], one["code"]) for one in findings("-", stdin=stream))

    assert found == {
        ("error", "AmbiguousSelector"): 2,
        ("error", "ApiVersionGone"): 1,
        ("warning", "GitOpsReverts"): 1,
        ("warning", "FieldUnknown"): 6,
        ("warning", "SharedResource"): 1,
        ("warning", "VerticalAutoscaler"): 1,
        ("warning", "ObjectValue"): 3,
        ("warning", "WorkOfAnother"): 2,
        ("warning", "VerticalMode"): 2,
        ("warning", "HostUnknown"): 1,
        ("warning", "NoOutlierDetection"): 1,
        ("note", "NotReproducible"): 1,
        ("note", "FloorCondition"): 1,
        ("note", "MemoryMetric"): 1,
        ("note", "MetricNeedsAdapter"): 1,
        ("note", "MetricUnit"): 1,
        ("note", "NoEffect"): 1,
        ("note", "NotOptedIn"): 4,
        ("note", "NotCovered"): 1,
        ("note", "PinnedRoute"): 1,
        ("note", "ReleaseOutpaced"): 1,
        ("note", "ScaleUpBudget"): 1,
    }


def test_an_error_is_exit_code_1_with_object_reason_and_mend_on_the_page(tmp_path: Path) -> None:
    result = called(manifests(tmp_path, *QUIET, SECOND))

    assert result.exit_code == 1
    for part in ("HPA us-east-1/web-2", "AmbiguousSelector", "put all metrics into", "2 errors"):
        assert part in result.stdout


def test_warnings_are_exit_code_1_only_when_asked(tmp_path: Path) -> None:
    folder = manifests(tmp_path, annotated(CEILING, "12"))

    assert called(folder).exit_code == 0
    assert called(folder, "--strict").exit_code == 1


def test_a_fix_is_a_stream_of_patches_and_what_is_left_is_told_beside_it(tmp_path: Path) -> None:
    bare = changed(HPA, "metadata/annotations", {})
    stateful = changed(
        changed(bare, "metadata/name", "db"), "spec/scaleTargetRef/kind", "StatefulSet"
    )
    folder = manifests(tmp_path, bare, stateful)

    result = called(folder, "--fix")

    patches = list(yaml.safe_load_all(result.stdout))
    assert [one["metadata"]["name"] for one in patches] == ["web"]
    assert patches[0]["metadata"]["annotations"] == {
        FLOOR: "2", CEILING: "10", "predictor.mplp.io/mode": "shadow",
    }  # fmt: skip
    assert "by hand: take it out of the configuration" in result.stderr


def test_nothing_to_fix_prints_nothing(tmp_path: Path) -> None:
    manifests(tmp_path, *QUIET)
    config = tmp_path / "config.yml.txt"
    config.write_text("modules: {web: {hpa: web}}\nroutes: {}\n")

    result = called(tmp_path, "--fix", "--config", config)

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_a_template_is_passed_over_with_a_word(tmp_path: Path) -> None:
    (tmp_path / "chart.yaml").write_text("spec: {{ .Values.spec }\n  {{- end }}\n")
    manifests(tmp_path, HPA)

    told = [one for one in findings(tmp_path) if one["code"] == "CouldNotLook"]

    assert len(told) == 1
    assert told[0]["object"].endswith("chart.yaml")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "sentence"),
    [
        ((), 2, "--live"),
        (("no-such-folder",), 3, "no-such-folder"),
        (("--live", "--kubeconfig", "no-such-file"), 3, "no-such-file does not exist"),
        (("--live", "--service-account", "nobody"), 2, "NAMESPACE/NAME"),
    ],
)
def test_what_cannot_be_looked_at_ends_with_a_sentence(
    arguments: tuple[str, ...], exit_code: int, sentence: str
) -> None:
    result = called(*arguments)

    assert result.exit_code == exit_code
    assert sentence in result.stderr
