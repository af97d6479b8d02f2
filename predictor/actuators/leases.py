"""Who may write for a demand partition: one Lease each, and the epoch that goes into every write.

`gate.py` asks it before every write, the worker tells it which partitions it was given. Two workers
can both believe that a partition is theirs: one of them was paused, or cut off. So whoever holds
the Lease counts its holders (the epoch), and the server refuses an epoch smaller than one it has
seen. A holder believes in its Lease only for `renew_deadline_s` after it *began* its last renewal,
by its own monotonic clock: a process that was stopped finds itself out before it writes. Nobody
compares times of day, so clocks may differ; they must only run at about the same rate.

It must never wait without a limit, and never end the worker: without a Lease nothing is written,
and that is all.

Source: the rules and default times of client-go `tools/leaderelection/leaderelection.go`.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from predictor.actuators.connection import Answer, Connection
from predictor.actuators.gate_state import LeaseState
from predictor.actuators.lease_record import (
    EPOCH_MAX,
    Lease,
    held_spec,
    lease_name,
    lease_patch,
    leases_path,
    new_lease,
    read_lease,
    released_spec,
)
from predictor.actuators.port import ClusterUnreachable
from predictor.actuators.refusal import refusal
from predictor.core.reasons import Code, Reason

_MERGE_PATCH = "application/merge-patch+json"
_NOT_FOUND, _CONFLICT = 404, 409
_AT_ONCE_MAX = 8
_LOOKS_MAX = 2
_RANDOM = secrets.SystemRandom()


class LeaseTimes(msgspec.Struct, frozen=True):
    """client-go's own times; raises `ValueError` for such as would let two hold a Lease."""

    duration_s: float = 15.0
    """So long a Lease that nobody renews is left to its holder."""
    renew_deadline_s: float = 10.0
    """So long after the start of its last renewal a holder believes in it."""
    retry_s: float = 2.0

    def __post_init__(self) -> None:
        if not self.duration_s > self.renew_deadline_s > 1.2 * self.retry_s > 0:
            raise ValueError(
                f"a lease of {self.duration_s:g} s must outlast its renew deadline of "
                f"{self.renew_deadline_s:g} s, and that 1.2 retries of {self.retry_s:g} s"
            )


def new_identity() -> str:
    """The name of this process among holders: a second start is another one."""
    return f"{socket.gethostname()}_{secrets.token_hex(4)}"


@dataclass(slots=True)
class _Part:
    """One partition's Lease as seen from here; times by the monotonic clock."""

    lease: Lease | None = None
    seen_as: tuple[str, str | None, int] | None = None
    seen_at_s: float = 0.0
    epoch: int | None = None
    """Set while it is ours."""
    renewed_at_s: float = 0.0
    epoch_on_objects: int = 0
    problem: str | None = None


