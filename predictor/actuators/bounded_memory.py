"""A mapping that forgets: of more than its limit, what was noted longest ago.

Whatever remembers something for each object that it ever saw keeps it in one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class BoundedMemory(Generic[_Key, _Value]):
    """At most `size_max` values."""

    def __init__(self, size_max: int = 50_000) -> None:
        self._size_max = size_max
        self._values: OrderedDict[_Key, _Value] = OrderedDict()

    def __contains__(self, key: _Key) -> bool:
        return key in self._values

    def note(self, key: _Key, value: _Value) -> None:
        """Remember it as the newest; beyond the limit the oldest goes."""
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._size_max:
            self._values.popitem(last=False)

    def forget(self, key: _Key) -> None:
        """As if it had never been noted."""
        self._values.pop(key, None)

    def of(self, key: _Key) -> _Value | None:
        """What was noted last; None after a restart."""
        return self._values.get(key)
