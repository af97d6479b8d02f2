"""One decision as bytes: what it saw, what it knew, what it said and what came of it.

The service encodes a record per decision and hands the bytes to the audit topic; `replay` proves
that the record explains itself: the decision made again from it gives the same bytes. Nothing here
may leave out an input that a decision read.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from predictor.core.cluster import Outcome, TargetKey
from predictor.core.decide import decide
from predictor.core.decision import Decision
from predictor.core.encoding import decode_json, encode_json
from predictor.core.inputs import Inputs
from predictor.core.policy import Policy
from predictor.core.state import State

RECORD_VERSION = 4
"""1 knew no lag of the telemetry, and so no limit of it; 2 no planned load of a pod; 3 no word of
the owner on the object, no budgets and no floor that runs out."""
RECORD_BYTES_MAX = 64 * 1024 * 1024
"""A longer record is refused unread. Ten thousand targets make about 20 MB."""


class RecordRefused(Exception):  # noqa: N818 - a refusal, as the sentences say
    """The bytes are no record that this version can read; the message says why."""


class OutcomeRow(msgspec.Struct, frozen=True):
    """What came of one intent; a route's key is (module, `ALL_REGIONS`)."""

    key: TargetKey
    outcome: Outcome


class _Glance(msgspec.Struct, frozen=True):
    """Enough of a record of any version to say which it is."""

    version: int


class Record(msgspec.Struct, frozen=True):
    """One decision whole. `state` is the state before it."""

    version: int
    decision: Decision
    outcomes: tuple[OutcomeRow, ...]
    inputs: Inputs
    policy: Policy
    state: State


def encode_record(
    inputs: Inputs,
    policy: Policy,
    state_before: State,
    decision: Decision,
    outcomes: Iterable[tuple[TargetKey, Outcome]] = (),
) -> bytes:
    """The record's JSON in one line; the same values give the same bytes."""
    rows = tuple(OutcomeRow(key, outcome) for key, outcome in outcomes)
    return encode_json(Record(RECORD_VERSION, decision, rows, inputs, policy, state_before))


def decode_record(body: bytes) -> Record:
    """Read a record back; raises `RecordRefused`."""
    if len(body) > RECORD_BYTES_MAX:
        raise RecordRefused(f"{len(body)} bytes, at most {RECORD_BYTES_MAX} are read")
    _refuse_other_version(body)
    try:
        record = decode_json(body, Record)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecordRefused(f"no decision record: {error}") from error
    return record


def _refuse_other_version(body: bytes) -> None:
    """A record of another version has other fields; which one it is says more than what is missing.

    Raises `RecordRefused`; a body that is no record at all passes.
    """
    try:
        version = msgspec.json.decode(body, type=_Glance).version
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return
    if version != RECORD_VERSION:
        raise RecordRefused(f"version {version}, this reads version {RECORD_VERSION}")


def replay(body: bytes) -> bytes:
    """Make the recorded decision again; equal to `body` when the record explains the decision."""
    return made_again(decode_record(body))[0]


def made_again(record: Record) -> tuple[bytes, State]:
    """The record with its decision made anew, as bytes, and the state after that decision."""
    decision, after = decide(record.inputs, record.policy, record.state, record.decision.made_at_s)
    outcomes = [(row.key, row.outcome) for row in record.outcomes]
    return encode_record(record.inputs, record.policy, record.state, decision, outcomes), after
