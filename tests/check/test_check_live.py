"""`check --live` against a real control plane: what it finds, what it cannot see, what mends it."""

from __future__ import annotations

import json
import re
import secrets
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from predictor.actuators.cluster_settings import ClusterSettings
from predictor.actuators.connection import Connection
from predictor.check.live_facts import read_cluster
from predictor.cli import app
from predictor.config import load_settings
from predictor.core.opt_in import CEILING, FLOOR
from rigs.kubernetes import ControlPlane
from tests.check.check_scenes import DEPLOYMENT, HPA, PODS, Json, changed

pytestmark = pytest.mark.real

GUARD = Path(__file__).parents[2] / "deploy" / "guard" / "hpa.yaml"


NAMED = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "somebody"}}


class LiveWorld:
    """A namespace with a Deployment and its HPA, and an account of the service that is all new."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane = plane
        self.namespace = f"check-{secrets.token_hex(4)}"
        self.account = f"{self.namespace}/somebody"
        self.config = folder / "config.yaml"
        region = {"namespace": self.namespace, "weight": 100}
        modules = {"web": {"hpa": "web"}}
        settings = {
            "region": "here",
            "regions": {"here": region},
            "modules": modules,
            "routes": {},
            "kubernetes": {"namespace": self.namespace},
        }
        self.config.write_text(yaml.safe_dump(settings))
        plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        container = {"name": "web", "image": "web:1"}
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
        spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
        self.put(changed(DEPLOYMENT, "spec", spec))
        self.put(HPA)

    def put(self, one: Json) -> None:
        self.plane.apply(changed(one, "metadata/namespace", self.namespace))

    def called(self, *arguments: object, kubeconfig: Path | None = None) -> Result:
        given = ["--live", "--kubeconfig", kubeconfig or self.plane.kubeconfig]
        given += ["--config", self.config, "--service-account", self.account]
        return CliRunner().invoke(app, ["check", *map(str, (*given, *arguments))])

    def findings(self, **given: Any) -> list[Json]:
        result = self.called("--json", **given)
        assert result.stdout, f"{result.stderr} {result.exception!r}"
        found: list[Json] = json.loads(result.stdout)
        return found

    def codes(self, **given: Any) -> set[str]:
        return {one["code"] for one in self.findings(**given)}

    def once(self, path: str, holds: str) -> None:
        """Wait until the object at a path says so."""
        deadline = time.monotonic() + 60
        while holds not in json.dumps(self.plane.request("GET", path)[1]):
            assert time.monotonic() < deadline, f"{path} never said {holds}"
            time.sleep(0.2)


def a_role(*rules: tuple[str, str, str]) -> Json:
    written = [
        {"apiGroups": [group], "resources": [resource], "verbs": verbs.split()}
        for group, resource, verbs in rules
    ]
    return {**NAMED, "kind": "Role", "rules": written}


@pytest.fixture
def world(control_plane: ControlPlane, tmp_path: Path) -> LiveWorld:
    return LiveWorld(control_plane, tmp_path)


def test_a_second_hpa_and_a_metric_that_nobody_serves_are_found(world: LiveWorld) -> None:
    world.put(changed(HPA, "metadata/name", "web-2"))

    found = world.findings()

    told = {one["code"]: one["sentence"] for one in found if one["severity"] == "error"}
    assert "scale the same Deployment web" in told["AmbiguousSelector"]
    assert "nothing is registered for metrics.k8s.io" in told["MetricNotServed"]
    assert world.called().exit_code == 1


def test_the_controllers_own_word_on_a_failing_metric_is_passed_on(world: LiveWorld) -> None:
    world.put(changed(HPA, "spec/metrics", [PODS]))
    path = f"/apis/autoscaling/v2/namespaces/{world.namespace}/horizontalpodautoscalers/web"
    world.once(path, "FailedGetPodsMetric")

    failing = [one for one in world.findings() if one["code"] == "MetricsFailing"]

    assert len(failing) == 1
    assert "FailedGetPodsMetric" in failing[0]["sentence"]


def test_missing_rights_are_found_and_gone_once_granted(world: LiveWorld) -> None:
    said = {one["sentence"] for one in world.findings() if one["code"] == "RightMissing"}
    who = f"ServiceAccount {world.account} may not"
    assert f"{who} patch horizontalpodautoscalers.autoscaling web" in said
    assert f"{who} watch deployments.apps" in said

    world.put(a_role(("apps", "deployments", "list watch"), ("", "pods", "list"),
                     ("autoscaling", "horizontalpodautoscalers", "list watch patch"),
                     ("coordination.k8s.io", "leases", "get create patch"),
                     ("", "configmaps", "get")))  # fmt: skip
    subject = {"kind": "ServiceAccount", "name": "somebody", "namespace": world.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "somebody"}
    world.put({**NAMED, "kind": "RoleBinding", "subjects": [subject], "roleRef": role})

    # The authoriser sees a new binding a moment later.
    deadline = time.monotonic() + 30
    while "RightMissing" in world.codes():
        assert time.monotonic() < deadline, world.findings()


def test_a_service_that_was_switched_off_is_said_to_be(world: LiveWorld) -> None:
    data = {"off": "by the night shift"}
    named = {"metadata": {"name": "mplp-predictor-switch"}, "data": data}
    world.put({"apiVersion": "v1", "kind": "ConfigMap", **named})

    told = [one["sentence"] for one in world.findings() if one["code"] == "SwitchedOff"]

    assert told == ["the service is switched off: by the night shift"]


def test_an_absent_guard_is_found_and_an_installed_one_seen(world: LiveWorld) -> None:
    assert "NotGuarded" in world.codes()

    ours = "system:serviceaccount:mplp-predictor:mplp-predictor"
    account = f"system:serviceaccount:{world.account.replace('/', ':')}"
    text = GUARD.read_text().replace(ours, account)
    guards = text.replace("mplp-predictor-hpa", f"guard-{world.namespace}")
    try:
        world.plane.apply(guards)
        assert "NotGuarded" not in world.codes()
    finally:
        for kind in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
            name = f"guard-{world.namespace}"
            world.plane.delete(f"/apis/admissionregistration.k8s.io/v1/{kind}/{name}")


def test_the_printed_patches_applied_make_their_findings_go_away(world: LiveWorld) -> None:
    path = f"/apis/autoscaling/v2/namespaces/{world.namespace}/horizontalpodautoscalers/web"
    bare = {"metadata": {"annotations": {FLOOR: None, CEILING: None}}}
    world.plane.request("PATCH", path, bare, "application/merge-patch+json")
    assert "NotOptedIn" in world.codes()

    for patch in yaml.safe_load_all(world.called("--fix").stdout):
        query = "fieldManager=mplp-predictor-check&force=true&fieldValidation=Strict"
        where = f"{world.plane.client.path_of(patch)}?{query}"
        status, answer = world.plane.request("PATCH", where, patch, "application/apply-patch+yaml")
        assert status == 200, answer

    assert "NotOptedIn" not in world.codes()
    written = world.plane.request("GET", path)[1]["metadata"]["annotations"]
    assert (written[FLOOR], written[CEILING]) == ("2", "10")
    assert written["predictor.mplp.io/mode"] == "shadow"


async def test_a_clock_that_is_wrong_is_measured_against_the_servers(world: LiveWorld) -> None:
    settings = load_settings(world.config, {})
    connection = Connection(ClusterSettings(kubeconfig=str(world.plane.kubeconfig)))
    late = lambda: time.time() - 60  # noqa: E731 - a clock

    facts = (await read_cluster(connection, settings, (world.namespace,), "a/b", late)).facts
    await connection.close()

    assert facts.clock_ahead_s is not None
    assert -63 < facts.clock_ahead_s < -57


def test_an_account_that_may_see_nothing_gets_rows_and_no_crash(world: LiveWorld) -> None:
    found = world.findings(kubeconfig=world.plane.predictor_kubeconfig)

    hidden = [one["object"] for one in found if one["code"] == "CouldNotLook"]
    assert any(re.search("horizontalpodautoscalers$", one) for one in hidden), found
    assert any("apiservices" in one for one in hidden)
    assert {one["code"] for one in found} == {"CouldNotLook", "NoTarget"}


def test_a_kind_that_the_cluster_lacks_is_passed_over_in_silence(world: LiveWorld) -> None:
    said = json.dumps(world.findings())

    assert "verticalpodautoscalers" not in said
    assert "kustomizations" not in said


def test_files_are_held_against_what_the_cluster_serves(world: LiveWorld, tmp_path: Path) -> None:
    gone = changed(HPA, "apiVersion", "autoscaling/v2beta2")
    unknown = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "it"}}
    (tmp_path / "old.yaml").write_text(yaml.safe_dump_all([gone, unknown]))

    result = world.called(tmp_path / "old.yaml", "--json")

    gone_ones = [one for one in json.loads(result.stdout) if one["code"] == "ApiVersionGone"]
    assert {one["sentence"] for one in gone_ones} == {
        "autoscaling/v2beta2 is not served by this cluster",
        "example.com/v1 is not served by this cluster",
    }
