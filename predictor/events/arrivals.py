"""What a line of history says: requests that arrived at a module, or why it says nothing.

`predictor/events/access_log.py`, `predictor/events/count_table.py` and
`predictor/events/event_history.py` make arrivals of lines; `predictor/events/event_writer.py` makes
events of them. Pure.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from streams.events import Catalog


class Arrivals(NamedTuple):
    """Requests that were `reported` for `time_s`; 0 proves that the time was observed.

    Each stands for `one_in` that happened, where only a sample was written down.
    """

    time_s: float
    module: str
    region: str
    reported: float = 1.0
    one_in: float = 1.0
    pinned: bool = False


class SetAside(ValueError):  # noqa: N818 - it says what became of a line
    """A line that says nothing of a request; `reason` is counted, the detail shown once."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class History(Protocol):
    """One way to write history down, a line at a time."""

    def read(self, line: bytes) -> list[Arrivals | SetAside]:
        """What the line says; raises `SetAside` where it is no such line at all."""
        ...


def place(
    catalog: Catalog, module: str | None, region: str | None, fixed: tuple[str | None, str | None]
) -> tuple[str, str]:
    """The configured module and region; what is `fixed` goes before what a line says.

    Raises `SetAside`.
    """
    module, region = fixed[0] or module, fixed[1] or region
    if not module:
        raise SetAside("no_module", "the line names no module; give one with --module")
    found_module = catalog.module(module)
    if found_module is None:
        raise SetAside("unknown_module", f"module {module[:64]!r} is not configured")
    if not region:
        raise SetAside("no_region", "the line names no region; give one with --region")
    found_region = catalog.region(region)
    if found_region is None:
        raise SetAside("unknown_region", f"region {region[:64]!r} is not configured")
    return found_module, found_region
