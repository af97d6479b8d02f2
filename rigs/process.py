"""One server process: started with a log file, asked until it answers, and always ended.

Called by the rigs, one object for each server they run. Must never end a process it did
not start, wait without a bound, or outlive the interpreter that started it.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rigs import scratch

Probe = Callable[[], bool]

_POLL_S = 0.05
_LOG_LINES_SHOWN = 30
_STOPPED_WITHIN_S = 5.0
# Asks the kernel to be killed with the parent (1 is PR_SET_PDEATHSIG), then becomes the
# server under the same process id. Done here and not in a preexec_fn, which Python warns
# about as soon as the caller has threads.
_DIE_WITH_PARENT = (
    "import ctypes, os, signal, sys;"
    "ctypes.CDLL(None).prctl(1, signal.SIGKILL);"
    "os.execvp(sys.argv[1], sys.argv[1:])"
)

_running: weakref.WeakSet[ServerProcess] = weakref.WeakSet()


class ServerError(RuntimeError):
    """A server ended or did not answer in time; the message ends with its last log lines."""


class ServerProcess:
    """A command that serves until it is stopped; it can be started again with the same log."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log_path: Path,
        *,
        environment: Mapping[str, str] | None = None,
        grace_s: float = 10.0,
    ) -> None:
        self.name = name
        self.log_path = log_path
        self._command = [str(part) for part in command]
        self._environment = {**os.environ, **(environment or {})}
        self._grace_s = grace_s
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The id of the process that was started last; None before the first start."""
        return self._child.pid if self._child else None

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start the command; use `wait_until` for the moment it serves."""
        if self.is_running:
            raise RuntimeError(f"{self.name} is already running as process {self.pid}")
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._child = subprocess.Popen(
                [*_die_with_parent(), *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                # A group of its own: Ctrl-C reaches the caller, who ends servers in order.
                start_new_session=True,
            )
        _running.add(self)

    def wait_until(self, probe: Probe, *, timeout_s: float) -> None:
        """Return when the probe says yes; a dead server or a late answer is ServerError."""
        deadline = time.monotonic() + timeout_s
        while not probe():
            if not self.is_running:
                raise ServerError(self._failure(f"ended with exit code {self._exit_code()}"))
            if time.monotonic() > deadline:
                raise ServerError(self._failure(f"did not answer within {timeout_s:g} s"))
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Ask it to end, insist after the grace time. Stopping twice is no error."""
        if not self.is_running or self._child is None:
            return
        # A paused process would keep the request pending until somebody resumes it.
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            self._child.wait(self._grace_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once, as a crash of the machine would."""
        if self._child is not None:
            self._signal(signal.SIGKILL)
            self._child.wait()

    def pause(self) -> None:
        """Freeze it: connections stay open and nobody answers, from the return on."""
        self._signal(signal.SIGSTOP)
        # Its threads stop one by one, on a busy machine some time after the signal was sent.
        self._wait_for_stop()

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def last_log_lines(self, count: int = _LOG_LINES_SHOWN) -> str:
        if not self.log_path.exists():
            return "(no log was written)"
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-count:])

    def _signal(self, number: signal.Signals) -> None:
        # Popen sends nothing to a child it has already reaped, so a recycled id is safe.
        if self._child is not None:
            self._child.send_signal(number)

    def _wait_for_stop(self) -> None:
        if self._child is None or self._child.returncode is not None:
            return
        until = time.monotonic() + _STOPPED_WITHIN_S
        while time.monotonic() < until:
            if os.waitid(os.P_PID, self._child.pid, os.WSTOPPED | os.WNOHANG) is not None:
                return
            time.sleep(_POLL_S / 10)

    def _exit_code(self) -> int | None:
        return self._child.returncode if self._child else None

    def _failure(self, what: str) -> str:
        return f"{self.name} {what}; the end of {self.log_path}:\n{self.last_log_lines()}"


def _die_with_parent() -> list[str]:
    """The start of a command line whose server does not outlive a killed interpreter.

    Linux ties the wish to the thread that starts the process, so a short-lived worker
    thread must not make it; atexit covers that case and other systems.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not sys.platform.startswith("linux") or not in_main_thread:
        return []
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT]


@atexit.register
def _stop_all() -> None:
    for server in list(_running):
        server.kill()
    scratch.remove_all()
