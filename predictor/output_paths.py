"""Whether what a command will write can be written, asked before all the work.

`predictor/cli.py` and `predictor/backtest_cli.py` use it. It must never change what is there.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile


def file_fault(path: Path) -> str | None:
    """Why no file could be written there, None where it could."""
    try:
        return "is a directory" if path.is_dir() else parent_fault(path)
    except OSError as error:
        return error.strerror


def parent_fault(path: Path) -> str | None:
    """Why nothing could be written beside a path, whose folders may yet have to be made.

    Raises `OSError` where it may not even be looked at.
    """
    parent = path.resolve().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        return f"{parent.name} is a file, no folder"
    try:
        # Rights alone do not tell of a disk that is read-only or makes no files.
        with TemporaryFile(dir=parent):
            return None
    except OSError as error:
        return f"{parent} cannot be written to: {error.strerror}"
