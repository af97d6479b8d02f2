"""Versions of a model in one folder, and the pointer to the one in use.

    20260102T030405Z-0123456789ab/   manifest.json, arrays.npz, trees.skops, signature
    current                          {"current": "…", "former": "…"}

`predictor/models_cli.py` publishes and promotes, `predictor/model_store/watcher.py` reads. What a
version holds never changes, only who signed it; the pointer changes at once. Nothing here may use a
model that `models/store.py` refuses, nor remove the version in use or the one before it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from models.manifest import (
    MANIFEST,
    SIGNATURE,
    VERSION_PATTERN,
    ModelRefused,
    manifest_from,
    version_of,
)
from models.model_signature import TrustedKeys
from models.store import ManifestFacts, ModelFiles, OpenedModel, ReadFile, manifest_facts, opened
from models.stored_parameters import StoredParameters
from predictor.model_store.folders import HIDDEN, Folder, folder_at, shown

CURRENT = "current"
POINTER_BYTES_MAX = 4096
KEPT = 10
LEFTOVER_AGE = timedelta(hours=1)
"""A publish that has not ended for so long never will."""
NAMES_MAX = 10_000
Check = Callable[[StoredParameters], object]


def _no_check(parameters: StoredParameters) -> None:
    """For whoever has looked at the numbers already."""


class Pointer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version in use, and the one before it; None where there is none."""

    current: str | None = None
    former: str | None = None


class ModelStore:
    """A store at a path or fsspec URL. Its methods raise `StoreUnreachable` and `ModelRefused`."""

    def __init__(self, url: str) -> None:
        self.url = shown(url)
        self._folder: Folder = folder_at(url)

    def pointer(self) -> Pointer:
        """Which version is in use; both None in a store where nothing was promoted yet."""
        body = self._folder.read(CURRENT, POINTER_BYTES_MAX)
        if body is None:
            return Pointer()
        try:
            if len(body) > POINTER_BYTES_MAX:
                raise ModelRefused(f"{CURRENT} has more than {POINTER_BYTES_MAX} bytes")
            pointer = msgspec.json.decode(body, type=Pointer)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ModelRefused(f"{CURRENT} names no version: {error}") from None
        for version in (pointer.current, pointer.former):
            if version is not None:
                _check_name(version)
        return pointer

    def versions(self) -> tuple[str, ...]:
        """All versions that are whole or were once, newest first."""
        names = self._folder.names()
        if len(names) > NAMES_MAX:
            raise ModelRefused(f"{self.url} holds {len(names)} names, at most {NAMES_MAX}")
        return tuple(sorted(filter(VERSION_PATTERN.fullmatch, names), reverse=True))

    def facts(self, version: str, trusted: TrustedKeys) -> ManifestFacts:
        """The manifest of a version, with its signature; arrays and trees stay closed."""
        return manifest_facts(self._reader(version), trusted, version)

    def open(self, version: str, trusted: TrustedKeys) -> OpenedModel:
        """A version that passed every check."""
        return opened(self._reader(version), trusted, version)

    def publish(self, files: ModelFiles, kept: int = KEPT) -> str:
        """Write a version whole and name it; what is too old to keep goes. It is not promoted.

        Of a version that is there already only the signature is written.
        """
        text = files[MANIFEST]
        version = version_of(text, manifest_from(text).created)
        self._folder.make()
        if self._folder.read(f"{version}/{MANIFEST}", len(text)) != text:
            self._folder.remove(version)
            self._folder.put_folder(version, files)
        elif SIGNATURE in files:
            self._folder.put_file(f"{version}/{SIGNATURE}", files[SIGNATURE])
        self._prune(version, kept)
        return version

    def promote(self, version: str, trusted: TrustedKeys, check: Check = _no_check) -> Pointer:
        """Put a version in use once it passed every check; the one in use becomes the former.

        `check` says by `ModelRefused` what keeps a service from using it: whole and signed is not
        enough, trees may be asked with other features by now.
        """
        check(self.open(version, trusted).parameters)
        was = self.pointer()
        if was.current == version:
            return was
        return self._point(Pointer(current=version, former=was.current))

    def promote_former(self, trusted: TrustedKeys, check: Check = _no_check) -> Pointer:
        """Go back to the version before; once more leads forward again."""
        was = self.pointer()
        if was.former is None:
            raise ModelRefused(f"{self.url} has no former version to go back to")
        check(self.open(was.former, trusted).parameters)
        return self._point(Pointer(current=was.former, former=was.current))

    def _point(self, pointer: Pointer) -> Pointer:
        self._folder.put_file(CURRENT, msgspec.json.encode(pointer) + b"\n")
        return pointer

    def _reader(self, version: str) -> ReadFile:
        _check_name(version)
        return lambda name, bytes_max: self._folder.read(f"{version}/{name}", bytes_max)

    def _prune(self, published: str, kept: int) -> None:
        pointer = self.pointer()
        held = {published, pointer.current, pointer.former} - {None}
        others = [version for version in self.versions() if version not in held]
        for version in others[max(kept - len(held), 0) :]:
            self._folder.remove(version)
        for name in self._folder.names():
            if name.startswith(HIDDEN) and _is_left_over(name, published):
                self._folder.remove(name)


def _check_name(version: str) -> None:
    """Raises `ModelRefused` for a name that would lead somewhere else."""
    if not VERSION_PATTERN.fullmatch(version):
        raise ModelRefused(
            f"{version[:80]!r} is no version; they look like 20260102T030405Z-0123456789ab"
        )


def _is_left_over(name: str, published: str) -> bool:
    """Whether an unfinished version is older than the one published by `LEFTOVER_AGE`."""
    begun = name.removeprefix(HIDDEN)
    if not VERSION_PATTERN.fullmatch(begun):
        return False
    return _time_of(published) - _time_of(begun) > LEFTOVER_AGE


def _time_of(version: str) -> datetime:
    return datetime.strptime(version[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
