"""A real Prometheus on loopback with history that was put in before it started, for tests.

Called by tests, as a context. The programs come from Debian's package, unpacked and not installed.
Must never scrape anything, keep its data after `stop`, or end a process it did not start.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from rigs import cache
from rigs.artifacts import BuildError
from rigs.ports import free_ports
from rigs.process import ServerError, ServerProcess
from rigs.server import OneServer

_PACKAGE = "prometheus"
_DOWNLOAD_TIMEOUT_S = 180.0
_FILL_TIMEOUT_S = 120.0
_PROBE_TIMEOUT_S = 2.0


def programs() -> Path:
    """The folder with `prometheus` and `promtool`; raises `BuildError` where there is no apt."""
    what = "fetch Debian's Prometheus (19 MB, about 5 s)"
    return cache.folder("prometheus", [Path(__file__)], what, _unpack)


class Prometheus(OneServer):
    """One server at `url` that knows the samples of an OpenMetrics text, from start to stop."""

    what = "Prometheus"

    def __init__(self, openmetrics: str) -> None:
        super().__init__()
        self._port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self._port}"
        self._openmetrics = openmetrics

    def _prepare(self, folder: Path) -> ServerProcess:
        found = programs()
        settings, data = folder / "prometheus.yml", folder / "data"
        settings.write_text("scrape_configs: []\n")
        data.mkdir()
        samples = folder / "samples.om"
        samples.write_text(self._openmetrics)
        fill = [found / "promtool", "tsdb", "create-blocks-from", "openmetrics", samples, data]
        # Blocks as long as the history: thousands of two hours each would take minutes.
        fill.insert(5, "--max-block-duration=1344h")
        _run([str(part) for part in fill], folder, _FILL_TIMEOUT_S, ServerError)
        command: list[str | Path] = [
            found / "prometheus",
            f"--config.file={settings}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--log.level=warn",
        ]
        return ServerProcess("prometheus", command, folder / "prometheus.log")

    def _answers(self) -> bool:
        """Ask whether it is ready: it listens before its data is open."""
        request = b"GET /-/ready HTTP/1.0\r\n\r\n"
        try:
            with socket.create_connection(
                ("127.0.0.1", self._port), _PROBE_TIMEOUT_S
            ) as connection:
                connection.sendall(request)
                answer = connection.recv(12, socket.MSG_WAITALL)
        except OSError:
            return False
        return answer.endswith(b" 200")


def _unpack(folder: Path) -> None:
    for program in ("apt-get", "dpkg"):
        if shutil.which(program) is None:
            raise BuildError(f"Debian's package {_PACKAGE} cannot be had: there is no {program}")
    _run(["apt-get", "download", "-qq", _PACKAGE], folder, _DOWNLOAD_TIMEOUT_S, BuildError)
    package = next(folder.glob(f"{_PACKAGE}_*.deb"))
    unpacked = folder / "unpacked"
    _run(["dpkg", "-x", str(package), str(unpacked)], folder, _DOWNLOAD_TIMEOUT_S, BuildError)
    for program in ("prometheus", "promtool"):
        (unpacked / "usr" / "bin" / program).rename(folder / program)
    shutil.rmtree(unpacked)
    package.unlink()


def _run(command: list[str], folder: Path, timeout_s: float, failed: type[RuntimeError]) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        raise failed(f"`{command[0]}` took more than {timeout_s:g} s") from None
    if done.returncode:
        end = "\n".join((done.stdout + done.stderr).strip().splitlines()[-10:])
        raise failed(f"`{' '.join(command[:3])} ...` failed:\n{end}")
