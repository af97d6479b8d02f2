import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rigs.ports import free_ports
from rigs.process import ServerError, ServerProcess

LISTEN = """
import socket, sys, time
with socket.socket() as server:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", int(sys.argv[1])))
    # Said before it answers: whoever reached it may read the log at once.
    print("listening", flush=True)
    server.listen()
    time.sleep(60)
"""
START_AND_SAY_PID = """
import sys, time
from pathlib import Path
from rigs.process import ServerProcess
server = ServerProcess("sleeper", ["sleep", "60"], Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def server(port: int, tmp_path: Path) -> Iterator[ServerProcess]:
    command = [sys.executable, "-c", LISTEN, str(port)]
    server = ServerProcess("listener", command, tmp_path / "listener.log", grace_s=1)
    yield server
    server.stop()


def test_server_is_started_when_it_answers_and_gone_when_stopped(
    server: ServerProcess, port: int
) -> None:
    server.start()
    server.wait_until(lambda: listens(port), timeout_s=20)
    assert server.last_log_lines() == "listening"

    server.stop()

    assert not server.is_running
    assert not listens(port)


def test_paused_server_can_still_be_stopped(server: ServerProcess, port: int) -> None:
    server.start()
    server.wait_until(lambda: listens(port), timeout_s=20)
    server.pause()

    server.stop()

    assert not server.is_running


def test_server_that_dies_is_reported_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such disk')"]
    server = ServerProcess("broken", command, tmp_path / "broken.log")
    server.start()

    with pytest.raises(ServerError, match=r"broken ended with exit code 1(.|\n)*no such disk"):
        server.wait_until(lambda: False, timeout_s=20)


def test_server_that_never_answers_is_given_up(server: ServerProcess) -> None:
    server.start()

    with pytest.raises(ServerError, match=r"listener did not answer within 0\.2 s"):
        server.wait_until(lambda: False, timeout_s=0.2)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can promise it")
def test_server_does_not_outlive_a_killed_interpreter(tmp_path: Path) -> None:
    command = [sys.executable, "-c", START_AND_SAY_PID, str(tmp_path / "sleeper.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        # The server asks for it itself, a moment after it was started.
        wait_until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
        parent.send_signal(signal.SIGKILL)

    wait_until(lambda: not is_alive(pid))


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # An orphan that nobody has reaped yet is a zombie, and that is dead enough.
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def wait_until(holds: Callable[[], bool], *, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
