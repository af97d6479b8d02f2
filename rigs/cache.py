"""Keeps what was built once: a folder for each set of pins, found again next time.

Called by `rigs.toolchain` and `rigs.artifacts`. Must never hand out a folder that is
half built, or build the same one twice at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parent.parent
_DONE = ".complete"


def root() -> Path:
    """Where builds are kept: `MPLP_RIGS_CACHE`, else `.cache/rigs` in the repository."""
    chosen = os.environ.get("MPLP_RIGS_CACHE")
    return Path(chosen).resolve() if chosen else _REPOSITORY / ".cache" / "rigs"


def folder(
    name: str,
    pins: Iterable[Path],
    what: str,
    build: Callable[[Path], None],
    *,
    in_place: bool = False,
    variant: str = "",
) -> Path:
    """The folder that `build` filled from these pin files, built now if it is not there.

    `what` is the progress line, with the time it usually takes. `variant` tells apart
    builds that share pins. A build goes into a temporary folder that is renamed at the
    end; `in_place` is for what cannot be moved, and then only the mark counts.
    """
    final = root() / f"{name}-{_key(pins, variant)}"
    if (final / _DONE).exists():
        return final
    root().mkdir(parents=True, exist_ok=True)
    with _locked(root() / f"{name}.lock"):
        if not (final / _DONE).exists():
            _build(final, what, build, in_place=in_place)
    return final


def say(line: str) -> None:
    """One line of progress, for the person who waits."""
    print(f"rigs: {line}", file=sys.stderr, flush=True)


def _build(final: Path, what: str, build: Callable[[Path], None], *, in_place: bool) -> None:
    say(f"{what} ...")
    began = time.monotonic()
    shutil.rmtree(final, ignore_errors=True)
    target = final if in_place else Path(tempfile.mkdtemp(dir=root(), prefix="building-"))
    try:
        target.mkdir(exist_ok=True)
        build(target)
        (target / _DONE).touch()
        if not in_place:
            target.rename(final)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    say(f"done in {time.monotonic() - began:.0f} s")


def _key(pins: Iterable[Path], variant: str) -> str:
    digest = hashlib.sha256(f"{sys.platform} {platform.machine()} {variant}".encode())
    for pin in sorted(pins):
        digest.update(pin.name.encode() + b"\0" + pin.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another build of {path.stem}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
