"""Where two writings of one audit record first differ, in words.

`predictor/audit_replay.py` asks when a decision made again is not the recorded one. It must never
say that two records are alike which are not so to the byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import msgspec

SHOWN_CHARACTERS_MAX = 200
"""Of each side; a list of ten thousand targets is no answer to where they differ."""
_ABSENT = object()
_AROUND_BYTES = 40


class Difference(msgspec.Struct, frozen=True):
    """A field by its path, its target named (`floors[core/eu-west-1].floor`), and both values."""

    path: str
    recorded: str
    made_again: str

    @property
    def sentence(self) -> str:
        """Both sides in one line."""
        return f"{self.path}: recorded {self.recorded}, made again {self.made_again}"


def first_difference(recorded: bytes, again: bytes) -> Difference | None:
    """The first field that differs, in the record's own order; None for equal bytes.

    Both must be JSON. Where all values are equal and the bytes are not, that is the difference.
    """
    if recorded == again:
        return None
    sides = msgspec.json.decode(recorded), msgspec.json.decode(again)
    for path, one, other in _different("", *sides):
        named = path.removeprefix(".").removeprefix("decision.")
        return Difference(named or "record", _shown(one), _shown(other))
    at = next(place for place, (a, b) in enumerate(zip_longest(recorded, again)) if a != b)
    cut = slice(max(at - _AROUND_BYTES, 0), at + _AROUND_BYTES)
    shown = [repr(side[cut].decode(errors="replace")) for side in (recorded, again)]
    return Difference(f"the same values are written otherwise from byte {at} on", *shown)


def _different(path: str, one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    """Every pair of values that differ, with its path, in the order of the first side."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in dict.fromkeys([*one, *other]):
            yield from _different(
                f"{path}.{name}", one.get(name, _ABSENT), other.get(name, _ABSENT)
            )
    elif isinstance(one, list) and isinstance(other, list):
        for place, (a, b) in enumerate(zip_longest(one, other, fillvalue=_ABSENT)):
            yield from _different(f"{path}[{_name(place, a if b is _ABSENT else b)}]", a, b)
    elif one != other:
        yield path, one, other


def _name(place: int, item: object) -> str:
    """A target's or module's own name where the item has one, else its place."""
    if isinstance(item, dict):
        if isinstance(item.get("key"), list):
            return "/".join(map(str, item["key"]))
        if isinstance(item.get("module"), str):
            return str(item["module"])
    return str(place)


def _shown(value: object) -> str:
    if value is _ABSENT:
        return "nothing"
    text = msgspec.json.encode(value).decode()
    more = len(text) - SHOWN_CHARACTERS_MAX
    return text if more <= 0 else f"{text[:SHOWN_CHARACTERS_MAX]}… and {more} characters more"
