"""The modules and regions that are known, under all the names that senders give them.

`streams/events.py` looks every event up here. The sets are closed: what is not in the configuration
is unknown and never becomes a key of anything, so that a sender cannot grow our memory or our
labels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from streams.arrivals import Arrivals
from streams.event_types import OTHER, RefusalError, RejectReason
from streams.format_options import FormatOptions
from streams.metric_names import MetricNames
from streams.schema_readers import schema_readers

UNKNOWN_NAMES_KEPT = 32
"""How many of the names that are not ours are remembered, to be shown to a person."""

_ALIASES_MAX = 4096
_NAME_CHARACTERS_MAX = 128

# Kubernetes names pods <deployment>-<template hash>-<suffix>, in an alphabet without vowels and
# look-alikes (k8s.io/apimachinery/pkg/util/rand); MPLP numbers its instances (context-module-001).
_REPLICA = re.compile(
    r"-(?:[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}|\d{1,6})$"
)
_KIND = re.compile(r"-(?:module|service)$")


class Catalog:
    """Closed sets of modules and regions with the limits that every event is held to.

    `module` and `region` give the configured spelling, or None for a name that is not ours;
    `unknown_names` holds some of those.
    """

    def __init__(
        self,
        modules: Iterable[str],
        regions: Iterable[str],
        *,
        default_region: str | None = None,
        future_skew_max_s: float = 300.0,
        body_bytes_max: int = 1 << 20,
        options: FormatOptions | None = None,
    ) -> None:
        """Raises `ValueError` for names that cannot be told apart or are not configured, and for
        schemas that cannot be read.

        `options` say how records are written where they do not say so themselves.
        """
        self.modules = tuple(modules)
        self.regions = tuple(regions)
        self.default_region = default_region
        self.future_skew_max_s = future_skew_max_s
        self.body_bytes_max = body_bytes_max
        self.options = options or FormatOptions()
        self.arrivals = Arrivals(self.options)
        self.metric_names = MetricNames(self.modules, self.options.metrics)
        self.schema_readers = schema_readers(self.options.schemas)
        aliases = self.options.module_aliases
        self._modules = _closed_set(self.modules, aliases, _normal, "module")
        aliases = self.options.region_aliases
        self._regions = _closed_set(self.regions, aliases, str.casefold, "region")
        if default_region is not None and default_region not in self.regions:
            raise ValueError(f"the default region {default_region!r} is not one of {self.regions}")
        self.unknown_names: set[str] = set()
        self._module_aliases: dict[str, str | None] = {}
        self._region_aliases: dict[str, str | None] = {}

    def place(self, module: str, region: str | None) -> tuple[str, str]:
        """The configured module and region; OTHER for both where one of them is not ours.

        Raises `RefusalError` if there is no region and no default.
        """
        found_module, found_region = self.module(module), self.region(region)
        if found_module is not None and found_region is not None:
            return found_module, found_region
        if region is None and self.default_region is None:
            raise RefusalError(RejectReason.MISSING_REGION, "there is no region and no default")
        unknown = f"module {module}" if found_module is None else f"region {region}"
        if len(self.unknown_names) < UNKNOWN_NAMES_KEPT:
            self.unknown_names.add(unknown[:_NAME_CHARACTERS_MAX])
        return OTHER, OTHER

    def module(self, name: str) -> str | None:
        """The configured module that the sender means, or None."""
        try:
            return self._module_aliases[name]
        except KeyError:
            return _remember(self._module_aliases, name, self._find_module(name))

    def region(self, name: str | None) -> str | None:
        """The configured region that the sender means, the default for None, or None."""
        if name is None:
            return self.default_region
        try:
            return self._region_aliases[name]
        except KeyError:
            found = self._regions.get(name.strip().casefold())
            return _remember(self._region_aliases, name, found)

    def stages(self, names: Iterable[str]) -> tuple[str, ...]:
        """The configured module that each stage of a workflow means; OTHER for one not ours."""
        found = []
        for name in names:
            module = self.module(name)
            if module is None and len(self.unknown_names) < UNKNOWN_NAMES_KEPT:
                self.unknown_names.add(f"stage {name}"[:_NAME_CHARACTERS_MAX])
            found.append(OTHER if module is None else module)
        return tuple(found)

    def _find_module(self, name: str) -> str | None:
        if len(name) > _NAME_CHARACTERS_MAX:
            return None
        normal = _normal(name)
        return self._modules.get(normal) or self._modules.get(normal.removesuffix("s"))


def _normal(name: str) -> str:
    """Without prefix, kind and replica: `mplp-plan-service-0` and `Plan_module` are `plan`."""
    bare = name.strip().casefold().replace("_", "-").removeprefix("mplp-")
    return _KIND.sub("", _REPLICA.sub("", bare)) or bare


def _closed_set(
    names: tuple[str, ...], aliases: Mapping[str, str], normal: Callable[[str], str], what: str
) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        key = normal(name)
        if key in found:
            raise ValueError(f"the {what}s {found[key]!r} and {name!r} cannot be told apart")
        found[key] = name
    for alias, name in aliases.items():
        if name not in names:
            raise ValueError(f"the {what} alias {alias!r} means {name!r}, which is not configured")
        other = found.setdefault(normal(alias), name)
        if other != name:
            raise ValueError(f"the {what} alias {alias!r} means {name!r}, but {other!r} already")
    return found


def _remember(aliases: dict[str, str | None], name: str, found: str | None) -> str | None:
    """Keep the answer; a flood of new names empties the cache instead of growing it."""
    if len(name) <= _NAME_CHARACTERS_MAX:
        if len(aliases) >= _ALIASES_MAX:
            aliases.clear()
        aliases[name] = found
    return found
