"""Objects as they lie in files, folders and streams of YAML, bounded in number and size.

`simulate --manifests` and `check` read with it. It must never follow what a file says to another
file, or read without an end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

FILES_MAX = 5_000
FILE_BYTES_MAX = 16 * 1024 * 1024
"""Of one file or stream: a rendered platform of some thousand HPAs with their Deployments."""
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
# The parser of libyaml, where PyYAML was built with it: ten times as fast, and bounded in depth.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ManifestRefused(Exception):  # noqa: N818 - a refusal is what it is
    """A manifest that cannot be used; the sentence names file, object and field."""


class NoPlainYaml(Exception):  # noqa: N818 - a refusal is what it is
    """A text that is no plain YAML, such as a chart's template; says why.

    `line` is counted from 1; None where the text as a whole is at fault.
    """

    def __init__(self, why: str, line: int | None = None) -> None:
        super().__init__(why if line is None else f"line {line}: {why}")
        self.why, self.line = why, line


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
    return text_objects(file_bytes(path), str(path))


def file_bytes(path: Path) -> bytes:
    """What lies there; raises `ManifestRefused` for a large file, and `OSError`."""
    with path.open("rb") as opened:
        body = opened.read(FILE_BYTES_MAX + 1)
    if len(body) > FILE_BYTES_MAX:
        raise ManifestRefused(f"{path}: larger than {FILE_BYTES_MAX} bytes")
    return body


def text_objects(body: bytes, name: str) -> list[Mapping[str, Any]]:
    """All mappings of a YAML stream, lists taken apart; raises as `file_objects` does."""
    if len(body) > FILE_BYTES_MAX:
        raise ManifestRefused(f"{name}: larger than {FILE_BYTES_MAX} bytes")
    try:
        return list(_taken_apart(_documents(body)))
    except _UNREADABLE as error:
        raise _no_plain_yaml(error) from error


def _no_plain_yaml(error: Exception) -> NoPlainYaml:
    """The fault itself and its line, without the excerpt that the parser adds."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        return NoPlainYaml(error.problem, line)
    lines = str(error).splitlines()
    return NoPlainYaml(lines[0] if lines else type(error).__name__)


def _documents(body: bytes) -> Iterable[object]:
    """JSON by its own reader: it may be indented by tabs, which YAML forbids."""
    if body.lstrip()[:1] == b"{":
        with contextlib.suppress(msgspec.MsgspecError, RecursionError):
            return [msgspec.json.decode(body)]
    documents: Iterable[object] = yaml.load_all(body.decode("utf-8"), Loader=_LOADER)
    return documents


def _taken_apart(documents: Iterable[object]) -> Iterator[Mapping[str, Any]]:
    for document in documents:
        if not isinstance(document, dict):
            continue
        _count_written_out(document, {})
        items, kind = document.get("items"), str(document.get("kind", ""))
        if not isinstance(items, list) or not kind.endswith("List"):
            yield document
            continue
        yield from ({**_of_list(document, kind), **one} for one in items if isinstance(one, dict))


def _of_list(document: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """What the items of a typed list do not repeat; those of a plain `List` say it themselves."""
    single = kind.removesuffix("List")
    return {"apiVersion": document.get("apiVersion"), "kind": single} if single else {}


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
