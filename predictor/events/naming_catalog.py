"""A catalog that remembers which names it could not place, and how often there was no region.

`predictor/events/topic_survey.py` decodes with it. The service itself counts such events without
keeping names, because a sender could grow its memory; here the number of names is bounded too.
"""

from __future__ import annotations

from collections import Counter

from streams.event_types import OTHER
from streams.events import Catalog

NAMES_MAX = 200
MORE = "(more names)"
_NAME_CHARACTERS_MAX = 128


class NamingCatalog(Catalog):
    """As its parent; after each decoded record `without_region` and the counters have grown."""

    without_region = 0

    def remember_in(self, modules: Counter[str], regions: Counter[str]) -> None:
        """Where the names that are not ours are counted from now on."""
        self._unknown_modules, self._unknown_regions = modules, regions

    def place(self, module: str, region: str | None) -> tuple[str, str]:
        """As the parent."""
        if region is None:
            self.without_region += 1
        found = super().place(module, region)
        if found[0] == OTHER:
            if self.module(module) is None:
                _count(self._unknown_modules, module)
            if region is not None and self.region(region) is None:
                _count(self._unknown_regions, region)
        return found


def _count(names: Counter[str], name: str) -> None:
    name = name[:_NAME_CHARACTERS_MAX]
    names[name if name in names or len(names) < NAMES_MAX else MORE] += 1
