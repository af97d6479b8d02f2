"""HPAs and Deployments of every place that is ours, kept by watches.

`kubernetes.py` starts it with the first observation, asks it for a namespace's scene at each tick,
and ends it. It must never wait for a server without a bound, or show a place of which nothing was
heard for too long as if it were known.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from predictor.actuators.backoff import Backoff
from predictor.actuators.cluster_settings import ClusterSettings
from predictor.actuators.connection import ASKED_AGAIN, Connection
from predictor.actuators.hpa_reader import NamespaceScene
from predictor.actuators.object_store import Item
from predictor.actuators.objects import Deployment, Hpa
from predictor.actuators.reflector import Reflector
from predictor.core.reasons import Code, Reason

_HPAS = "/apis/autoscaling/v2{}/horizontalpodautoscalers"
_DEPLOYMENTS = "/apis/apps/v1{}/deployments"
# A first list has two requests' time: the connection is made, too.
_FIRST_LIST_TIMEOUTS = 2.0
NOTHING = NamespaceScene({}, {}, {})


@dataclass(slots=True)
class _Place:
    """One namespace, or the whole cluster, with its scenes of the stores' last revisions."""

    hpas: Reflector[Hpa]
    deployments: Reflector[Deployment]
    revisions: tuple[int, int] = (-1, -1)
    scenes: dict[str, NamespaceScene] = field(default_factory=dict)

    def scene(self, namespace: str) -> NamespaceScene:
        revisions = (self.hpas.store.revision, self.deployments.store.revision)
        if revisions != self.revisions:
            self.revisions, self.scenes = revisions, self._divided()
        return self.scenes.get(namespace, NOTHING)

    def _divided(self) -> dict[str, NamespaceScene]:
        hpas: dict[str, list[Hpa]] = {}
        deployments: dict[str, list[Deployment]] = {}
        for hpa in self.hpas.store:
            hpas.setdefault(hpa.metadata.namespace, []).append(hpa)
        for one in self.deployments.store:
            deployments.setdefault(one.metadata.namespace, []).append(one)
        return {
            name: NamespaceScene.of(found, deployments.get(name, ()))
            for name, found in hpas.items()
        }


class WatchedScenes:
    """Two reflectors for each watched namespace, or two for the whole cluster."""

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
        """Each watched namespace ("" for the whole cluster) with why nothing is known of it."""
        return {
            name: self._problem(place.hpas) or self._problem(place.deployments)
            for name, place in self._places.items()
        }

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
            yield from place.hpas.store

    def was_synced(self, namespace: str) -> bool:
        """Whether the namespace's HPAs have ever been listed."""
        place = self._at(namespace)
        return place is not None and place.hpas.store.was_synced

    def hpa(self, namespace: str, name: str) -> Hpa | None:
        """The HPA as last heard of."""
        place = self._at(namespace)
        return None if place is None else place.hpas.store.get(namespace, name)

    def heard_of(self, hpa: Hpa) -> None:
        """What the server answered about one HPA, to a write of ours or a look."""
        place = self._at(hpa.metadata.namespace)
        if place is not None:
            place.hpas.store.put(hpa)

    async def close(self) -> None:
        """End the watches."""
        tasks, self._tasks, self._places = self._tasks, [], {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _reflectors(self) -> list[Reflector[Hpa] | Reflector[Deployment]]:
        return [one for place in self._places.values() for one in (place.hpas, place.deployments)]

    def _at(self, namespace: str) -> _Place | None:
        return self._places.get(self.place_of(namespace))

    def _place(self, namespace: str) -> _Place:
        within = f"/namespaces/{namespace}" if namespace else ""
        return _Place(
            self._reflector(_HPAS.format(within), Hpa),
            self._reflector(_DEPLOYMENTS.format(within), Deployment),
        )

    def _reflector(self, path: str, kind: type[Item]) -> Reflector[Item]:
        settings = self._settings
        return Reflector(
            self._connection,
            path,
            kind,
            watch_s=settings.watch_s,
            read_timeout_s=settings.watch_read_timeout_s,
            backoff=Backoff(settings.retry_delay_s, settings.retry_delay_max_s),
        )

    def _problem(self, one: Reflector[Hpa] | Reflector[Deployment]) -> Reason | None:
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
