"""HPAs, Deployments and ScaledObjects of every place that is ours, kept by watches.

`kubernetes.py` starts it with the first observation, asks it for a namespace's scene at each tick,
and ends it. It must never wait for a server without a bound, or show a place of which nothing was
heard for too long as if it were known.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from predictor.actuators.backoff import RequestBackoff
from predictor.actuators.cluster_settings import ClusterSettings
from predictor.actuators.connection import ASKED_AGAIN, Connection
from predictor.actuators.hpa_reader import NamespaceScene
from predictor.actuators.object_store import Item, ObjectStore
from predictor.actuators.objects import Deployment, Hpa
from predictor.actuators.reflector import Reflector
from predictor.actuators.scaled_object import ScaledHpas, ScaledObject
from predictor.core.floor_object import (
    HPA_KIND,
    SCALED_OBJECT_KIND,
    FloorKind,
    FloorObject,
)
from predictor.core.reasons import Code, Reason

_DEPLOYMENTS = "/apis/apps/v1{}/deployments"
_UNREAD = "which cannot be read: {}; apply deploy/keda, or set kubernetes.keda: refuse"
# A first list has two requests' time: the connection is made, too.
_FIRST_LIST_TIMEOUTS = 2.0
NOTHING = NamespaceScene({}, {}, {})


_Reflector = Reflector[Hpa] | Reflector[Deployment] | Reflector[ScaledObject]


@dataclass(slots=True)
class _Place:
    """One namespace, or the whole cluster, with its scenes of the stores' last revisions."""

    hpas: Reflector[Hpa]
    deployments: Reflector[Deployment]
    scaled_objects: Reflector[ScaledObject] | None
    scaled_hpas: ScaledHpas | None
    unread: str = ""
    """Why ScaledObjects are not known right now."""
    seen: tuple[int, int, int, str] = (-1, -1, -1, "")
    scenes: dict[str, NamespaceScene] = field(default_factory=dict)

    @property
    def reflectors(self) -> tuple[_Reflector, ...]:
        needed: tuple[_Reflector, ...] = (self.hpas, self.deployments)
        return needed if self.scaled_objects is None else (*needed, self.scaled_objects)

    @property
    def stores(self) -> dict[FloorKind, ObjectStore[Hpa] | ObjectStore[ScaledObject]]:
        """What holds floors."""
        if self.scaled_objects is None:
            return {HPA_KIND: self.hpas.store}
        return {HPA_KIND: self.hpas.store, SCALED_OBJECT_KIND: self.scaled_objects.store}

    def whole(self, hpa: Hpa) -> Hpa:
        """With what its ScaledObject says, where floors are written there."""
        return hpa if self.scaled_hpas is None else self.scaled_hpas.of(hpa, self.unread)

    def scene(self, namespace: str) -> NamespaceScene:
        scaled = 0 if self.scaled_objects is None else self.scaled_objects.store.revision
        hpas, deployments = self.hpas.store.revision, self.deployments.store.revision
        seen = (hpas, deployments, scaled, self.unread)
        if seen != self.seen:
            self.seen, self.scenes = seen, self._divided()
        return self.scenes.get(namespace, NOTHING)

    def _divided(self) -> dict[str, NamespaceScene]:
        hpas: dict[str, list[Hpa]] = {}
        deployments: dict[str, list[Deployment]] = {}
        for hpa in self.hpas.store:
            hpas.setdefault(hpa.metadata.namespace, []).append(self.whole(hpa))
        for one in self.deployments.store:
            deployments.setdefault(one.metadata.namespace, []).append(one)
        numbers = {kind: store.list_number for kind, store in self.stores.items()}
        replace = msgspec.structs.replace
        return {
            name: replace(NamespaceScene.of(found, deployments.get(name, ())), list_numbers=numbers)
            for name, found in hpas.items()
        }


