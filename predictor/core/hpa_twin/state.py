"""What the controller remembers of one HPA between syncs, as a value.

`controller.sync` takes one and gives the next. It is bounded: recommendations and events that no
window or period can reach any more are dropped. It must never hold anything a restart of the
controller would keep, except whether the HPA itself scaled to zero (a condition of the HPA).

Source: `HorizontalController` in `horizontal.go` (`recommendations`, `scaleUpEvents`,
`scaleDownEvents`) and its function `storeScaleEvent`.
"""

from __future__ import annotations

from typing import NamedTuple


class Recommendation(NamedTuple):
    """What the metrics asked for at one sync, before any limit."""

    at_s: float
    replicas: int


class ScaleEvent(NamedTuple):
    """One change of the target's replicas by the HPA; `change` is above 0 in both directions."""

    at_s: float
    change: int


Events = tuple[ScaleEvent, ...]


class HpaState(NamedTuple):
    """Recommendations that may still decide a maximum or a minimum, and the scale events.

    `highest` falls and `lowest` rises from its first entry to its last: an entry that a later one
    outdoes can never be the answer again while the windows stay as long as they are.
    """

    started: bool
    highest: tuple[Recommendation, ...]
    lowest: tuple[Recommendation, ...]
    raises: Events
    falls: Events
    scaled_to_zero: bool


_NEW = HpaState(started=False, highest=(), lowest=(), raises=(), falls=(), scaled_to_zero=False)


def new_hpa_state() -> HpaState:
    """Of an HPA that the controller has not looked at yet."""
    return _NEW


def begun(state: HpaState, replicas: int, now_s: float) -> HpaState:
    """At its first sync the target's own size counts as a recommendation.

    Source: `recordInitialRecommendation`.
    """
    if state.started:
        return state
    first = (Recommendation(now_s, replicas),)
    return HpaState(True, first, first, state.raises, state.falls, state.scaled_to_zero)


def with_event(events: Events, change: int, now_s: float, longest_period_s: int) -> Events:
    """Store a change; it takes the place of the last one that is older than the longest period.

    Only the direction's own periods count here although both directions read these events, so one
    that the other direction could still see may be lost. That is how the controller does it.
    Source: `storeScaleEvent`, `markScaleEventsOutdated`.
    """
    cutoff_s = now_s - longest_period_s
    new = ScaleEvent(now_s, change)
    for place in range(len(events) - 1, -1, -1):
        if events[place].at_s < cutoff_s:
            return (*events[:place], new, *events[place + 1 :])
    return (*events, new)


def change_since(events: Events, cutoff_s: float) -> int:
    """The sum of the changes after a moment (`getReplicasChangePerPeriod`)."""
    return sum([event.change for event in events if event.at_s > cutoff_s])
