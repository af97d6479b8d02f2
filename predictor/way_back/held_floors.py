"""The floors of ours that stand on a cluster now, as any account that may list them reads them.

`restorer.py` reads them before each pass, and one again where it changed meanwhile. Only what the
server records is gone by (who owns `f:minReplicas`, of a ScaledObject `f:minReplicaCount`), never a
memory. It must never write, and never need KEDA: where there is none, nobody is told.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from predictor.actuators.connection import Connection
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
from predictor.actuators.scaled_object import ScaledObject, floor_of, maker_of
from predictor.core.floor_object import HPA_KIND, SCALED_OBJECT_KIND, FloorObject
from predictor.core.opt_in import REASON, STATE_DOMAIN, UNTIL, read_kept_state, read_opt_in
from predictor.core.reasons import Code, Reason
from predictor.core.restore_step import OurFloor

_NOT_FOUND = 404


class HeldFloor(msgspec.Struct, frozen=True):
    """One HPA whose floor we set; `taken` says who set it after us, if anybody did.

    `hpa` is of a ScaledObject's own name where the floor stands there: KEDA follows with the HPA.
    """

    hpa: Hpa
    epoch: int | None
    held: OurFloor
    taken: Reason | None = None

    @property
    def at(self) -> FloorObject:
        """What holds it."""
        return self.hpa.floor_object


async def held_floors(
    connection: Connection, namespaces: Sequence[str]
) -> tuple[list[HeldFloor], list[Reason]]:
    """All of them in these namespaces (none named: everywhere), and what could not be read.

    Raises `ClusterUnreachable`.
    """
    found: list[HeldFloor] = []
    problems: list[Reason] = []
    for namespace in namespaces or [""]:
        hpas = await listed(connection, HPA_KIND.path(namespace), Hpa)
        if isinstance(hpas, Reason):
            problems.append(hpas)
            hpas = []
        scaled = await listed(connection, SCALED_OBJECT_KIND.path(namespace), ScaledObject)
        if isinstance(scaled, Reason):
            problems += [scaled] if _is_missed(scaled, hpas) else []
            scaled = []
        both = [*hpas, *map(floor_of, scaled)]
        found += [one for hpa in both if (one := _held(hpa)) is not None]
    return found, problems


async def held_floor(connection: Connection, at: FloorObject) -> HeldFloor | Reason | None:
    """One of them as it is now; None where it is gone or not ours. Raises `ClusterUnreachable`."""
    answer = await connection.get(at.path)
    if answer.status == _NOT_FOUND:
        return None
    if not answer.ok:
        return refusal(answer, at.title)
    try:
        if at.kind == HPA_KIND:
            return _held(msgspec.json.decode(answer.body, type=Hpa))
        return _held(floor_of(msgspec.json.decode(answer.body, type=ScaledObject)))
    except msgspec.MsgspecError as error:
        return Reason(Code.REFUSED, f"{at.title} cannot be read: {error}")


def _is_missed(why: Reason, hpas: Sequence[Hpa]) -> bool:
    """Whether floors may stand on the ScaledObjects that cannot be read.

    Without KEDA, or where floors are not written there, nobody grants their reading; where they
    are, KEDA copies our annotations to an HPA.
    """
    if why.code is not Code.FORBIDDEN:
        return why.code is not Code.TARGET_MISSING
    return any(
        name.startswith(f"{STATE_DOMAIN}/")
        for hpa in hpas
        if maker_of(hpa) is not None
        for name in hpa.metadata.annotations
    )


def _held(hpa: Hpa) -> HeldFloor | None:
    metadata = hpa.metadata
    part = holding(metadata.managed_fields)
    if part is Holding.NEVER:
        return None
    kept = read_kept_state(metadata.annotations)
    return HeldFloor(
        hpa=hpa,
        epoch=kept.epoch,
        held=OurFloor(
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
    return Reason(Code.CONFLICT, taken_sentence(hpa.floor_object, by, replicas))