class WatchedScenes:
    """A reflector of each kind for each watched namespace, or for the whole cluster."""

    def __init__(self, settings: ClusterSettings, connection: Connection) -> None:
        self._settings = settings
        self._connection = connection
        self._places: dict[str, _Place] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def ready(self) -> None:
        """Start where that is to be done, and wait until each first list has come or failed."""
        if not self._places:
            self._places = {name: self._place(name) for name in self._settings.watched_places}
            for one in self._reflectors():
                self._tasks.append(asyncio.create_task(one.run(), name=f"watch {one.path}"))
        waiting = [one.tried.wait() for one in self._reflectors() if not one.tried.is_set()]
        if waiting:
            limit_s = self._settings.request_timeout_s * _FIRST_LIST_TIMEOUTS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*waiting), limit_s)

    def problems(self) -> dict[str, Reason | None]:
        """Each watched namespace ("" for the whole cluster) with why nothing is known of it.

        ScaledObjects that cannot be read are no such problem: only HPAs made from them are left
        alone, with that reason.
        """
        for place in self._places.values():
            place.unread = self._unread(place.scaled_objects)
        return {
            name: self._problem(place.hpas) or self._problem(place.deployments)
            for name, place in self._places.items()
        }

    def silent_s(self) -> float | None:
        """The longest time that nothing was heard of a kind in a place; another thread may ask."""
        return max((one.store.silent_s for one in self._reflectors()), default=None)

    def scene(self, namespace: str) -> NamespaceScene:
        """What was last heard of the namespace; see `problems` for how far it can be relied on."""
        place = self._at(namespace)
        return NOTHING if place is None else place.scene(namespace)

    def place_of(self, namespace: str) -> str:
        """The key in `problems` under which the namespace stands."""
        return namespace if namespace in self._places else ""

    def hpas(self) -> Iterator[Hpa]:
        """Every HPA that is known."""
        for place in self._places.values():
            yield from map(place.whole, place.hpas.store)

    def was_synced(self, namespace: str) -> bool:
        """Whether the namespace's HPAs have ever been listed."""
        place = self._at(namespace)
        return place is not None and place.hpas.store.was_synced

    def hpa(self, namespace: str, name: str) -> Hpa | None:
        """The HPA as last heard of."""
        place = self._at(namespace)
        found = None if place is None else place.hpas.store.get(namespace, name)
        return None if place is None or found is None else place.whole(found)

    def lists_begun(self, at: FloorObject) -> int:
        """The number of its kind's newest list: what was written before is in any later one."""
        place = self._at(at.namespace)
        store = None if place is None else place.stores.get(at.kind)
        return 0 if store is None else store.lists_begun

    def heard_of(self, at: FloorObject, body: bytes) -> None:
        """What the server answered about one of them, to a write of ours or a look.

        Raises `msgspec.MsgspecError` where that is no such object.
        """
        place = self._at(at.namespace)
        if place is None:
            return
        if at.kind == HPA_KIND:
            place.hpas.store.put(msgspec.json.decode(body, type=Hpa))
        elif place.scaled_objects is not None:
            place.scaled_objects.store.put(msgspec.json.decode(body, type=ScaledObject))

    async def close(self) -> None:
        """End the watches."""
        tasks, self._tasks, self._places = self._tasks, [], {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _reflectors(self) -> list[_Reflector]:
        return [one for place in self._places.values() for one in place.reflectors]

    def _at(self, namespace: str) -> _Place | None:
        return self._places.get(self.place_of(namespace))

    def _place(self, namespace: str) -> _Place:
        within = f"/namespaces/{namespace}" if namespace else ""
        hpas = self._reflector(HPA_KIND.path(namespace), Hpa)
        deployments = self._reflector(_DEPLOYMENTS.format(within), Deployment)
        if not self._settings.patches_scaled_objects:
            return _Place(hpas, deployments, None, None)
        scaled_objects = self._reflector(SCALED_OBJECT_KIND.path(namespace), ScaledObject)
        return _Place(hpas, deployments, scaled_objects, ScaledHpas(scaled_objects.store.get))

    def _reflector(self, path: str, kind: type[Item]) -> Reflector[Item]:
        settings = self._settings
        return Reflector(
            self._connection,
            path,
            kind,
            watch_s=settings.watch_s,
            read_timeout_s=settings.watch_read_timeout_s,
            backoff=RequestBackoff(settings.retry_delay_s, settings.retry_delay_max_s),
        )

    def _unread(self, one: Reflector[ScaledObject] | None) -> str:
        """The same words as long as it is so: views are made anew when they change."""
        if one is None or self._problem(one) is None:
            return ""
        why = one.failure.sentence if one.failure else f"{one.path} is not answered"
        return _UNREAD.format(why)

    def _problem(self, one: _Reflector) -> Reason | None:
        """Why its objects are not to be relied on: never listed, forbidden, or long cut off."""
        failure = one.failure or Reason(Code.UNREACHABLE, f"{one.path} is not answered")
        again = f"{ASKED_AGAIN} in {one.wait_s:.1f} s"
        if not one.store.was_synced:
            return Reason(failure.code, f"{failure.sentence}{again}")
        if failure.code is Code.FORBIDDEN:
            return failure
        settings, silent_s = self._settings, one.store.silent_s
        # A watch that nothing is wrong with is opened anew after its read timeout at the latest.
        endless = silent_s > settings.silence_max_s + settings.watch_read_timeout_s
        if not endless and not (one.is_cut_off and silent_s > settings.silence_max_s):
            return None
        heard = f"{one.path} was last heard of {silent_s:.0f} s ago"
        return Reason(failure.code, f"{heard}: {failure.sentence}{again}")
