"""The temporary folders in which servers keep settings, data and logs.

Called by the rigs at start and stop, and by `rigs.process` when the interpreter ends.
Must never remove the folder of a process that still runs.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "mplp-rig"

_ours: set[Path] = set()


def new_folder(name: str) -> Path:
    """An empty folder; what killed runs could not remove is removed on the way."""
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}-{os.getpid()}-{name}-"))
    _ours.add(folder)
    return folder


def remove(folder: Path) -> None:
    """Remove a folder and all in it; removing it twice is no error."""
    shutil.rmtree(folder, ignore_errors=True)
    _ours.discard(folder)


def remove_all() -> None:
    """Remove every folder of this process."""
    for folder in list(_ours):
        remove(folder)


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}-*"):
        owner = folder.name.split("-")[2]
        if owner.isdigit() and not _exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Somebody else's, so not ours to remove.
        return True
    return True
