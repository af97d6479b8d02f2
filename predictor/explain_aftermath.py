"""What came of a decision, as far as the records after it tell.

`predictor/explain_cli.py` asks for each target that is explained. It knows nothing between two
records, and must never call a window over that the records do not reach the end of.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite

import msgspec

from predictor.core.decision import FloorDecision
from predictor.explain_choice import Later

DUST = 1e-9
"""Relative, as in sizing: a rounding of the last bit asks for no pod more."""


class Aftermath(msgspec.Struct, frozen=True):
    """One target from the decision to the end of its window; times in epoch seconds.

    `ready_at_s` is when as many pods were Ready as the decided floor; None: they were not, in these
    records. `floor_low` and `floor_high` are what the cluster showed. `peak_per_s` is the highest
    demand inside the window, `peak_replicas` the pods that it asks for, and `peak_ready` how many
    were Ready then; None where the records do not reach into the window. `short` counts the records
    in the window, of `inside`, whose demand asked for more pods than were Ready.
    """

    records: int
    last_s: float
    window_from_s: float
    window_until_s: float
    is_over: bool
    ready_at_s: float | None
    floor_low: int | None
    floor_high: int | None
    peak_per_s: float | None
    peak_at_s: float | None
    peak_replicas: int | None
    peak_ready: int | None
    inside: int
    short: int


def aftermath(
    row: FloorDecision, made_at_s: float, later: Sequence[Later], planned_rate_per_s: float | None
) -> Aftermath | None:
    """What followed, from records in order of time; None where there is none.

    `planned_rate_per_s` is what one pod of the floor was planned to carry, None where not known.
    """
    from_s = made_at_s + row.lead_time_s
    until_s = from_s + row.hold_s
    followed = [one for one in later if made_at_s < one.made_at_s <= until_s]
    if not followed:
        return None
    inside = [one for one in followed if one.made_at_s >= from_s and _is_known(one)]
    peak = max(inside, key=lambda one: one.seen.demand_per_s or 0.0, default=None)
    floors = [one.seen.floor_now for one in followed if one.seen.floor_now is not None]
    return Aftermath(
        records=len(followed),
        last_s=later[-1].made_at_s,
        window_from_s=from_s,
        window_until_s=until_s,
        is_over=later[-1].made_at_s >= until_s,
        ready_at_s=_ready_at_s(row, made_at_s, followed),
        floor_low=min(floors, default=None),
        floor_high=max(floors, default=None),
        peak_per_s=None if peak is None else peak.seen.demand_per_s,
        peak_at_s=None if peak is None else peak.made_at_s,
        peak_replicas=None if peak is None else _asked(peak, planned_rate_per_s),
        peak_ready=None if peak is None else peak.seen.ready_replicas,
        inside=len(inside),
        short=sum(_is_short(one, planned_rate_per_s) for one in inside),
    )


def _ready_at_s(row: FloorDecision, made_at_s: float, followed: Sequence[Later]) -> float | None:
    if row.floor is None:
        return None
    if row.ready_replicas is not None and row.ready_replicas >= row.floor:
        return made_at_s
    ready = (
        one.made_at_s
        for one in followed
        if one.seen.ready_replicas is not None and one.seen.ready_replicas >= row.floor
    )
    return next(ready, None)


def _is_known(one: Later) -> bool:
    return one.seen.demand_per_s is not None and isfinite(one.seen.demand_per_s)


def _asked(one: Later, rate_per_s: float | None) -> int | None:
    """The pods that the demand asks for, as the floor was sized."""
    demand = one.seen.demand_per_s
    if rate_per_s is None or demand is None or not rate_per_s > 0:
        return None
    return ceil(demand / rate_per_s * (1.0 - DUST))


def _is_short(one: Later, rate_per_s: float | None) -> bool:
    asked, ready = _asked(one, rate_per_s), one.seen.ready_replicas
    return asked is not None and ready is not None and asked > ready
