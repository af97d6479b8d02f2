"""Objects as they lie in files, folders and streams of YAML, bounded in number and size.

`simulate --manifests` and `check` read with it. It must never follow what a file says to another
file, or read without an end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

FILES_MAX = 5_000
FILE_BYTES_MAX = 4 * 1024 * 1024
NODES_MAX = 1_000_000
"""Values of one document with its aliases written out; a few lines can name billions."""
# What the loader raises besides its own errors: for a tag that does not fit its text (`!!bool 7`,
# `!!timestamp x`), a date that is none, deep nesting.
_UNREADABLE = (
    yaml.YAMLError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    TypeError,
    RecursionError,
)
_SUFFIXES = {".yaml", ".yml", ".json"}


class ManifestRefused(Exception):  # noqa: N818 - a refusal is what it is
    """A manifest that cannot be used; the sentence names file, object and field."""


class NoPlainYaml(Exception):  # noqa: N818 - a refusal is what it is
    """A text that is no plain YAML, such as a chart's template; the first line says why."""


def manifest_files(paths: tuple[Path, ...]) -> Iterator[Path]:
    """The files named, and those of folders with their subfolders, in order.

    Raises `ManifestRefused` beyond `FILES_MAX`.
    """
    count = 0
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        for one in inside:
            if path.is_dir() and (one.suffix not in _SUFFIXES or not one.is_file()):
                continue
            count += 1
            if count > FILES_MAX:
                raise ManifestRefused(f"{path}: more than {FILES_MAX} files")
            yield one


def file_objects(path: Path) -> list[Mapping[str, Any]]:
    """All objects of a file; raises `ManifestRefused`, `NoPlainYaml` and `OSError`."""
    if path.stat().st_size > FILE_BYTES_MAX:
        raise ManifestRefused(f"{path}: larger than {FILE_BYTES_MAX} bytes")
    return text_objects(path.read_bytes(), str(path))


def text_objects(body: bytes, name: str) -> list[Mapping[str, Any]]:
    """All mappings of a YAML stream, lists taken apart; raises as `file_objects` does."""
    if len(body) > FILE_BYTES_MAX:
        raise ManifestRefused(f"{name}: larger than {FILE_BYTES_MAX} bytes")
    try:
        return list(_taken_apart(body.decode("utf-8")))
    except _UNREADABLE as error:
        lines = str(error).splitlines()
        raise NoPlainYaml(lines[0] if lines else type(error).__name__) from error


def _taken_apart(text: str) -> Iterator[Mapping[str, Any]]:
    for document in yaml.safe_load_all(text):
        if not isinstance(document, dict):
            continue
        _count_written_out(document, {})
        items = document.get("items")
        listed = isinstance(items, list) and str(document.get("kind", "")).endswith("List")
        for one in items if listed and isinstance(items, list) else [document]:
            if isinstance(one, dict):
                yield one


def _count_written_out(one: object, counts: dict[int, int]) -> int:
    """How many values it holds with every alias written out; raises `ValueError` for too many."""
    if not isinstance(one, dict | list):
        return 1
    known = counts.get(id(one))
    if known == 0:
        raise ValueError("an alias holds itself")
    if known is None:
        counts[id(one)] = 0
        inner = one.values() if isinstance(one, dict) else one
        known = 1 + sum(_count_written_out(each, counts) for each in inner)
        if known > NODES_MAX:
            raise ValueError(f"aliases make more than {NODES_MAX} values of it")
        counts[id(one)] = known
    return known
