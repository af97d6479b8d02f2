"""Zip archives whose bytes follow from their entries alone, and that hold no more than they show.

`models/array_bytes.py` and `models/tree_bytes.py` keep arrays and trees in them. Entries are
stored, never compressed, so an archive cannot unpack to more than its own size. Nothing here may
write an entry to a disk or believe a name.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Mapping

ENTRIES_MAX = 200_000
_NAME = re.compile(r"[A-Za-z0-9_]{1,64}\.(npy|json)")
_BROKEN = (
    zipfile.BadZipFile,
    ValueError,
    OSError,
    EOFError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    OverflowError,
)
"""All that `zipfile` raises for bytes that are no archive, found by fuzzing it."""


class BytesRefused(Exception):  # noqa: N818 - a refusal is what it is
    """Bytes that are not what they should be; the message says why."""


def zip_of(entries: Mapping[str, bytes]) -> bytes:
    """An archive of these entries: sorted names, one fixed date, no compression."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(entries):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            # Else Windows and Unix would differ in a byte.
            entry.create_system = 3
            entry.external_attr = 0o600 << 16
            archive.writestr(entry, entries[name])
    return body.getvalue()


def entries_of(body: bytes) -> dict[str, bytes]:
    """All entries by name; raises `BytesRefused` before it reads one of an archive that is odd."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            infos = archive.infolist()
            _check(infos, len(body))
            return {info.filename: archive.read(info) for info in infos}
    except _BROKEN as error:
        raise BytesRefused(f"cannot be read as a zip archive: {error}") from None


def _check(infos: list[zipfile.ZipInfo], size: int) -> None:
    if len(infos) > ENTRIES_MAX:
        raise BytesRefused(f"holds {len(infos)} entries, at most {ENTRIES_MAX}")
    for info in infos:
        if not _NAME.fullmatch(info.filename):
            raise BytesRefused(f"has an entry named {info.filename[:80]!r}")
        if info.compress_type != zipfile.ZIP_STORED:
            raise BytesRefused(f"has a compressed entry, {info.filename}; entries are stored")
    if len({info.filename for info in infos}) != len(infos):
        raise BytesRefused("names an entry twice")
    unpacked = sum(info.file_size for info in infos)
    if unpacked > size:
        raise BytesRefused(f"unpacks to {unpacked} bytes and has {size}")
