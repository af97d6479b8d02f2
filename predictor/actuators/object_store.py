"""The objects of one kind as last heard of from one API server.

`reflector.py` fills it from a list and a watch, `kubernetes.py` puts in what the server answered to
a write of ours, and `watched_scenes.py` reads it. It must never go back in time within one watch.

Source: that versions of one resource are compared as decimal numbers is promised since Kubernetes
1.35 (KEP-5504, comparable resource version); where one is no such number, nothing is concluded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from predictor.actuators.objects import Metadata


class Stored(Protocol):
    """Whatever has metadata."""

    @property
    def metadata(self) -> Metadata:
        """Name, uid and version."""
        ...


Item = TypeVar("Item", bound=Stored)
_Name = tuple[str, str]


def is_older(version: str, than: str) -> bool:
    """Whether the one resourceVersion is surely older than the other."""
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)


class ObjectStore(Generic[Item]):
    """Objects by namespace and name; `revision` changes with every change of any of them.

    `resource_version` is where a watch goes on, empty where a list is needed first. `heard_at_s` is
    the monotonic time of the last list, event or bookmark. Lists are numbered as they begin, and
    `list_number` is of the one that the objects stem from.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._items: dict[_Name, Item] = {}
        self.resource_version = ""
        self.was_synced = False
        self.heard_at_s = monotonic()
        self.revision = 0
        self.lists_begun = 0
        self.list_number = 0

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items.values())

    def get(self, namespace: str, name: str) -> Item | None:
        """The object, if there is one."""
        return self._items.get((namespace, name))

    @property
    def silent_s(self) -> float:
        """Seconds since the server was heard of."""
        return self._monotonic() - self.heard_at_s

    def heard(self) -> None:
        """The server said something."""
        self.heard_at_s = self._monotonic()

    def begin_list(self) -> None:
        """A whole list is asked for now."""
        self.lists_begun += 1

    def replace(self, items: Iterable[Item], resource_version: str) -> None:
        """A whole list, whatever was there before."""
        self._items = {_name(item): item for item in items}
        self.resource_version = resource_version
        self.was_synced = True
        self.list_number = self.lists_begun
        self._changed()

    def put(self, item: Item) -> None:
        """A newer state of one object; an older one than is known changes nothing."""
        known = self._items.get(_name(item))
        if known is None or not is_older(_version(item), _version(known)):
            self._items[_name(item)] = item
        self._changed()

    def remove(self, item: Item) -> None:
        """The object is gone, in the state in which it went; a newer one of that name stays."""
        known = self._items.get(_name(item))
        if known is not None and not is_older(_version(item), _version(known)):
            del self._items[_name(item)]
        self._changed()

    def _changed(self) -> None:
        self.revision += 1
        self.heard()


def _name(item: Stored) -> _Name:
    return item.metadata.namespace, item.metadata.name


def _version(item: Stored) -> str:
    return item.metadata.resource_version
