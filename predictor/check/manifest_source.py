"""Objects of files, folders and standard input for a check, and what was passed over.

Called by `predictor/check_cli.py`. A kustomization's folder is read as its files lie there; what
`kubectl kustomize` renders can be piped in. A document that is broken costs only itself: the others
of its file are read, as `kubectl apply` would take them. It must never ask a cluster.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from predictor.check.scene import SceneObject, Unread, UnreadFile
from predictor.manifest_files import (
    FILE_BYTES_MAX,
    ManifestRefused,
    NoPlainYaml,
    file_bytes,
    manifest_files,
    text_objects,
)

STANDARD_INPUT = "-"
_DOCUMENT = re.compile(rb"^---(?=\s|$)", re.MULTILINE)
_TEMPLATE = re.compile(rb"\{\{.*?\}\}", re.DOTALL)
_FAULTS_MAX = 10
"""Of one file; a file with more is broken as a whole."""
_NO_OBJECTS = {"kustomization.yaml", "kustomization.yml", "Kustomization"}
"""Files that tools read and nobody applies; they may leave out what an object must have."""

Found = tuple[list[SceneObject], list[UnreadFile]]


def read_files(paths: tuple[Path, ...], stream: BinaryIO) -> Found:
    """All objects, and what could not be read; raises `ManifestRefused` and `OSError`.

    It raises only for what was named itself; a file in a folder is passed over with a word.
    """
    objects: list[SceneObject] = []
    unread: list[UnreadFile] = []
    named = tuple(path for path in paths if str(path) != STANDARD_INPUT)
    for path in manifest_files(named):
        try:
            found = read_text(file_bytes(path), str(path))
        except ManifestRefused as error:
            said = str(error).removeprefix(f"{path}: ")
            found = [], [UnreadFile(str(path), Unread.TOO_LARGE, said)]
        except OSError as error:
            if path in named:
                raise
            said = error.strerror or type(error).__name__
            found = [], [UnreadFile(str(path), Unread.REFUSED, said)]
        objects += found[0]
        unread += found[1]
    if len(named) < len(paths):
        found = read_text(stream.read(FILE_BYTES_MAX + 1), "standard input")
        objects += found[0]
        unread += found[1]
    return objects, unread


def read_text(body: bytes, place: str) -> Found:
    """The objects of one YAML stream, and its documents that are none; raises `ManifestRefused`."""
    try:
        return _sorted_out(text_objects(body, place), place)
    except NoPlainYaml:
        pass
    mappings: list[Mapping[str, Any]] = []
    unread: list[UnreadFile] = []
    for line, document in _documents(body):
        try:
            mappings += text_objects(document, place)
        except NoPlainYaml as error:
            unread.append(_broken(document, place, line, error))
    objects, _ = _sorted_out(mappings, place)
    return objects, unread[:_FAULTS_MAX]


def _documents(body: bytes) -> list[tuple[int, bytes]]:
    """Each document with the number of the lines before it."""
    found, start, line = [], 0, 0
    for end in [*(match.start() for match in _DOCUMENT.finditer(body)), len(body)]:
        document = body[start:end]
        found.append((line, document))
        line += document.count(b"\n")
        start = end
    return found


def _broken(document: bytes, place: str, line: int, error: NoPlainYaml) -> UnreadFile:
    at = f"line {line + (error.line or 1)}"
    if _TEMPLATE.search(document):
        return UnreadFile(place, Unread.TEMPLATE, f"it is a template ({at}), not rendered YAML")
    return UnreadFile(place, Unread.BROKEN, f"{at} is no plain YAML: {error.why}")


def _sorted_out(mappings: list[Mapping[str, Any]], place: str) -> Found:
    """Objects have a kind; a file of which none has one is told."""
    objects = [SceneObject(one, place) for one in mappings if one.get("kind")]
    if objects or Path(place).name in _NO_OBJECTS:
        return objects, []
    return [], [UnreadFile(place, Unread.NO_OBJECT, "no Kubernetes object")]