class PartitionLeases:
    """The Leases of the demand partitions that one worker was given."""

    def __init__(
        self,
        connection: Connection,
        *,
        namespace: str,
        group: str,
        identity: str,
        times: LeaseTimes | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._path = leases_path(namespace)
        self._group = group
        self._identity = identity
        self._times = times or LeaseTimes()
        self._monotonic = monotonic
        self._parts: dict[int, _Part] = {}
        self._wanted: frozenset[int] = frozenset()
        self._changed = asyncio.Event()
        self._stopping = False

    def hold(self, partitions: Iterable[int]) -> None:
        """These partitions are ours to decide for; Leases of others are let go of."""
        self._wanted = frozenset(partitions)
        for partition in self._wanted:
            self._parts.setdefault(partition, _Part())
        self._changed.set()

    def note_carried(self, epochs: Mapping[int, int]) -> None:
        """The highest epoch that the objects of each partition carry now; ours has to reach it."""
        for partition, part in self._parts.items():
            part.epoch_on_objects = epochs.get(partition, 0)

    def epoch(self, partition: int) -> int | Reason:
        """What a write for this partition carries now, or why none may go out."""
        part = self._parts.get(partition)
        if part is None or partition not in self._wanted:
            return _not_fenced(f"demand partition {partition} was not given to this worker")
        name = lease_name(self._group, partition)
        if part.epoch is None:
            holder = part.lease.holder if part.lease is not None else ""
            held = f"is held by {holder}" if holder else "is not ours yet"
            return _not_fenced(
                f"Lease {name} {held}" + (f": {part.problem}" if part.problem else "")
            )
        age_s = self._monotonic() - part.renewed_at_s
        if age_s > self._times.renew_deadline_s:
            limit = f"more than {self._times.renew_deadline_s:g} s"
            sentence = f"Lease {name} was renewed {age_s:.1f} s ago, {limit}"
            return _not_fenced(f"{sentence}: {part.problem or 'this process was stopped'}")
        if part.epoch_on_objects > part.epoch:
            sentence = f"epoch {part.epoch_on_objects} on an object is beyond {part.epoch}"
            return _not_fenced(f"Lease {name}: {sentence}; the next renewal goes beyond it")
        return part.epoch

    def states(self) -> tuple[LeaseState, ...]:
        """Each partition that is ours to decide for; another thread may ask."""
        parts = [(one, self._parts.get(one)) for one in sorted(self._wanted)]
        return tuple(LeaseState(one, self._believed(part)) for one, part in parts)

    def _believed(self, part: _Part | None) -> int | None:
        epoch = None if part is None else part.epoch
        if part is None or epoch is None:
            return None
        age_s = self._monotonic() - part.renewed_at_s
        return epoch if age_s <= self._times.renew_deadline_s else None

    async def run(self) -> None:
        """Take and renew until stopped, then let go of all."""
        try:
            while not self._stopping:
                await self.renew()
                pause_s = self._times.retry_s * (0.9 + 0.2 * _RANDOM.random())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), pause_s)
                self._changed.clear()
        finally:
            await self.release()

    def stop(self) -> None:
        """End `run` after the round under way."""
        self._stopping = True
        self._changed.set()

    async def renew(self) -> None:
        """One round over all partitions."""
        gate = asyncio.Semaphore(_AT_ONCE_MAX)

        async def one(partition: int, part: _Part) -> None:
            async with gate:
                step = self._keep if partition in self._wanted else self._let_go
                try:
                    await step(partition, part)
                except (ClusterUnreachable, msgspec.MsgspecError) as error:
                    part.problem = str(error)

        await asyncio.gather(*(one(*pair) for pair in list(self._parts.items())))

    async def release(self) -> None:
        """Let go of everything: the next holder need not wait."""
        self._wanted = frozenset()
        await self.renew()

    async def _keep(self, partition: int, part: _Part) -> None:
        """Renew what is ours; else look, and take what is free."""
        path = f"{self._path}/{lease_name(self._group, partition)}"
        for _ in range(_LOOKS_MAX):
            started_s = self._monotonic()
            if part.epoch is None or part.lease is None:
                await self._look(partition, part, path)
                if part.epoch is not None:
                    return
            lease = part.lease
            if lease is None or not self._is_free(part, lease):
                return
            epoch = self._next_epoch(part, lease)
            if epoch > EPOCH_MAX:
                return
            acquires = lease.holder != self._identity
            body = lease_patch(lease, self._spec(epoch, acquires=acquires))
            answer = await self._connection.patch(path, body, _MERGE_PATCH)
            if answer.ok:
                self._took(part, answer, epoch, started_s)
                return
            part.epoch = None
            if answer.status not in (_CONFLICT, _NOT_FOUND):
                part.problem = refusal(answer, path).sentence
                return

    async def _look(self, partition: int, part: _Part, path: str) -> None:
        answer = await self._connection.get(path)
        started_s = self._monotonic()
        if answer.status == _NOT_FOUND:
            part.lease = None
            epoch = part.epoch_on_objects + 1
            if epoch > EPOCH_MAX:
                return
            spec = self._spec(epoch, acquires=True)
            name = lease_name(self._group, partition)
            answer = await self._connection.post(self._path, new_lease(name, spec))
            if answer.ok:
                self._took(part, answer, epoch, started_s)
        elif answer.ok:
            self._observe(part, read_lease(answer.body))
        # Somebody else may have created it in between: that is seen in the next round.
        if not answer.ok and answer.status != _CONFLICT:
            part.problem = refusal(answer, path).sentence

    def _observe(self, part: _Part, lease: Lease) -> None:
        """Note when the record last changed, by our own clock."""
        seen_as = (lease.holder, lease.spec.renew_time, lease.transitions)
        if part.seen_as != seen_as:
            part.seen_as, part.seen_at_s = seen_as, self._monotonic()
        part.lease, part.problem = lease, None

    def _is_free(self, part: _Part, lease: Lease) -> bool:
        if lease.holder in ("", self._identity):
            return True
        lasts_s = max(lease.spec.lease_duration_seconds or 0, self._times.duration_s)
        return self._monotonic() - part.seen_at_s > lasts_s

    def _next_epoch(self, part: _Part, lease: Lease) -> int:
        """One more with every change of holder, and beyond what objects carry from elsewhere."""
        if lease.holder != self._identity:
            return max(lease.transitions, part.epoch_on_objects) + 1
        if part.epoch_on_objects > lease.transitions:
            return part.epoch_on_objects + 1
        return lease.transitions

    def _took(self, part: _Part, answer: Answer, epoch: int, started_s: float) -> None:
        part.lease = read_lease(answer.body)
        part.epoch, part.renewed_at_s, part.problem = epoch, started_s, None

    async def _let_go(self, partition: int, part: _Part) -> None:
        """One try: whoever comes next can also wait for it to run out."""
        del self._parts[partition]
        if part.epoch is None or part.lease is None:
            return
        path = f"{self._path}/{lease_name(self._group, partition)}"
        body = lease_patch(part.lease, released_spec(dt.datetime.now(dt.UTC)))
        await self._connection.patch(path, body, _MERGE_PATCH)

    def _spec(self, epoch: int, *, acquires: bool) -> dict[str, object]:
        now = dt.datetime.now(dt.UTC)
        return held_spec(self._identity, self._times.duration_s, epoch, now, acquires=acquires)


def _not_fenced(sentence: str) -> Reason:
    return Reason(Code.NOT_FENCED, sentence)
