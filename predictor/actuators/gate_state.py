"""How the gate stands, for people: what `gate.py` shows and `predictor/telemetry.py` exports.

Values only. It must never be asked whether a write may go out: that is of the moment, this is not.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class GuardState(NamedTuple):
    """Whether the server was seen to refuse what it should, for one kind in one namespace."""

    namespace: str
    kind: str
    is_proven: bool


class LeaseState(NamedTuple):
    """A demand partition of this worker; `epoch` is None while its Lease is not ours."""

    partition: int
    epoch: int | None


class GateState(msgspec.Struct, frozen=True):
    """All that a write depends on beside the decision.

    `is_switch_read` is false where the switch could not be read the last time, so that `is_off` is
    what was read before. `clock_ahead_s` is None where no answer has told it yet.
    """

    is_off: bool = False
    is_switch_read: bool = True
    clock_ahead_s: float | None = None
    guards: tuple[GuardState, ...] = ()
    leases: tuple[LeaseState, ...] = ()
