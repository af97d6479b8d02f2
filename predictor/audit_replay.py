"""Makes recorded decisions again, one by one, and says whether each is the same to the byte.

`mplp-predictor replay` feeds it. It keeps counts, and one example of what differs; it must never
keep a record, and never take one that it cannot read for one that agrees.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from predictor.audit_chain import Chains, Link
from predictor.audit_difference import Difference, first_difference
from predictor.core.audit import Record, RecordRefused, decode_record, made_again
from predictor.core.state import State

REFUSALS_MAX = 20
"""Different reasons that are told; all others are counted as one."""
OTHER_REFUSALS = "other reasons"


class FirstDifference(msgspec.Struct, frozen=True):
    """The first record whose decision came out otherwise; times in epoch seconds."""

    place: str
    number: int
    made_at_s: float
    difference: Difference


class Replayed(msgspec.Struct, frozen=True):
    """What became of all records; `links` counts how they hang together, by `Link`."""

    records: int
    agreed: int
    differed: int
    refused: dict[str, int]
    links: dict[str, int]
    from_s: float | None
    until_s: float | None
    first: FirstDifference | None

    @property
    def holds(self) -> bool:
        """At least one could be read and none came out otherwise."""
        return self.agreed > 0 and self.differed == 0


class Replay:
    """Takes records in the order in which they were written."""

    def __init__(self) -> None:
        self._chains = Chains()
        self._counts: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._links: Counter[str] = Counter()
        self._first: FirstDifference | None = None
        self._span_s: tuple[float, float] | None = None

    def take(self, place: str, body: bytes) -> tuple[Record, Link] | None:
        """Make one decision again; None where the record cannot be read."""
        self._counts["records"] += 1
        try:
            record, again, after = _made_again(body)
        except RecordRefused as error:
            why = str(error)
            is_room = why in self._refused or len(self._refused) < REFUSALS_MAX
            self._refused[why if is_room else OTHER_REFUSALS] += 1
            return None
        self._compare(place, record, body, again)
        return record, self._follow(record, after)

    def report(self) -> Replayed:
        """What is known so far."""
        first_s, last_s = self._span_s or (None, None)
        return Replayed(
            records=self._counts["records"],
            agreed=self._counts["agreed"],
            differed=self._counts["differed"],
            refused=dict(self._refused),
            links={str(link): self._links[link] for link in Link if self._links[link]},
            from_s=first_s,
            until_s=last_s,
            first=self._first,
        )

    def _compare(self, place: str, record: Record, body: bytes, again: bytes) -> None:
        if again == body:
            self._counts["agreed"] += 1
            return
        self._counts["differed"] += 1
        found = None if self._first is not None else first_difference(body, again)
        if found is not None:
            decision = record.decision
            self._first = FirstDifference(place, decision.number, decision.made_at_s, found)

    def _follow(self, record: Record, after: State) -> Link:
        link = self._chains.follow(record, after)
        self._links[link] += 1
        made_at_s = record.decision.made_at_s
        first_s, last_s = self._span_s or (made_at_s, made_at_s)
        self._span_s = min(first_s, made_at_s), max(last_s, made_at_s)
        return link


def _made_again(body: bytes) -> tuple[Record, bytes, State]:
    """Raises `RecordRefused`, also for a record whose rows do not fit each other."""
    record = decode_record(body)
    try:
        return record, *made_again(record)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise RecordRefused(f"no decision can be made from it: {error}") from error
