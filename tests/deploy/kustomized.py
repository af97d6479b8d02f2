"""What `kubectl apply -k` would send, for tests: resources, namespace and generated config maps.

Only the parts of Kustomize that the manifests use; anything else in a kustomization fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
_UNDERSTOOD = {"apiVersion", "kind", "resources", "namespace", "configMapGenerator"}


def kustomized(folder: Path) -> list[dict[str, Any]]:
    """Every object of the folder's kustomization, in the order in which it is listed."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(kustomization) <= _UNDERSTOOD, f"{folder}: beyond what the test understands"
    found = [one for name in kustomization["resources"] for one in _resource(folder / name)]
    found += [_config_map(folder, one) for one in kustomization.get("configMapGenerator", [])]
    if "namespace" in kustomization:
        for one in found:
            one["metadata"]["namespace"] = kustomization["namespace"]
    return found


def rules_of(account: str, *places: str) -> list[dict[str, Any]]:
    """The rules of an account's Roles in these namespaces of `deploy/base`."""
    name = account.rsplit(":", 1)[1]
    found = [one for one in kustomized(DEPLOY / "base") if one["kind"] == "Role"]
    roles = {
        one["metadata"]["namespace"]: one["rules"]
        for one in found
        if one["metadata"]["name"] == name
    }
    return [rule for place in places for rule in roles[place]]


def _resource(path: Path) -> Iterator[dict[str, Any]]:
    yield from kustomized(path) if path.is_dir() else yaml.safe_load_all(path.read_text())


def _config_map(folder: Path, generator: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": generator["name"], "namespace": generator["namespace"]},
        "data": {name: (folder / name).read_text() for name in generator["files"]},
    }
