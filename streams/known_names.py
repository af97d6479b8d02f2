"""Names of modules and regions that senders use, learnt to decode them quicker.

`streams/bulk_decoder.py` and `streams/packed_decoder.py` keep what they met here. Senders use few
names: once they are known, a decoder hands out the one object of each name instead of making a text
for each event, which also spares hashing it. A flood of names ends the learning, not the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, Literal

NAMES_MAX = 512
"""With more names than this nothing is learnt: looking them up would cost what it saves."""

_module, _region = attrgetter("module"), attrgetter("region")


class KnownNames:
    """`decoder` is one for the names learnt so far, None where there are none or too many."""

    def __init__(self, made: Callable[[dict[str, Any]], Any]) -> None:
        """`made` gives a decoder for the types of `module` and `region`."""
        self.decoder: Any = None
        self._made = made
        self._modules: set[str] = set()
        self._regions: set[str | None] = set()

    def learn(self, events: Iterable[Any]) -> None:
        """Take note of the names in events that were decoded without knowing them."""
        events = list(events)
        modules = self._modules.union(map(_module, events))
        regions = self._regions.union(map(_region, events))
        if len(modules) + len(regions) > NAMES_MAX:
            self.decoder = None
        elif (modules, regions) != (self._modules, self._regions):
            self._modules, self._regions = modules, regions
            self.decoder = self._decoder()

    def _decoder(self) -> Any:
        named = sorted(region for region in self._regions if region is not None)
        if not self._modules or not named:
            return None
        region: Any = Literal[tuple(named)]
        return self._made(
            {
                "module": Literal[tuple(sorted(self._modules))],
                "region": region | None if None in self._regions else region,
            }
        )
