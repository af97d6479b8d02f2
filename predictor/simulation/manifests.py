"""HPAs as they lie in a repository, with the requests of the pods that they scale.

`setup.py` reads them for `simulate --manifests`. Files and folders of YAML are read; what is no HPA
or workload is passed over, and so is a file that is no plain YAML (a chart's template), with a
note. It must never ask a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predictor.core.cluster import TargetKey
from predictor.core.hpa_twin.quantity import milli
from predictor.core.hpa_twin.spec import HpaSpec, HpaSpecRefused, read_hpa_spec
from predictor.manifest_files import (
    ManifestRefused,
    NoPlainYaml,
    file_objects,
    manifest_files,
)
from predictor.settings import Settings

__all__ = ["Manifest", "ManifestRefused", "manifest_of", "read_manifests"]

_WORKLOADS = {"Deployment", "StatefulSet", "ReplicaSet"}


@dataclass(frozen=True, slots=True)
class Manifest:
    """One HPA: where it stands, what it is, and what each of its pods requests, in thousandths."""

    path: Path
    name: str
    namespace: str
    replicas_min: int
    replicas_max: int
    spec: HpaSpec
    requests: Mapping[str, int]

    @property
    def place(self) -> str:
        """Where to look for it."""
        return f"{self.path}: {self.name}"


def read_manifests(paths: tuple[Path, ...]) -> tuple[list[Manifest], list[str]]:
    """All HPAs of files and folders, and notes; raises `ManifestRefused` and `OSError`."""
    notes: list[str] = []
    objects: list[tuple[Path, Mapping[str, Any]]] = []
    for path in manifest_files(paths):
        try:
            objects += [(path, one) for one in file_objects(path)]
        except NoPlainYaml as error:
            notes.append(f"{path}: passed over, it is no plain YAML ({error})")
    requests = {
        (str(one.get("kind")), _named(one)): _requests(path, one)
        for path, one in objects
        if one.get("kind") in _WORKLOADS
    }
    found = [
        _manifest(path, one, requests)
        for path, one in objects
        if one.get("kind") == "HorizontalPodAutoscaler"
    ]
    if not found:
        listed = ", ".join(str(path) for path in paths)
        raise ManifestRefused(f"{listed}: no HorizontalPodAutoscaler there")
    return found, notes


def manifest_of(key: TargetKey, manifests: list[Manifest], settings: Settings) -> Manifest | None:
    """The HPA of a target: by the configured name, and by namespace or folder where several fit.

    A single HPA is that of a single target, whatever its name. Raises `ManifestRefused` where two
    fit equally well.
    """
    module, place = settings.modules.get(key.module), settings.regions.get(key.region)
    names = {key.module, f"{key.module}-hpa"} | (set() if module is None else {module.hpa})
    fitting = [one for one in manifests if one.name in names]
    namespace = None if place is None else place.namespace
    nearer = [one for one in fitting if one.namespace and one.namespace == namespace]
    nearer = nearer or [one for one in fitting if key.region in one.path.parts]
    chosen = nearer or [one for one in fitting if not _is_elsewhere(one, settings)]
    if len(chosen) > 1:
        listed = " and ".join(str(one.path) for one in chosen[:2])
        raise ManifestRefused(f"{key.module} in {key.region}: {listed} both hold its HPA")
    return chosen[0] if chosen else None


def _is_elsewhere(manifest: Manifest, settings: Settings) -> bool:
    """Whether its namespace or folder says that it belongs to a region that was not asked for."""
    namespaces = {place.namespace for place in settings.regions.values()}
    return manifest.namespace in namespaces or any(
        region in manifest.path.parts for region in settings.regions
    )


def _named(one: Mapping[str, Any]) -> str:
    metadata = one.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


def _manifest(
    path: Path, one: Mapping[str, Any], requests: Mapping[tuple[str, str], Mapping[str, int]]
) -> Manifest:
    name = _named(one)
    version, spec = one.get("apiVersion"), one.get("spec")
    if not isinstance(spec, dict):
        raise ManifestRefused(f"{path}: {name}: an HPA without a spec")
    if version == "autoscaling/v1":
        spec = _second_version(spec)
    elif version != "autoscaling/v2":
        raise ManifestRefused(
            f"{path}: {name}: {version} is not served any more; write it as autoscaling/v2"
        )
    low, high = spec.get("minReplicas", 1), spec.get("maxReplicas")
    if not isinstance(low, int) or not isinstance(high, int) or not 0 <= low <= high:
        raise ManifestRefused(
            f"{path}: {name}: minReplicas {low} and maxReplicas {high} are no bounds"
        )
    try:
        read = read_hpa_spec(spec)
    except HpaSpecRefused as error:
        raise ManifestRefused(f"{path}: {name}: {error}") from error
    reference = spec.get("scaleTargetRef")
    target = reference if isinstance(reference, dict) else {}
    scaled = (str(target.get("kind", "")), str(target.get("name", "")))
    metadata = one.get("metadata")
    namespace = str(metadata.get("namespace") or "") if isinstance(metadata, dict) else ""
    return Manifest(path, name, namespace, low, high, read, requests.get(scaled, {}))


def _second_version(spec: Mapping[str, Any]) -> dict[str, Any]:
    """An `autoscaling/v1` spec as the API server converts it."""
    percent = spec.get("targetCPUUtilizationPercentage")
    target = {"type": "Utilization", "averageUtilization": percent}
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    return {**spec, "metrics": [] if percent is None else [cpu]}


def _requests(path: Path, workload: Mapping[str, Any]) -> Mapping[str, int]:
    """The sum of all containers' requests, by resource, and "container/resource" of each."""
    try:
        containers = workload["spec"]["template"]["spec"]["containers"]
        sums: dict[str, int] = {}
        for container in containers:
            requested = (container.get("resources") or {}).get("requests") or {}
            for resource, amount in requested.items():
                thousandths = milli(amount)
                sums[resource] = sums.get(resource, 0) + thousandths
                sums[f"{container.get('name')}/{resource}"] = thousandths
    except (KeyError, TypeError, AttributeError):
        return {}
    except ValueError as error:
        raise ManifestRefused(f"{path}: {_named(workload)}: {error}") from error
    return sums
