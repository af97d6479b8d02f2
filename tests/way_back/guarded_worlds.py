"""HPAs in a namespace where the policies of `deploy/guard` hold, with the hands that write to them.

The policies are bound to namespaces with a label, so that the rest of the session's control plane
stays as it is. A policy and a right bite a moment after they are written: whoever needs them polls.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from weakref import WeakSet

import yaml

from predictor.core.opt_in import CEILING, EPOCH, FIELD_MANAGER, FLOOR, UNTIL
from rigs.credentials import ADMIN, PREDICTOR, RESTORER, write_kubeconfig
from rigs.kubernetes import ControlPlane

DEPLOY = Path(__file__).parents[2] / "deploy"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
NEVER = "2099-01-01T00:00:00Z"
_LABEL = {"tests.mplp.io/guarded": "true"}
_WAIT_S = 15.0
Json = dict[str, Any]


def until(holds: Callable[[], Any], what: str, wait_s: float = _WAIT_S) -> Any:
    """What `holds` returns once it is true; fails after a generous while."""
    deadline_s = time.monotonic() + wait_s
    while not (found := holds()):
        assert time.monotonic() < deadline_s, f"not within {wait_s:g} s: {what}"
        time.sleep(0.05)
    return found


@cache
def guard_documents() -> tuple[Json, ...]:
    """Everything under `deploy/guard*`, bound to labelled namespaces."""
    found = []
    for file in sorted(DEPLOY.glob("guard*/*.yaml")):
        for one in yaml.safe_load_all(file.read_text()):
            if one["kind"].endswith("PolicyBinding"):
                chosen = {"namespaceSelector": {"matchLabels": _LABEL}}
                one["spec"]["matchResources"] = chosen
            if one["kind"] != "Kustomization":
                found.append(one)
    return tuple(found)


_GUARDED: WeakSet[ControlPlane] = WeakSet()


def _apply_guard(plane: ControlPlane) -> None:
    """Once for each control plane: a policy that is written again bites anew a moment later."""
    if plane not in _GUARDED:
        plane.apply(*guard_documents())
        _GUARDED.add(plane)


class GuardedWorld:
    """One namespace; `hpa` makes HPAs in it, `apply` writes to them as one of the accounts.

    `rules` are what each account may do there, for an account that is not named more than the
    manifests give: what a policy refuses, a right must not.
    """

    def __init__(
        self,
        plane: ControlPlane,
        *,
        is_guarded: bool = True,
        rules: Mapping[str, list[Json]] | None = None,
    ) -> None:
        self.plane = plane
        self._rules = rules or {}
        self.namespace = f"guarded-{secrets.token_hex(4)}"
        metadata = {"name": self.namespace, "labels": _LABEL if is_guarded else {}}
        plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        if is_guarded:
            _apply_guard(plane)
        for account in (PREDICTOR, RESTORER):
            plane.apply(*self._rights(account))

    def hpa(self, name: str = "core", floor: int = 3, **changes: Any) -> str:
        """The owner's HPA with the band 3 to 10 of 20; returns its path."""
        annotations = {FLOOR: "3", CEILING: "10"} | changes.pop("annotations", {})
        kept = {key: value for key, value in annotations.items() if value is not None}
        spec = {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": floor,
            "maxReplicas": 20,
            **changes,
        }
        metadata = {"name": name, "namespace": self.namespace, "annotations": kept}
        self.plane.apply(
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": metadata,
                "spec": spec,
            }
        )
        path = f"/apis/autoscaling/v2/namespaces/{self.namespace}/horizontalpodautoscalers/{name}"
        for account in (PREDICTOR, RESTORER):
            self._await_right(account, path)
        return path

    def await_guard(self, path: str, account: str = PREDICTOR) -> None:
        """Until the policy of this account bites."""
        until(
            lambda: (
                "AdmissionPolicy" in self.apply(path, a_floor(11), as_user=account, dry_run=True)
            ),
            f"the policy for {account}",
        )

    def _await_right(self, account: str, path: str) -> None:
        client = self.plane.client_for(account)
        until(lambda: client.request("GET", path)[0] == 200, f"the rights of {account}")

    def read(self, path: str) -> Json:
        status, answer = self.plane.request("GET", path)
        assert status == 200, answer
        return answer

    def floor(self, path: str) -> int:
        found: int = self.read(path)["spec"]["minReplicas"]
        return found

    def kept(self, path: str) -> Json:
        """Our annotations."""
        annotations = self.read(path)["metadata"].get("annotations", {})
        return {key: value for key, value in annotations.items() if key.startswith("state.")}

    def raised(self, floor: int = 8, expiry: str = NEVER, epoch: int = 5, **hpa: Any) -> str:
        """An HPA whose floor the service has raised."""
        path = self.hpa(**hpa)
        said = self.apply(path, a_floor(floor, expiry=expiry, epoch=epoch), as_user=ADMIN)
        assert said == "", said
        return path

    def apply(
        self,
        path: str,
        body: Json,
        *,
        as_user: str = PREDICTOR,
        dry_run: bool = False,
        **query: str,
    ) -> str:
        """Apply as the service does; the server's objection, empty where there is none."""
        name = path.rsplit("/", 1)[1]
        whole: Json = {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            **body,
            "metadata": {"name": name, **body.get("metadata", {})},
        }
        given = {"fieldManager": FIELD_MANAGER, "force": "true", **query}
        given |= {"dryRun": "All"} if dry_run else {}
        return self.send(f"{path}?{urlencode(given)}", whole, APPLY, as_user=as_user)

    def send(self, path: str, body: Any, content_type: str, *, as_user: str = PREDICTOR) -> str:
        client = self.plane.client_for(as_user)
        status, answer = client.request("PATCH", path, body, content_type)
        return "" if status < 300 else f"{status} {answer.get('message', json.dumps(answer))}"

    def kubeconfig(self, folder: Path, account: str = ADMIN) -> Path:
        """A file for the account."""
        file = folder / f"{account.rsplit(':', 1)[-1]}.kubeconfig"
        write_kubeconfig(file, self.plane.server, self.plane.ca_file, self.plane.tokens[account])
        return file

    def _rights(self, account: str) -> list[Json]:
        name = account.rsplit(":", 1)[1]
        metadata = {"name": name, "namespace": self.namespace}
        rules = [
            {
                "apiGroups": ["autoscaling"],
                "resources": ["horizontalpodautoscalers"],
                "verbs": ["get", "list", "watch", "create", "patch", "update"],
            },
            {"apiGroups": ["networking.istio.io"], "resources": ["*"], "verbs": ["*"]},
            {"apiGroups": ["keda.sh"], "resources": ["*"], "verbs": ["*"]},
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]},
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]},
        ]
        rbac = "rbac.authorization.k8s.io"
        return [
            {
                "apiVersion": f"{rbac}/v1",
                "kind": "Role",
                "metadata": metadata,
                "rules": self._rules.get(account, rules),
            },
            {
                "apiVersion": f"{rbac}/v1",
                "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
                "subjects": [{"kind": "User", "apiGroup": rbac, "name": account}],
            },
        ]


def a_floor(
    floor: int,
    *,
    expiry: str | None = NEVER,
    epoch: int | None = 5,
    more: Mapping[str, str] | None = None,
) -> Json:
    """The body of an apply: what the service writes, and `more` annotations."""
    kept: Mapping[str, str | None] = {
        UNTIL: expiry,
        EPOCH: None if epoch is None else str(epoch),
        **(more or {}),
    }
    written = {key: value for key, value in kept.items() if value is not None}
    return {"metadata": {"annotations": written}, "spec": {"minReplicas": floor}}
