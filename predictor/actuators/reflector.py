"""Keeps a store equal to what an API server holds: one list, then a watch that never ends.

`watched_scenes.py` runs one for each kind and place. It must never end by itself, ask a failing
server more often than its back-off allows, or believe that silence is no change.

Source: client-go `tools/cache/reflector.go` (list, watch from the list's version, 410 means list
anew; a watch that ends at once counts as a failure) and Kubernetes API concepts, "Efficient
detection of changes".
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Generic

import msgspec
import structlog

from predictor.actuators.backoff import RequestBackoff
from predictor.actuators.connection import ASKED_AGAIN, Answer, Connection
from predictor.actuators.listing import listed_with_version, newest_version
from predictor.actuators.object_store import Item, ObjectStore, is_older
from predictor.actuators.port import ClusterUnreachable
from predictor.actuators.refusal import refusal
from predictor.actuators.watch_events import (
    ADDED,
    BOOKMARK,
    DELETED,
    ERROR,
    MODIFIED,
    Status,
    Versioned,
    WatchEvent,
    lines,
)
from predictor.core.reasons import Code, Reason

_GONE = 410
# A watch that ends sooner than this was none.
_WATCH_MIN_S = 1.0
_RANDOM = secrets.SystemRandom()

_log = structlog.get_logger(__name__)


class Reflector(Generic[Item]):
    """One path of one kind; `store` is what is known, `failure` why nothing comes right now."""

    def __init__(
        self,
        connection: Connection,
        path: str,
        kind: type[Item],
        *,
        watch_s: float,
        read_timeout_s: float,
        backoff: RequestBackoff,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.store: ObjectStore[Item] = ObjectStore(monotonic)
        self.failure: Reason | None = None
        self.tried = asyncio.Event()
        self._connection = connection
        self._kind = kind
        self._item_decoder = msgspec.json.Decoder(kind)
        self._event_decoder = msgspec.json.Decoder(WatchEvent)
        self._watch_s = watch_s
        self._read_timeout_s = read_timeout_s
        self._backoff = backoff
        self._monotonic = monotonic
        self._failures = 0

    @property
    def wait_s(self) -> float:
        """Seconds until the server is asked again; 0 where it is being asked."""
        return max(self._backoff.wait_s, self._connection.wait_s)

    @property
    def is_cut_off(self) -> bool:
        """Whether asking again did not help either: one watch that broke off says nothing."""
        return self._failures > 1

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            await asyncio.sleep(self.wait_s)
            try:
                failure = await self._attempt()
            except Exception as error:  # noqa: BLE001 - a watch that ended for good would be unseen
                _log.exception("watch_failed", path=self.path)
                failure = Reason(Code.UNREACHABLE, f"{self.path} cannot be watched: {error!r}")
            if failure is not None:
                self.failure = failure
                self._failures += 1
                self._backoff.failed()
            self.tried.set()

    async def _attempt(self) -> Reason | None:
        """One list where one is needed, then one watch to its end; why it ended, if it failed."""
        store = self.store
        try:
            if store.resource_version:
                doubt = await self._look_back()
                if doubt is not None:
                    return doubt
            if not store.resource_version:
                store.begin_list()
                found = await listed_with_version(self._connection, self.path, self._kind)
                if isinstance(found, Reason):
                    return found
                store.replace(found.items, found.resource_version)
        except ClusterUnreachable as error:
            return _silence(error)
        started_at_s, revision = self._monotonic(), store.revision
        failure = await self._watched()
        lasted = self._monotonic() - started_at_s >= _WATCH_MIN_S
        if lasted or store.revision != revision:
            self._backoff.answered()
        elif failure is None:
            self._backoff.failed()
        return failure

    async def _look_back(self) -> Reason | None:
        """List anew where the server is at an older state than was heard of; why it cannot be said.

        So it is after etcd was restored from a backup, and a watch from a version that is still to
        come says nothing at all (v1.37).
        """
        newest = await newest_version(self._connection, self.path)
        if isinstance(newest, Reason):
            return newest
        if is_older(newest, self.store.resource_version):
            heard = self.store.resource_version
            _log.warning("server_went_back", path=self.path, heard_of=heard, now_at=newest)
            self.store.resource_version = ""
        return None

    async def _watched(self) -> Reason | None:
        try:
            return await self._watch()
        except ClusterUnreachable as error:
            return _silence(error)
        except (msgspec.MsgspecError, ValueError) as error:
            self.store.resource_version = ""
            return Reason(Code.REFUSED, f"{self.path} cannot be read: {error}")

    async def _watch(self) -> Reason | None:
        # Workers that started together must not come back together.
        timeout_s = self._watch_s * (2.0 + _RANDOM.random()) / 3.0
        query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", self.store.resource_version),
            ("timeoutSeconds", str(max(1, round(timeout_s)))),
        ]
        async with self._connection.stream(self.path, query, self._read_timeout_s) as stream:
            if isinstance(stream, Answer):
                self.store.resource_version = ""
                return None if stream.status == _GONE else refusal(stream, self.path)
            self._opened()
            async for line in lines(stream):
                event = self._event_decoder.decode(line)
                if event.type == ERROR:
                    return self._ended(msgspec.json.decode(event.object, type=Status))
                self._take(event)
        return None

    def _ended(self, status: Status) -> Reason | None:
        """A version that is too old is the ordinary way to learn that a list is needed."""
        self.store.resource_version = ""
        if status.code == _GONE:
            return None
        return Reason(Code.UNREACHABLE, f"{self.path}: the watch ended: {status.message}")

    def _take(self, event: WatchEvent) -> None:
        if event.type in (ADDED, MODIFIED):
            self.store.put(self._item_decoder.decode(event.object))
        elif event.type == DELETED:
            self.store.remove(self._item_decoder.decode(event.object))
        elif event.type != BOOKMARK:
            return
        version = msgspec.json.decode(event.object, type=Versioned).metadata.resource_version
        self.store.resource_version = version
        self.store.heard()

    def _opened(self) -> None:
        self.failure = None
        self._failures = 0
        self.store.heard()
        self.tried.set()


def _silence(error: ClusterUnreachable) -> Reason:
    """What failed; when it is tried again, a reader asks the reflector."""
    return Reason(Code.UNREACHABLE, str(error).partition(ASKED_AGAIN)[0])
