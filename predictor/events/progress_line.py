"""One line on standard error that says how far a long command has come.

`predictor/events_cli.py` gives it to what it calls. On a terminal the line is written over,
elsewhere a new one comes now and then, so that a log stays short. It must never write to standard
output.
"""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console

REDRAW_S = 0.2
LOG_S = 10.0


class ProgressLine:
    """Use it as a context; `say` may be called as often as one likes."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet)
        self._every_s = REDRAW_S if self._console.is_terminal else LOG_S
        self._status = self._console.status("") if self._console.is_terminal else None
        self._due_s = time.monotonic() + self._every_s

    @property
    def is_due(self) -> bool:
        """Whether a line that is said now would be shown."""
        return time.monotonic() >= self._due_s

    def say(self, text: str) -> None:
        """Show the text if it is time."""
        if not self.is_due:
            return
        self._due_s = time.monotonic() + self._every_s
        if self._status is None:
            self._console.print(text, highlight=False)
        else:
            self._status.update(text)

    def __enter__(self) -> ProgressLine:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()
