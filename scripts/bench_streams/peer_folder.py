"""The temporary folder of one peer's process, and the environment that makes it use nothing else.

`race.py` and `live.py` start every process in one. State stores, unpacked native libraries and the
report lie there; it is removed at the end, or by the next run if this one is killed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rigs import scratch

REPOSITORY = Path(__file__).resolve().parents[2]
"""Where peers are started, so that they find this package in whichever environment they run."""


@contextmanager
def peer_folder() -> Iterator[Path]:
    """A folder for as long as the process runs."""
    folder = scratch.new_folder("bench")
    try:
        yield folder
    finally:
        scratch.remove(folder)


def peer_environment(folder: Path) -> dict[str, str]:
    """Our environment variables, with the folder as the place for temporary files."""
    return {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(folder),
        "JAVA_TOOL_OPTIONS": f"-Djava.io.tmpdir={folder}",
    }
