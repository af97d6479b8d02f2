"""ScaledObjects as KEDA's users write them, on the real control plane and as values.

KEDA's operator is not there; `play_keda` is its one move that matters to a floor: it writes the HPA
from the ScaledObject, with its annotations (`controllers/keda/hpa.go`, newHPAForScaledObject).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from predictor.actuators.cluster_settings import ClusterSettings
from predictor.core.opt_in import CEILING, FLOOR
from rigs.credentials import write_kubeconfig
from rigs.kubernetes import ControlPlane
from tests.actuators.target_world import BASELINE, REPLICAS_MAX, TargetWorld

Json = dict[str, Any]
_MERGE = "application/merge-patch+json"
_BOUNDS = (
    "!has(self.minReplicaCount) || self.minReplicaCount <= "
    "(has(self.maxReplicaCount) ? self.maxReplicaCount : 100)"
)
_NUMBER: Json = {"type": "integer", "format": "int32"}
SCALED_OBJECTS: Json = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "scaledobjects.keda.sh"},
    "spec": {
        "group": "keda.sh",
        "scope": "Namespaced",
        "names": {"kind": "ScaledObject", "plural": "scaledobjects", "singular": "scaledobject"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "required": ["spec"],
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["scaleTargetRef"],
                                "x-kubernetes-validations": [{"rule": _BOUNDS}],
                                "properties": {
                                    "minReplicaCount": {**_NUMBER, "minimum": 0},
                                    "maxReplicaCount": {**_NUMBER, "minimum": 1},
                                    "scaleTargetRef": {
                                        "type": "object",
                                        "required": ["name"],
                                        "properties": {
                                            "name": {"type": "string"},
                                            "kind": {"type": "string"},
                                        },
                                    },
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}


def serve_scaled_objects(plane: ControlPlane) -> None:
    """Define the kind once for each control plane."""
    plane.apply(SCALED_OBJECTS)


def scaled_object(namespace: str, name: str = "a", **spec: Any) -> Json:
    """One as its owner keeps it in a repository."""
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {FLOOR: str(BASELINE), CEILING: str(REPLICAS_MAX)},
        },
        "spec": {
            "scaleTargetRef": {"name": name},
            "minReplicaCount": BASELINE,
            "maxReplicaCount": REPLICAS_MAX,
            **spec,
        },
    }


class ScaledWorld(TargetWorld):
    """Module `a` whose HPA KEDA makes from ScaledObject `a`; `held` and `floor` are of that one."""

    def __init__(self, plane: ControlPlane, folder: Path, **settings: Any) -> None:
        serve_scaled_objects(plane)
        super().__init__(plane, folder, **{"patches_scaled_objects": True, **settings})
        plane.apply(scaled_object(self.namespace))
        self.play_keda()

    async def end(self) -> None:
        await super().end()
        self.plane.delete(self.hpa_path)

    def path(self, module: str = "a", *, deployment: bool = False) -> str:
        """The ScaledObject's; `hpa_path` is the HPA's."""
        if deployment:
            return super().path(module, deployment=True)
        return f"/apis/keda.sh/v1alpha1/namespaces/{self.namespace}/scaledobjects/{module}"

    @property
    def hpa_path(self) -> str:
        return super().path()

    def floor(self, module: str = "a") -> int:
        return int(self.held(module)["spec"]["minReplicaCount"])

    def hpa(self) -> Json:
        status, answer = self.plane.request("GET", self.hpa_path)
        assert status == 200, answer
        return answer

    def settings_for(self, folder: Path, account: str) -> ClusterSettings:
        """The same cluster as another account sees it."""
        file, plane = folder / f"{account.rsplit(':', 1)[1]}.kubeconfig", self.plane
        write_kubeconfig(file, plane.server, plane.ca_file, plane.tokens[account])
        return msgspec.structs.replace(self.settings, kubeconfig=str(file))

    def play_keda(self) -> None:
        """KEDA reconciles: it makes the HPA equal to what the ScaledObject says."""
        held = self.held()
        owner = {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "name": held["metadata"]["name"],
            "uid": held["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        hpa = {
            "metadata": {
                "annotations": held["metadata"]["annotations"],
                "labels": {"scaledobject.keda.sh/name": held["metadata"]["name"]},
                "ownerReferences": [owner],
            },
            "spec": {
                "minReplicas": max(1, held["spec"].get("minReplicaCount", 0)),
                "maxReplicas": held["spec"].get("maxReplicaCount", 100),
            },
        }
        path = f"{self.hpa_path}?fieldManager=keda"
        status, answer = self.plane.request("PATCH", path, hpa, _MERGE)
        assert status == 200, answer
