"""Partial objects that mend a finding: identity and the fields to change, nothing else.

Rules attach them, `mplp-predictor check --fix` prints them. They fit a server-side apply, a merge
patch and Kustomize's `patches` alike, so a list is always written whole. A server-side apply needs
a manager of its own: under the name of the object's own applier the fields that a patch leaves out
would be taken away. They must never hold a value that a person has to choose.
"""

from __future__ import annotations

from typing import Any

from predictor.check.scene import SceneObject

Patch = dict[str, Any]

APPLY = "kubectl apply --server-side --field-manager=mplp-predictor-check --force-conflicts -f -"
"""How a stream of them is applied."""


def patch_of(one: SceneObject, **fields: Any) -> Patch:
    """The object's identity with `fields` beside it; `annotations` go into the metadata."""
    metadata: Patch = {"name": one.name}
    if one.namespace:
        metadata["namespace"] = one.namespace
    if annotations := fields.pop("annotations", None):
        metadata["annotations"] = annotations
    return {"apiVersion": one.api_version, "kind": one.kind, "metadata": metadata, **fields}
