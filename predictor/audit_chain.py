"""How audit records hang together: whether each began with the state that the one before left.

`predictor/audit_replay.py` and `predictor/audit_policy.py` follow it record by record. Records of
several workers may be mixed: each chain is known by the targets it decides for. A break is a
restart, a change of owner or a lost record, and never an error of a decision.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from dataclasses import dataclass

import msgspec

from predictor.core.audit import Record
from predictor.core.cluster import TargetKey
from predictor.core.encoding import encode_json
from predictor.core.state import State

CHAINS_MAX = 256
"""Workers at a time; beyond it the one longest unheard is taken for ended."""


class Link(enum.StrEnum):
    """What stands between a record and the one before it in its chain."""

    FIRST = "first"
    """Nothing before it is known; it may begin in the middle of a chain."""
    FOLLOWS = "follows"
    """It began with exactly the state that the one before left."""
    LOOKS_FIRST = "looks first"
    """As before, but the warm-up began anew: targets came over from another worker."""
    REPEATED = "repeated"
    """The one before, sent again; the audit topic may hold a record twice."""
    MISSING = "missing"
    """Numbers are left out between the two."""
    RESTART = "restart"
    """The memory began anew, or is not what the one before left."""


BREAKS = frozenset({Link.FIRST, Link.MISSING, Link.RESTART})
"""Where a chain has to be begun again from what was recorded."""


@dataclass(frozen=True, slots=True)
class _End:
    number: int
    made_at_s: float
    state: bytes
    without_start: bytes


class Chains:
    """The open ends of all chains, `CHAINS_MAX` at most."""

    def __init__(self) -> None:
        self._ends: OrderedDict[tuple[TargetKey, ...], _End] = OrderedDict()

    def follow(self, record: Record, after: State) -> Link:
        """Where the record stands; `after` is the state that its decision leaves."""
        before = record.state
        end = self._ends.get(before.keys if before.number else after.keys)
        link = Link.FIRST if end is None else _link(end, record)
        if link in (Link.FOLLOWS, Link.LOOKS_FIRST):
            self._ends.pop(before.keys, None)
        if link is not Link.REPEATED:
            self._ends[after.keys] = _End(
                after.number,
                record.decision.made_at_s,
                encode_json(after),
                encode_json(_without_start(after)),
            )
            self._ends.move_to_end(after.keys)
        while len(self._ends) > CHAINS_MAX:
            self._ends.popitem(last=False)
        return link


def _link(end: _End, record: Record) -> Link:
    before, decision = record.state, record.decision
    if (decision.number, decision.made_at_s) == (end.number, end.made_at_s):
        return Link.REPEATED
    if before.number > end.number:
        return Link.MISSING
    if before.number == end.number:
        state = encode_json(before)
        if state == end.state:
            return Link.FOLLOWS
        if before.started_at_s is None and state == end.without_start:
            return Link.LOOKS_FIRST
    return Link.RESTART


def _without_start(state: State) -> State:
    return msgspec.structs.replace(state, started_at_s=None)
