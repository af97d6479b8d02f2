"""All objects of one kind under a path, page by page.

`reflector.py` and `pending_pods.py` read with it. It must never read without an end: pages and
their number are bounded.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

import msgspec

from predictor.actuators.connection import Connection
from predictor.actuators.refusal import refusal
from predictor.core.reasons import Code, Reason

_Item = TypeVar("_Item")

# The API server's own clients use pages of 500; 200 of them are 100,000 objects in a cluster.
_PAGE_OBJECTS = 500
_PAGES_MAX = 200


class _PageMetadata(msgspec.Struct, frozen=True):
    next: str = msgspec.field(name="continue", default="")
    version: str = msgspec.field(name="resourceVersion", default="")


class _Page(msgspec.Struct, Generic[_Item], frozen=True):
    items: tuple[_Item, ...]
    metadata: _PageMetadata = _PageMetadata()


class Listing(NamedTuple, Generic[_Item]):
    """The objects, and the version of the whole list, from which a watch goes on."""

    items: list[_Item]
    resource_version: str


async def newest_version(connection: Connection, path: str) -> str | Reason:
    """The version that the server itself is at, asked for without its cache; raises
    `ClusterUnreachable`.

    Source: Kubernetes API concepts, "Resource versions": a list that names none is of the newest.
    """
    answer = await connection.get(path, [("limit", "1")])
    if not answer.ok:
        return refusal(answer, path)
    try:
        page = msgspec.json.decode(answer.body, type=_Page[msgspec.Raw])
    except msgspec.MsgspecError as error:
        return Reason(Code.REFUSED, f"{path} cannot be read: {error}")
    return page.metadata.version


async def listed(connection: Connection, path: str, kind: type[_Item]) -> list[_Item] | Reason:
    """All objects under `path`, or why they cannot be had; raises `ClusterUnreachable`."""
    found = await listed_with_version(connection, path, kind)
    return found if isinstance(found, Reason) else found.items


async def listed_with_version(
    connection: Connection, path: str, kind: type[_Item]
) -> Listing[_Item] | Reason:
    """As `listed`; every page is of the same version."""
    decoder: msgspec.json.Decoder[_Page[_Item]] = msgspec.json.Decoder(_Page[kind])  # type: ignore[valid-type]
    items: list[_Item] = []
    token = ""
    for _ in range(_PAGES_MAX):
        query = [("limit", str(_PAGE_OBJECTS)), *([("continue", token)] if token else [])]
        answer = await connection.get(path, query)
        if not answer.ok:
            return refusal(answer, path)
        try:
            page = decoder.decode(answer.body)
        except msgspec.MsgspecError as error:
            return Reason(Code.REFUSED, f"{path} cannot be read: {error}")
        items.extend(page.items)
        token = page.metadata.next
        if not token:
            return Listing(items, page.metadata.version)
    return Reason(Code.REFUSED, f"{path} holds more than {_PAGES_MAX * _PAGE_OBJECTS} objects")
