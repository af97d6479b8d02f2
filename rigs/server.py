"""What the rigs share: each runs from `start` to `stop`, in a `with` block too, in its own folder.

`rigs.kafka`, `rigs.prometheus` and `rigs.kubernetes` are made of it. It must never leave a process
or a folder behind after `stop`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from rigs import scratch
from rigs.process import ServerProcess

_START_TIMEOUT_S = 60.0


class Rig(ABC):
    """Servers of one kind, and the folder with their settings, data and logs."""

    what: ClassVar[str]
    """For sentences: "the broker"."""

    def __init__(self) -> None:
        self._folder: Path | None = None

    @property
    def folder(self) -> Path:
        """Where settings, data and logs lie until `stop`."""
        if self._folder is None:
            raise RuntimeError(f"{self.what} has not been started")
        return self._folder

    @abstractmethod
    def start(self) -> None:
        """Return when it answers."""

    def stop(self) -> None:
        """End every server and delete all they wrote; twice is no error."""
        self._end()
        if self._folder is not None:
            scratch.remove(self._folder)
            self._folder = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @abstractmethod
    def _end(self) -> None:
        """End what runs; nothing may be running yet."""


class OneServer(Rig):
    """A rig of one process, which comes back with its data after a crash."""

    def __init__(self) -> None:
        super().__init__()
        self._process: ServerProcess | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.is_running

    def start(self) -> None:
        """Return when it answers; after `kill` it comes back with its data."""
        if self._process is None:
            self._folder = scratch.new_folder(type(self).__name__.lower())
            self._process = self._prepare(self._folder)
        self._process.start()
        self._process.wait_until(self._answers, timeout_s=_START_TIMEOUT_S)

    def kill(self) -> None:
        """Crash it; the data stays for `start`."""
        self._started().kill()

    def _started(self) -> ServerProcess:
        if self._process is None:
            raise RuntimeError(f"{self.what} has not been started")
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None

    @abstractmethod
    def _prepare(self, folder: Path) -> ServerProcess:
        """The process, with settings and data written to the folder."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it serves requests; asked until it does."""
