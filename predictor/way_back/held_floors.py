"""The floors of ours that stand on a cluster now, as any account that may list HPAs reads them.

`restorer.py` reads them before each pass, and one again where it changed meanwhile. Only what the
server records is gone by (who owns `f:minReplicas`), never a memory. It must never write.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from predictor.actuators.connection import Connection
from predictor.actuators.floor_write import floor_path
from predictor.actuators.listing import listed
from predictor.actuators.objects import Hpa
from predictor.actuators.ownership import (
    Holding,
    floor_owners,
    foreign_owner,
    holding,
    taken_sentence,
)
from predictor.actuators.refusal import refusal
from predictor.core.opt_in import REASON, UNTIL, read_kept_state, read_opt_in
from predictor.core.reasons import Code, Reason
from predictor.core.restore_step import Held

_ALL = "/apis/autoscaling/v2/horizontalpodautoscalers"
_ONE = "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers"
_NOT_FOUND = 404


class HeldFloor(msgspec.Struct, frozen=True):
    """One HPA whose floor we set; `taken` says who set it after us, if anybody did."""

    hpa: Hpa
    epoch: int | None
    held: Held
    taken: Reason | None = None

    @property
    def namespace(self) -> str:
        """Where it lies."""
        return self.hpa.metadata.namespace

    @property
    def name(self) -> str:
        """What it is called there."""
        return self.hpa.metadata.name


async def held_floors(
    connection: Connection, namespaces: Sequence[str]
) -> tuple[list[HeldFloor], list[Reason]]:
    """All of them in these namespaces (none named: everywhere), and what could not be read.

    Raises `ClusterUnreachable`.
    """
    found: list[HeldFloor] = []
    problems: list[Reason] = []
    for path in [_ONE.format(one) for one in namespaces] or [_ALL]:
        hpas = await listed(connection, path, Hpa)
        if isinstance(hpas, Reason):
            problems.append(hpas)
        else:
            found += [one for hpa in hpas if (one := _held(hpa)) is not None]
    return found, problems


async def held_floor(
    connection: Connection, namespace: str, name: str
) -> HeldFloor | Reason | None:
    """One of them as it is now; None where it is gone or not ours. Raises `ClusterUnreachable`."""
    path = floor_path(namespace, name)
    answer = await connection.get(path)
    if answer.status == _NOT_FOUND:
        return None
    if not answer.ok:
        return refusal(answer, f"HPA {namespace}/{name}")
    try:
        return _held(msgspec.json.decode(answer.body, type=Hpa))
    except msgspec.MsgspecError as error:
        return Reason(Code.REFUSED, f"HPA {namespace}/{name} cannot be read: {error}")


def _held(hpa: Hpa) -> HeldFloor | None:
    metadata = hpa.metadata
    part = holding(metadata.managed_fields)
    if part is Holding.NEVER:
        return None
    kept = read_kept_state(metadata.annotations)
    return HeldFloor(
        hpa=hpa,
        epoch=kept.epoch,
        held=Held(
            floor_now=hpa.spec.min_replicas,
            opt_in=read_opt_in(metadata.annotations),
            until_s=kept.until_s,
            has_kept=UNTIL in metadata.annotations or REASON in metadata.annotations,
        ),
        taken=_taken(hpa) if part is Holding.TAKEN else None,
    )


def _taken(hpa: Hpa) -> Reason:
    metadata = hpa.metadata
    by = foreign_owner(floor_owners(metadata.managed_fields)) or "somebody"
    replicas = hpa.spec.min_replicas
    return Reason(Code.CONFLICT, taken_sentence(metadata.namespace, metadata.name, by, replicas))
