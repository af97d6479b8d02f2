"""Objects of files, folders and standard input for a check, and what was passed over.

Called by `predictor/check_cli.py`. A kustomization's folder is read as its files lie there; what
`kubectl kustomize` renders can be piped in. It must never ask a cluster.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from predictor.check.scene import SceneObject
from predictor.manifest_files import (
    FILE_BYTES_MAX,
    NoPlainYaml,
    file_objects,
    manifest_files,
    text_objects,
)

STANDARD_INPUT = "-"


def read_files(
    paths: tuple[Path, ...], stream: BinaryIO
) -> tuple[list[SceneObject], list[tuple[str, str]]]:
    """All objects, and what could not be read; raises `ManifestRefused` and `OSError`."""
    objects: list[SceneObject] = []
    unread: list[tuple[str, str]] = []
    named = tuple(path for path in paths if str(path) != STANDARD_INPUT)
    for path in manifest_files(named):
        try:
            objects += (SceneObject(one, str(path)) for one in file_objects(path))
        except NoPlainYaml as error:
            unread.append((str(path), f"it is no plain YAML ({error})"))
    if len(named) < len(paths):
        name = "standard input"
        try:
            body = stream.read(FILE_BYTES_MAX + 1)
            objects += (SceneObject(one, name) for one in text_objects(body, name))
        except NoPlainYaml as error:
            unread.append((name, f"it is no plain YAML ({error})"))
    return objects, unread
