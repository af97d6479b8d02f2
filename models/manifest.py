"""The manifest of a stored model: what its files are, and what a person wants to know of them.

`models/store.py` writes and reads it. It is checked by itself, before any other file is opened:
nothing that is wrong here may lead to a file being parsed.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import Annotated, Any

import msgspec
from msgspec import Meta

FORMAT_VERSION = 2
MANIFEST, SIGNATURE = "manifest.json", "signature"
ARRAYS, TREES = "arrays.npz", "trees.skops"
BYTES_MAX = {ARRAYS: 2**30, TREES: 2**28}
"""Ten thousand series with weekly profiles take 170 MB; seven ensembles of 200 trees take 2 MB."""
MANIFEST_BYTES_MAX = 32 * 2**20
VERSION_PATTERN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{12}")
TREES_LIBRARY = "scikit-learn"
EpochSeconds = Annotated[int, Meta(ge=0, lt=253_402_300_800)]
"""To the end of the year 9999, where dates end."""
YEARS = range(1970, 9999)


class ModelRefused(Exception):  # noqa: N818 - a refusal is what it is
    """A model that will not be used; the message says which fact is wrong."""


class FileFact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the model: the hash of all its bytes, and how many there are."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    bytes: Annotated[int, Meta(ge=1)]


class ModelRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A series of the model: its key, and the code and sentence that its forecasts give."""

    module: str
    region: str
    code: str = ""
    sentence: str = ""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is in a version: `report`, `revision`, `seed` and `python` are for people.

    `report` holds the scores of the training run, `revision` the program's git revision.
    """

    format_version: int
    created: datetime
    step_s: int
    levels: tuple[float, ...]
    trained_from_s: EpochSeconds
    trained_to_s: EpochSeconds
    files: dict[str, FileFact]
    rows: tuple[ModelRow, ...]
    libraries: dict[str, str]
    python: str
    revision: str | None
    seed: int | None
    report: dict[str, Any]

    @property
    def digest(self) -> str:
        """Names the numbers: equal arrays and trees have the same, whenever they were stored."""
        facts = "".join(f"{name} {fact.sha256}\n" for name, fact in sorted(self.files.items()))
        return hashlib.sha256(facts.encode()).hexdigest()


class _Format(msgspec.Struct):
    format_version: int


def manifest_text(manifest: Manifest) -> bytes:
    """The file's bytes, which are all that names and signs it."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"))


def version_of(text: bytes, created: datetime) -> str:
    """The version's name: when it was made, in UTC, and the first digits of the manifest's hash."""
    return f"{created.astimezone(UTC):%Y%m%dT%H%M%SZ}-{hashlib.sha256(text).hexdigest()[:12]}"


def manifest_from(text: bytes, version: str | None = None) -> Manifest:
    """The manifest of these bytes; raises `ModelRefused`.

    `version` is the name of the folder they lie in, None where it does not name them.
    """
    try:
        found = msgspec.json.decode(text, type=_Format).format_version
        if found != FORMAT_VERSION:
            raise ModelRefused(
                f"{MANIFEST} has format version {found}, this program reads {FORMAT_VERSION}: "
                "train again"
            )
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ModelRefused(f"{MANIFEST} is not a manifest: {error}") from None
    if faults := _faults(manifest):
        raise ModelRefused(f"{MANIFEST} has " + "; ".join(faults))
    if version not in (None, named := version_of(text, manifest.created)):
        raise ModelRefused(f"{MANIFEST} is that of version {named}, and not of {version}")
    return manifest


def _faults(manifest: Manifest) -> list[str]:
    levels, files = manifest.levels, manifest.files
    wrong = {
        f"the files {sorted(files)}, expected {ARRAYS} and at most {TREES}": (
            ARRAYS not in files or not files.keys() <= BYTES_MAX.keys()
        ),
        f"quantile levels {levels} that do not rise between 0 and 1": (
            not levels or list(levels) != sorted(set(levels)) or not 0 < levels[0] <= levels[-1] < 1
        ),
        f"a step of {manifest.step_s} s": manifest.step_s <= 0,
        "a creation time without a zone": manifest.created.tzinfo is None,
        f"the year {manifest.created.year} of creation": manifest.created.year not in YEARS,
        "a training span that ends before it begins": (
            manifest.trained_to_s < manifest.trained_from_s
        ),
        "the same series twice": (
            len({(row.module, row.region) for row in manifest.rows}) != len(manifest.rows)
        ),
    }
    faults = [fault for fault, is_wrong in wrong.items() if is_wrong]
    faults += [
        f"{name} of {fact.bytes} bytes, at most {BYTES_MAX[name]}"
        for name, fact in files.items()
        if name in BYTES_MAX and fact.bytes > BYTES_MAX[name]
    ]
    return faults + _library_faults(manifest)


def _library_faults(manifest: Manifest) -> list[str]:
    """Trees are read by the library's own compiled code, whose layout may change at each minor."""
    if TREES not in manifest.files:
        return []
    trained = manifest.libraries.get(TREES_LIBRARY, "an unknown version")
    try:
        here = installed_version(TREES_LIBRARY)
    except PackageNotFoundError:
        return [f"trees, and {TREES_LIBRARY} is not installed here"]
    if trained.split(".")[:2] == here.split(".")[:2]:
        return []
    return [f"trees of {TREES_LIBRARY} {trained}, this program has {here}: train again"]
