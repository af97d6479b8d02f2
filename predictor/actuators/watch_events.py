"""The stream of a watch taken apart: lines, and what each one says.

`reflector.py` reads with it. Pure but for the stream that it is given; it must never hold more than
one line, nor a line without an end.

Source: Kubernetes API concepts, "Efficient detection of changes" (one JSON document a line;
BOOKMARK and ERROR events).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

# An object cannot be larger than an etcd request, 1.5 MiB; some come with their old state.
LINE_BYTES_MAX = 4 * 1024 * 1024

ADDED, MODIFIED, DELETED, BOOKMARK, ERROR = "ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"


class WatchEvent(msgspec.Struct, frozen=True):
    """One line: `object` is the object itself, a Status where the type is ERROR."""

    type: str
    object: msgspec.Raw


class Versioned(msgspec.Struct, frozen=True):
    """All that a bookmark says."""

    class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
        resource_version: str

    metadata: _Metadata


class Status(msgspec.Struct, frozen=True):
    """Why the server ends a watch."""

    code: int = 0
    message: str = ""


async def lines(
    chunks: AsyncIterator[bytes], line_bytes_max: int = LINE_BYTES_MAX
) -> AsyncIterator[bytes]:
    """Whole lines; raises `ValueError` where one does not end. An unfinished last one is lost."""
    rest = bytearray()
    async for chunk in chunks:
        rest += chunk
        start = 0
        while (end := rest.find(b"\n", start)) >= 0:
            line = bytes(rest[start:end])
            start = end + 1
            if line.strip():
                yield line
        del rest[:start]
        if len(rest) > line_bytes_max:
            raise ValueError(f"a line of a watch is longer than {line_bytes_max} bytes")
