"""What is no sound manifest is told with its place and its mend, and costs only itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from predictor.cli import app
from predictor.core.opt_in import CEILING, FLOOR
from predictor.manifest_files import FILE_BYTES_MAX
from tests.check.check_scenes import HPA, SECOND, Json, annotated, changed

TEXT = yaml.safe_dump(HPA)
TEMPLATE = "kind: HorizontalPodAutoscaler\nspec:\n  {{- toYaml .Values.spec | nindent 2 }}\n"


def called(*arguments: object, stdin: str = "") -> Result:
    return CliRunner().invoke(app, ["check", *map(str, arguments)], input=stdin)


def findings(*arguments: object, stdin: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(called(*arguments, "--json", stdin=stdin).stdout)
    return found


def unread(*arguments: object, stdin: str = "") -> list[dict[str, Any]]:
    return [one for one in findings(*arguments, stdin=stdin) if one["code"] == "CouldNotLook"]


def test_a_broken_document_is_an_error_with_its_line_and_the_others_are_read() -> None:
    stream = f"{TEXT}---\nspec: [\n---\n{yaml.safe_dump(SECOND)}"

    found = findings("-", stdin=stream)

    (broken,) = [one for one in found if one["code"] == "CouldNotLook"]
    assert (broken["severity"], broken["object"]) == ("error", "standard input")
    # The list that was opened in the line after the mark ends with the document, one further on.
    assert f"line {TEXT.count(chr(10)) + 3} is no plain YAML" in broken["sentence"]
    assert "web-2" in {one["object"].rpartition("/")[2] for one in found}


def test_a_template_is_said_to_need_rendering() -> None:
    (told,) = unread("-", stdin=f"{TEXT}---\n{TEMPLATE}")

    assert told["severity"] == "warning"
    assert told["mend"] == "render it first: helm template CHART | mplp-predictor check -"


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n- b\n", "replicas: 3\n", "words"])
def test_a_path_without_any_object_does_not_pass_for_a_sound_platform(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "values.yaml").write_text(text)

    result = called(tmp_path)

    assert result.exit_code == 1
    assert "no Kubernetes object was read" in result.stdout


def test_what_is_no_object_beside_objects_is_one_note_for_all_files(tmp_path: Path) -> None:
    for name in ("hpa", *"abcd"):
        (tmp_path / f"{name}.yaml").write_text(TEXT if name == "hpa" else "replicas: 3\n")
    (tmp_path / "kustomization.yaml").write_text("resources: [hpa.yaml]\n")

    (told,) = unread(tmp_path)

    assert (told["severity"], told["object"]) == ("note", "4 files")
    assert told["sentence"] == "no Kubernetes object in a.yaml, b.yaml, c.yaml and 1 more"


def test_a_file_that_is_too_large_or_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "hpa.yaml").write_text(TEXT)
    (tmp_path / "large.yaml").write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    (tmp_path / "shut.yaml").symlink_to("/proc/self/mem")

    told = {Path(one["object"]).name: one["severity"] for one in unread(tmp_path)}

    assert told == {"large.yaml": "warning", "shut.yaml": "error"}


def test_the_items_of_a_typed_list_are_hpas_though_they_do_not_say_so() -> None:
    bare = {key: one for key, one in HPA.items() if key in ("metadata", "spec")}
    listed = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscalerList"}

    found = findings("-", stdin=json.dumps({**listed, "items": [bare]}))

    assert "NoTarget" not in {one["code"] for one in found}


def test_json_may_be_indented_by_tabs() -> None:
    assert unread("-", stdin=json.dumps(HPA, indent="\t")) == []


REFUSED: list[tuple[Json, str, str]] = [
    (changed(HPA, "spec/maxReplicas", "10"), "spec.maxReplicas is '10', a text",
     "write 10 without quotes"),
    (changed(HPA, "spec/maxReplicas", None), "spec.maxReplicas: it is required",
     "write the most replicas that it may run"),
    (changed(HPA, "spec/minReplicas", 12), "spec.minReplicas 12 is above spec.maxReplicas 10",
     "lower minReplicas, or raise maxReplicas"),
    (changed(HPA, "spec/minReplicas", -1), "spec.minReplicas is -1, below 0", "write 0 or more"),
    (changed(HPA, "spec", None), "spec.scaleTargetRef.name: it is required",
     "name the Deployment that it scales"),
    (changed(HPA, "metadata/name", None), "metadata.name: it is required",
     "give it the name by which it is known"),
    (changed(HPA, "spec/behaviour", {}), "spec.behaviour is no field",
     "write it as spec.behavior"),
    (changed(HPA, "spec/behavior/scaleDown", {"stabilisationWindowSeconds": 60}),
     "spec.behavior.scaleDown.stabilisationWindowSeconds is no field",
     "write it as spec.behavior.scaleDown.stabilizationWindowSeconds"),
    (changed(changed(HPA, "apiVersion", "autoscaling/v1"), "spec/behavior", {}),
     "spec.behavior is no field of an HPA of autoscaling/v1", "take it out"),
    (changed(HPA, "apiVersion", "autoscaling/v3"), "no Kubernetes release serves",
     "write it as autoscaling/v2"),
    (changed(HPA, "apiVersion", None), "apiVersion is missing", "write it as autoscaling/v2"),
    (annotated("predictor.mplp.io/flor", "2"), "nothing reads the annotation",
     "write it as predictor.mplp.io/floor"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "sentence", "mend"), REFUSED, ids=[one[1] for one in REFUSED])
def test_what_a_server_would_refuse_or_drop_is_told_with_field_and_mend(
    one: Json, sentence: str, mend: str
) -> None:
    found = findings("-", stdin=yaml.safe_dump(one))

    assert any(sentence in each["sentence"] and each["mend"] == mend for each in found), found


def test_a_number_without_quotes_keeps_its_value_in_the_patch() -> None:
    notes = {FLOOR: 3, CEILING: 7}
    written = yaml.safe_dump(changed(HPA, "metadata/annotations", notes))

    assert {one["severity"] for one in findings("-", stdin=written)} >= {"error"}
    (patch,) = yaml.safe_load_all(called("-", "--fix", stdin=written).stdout)
    assert patch["metadata"]["annotations"] == {FLOOR: "3", CEILING: "7"}


@pytest.mark.parametrize(("path", "value"), [("apiVersion", "autoscaling/v2beta2"),
                                             ("metadata/name", None)])  # fmt: skip
def test_no_patch_names_an_object_that_no_server_knows(path: str, value: str | None) -> None:
    bare = changed(changed(HPA, "metadata/annotations", {}), path, value)

    assert called("-", "--fix", stdin=yaml.safe_dump(bare)).stdout == ""


def test_what_an_author_wrote_cannot_steer_the_terminal() -> None:
    odd = "\x1b[31mred\x07\u202eder"
    metric = {"type": "Pods", "pods": {"metric": {"name": odd},
              "target": {"type": "AverageValue", "averageValue": "1"}}}  # fmt: skip
    written = json.dumps(changed(HPA, "spec/metrics", [metric]))

    shown = called("-", stdin=written).stdout

    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert "\\x1b[31mred" in shown


def test_more_findings_of_a_kind_than_anybody_reads_are_counted() -> None:
    many = [changed(annotated(CEILING, None), "metadata/name", f"web-{n}") for n in range(60)]
    apart = [changed(one, "spec/scaleTargetRef/name", one["metadata"]["name"]) for one in many]
    stream = yaml.safe_dump_all(apart)

    shown = called("-", stdin=stream).stdout

    assert "10 more like the 50 above" in shown
    assert sum(one["code"] == "NotOptedIn" for one in findings("-", stdin=stream)) == 60


def test_a_name_is_never_broken_in_two() -> None:
    named = changed(annotated(CEILING, None), "metadata/name", "a-name-of-some-length")

    assert "us-east-1/a-name-of-some-length " in called("-", stdin=yaml.safe_dump(named)).stdout
