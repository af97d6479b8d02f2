"""Brings a newly promoted version into a running service.

`predictor/worker.py` runs it beside the ticks. It reads the store's pointer at an interval, opens a
version that is not the one in use in a thread, and hands it over. A version that is refused, or a
store that does not answer, leaves the model in use where it is. It must never hold up a tick, have
two reads under way, or end the worker.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from models.manifest import ModelRefused
from models.model_signature import TrustedKeys
from models.stored_parameters import StoredParameters
from predictor.model_store.folders import StoreUnreachable
from predictor.model_store.model_store import ModelStore
from predictor.model_store.outcomes import LoadOutcome

_log = structlog.get_logger(__name__)

Model = TypeVar("Model")
EMPTY = ("empty", "")


@dataclass(frozen=True, slots=True)
class WatchTimes:
    """`poll_s` between two looks; after `timeout_s` a look counts as unreachable."""

    poll_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class _Found(Generic[Model]):
    version: str
    model: Model
    digest: str
    signer: str


class _Refused(Exception):  # noqa: N818 - a refusal, with the version that it is of
    def __init__(self, version: str, reason: str) -> None:
        super().__init__(reason)
        self.version = version


class ModelWatcher(Generic[Model]):
    """Looks at one store. `model_of` may raise `ModelRefused`; `take` is called in the event loop
    with each new model and its digest. `counts` counts `LoadOutcome`s."""

    def __init__(
        self,
        store: ModelStore,
        trusted: TrustedKeys,
        *,
        model_of: Callable[[StoredParameters], Model],
        take: Callable[[Model, str], None],
        times: WatchTimes,
        counts: Counter[str],
    ) -> None:
        self.version: str | None = None
        self._store = store
        self._trusted = trusted
        self._model_of = model_of
        self._take = take
        self._times = times
        self._counts = counts
        self._look: asyncio.Task[_Found[Model] | None] | None = None
        self._told: tuple[str, str] | None = None
        self._is_empty = False
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End without another look; one under way is not waited for."""
        self._stopping.set()

    async def run(self) -> None:
        """Look until stopped."""
        stopped = asyncio.create_task(self._stopping.wait())
        while not stopped.done():
            poll = asyncio.create_task(self.poll())
            await asyncio.wait({poll, stopped}, return_when=asyncio.FIRST_COMPLETED)
            poll.cancel()
            await asyncio.wait({stopped}, timeout=self._times.poll_s)
        if self._look is not None:
            self._look.cancel()

    async def poll(self) -> None:
        """Look once; a look that is still under way is waited for instead of begun again."""
        if self._look is None:
            self._look = asyncio.create_task(asyncio.to_thread(self._find))
        done, _ = await asyncio.wait({self._look}, timeout=self._times.timeout_s)
        if not done:
            self._note(LoadOutcome.UNREACHABLE, "", f"no answer in {self._times.timeout_s:g} s")
            return
        look, self._look = self._look, None
        try:
            found = look.result()
        except _Refused as error:
            self._note(LoadOutcome.REFUSED, error.version, str(error))
        except StoreUnreachable as error:
            self._note(LoadOutcome.UNREACHABLE, "", str(error))
        except Exception:  # noqa: BLE001 - a fault of ours must not end the service either
            self._counts[LoadOutcome.REFUSED] += 1
            _log.exception("model_look_failed")
        else:
            if found is not None:
                self._use(found)
            elif self._is_empty and self._told != EMPTY:
                # No fault, but a wrong URL looks the same.
                _log.warning("model_none_promoted", store=self._store.url, in_use=self.version)
            self._told = EMPTY if self._is_empty else None

    def _use(self, found: _Found[Model]) -> None:
        self.version = found.version
        self._take(found.model, found.digest)
        self._counts[LoadOutcome.LOADED] += 1
        _log.info(
            "model_loaded", version=found.version, digest=found.digest, signature=found.signer
        )

    def _note(self, outcome: LoadOutcome, version: str, reason: str) -> None:
        """Count each time, say it once for a version or for a store that stays away."""
        self._counts[outcome] += 1
        if self._told != (outcome, version):
            self._told = (outcome, version)
            _log.error(f"model_{outcome}", version=version, reason=reason, in_use=self.version)

    def _find(self) -> _Found[Model] | None:
        """The promoted version if it is not in use already; runs in a thread."""
        version: str | None = None
        self._is_empty = False
        try:
            version = self._store.pointer().current
            if version is None or version == self.version:
                self._is_empty = version is None
                return None
            opened = self._store.open(version, self._trusted)
            model = self._model_of(opened.parameters)
        except ModelRefused as error:
            raise _Refused(version or "", str(error)) from None
        facts = opened.facts
        return _Found(version, model, facts.manifest.digest, facts.signer.sentence)
