"""Decodes MessagePack arrays of requests, quicker for the names and the kind of id it met before.

`streams/batch_block.py` calls it. What an array means is said by `streams/event_batches.py`; this
must never accept what that one refuses.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from streams.event_batches import PackedRequest
from streams.event_json import ID_CHARACTERS_MAX
from streams.known_names import KnownNames

_SHORT = Meta(max_length=ID_CHARACTERS_MAX)
_IDS: tuple[tuple[Any, Any], ...] = (
    (Annotated[bytes, _SHORT], b""),
    (Annotated[str, _SHORT], ""),
    (None, None),
)
"""Kinds of id and what stands for a missing one; msgspec has no union of text and bytes."""


class PackedDecoder:
    """Decodes the arrays of one record at a time; a record's ids are of one kind, or it fails."""

    def __init__(self) -> None:
        self._kinds = [_IdKind(kind, missing) for kind, missing in _IDS]

    def arrays(self, body: bytes) -> tuple[list[Any], bool]:
        """What has the fields of `PackedRequest`, and whether it has ids (`b""` for a missing one).

        Raises `msgspec.MsgspecError`.
        """
        for place, kind in enumerate(self._kinds):
            try:
                events = kind.decode(body)
            except msgspec.ValidationError:
                continue
            if place:  # senders seldom change: the next record is tried with this kind first
                self._kinds.insert(0, self._kinds.pop(place))
            return events, kind.has_ids
        raise msgspec.ValidationError("one of the arrays is unusual")


class _IdKind:
    """The decoders for one kind of id."""

    def __init__(self, kind: Any, missing: Any) -> None:
        self.has_ids = kind is not None
        self._plain = msgspec.msgpack.Decoder(list[_packed(kind, missing, {})])  # type: ignore[misc]
        self._known = KnownNames(
            lambda names: msgspec.msgpack.Decoder(list[_packed(kind, missing, names)])  # type: ignore[misc]
        )

    def decode(self, body: bytes) -> list[Any]:
        if self._known.decoder is not None:
            try:
                return self._known.decoder.decode(body)  # type: ignore[no-any-return]
            except msgspec.ValidationError:
                pass  # a new name, or another kind of id: the plain decoder tells
        events: list[Any] = self._plain.decode(body)
        self._known.learn(events)
        return events


def _packed(kind: Any, missing: Any, names: dict[str, Any]) -> Any:
    """`PackedRequest` with ids of this kind, and with narrower types for what is in `names`."""
    types = {"id": kind, **names}
    fields = []
    for field in msgspec.structs.fields(PackedRequest):
        found: tuple[Any, ...] = field.name, types.get(field.name, field.type)
        default = missing if field.name == "id" else field.default
        fields.append(found if default is msgspec.NODEFAULT else (*found, default))
    return msgspec.defstruct("KnownPacked", fields, array_like=True, gc=False)
