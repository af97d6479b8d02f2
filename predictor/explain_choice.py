"""Finds the record that explains a moment, and keeps a few numbers of those after it.

`predictor/explain_cli.py` feeds it every record of a source. A record is only glanced at: the one
that is explained is kept as bytes, of the others a row for each of the module's targets. It must
never hold more than `ROWS_MAX` rows, and never decide.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from predictor.core.audit import RECORD_BYTES_MAX, RECORD_VERSION
from predictor.core.cluster import TargetKey

ROWS_MAX = 200_000
NAMES_MAX = 10_000


class Glimpse(msgspec.Struct, frozen=True):
    """What a later record says of one target; rates per second."""

    key: TargetKey
    floor_now: int | None
    ready_replicas: int | None
    demand_per_s: float | None


class _Decision(msgspec.Struct, frozen=True):
    made_at_s: float
    floors: tuple[Glimpse, ...]


class _Glance(msgspec.Struct, frozen=True):
    version: int
    decision: _Decision


class Later(NamedTuple):
    """One target in a record that came after the one explained."""

    made_at_s: float
    seen: Glimpse


@dataclass(slots=True)
class Choice:
    """The newest record at or before `at_s` (None: the newest) that decides for the module.

    `first_s` and `last_s` span all records that could be read, those of other modules too.
    """

    module: str
    region: str | None = None
    at_s: float | None = None
    body: bytes | None = None
    made_at_s: float | None = None
    first_s: float | None = None
    last_s: float | None = None
    modules: set[str] = field(default_factory=set)
    regions: set[str] = field(default_factory=set)
    """Of the module."""
    refused: Counter[str] = field(default_factory=Counter)
    _rows: list[Later] = field(default_factory=list)

    def take(self, place: str, body: bytes) -> None:
        """Look at one record; the place is not needed."""
        glance = self._glance(body)
        if glance is None:
            return
        made_at_s = glance.decision.made_at_s
        self.first_s = made_at_s if self.first_s is None else min(self.first_s, made_at_s)
        self.last_s = made_at_s if self.last_s is None else max(self.last_s, made_at_s)
        rows = self._own(glance.decision.floors)
        if not rows:
            return
        is_early = self.at_s is None or made_at_s <= self.at_s
        if is_early and (self.made_at_s is None or made_at_s >= self.made_at_s):
            self.body, self.made_at_s = body, made_at_s
            self._rows = [one for one in self._rows if one.made_at_s > made_at_s]
        elif not is_early or (self.made_at_s is not None and made_at_s > self.made_at_s):
            room = ROWS_MAX - len(self._rows)
            self._rows += [Later(made_at_s, row) for row in rows[:room]]

    def later(self, key: TargetKey) -> list[Later]:
        """What came after, in order of time."""
        return sorted(
            (one for one in self._rows if one.seen.key == key), key=lambda one: one.made_at_s
        )

    def _own(self, floors: tuple[Glimpse, ...]) -> list[Glimpse]:
        """The rows that are asked for; names are noted, so that a person hears which there are."""
        if len(self.modules) < NAMES_MAX:
            self.modules |= {row.key.module for row in floors}
        of_module = [row for row in floors if row.key.module == self.module]
        if len(self.regions) < NAMES_MAX:
            self.regions |= {row.key.region for row in of_module}
        return [row for row in of_module if self.region in (None, row.key.region)]

    def _glance(self, body: bytes) -> _Glance | None:
        if len(body) > RECORD_BYTES_MAX:
            self.refused[f"more than {RECORD_BYTES_MAX} bytes"] += 1
            return None
        try:
            glance = msgspec.json.decode(body, type=_Glance)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self.refused["no decision record"] += 1
            return None
        if glance.version != RECORD_VERSION:
            self.refused[f"version {glance.version}, this reads version {RECORD_VERSION}"] += 1
            return None
        return glance
