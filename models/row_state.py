"""What was learnt of many rows: values whose every part has one entry for each row.

The states that learn online derive from it, so that some rows of one can be taken out, taught and
put back. It must never change a value: taking and putting give new ones.
"""

from __future__ import annotations

from typing import Any, Self

from models.series import FloatArray
from models.step_windows import IntArray


class RowState:
    """Base of frozen dataclasses with slots; each field is an array (n, ...) or such a state."""

    __slots__: tuple[str, ...] = ()

    def rows(self, rows: IntArray | slice) -> Self:
        """Some of the rows, in this order; of a slice nothing is copied."""
        return self._of(
            part.rows(rows) if isinstance(part, RowState) else part[rows] for part in self._parts()
        )

    def with_rows(self, rows: IntArray, state: Self) -> Self:
        """These rows from another state."""
        return self._of(
            own.with_rows(rows, other) if isinstance(own, RowState) else _replaced(own, rows, other)
            for own, other in zip(self._parts(), state._parts(), strict=True)
        )

    def _parts(self) -> list[Any]:
        return [getattr(self, name) for name in self.__slots__]

    def _of(self, parts: Any) -> Self:
        make: Any = type(self)
        made: Self = make(*parts)
        return made


def _replaced(array: FloatArray, rows: IntArray, part: FloatArray) -> FloatArray:
    if len(rows) == len(array):
        return part
    changed = array.copy()
    changed[rows] = part
    return changed
