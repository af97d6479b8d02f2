"""Which event types mean that a request arrived, and at which module.

`streams/mplp_shapes.py` and `streams/cloudevents.py` ask for events that name a type instead of
being requests themselves. A request that tells of its start and of its end is counted once: at the
one that `count_on` chooses. The table is MPLP's module and event matrix (schemas/v2/taxonomy/
module-event-matrix.yaml), reduced to the types that bring work; the options add to it and take
away. Pure, and bounded in what it remembers.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from streams.format_options import FormatOptions


class Meaning(NamedTuple):
    """What an event type says: whether it counts, and the module it belongs to if it tells."""

    counts: bool
    module: str | None = None


ARRIVALS: dict[str, str] = {
    "import_started": "context",
    "context_created": "context",
    "context_intent_received": "context",
    "plan_created": "plan",
    "step_started": "plan",
    "role_created": "role",
    "role_updated": "role",
    "confirm_created": "confirm",
    "confirm_pending": "confirm",
    "tool_execution_started": "extension",
    "llm_call_started": "extension",
    "webhook_received": "extension",
    "user_message_received": "dialog",
    "session_started": "collab",
    "turn_dispatched": "collab",
    "workflow_started": "core",
}
"""Types that mean work arrived -> module, in the spelling of `plain`.

Trace has none, its load is everybody's events; network's connections are a level, not a rate.
"""
_PREFIXES = {"capability_": "role"}

_STARTS = ("request", "request_started", "request_received", "request_accepted", "request_arrived")
_ENDS = (
    "response", "request_completed", "request_finished", "request_succeeded", "request_failed",
    "request_rejected", "request_cancelled", "request_timeout", "request_timed_out",
    "request_error", "request_ended",
)  # fmt: skip
_ENDS_OF_STARTED = ("completed", "failed", "error", "cancelled", "timeout")

# SAStepStarted and MAPTurnDispatched are the profile events' way to write step_started.
_PROFILE = re.compile(r"^(?:SA|MAP)(?=[A-Z][a-z])")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_JOINT = re.compile(r"[^0-9a-z]+")
_AFFIXES = re.compile(r"^(?:io_)?(?:mplp_)?|_v\d+$")


@functools.lru_cache(maxsize=4096)
def plain(event_type: str) -> str:
    """One spelling for all: `mplp.plan.created.v1` and `PlanCreated` are `plan_created`."""
    humps = _HUMP.sub("_", _PROFILE.sub("", event_type))
    return _AFFIXES.sub("", _JOINT.sub("_", humps.casefold()).strip("_"))


class Arrivals:
    """The table with the options applied."""

    def __init__(self, options: FormatOptions) -> None:
        self._started = options.count_on == "started"
        self._own = {plain(name): says for name, says in options.arrivals.items()}

    def meaning(self, event_type: str) -> Meaning | None:
        """None for a type that nobody told us of."""
        name = plain(event_type)
        known = self._built_in(name)
        says = self._own.get(name)
        if says is None:
            return known
        if isinstance(says, str):
            return Meaning(counts=True, module=says)
        return Meaning(says, None if known is None else known.module)

    def _built_in(self, name: str) -> Meaning | None:
        module = ARRIVALS.get(name)
        if module is not None:
            paired = name.endswith("_started")
            return Meaning(self._started or not paired, module)
        stem, _, end = name.rpartition("_")
        module = ARRIVALS.get(f"{stem}_started")
        if module is not None and end in _ENDS_OF_STARTED:
            return Meaning(not self._started, module)
        for prefix, module in _PREFIXES.items():
            if name.startswith(prefix):
                return Meaning(counts=True, module=module)
        return self._request(name)

    def _request(self, name: str) -> Meaning | None:
        """Any `...request_started` with what it ends in; what stands before may be a module."""
        for ends, counts in ((_STARTS, self._started), (_ENDS, not self._started)):
            for end in ends:
                if name == end:
                    return Meaning(counts)
                if name.endswith(f"_{end}"):
                    return Meaning(counts, name.removesuffix(f"_{end}"))
        return None
