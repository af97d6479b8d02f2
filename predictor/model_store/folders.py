"""The folder that holds a model store: on this machine, or wherever fsspec reaches.

`predictor/model_store/model_store.py` uses one of the two classes and cannot tell them apart. A
file is seen whole or not at all, and a folder of many files likewise: on a disk by renaming, in a
bucket because whole objects appear and the manifest comes last. Nothing here may know what a file
means.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import fsspec
from fsspec.implementations.local import LocalFileSystem

from models.manifest import MANIFEST

HIDDEN = ".new-"
"""Begins the name of what is not whole yet."""
BUCKETS = frozenset({"s3", "gs", "abfs", "memory"})
"""Object stores, by their drivers' protocols."""
_CREDENTIALS = re.compile(r"//[^/@]*@")


class StoreUnreachable(Exception):  # noqa: N818 - it says what happened
    """The folder or bucket does not answer, refuses us, or is not there."""


class Folder(Protocol):
    """What a store needs of the place where it lies. All raise `StoreUnreachable`."""

    def make(self) -> None:
        """Make the place itself where it is not there yet."""
        ...

    def names(self) -> list[str]:
        """What lies in it, folders and files, in no order."""
        ...

    def read(self, path: str, bytes_max: int) -> bytes | None:
        """At most one byte more than the limit; None where there is no such file."""
        ...

    def put_file(self, name: str, body: bytes) -> None:
        """Write or replace one file at once; its folder is there."""
        ...

    def put_folder(self, name: str, files: Mapping[str, bytes]) -> None:
        """Write a new folder; its manifest appears last."""
        ...

    def remove(self, name: str) -> None:
        """Remove a folder, its manifest first; one that is not there is no error."""
        ...


def folder_at(url: str) -> Folder:
    """The folder of a path or an fsspec URL; raises `ValueError` for a scheme without a driver."""
    try:
        system, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ValueError(f"{shown(url)}: {error}") from None
    if isinstance(system, LocalFileSystem):
        return LocalFolder(Path(root))
    return RemoteFolder(system, root, url)


def shown(url: str) -> str:
    """The URL without the user and password that some schemes carry."""
    return _CREDENTIALS.sub("//…@", url)


class LocalFolder:
    """A folder on a disk of this machine, a mounted volume included."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def make(self) -> None:
        """See `Folder`."""
        with _reached(str(self._root)):
            self._root.mkdir(parents=True, exist_ok=True)

    def names(self) -> list[str]:
        """See `Folder`."""
        with _reached(str(self._root)):
            return [path.name for path in self._root.iterdir()]

    def read(self, path: str, bytes_max: int) -> bytes | None:
        """See `Folder`."""
        with _reached(str(self._root)):
            try:
                with (self._root / path).open("rb") as file:
                    return file.read(bytes_max + 1)
            except FileNotFoundError:
                if self._root.is_dir():
                    return None
                raise

    def put_file(self, name: str, body: bytes) -> None:
        """See `Folder`."""
        with _reached(str(self._root)):
            # One name for each process: two that promote at once must not write into one file.
            place = self._root / name
            fresh = place.with_name(f"{HIDDEN}{place.name}-{os.getpid()}")
            _write_through(fresh, body)
            fresh.replace(place)

    def put_folder(self, name: str, files: Mapping[str, bytes]) -> None:
        """See `Folder`."""
        with _reached(str(self._root)):
            fresh = self._root / f"{HIDDEN}{name}"
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            for file, body in files.items():
                _write_through(fresh / file, body)
            fresh.rename(self._root / name)

    def remove(self, name: str) -> None:
        """See `Folder`."""
        with _reached(str(self._root)):
            gone = self._root / f"{HIDDEN}{name.removeprefix(HIDDEN)}"
            if (self._root / name).is_dir():
                (self._root / name).rename(gone)
            shutil.rmtree(gone, ignore_errors=True)


class RemoteFolder:
    """A bucket, or any other file system that fsspec knows."""

    def __init__(self, system: Any, root: str, url: str) -> None:
        self._system = system
        self._root = root.rstrip("/")
        self._url = url

    def make(self) -> None:
        """See `Folder`."""
        with _reached(self._url):
            self._make(self._root)

    def names(self) -> list[str]:
        """See `Folder`; in a bucket an empty folder cannot be told from none."""
        with _reached(self._url):
            self._system.invalidate_cache()
            try:
                paths = self._system.ls(self._root, detail=False)
            except FileNotFoundError:
                return []
            return [path.rstrip("/").rpartition("/")[2] for path in paths]

    def read(self, path: str, bytes_max: int) -> bytes | None:
        """See `Folder`."""
        with _reached(self._url):
            try:
                body = self._system.cat_file(f"{self._root}/{path}", start=0, end=bytes_max + 1)
            except FileNotFoundError:
                return None
            return bytes(body)

    def put_file(self, name: str, body: bytes) -> None:
        """See `Folder`."""
        with _reached(self._url):
            self._system.pipe_file(f"{self._root}/{name}", body)

    def put_folder(self, name: str, files: Mapping[str, bytes]) -> None:
        """See `Folder`."""
        with _reached(self._url):
            self._make(f"{self._root}/{name}")
            for file in sorted(files, key=lambda file: file == MANIFEST):
                self._system.pipe_file(f"{self._root}/{name}/{file}", files[file])

    def remove(self, name: str) -> None:
        """See `Folder`."""
        with _reached(self._url):
            _if_there(lambda: self._system.rm_file(f"{self._root}/{name}/{MANIFEST}"))
            _if_there(lambda: self._system.rm(f"{self._root}/{name}", recursive=True))

    def _make(self, path: str) -> None:
        """A bucket has no folders, and a driver that is asked for one makes a new bucket."""
        names = self._system.protocol
        if BUCKETS.isdisjoint([names] if isinstance(names, str) else names):
            self._system.makedirs(path, exist_ok=True)


def _if_there(remove: Callable[[], None]) -> None:
    try:
        remove()
    except FileNotFoundError:
        return


@contextmanager
def _reached(url: str) -> Iterator[None]:
    """Whatever a driver raises becomes one sentence; each has errors of its own."""
    try:
        yield
    except Exception as error:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise StoreUnreachable(f"{shown(url)}: {text}") from error


def _write_through(path: Path, body: bytes) -> None:
    """To the disk itself: a pointer torn by a power cut would name nothing."""
    with path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
