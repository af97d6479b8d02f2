"""Floors that run out where no restorer looks, or where it may not act, are told."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from predictor.check.finding import Fault, Finding, Severity
from predictor.check.scene import Restorer, Right
from predictor.core.opt_in import UNTIL
from rigs.kubernetes import ControlPlane
from tests.check.check_scenes import (
    LIVE,
    QUIET,
    ROUTE,
    Json,
    annotated,
    changed,
    codes,
    found_in,
    instead,
)
from tests.check.test_check_live import NAMED, LiveWorld, a_role

AT = "2026-11-29T02:14:07Z"
RAISED = annotated(UNTIL, AT)
BASE = Path(__file__).parents[2] / "deploy" / "base"


def restored_by(*restorers: Restorer) -> list[Finding]:
    found = found_in(instead(RAISED), dataclasses.replace(LIVE, restorers=restorers))
    return [one for one in found if one.code in (Fault.NOT_RESTORED, Fault.RIGHT_MISSING)]


def test_a_floor_where_no_restorer_looks_is_told_with_what_to_add() -> None:
    (found,) = restored_by(Restorer("CronJob a/restorer", "a/b", ("eu-west-1",)))

    assert (found.severity, found.object) == (Severity.WARNING, "Namespace us-east-1")
    assert "HPA us-east-1/web" in found.sentence
    assert "CronJob a/restorer (eu-west-1) does not look here" in found.sentence
    assert "--namespace=us-east-1" in found.mend


def test_a_cluster_without_a_restorer_is_told() -> None:
    (found,) = restored_by()

    assert "there is no CronJob that restores" in found.sentence


@pytest.mark.parametrize("namespaces", [("us-east-1",), ()], ids=["named", "all"])
def test_a_floor_that_a_restorer_finds_is_not_spoken_of(namespaces: tuple[str, ...]) -> None:
    assert restored_by(Restorer("CronJob a/restorer", "a/b", namespaces)) == []


def test_where_cronjobs_cannot_be_read_and_where_nothing_runs_out_nothing_is_said() -> None:
    assert Fault.NOT_RESTORED not in codes(found_in(instead(RAISED), LIVE))
    nobody = dataclasses.replace(LIVE, restorers=())
    assert Fault.NOT_RESTORED not in codes(found_in(QUIET, nobody))


def test_weights_that_run_out_count_too() -> None:
    moved = changed(ROUTE, "metadata/annotations", {UNTIL: AT})

    found = found_in(instead(moved), dataclasses.replace(LIVE, restorers=()))

    assert Fault.NOT_RESTORED in codes(found)


def test_a_restorer_that_may_not_act_is_told_apart_from_the_service() -> None:
    right = Right("autoscaling", "horizontalpodautoscalers", "patch", "us-east-1", False, "web")
    restorer = Restorer("CronJob a/restorer", "a/b", ("us-east-1",), (right,))

    (found,) = restored_by(restorer)

    assert (found.severity, found.code) == (Severity.WARNING, Fault.RIGHT_MISSING)
    assert "ServiceAccount a/b of CronJob a/restorer may not patch" in found.sentence
    assert found.sentence.endswith("web: a floor that runs out here stays")


def a_cron_job(*arguments: str) -> Json:
    """As `deploy/base` has it, but that it never runs."""
    job: Json = yaml.safe_load((BASE / "restorer.yaml").read_text())
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    pod["containers"][0]["args"] = [*arguments]
    job["metadata"]["name"] = "restorer"
    return changed(job, "spec/schedule", "0 0 31 2 *")


@pytest.mark.real
def test_a_restorer_is_found_and_its_reach_and_rights_are_held_against_the_floors(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    world = LiveWorld(control_plane, tmp_path)

    def told() -> dict[str, Any]:
        wanted = ("NotRestored", "RightMissing")
        found = [one for one in world.findings() if one["code"] in wanted]
        return {one["code"]: one["sentence"] for one in found if one["severity"] == "warning"}

    world.put(RAISED)
    assert "there is no CronJob that restores" in told()["NotRestored"]

    world.put(a_cron_job("restore", "--namespace=elsewhere"))
    assert "(elsewhere) does not look here" in told()["NotRestored"]

    world.put(a_cron_job("restore", "-n", world.namespace))
    account = f"{world.namespace}/mplp-predictor-restorer"
    assert f"ServiceAccount {account} of CronJob" in told()["RightMissing"]

    rule = ("autoscaling", "horizontalpodautoscalers", "list patch")
    world.put(a_role(rule))
    subject = {"kind": "ServiceAccount", "name": "mplp-predictor-restorer"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "somebody"}
    binding = {**NAMED, "kind": "RoleBinding", "roleRef": reference}
    world.put({**binding, "subjects": [subject | {"namespace": world.namespace}]})
    deadline = time.monotonic() + 30
    while told():
        assert time.monotonic() < deadline, "the API server hears of a Role a moment later"
