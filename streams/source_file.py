"""Reads raw values from a file as if it were one partition: the offline way in.

The demo, `train` and `backtest` use it where no broker runs, and decode and count what it gives as
live. A `.jsonl` or `.jsonl.gz` file holds one value a line; the line's number is its offset.
Headers and timestamps there are none, so a time in the future cannot be told from the present.
Must never hold more than one value in memory.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast


def read_values(path: Path, *, bytes_max: int = 1 << 20) -> Iterator[tuple[int, bytes]]:
    """Each line's number and bytes, blank lines left out. Raises `OSError`, `EOFError`.

    Of a longer line, one byte more than `bytes_max` is given, so that it is found too long.
    """
    with _opened(path) as lines:
        number = 0
        while line := lines.readline(bytes_max + 1):
            rest = line
            while not rest.endswith(b"\n") and (rest := lines.readline(bytes_max + 1)):
                pass
            value = line.rstrip(b"\r\n")
            if value.strip():
                yield number, value
            number += 1


def _opened(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return path.open("rb")
