"""What an object of unknown shape holds at a path: a value of the asked kind, or nothing.

Every rule of `predictor/check/` reads with it, for a manifest may hold anything at any place. It
must never raise, and never take one kind of value for another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_ENTRIES_MAX = 10_000
_WHOLE_MAX = 2**31 - 1


def value(body: object, *path: str | int) -> Any:
    """Whatever lies there; None where the path does not lead anywhere."""
    for step in path:
        # A plain dict is nearly every case, and the abstract check costs more than the look-up.
        if type(body) is dict or (isinstance(step, str) and isinstance(body, Mapping)):
            body = body.get(step)
        elif isinstance(step, int) and _is_list(body):
            entries: Sequence[object] = body  # type: ignore[assignment]
            body = entries[step] if -len(entries) <= step < len(entries) else None
        else:
            return None
    return body


def text(body: object, *path: str | int) -> str:
    """A string; empty where there is none."""
    found = value(body, *path)
    return found if isinstance(found, str) else ""


def whole(body: object, *path: str | int) -> int | None:
    """A whole number of 32 bits; True is none."""
    found = value(body, *path)
    if not isinstance(found, int) or isinstance(found, bool):
        return None
    return found if abs(found) <= _WHOLE_MAX else None


def mapping(body: object, *path: str | int) -> Mapping[str, Any]:
    """A mapping; empty where there is none."""
    found = value(body, *path)
    return found if isinstance(found, Mapping) else {}


def strings(body: object, *path: str | int) -> dict[str, str]:
    """The entries of a mapping that are strings: labels and annotations."""
    found = value(body, *path)
    if not isinstance(found, Mapping):
        return {}
    return {key: one for key, one in found.items() if isinstance(key, str) and isinstance(one, str)}


def entries(body: object, *path: str | int) -> Iterator[Mapping[str, Any]]:
    """The mappings of a list, in its order; other entries are passed over."""
    found = value(body, *path)
    if _is_list(found):
        yield from (one for one in found[:_ENTRIES_MAX] if isinstance(one, Mapping))


def texts(body: object, *path: str | int) -> tuple[str, ...]:
    """The strings of a list."""
    found = value(body, *path)
    if not _is_list(found):
        return ()
    return tuple(one for one in found[:_ENTRIES_MAX] if isinstance(one, str))


def _is_list(found: object) -> bool:
    return isinstance(found, Sequence) and not isinstance(found, str | bytes)
