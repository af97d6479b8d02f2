"""What the policies spell is what the service writes: a name that differs guards nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest

from predictor.actuators.guard_probe import GUARD_POLICIES
from predictor.actuators.route_probe import ROUTE_POLICY
from predictor.actuators.switch import OFF_KEY, SWITCH
from predictor.core import opt_in
from rigs.credentials import PREDICTOR, RESTORER
from tests.deploy.kustomized import DEPLOY, kustomized

FOLDERS = ("guard", "guard-keda", "guard-owner-max")
GUARD = [one for folder in FOLDERS for one in kustomized(DEPLOY / folder)]
POLICIES = [one for one in GUARD if one["kind"].endswith("AdmissionPolicy")]
BINDINGS = [one for one in GUARD if one["kind"].endswith("PolicyBinding")]
VALIDATING = [one for one in POLICIES if one["kind"] == "ValidatingAdmissionPolicy"]
NAMES = {
    value
    for key, value in vars(opt_in).items()
    if key.isupper() and isinstance(value, str) and value.startswith(opt_in.DOMAIN)
} | {opt_in.EPOCH, *opt_in.KEPT_ON_ROUTES, f"{opt_in.STATE_DOMAIN}/"}
ACCOUNTS = {
    f"system:serviceaccount:{one['metadata']['namespace']}:{one['metadata']['name']}"
    for one in kustomized(DEPLOY / "base")
    if one["kind"] == "ServiceAccount"
}
_ANNOTATION = re.compile(rf"(?:state\.)?{re.escape(opt_in.DOMAIN)}/[a-z0-9]*")
_ACCOUNT = re.compile(r"system:serviceaccount:[a-z-]+:[a-z-]+")


def test_every_annotation_under_deploy_is_one_of_ours() -> None:
    spelled = {
        name
        for file in DEPLOY.rglob("*.yaml")
        for name in _ANNOTATION.findall(file.read_text())
        if name != "predictor.mplp.io/v1alpha1"
    }

    assert spelled - NAMES == set()


def test_the_policies_bind_the_accounts_that_are_shipped_and_that_tests_play() -> None:
    spelled = {name for one in VALIDATING for name in _ACCOUNT.findall(str(one))}

    assert spelled == ACCOUNTS == {PREDICTOR, RESTORER}


def test_the_probe_and_the_switch_name_what_is_shipped() -> None:
    assert {*GUARD_POLICIES.values(), ROUTE_POLICY} <= {name(one) for one in VALIDATING}
    switches = [one for one in BINDINGS if "paramRef" in one["spec"]]
    assert [one["spec"]["paramRef"]["name"] for one in switches] == [SWITCH, SWITCH]
    assert f'"{OFF_KEY}" in params' in str(POLICIES)


@pytest.mark.parametrize("policy", VALIDATING, ids=lambda one: str(one["metadata"]["name"]))
def test_a_guard_that_cannot_be_evaluated_refuses(policy: dict[str, Any]) -> None:
    (binding,) = [one for one in BINDINGS if one["spec"]["policyName"] == name(policy)]

    assert policy["spec"]["failurePolicy"] == "Fail"
    assert binding["spec"]["validationActions"] == ["Deny", "Audit"]


def test_a_fault_in_what_helps_a_person_never_keeps_them_from_writing() -> None:
    mutating = [one for one in POLICIES if one["kind"] == "MutatingAdmissionPolicy"]

    assert [one["spec"]["failurePolicy"] for one in mutating] == ["Ignore", "Ignore"]


def test_every_owner_draws_a_band_that_holds_the_field() -> None:
    hpas = [one for one in kustomized(DEPLOY / "mplp") if one["kind"] == "HorizontalPodAutoscaler"]

    for hpa in hpas:
        read = opt_in.read_opt_in(hpa["metadata"]["annotations"])
        assert (read.faults, read.floor) == ((), hpa["spec"]["minReplicas"]), name(hpa)
        assert read.ceiling == hpa["spec"]["maxReplicas"]


def name(one: dict[str, Any]) -> str:
    found: str = one["metadata"]["name"]
    return found
