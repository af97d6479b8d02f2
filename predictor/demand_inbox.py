"""Takes demand records from the Faust tables into the history of the modules this worker owns.

`predictor/worker.py` hands it to `streams/faust_app.py` as the sink. When ownership changes the
history is begun anew: what another worker counted meanwhile would look like zero here. Progress is
passed on when every owned demand partition has told it: each tells it behind the parts that it
vouches for, and nothing orders two partitions. It must never decide what is complete; the history
does.
"""

from __future__ import annotations

from collections.abc import Callable

from predictor.clock import EventClock, WallClock
from predictor.core.history import History
from predictor.settings import Settings
from streams.demand import DemandPart, Progress, merged_progress
from streams.demand_blocks import DemandBlock
from streams.topics import demand_partition


class DemandInbox:
    """The owned modules' history, and how far event time has come; a `DemandSink`."""

    def __init__(
        self,
        settings: Settings,
        clock: EventClock | WallClock,
        partitions: int,
        on_owned: Callable[[frozenset[int]], None] | None = None,
    ) -> None:
        """`on_owned` is told which partitions are this worker's, at each change."""
        self.history: History = settings.new_history()
        self.owned: frozenset[int] = frozenset()
        self._partitions = partitions
        self._settings = settings
        self._clock = clock
        self._on_owned = on_owned or (lambda owned: None)
        self._told: dict[int, dict[int, Progress]] = {}

    def owns(self, module: str) -> bool:
        """Whether this worker decides for the module."""
        return demand_partition(module, self._partitions) in self.owned

    @property
    def owned_modules(self) -> int:
        """How many of the configured modules this worker decides for."""
        return sum(self.owns(module) for module in self._settings.modules)

    def on_assigned(self, partitions: set[int]) -> None:
        """These demand partitions are ours from now on; their parts follow."""
        self.owned = frozenset(partitions)
        self.history = self._settings.new_history(self.owns)
        self._told = {}
        self._on_owned(self.owned)

    def on_revoked(self, partitions: set[int]) -> None:
        """Somebody else may already decide for these."""
        self.owned -= partitions
        self._on_owned(self.owned)

    def on_part(self, part: DemandPart, demand_partition: int) -> None:
        """A part of a module's bucket."""
        if demand_partition in self.owned:
            self.history.add(part)

    def on_block(self, block: DemandBlock, demand_partition: int) -> None:
        """A stretch of history, after the progress that says how much of it is final."""
        if demand_partition in self.owned:
            self.history.add_block(block)

    def on_progress(self, progress: Progress, demand_partition: int) -> None:
        """How far an input partition has come; each owned demand partition repeats it."""
        if demand_partition not in self.owned:
            return
        told = self._told.setdefault(progress.partition, {})
        told[demand_partition] = merged_progress(told.get(demand_partition), progress)
        if not self.owned <= told.keys():
            return
        self.history.advance(min((told[one] for one in self.owned), key=_reach))
        if isinstance(self._clock, EventClock):
            self._clock.advance(self.watermark_s)

    @property
    def watermark_s(self) -> float:
        """Event time that every input partition with events has reached; 0 before that."""
        return self.history.watermark_s


def _reach(progress: Progress) -> tuple[int, bool, int]:
    """Reports of one input partition in the order in which they were made."""
    return progress.closed_through_s, progress.idle, progress.quiet_through_s or 0
