"""A reverse proxy before an API server that misbehaves as it is told.

Called by tests of what a client does when the server is busy, broken, slow, silent or behind. It
speaks HTTP on a loopback port and HTTPS to the server, and passes on who asks. Must never answer
out of itself where no fault was asked for, or keep a connection open after `close`.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

_UPSTREAM_TIMEOUT_S = 900.0
_PIECE_BYTES = 65_536
_BROKEN = (OSError, http.client.HTTPException, ValueError)


@dataclass(frozen=True)
class Respond:
    """Answer this, and do not ask the server."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"kind": "Status", "message": "as the test wants it"}'


@dataclass(frozen=True)
class HangBody:
    """Ask the server, pass on half of its answer, and no more."""


@dataclass(frozen=True)
class BlackHole:
    """Take the request, and never answer."""


@dataclass(frozen=True)
class LoseAnswer:
    """Let the server do what is asked, and never tell."""


@dataclass(frozen=True)
class Replay:
    """Answer what the server answered for that path when the fault was told."""


Act = Respond | HangBody | BlackHole | LoseAnswer | Replay


@dataclass
class _Fault:
    method: str
    pattern: re.Pattern[str]
    act: Act
    times_left: int | None
    old: Mapping[str, bytes]


class ApiProxy:
    """Serves at `url` from the construction to `close`; `seen` is every request, in order."""

    def __init__(self, server: str, ca_file: Path) -> None:
        self._address = urlsplit(server).netloc
        self._trust = ssl.create_default_context(cafile=str(ca_file))
        self._lock = threading.Lock()
        self._faults: list[_Fault] = []
        self._last: dict[str, bytes] = {}
        self._watches: set[socket.socket] = set()
        self._released = threading.Event()
        self.seen: list[tuple[str, str]] = []
        self._listener = _Listener(self)
        self.url = f"http://127.0.0.1:{self._listener.server_port}"
        self._thread = threading.Thread(target=self._listener.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> ApiProxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def fail(self, method: str, path: str, act: Act, times: int | None = None) -> None:
        """Do so with requests whose path and query match the expression, `times` at most."""
        with self._lock:
            fault = _Fault(method, re.compile(path), act, times, dict(self._last))
            self._faults.append(fault)

    def heal(self) -> None:
        """Forget every fault, and let those go who wait."""
        with self._lock:
            self._faults.clear()
            released, self._released = self._released, threading.Event()
        released.set()

    def drop_watches(self) -> None:
        """Break every connection over which a watch runs."""
        with self._lock:
            watches, self._watches = self._watches, set()
        for one in watches:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def requests(self, method: str, path: str) -> int:
        """How many of this kind have come so far."""
        with self._lock:
            return sum(one == method and bool(re.search(path, asked)) for one, asked in self.seen)

    def close(self) -> None:
        """Stop serving; connections end."""
        self.heal()
        self._listener.shutdown()
        self._listener.server_close()
        self.drop_watches()
        self._thread.join()

    def taken(self, method: str, path: str) -> tuple[Act | None, bytes, threading.Event]:
        """The fault for this request if there is one, with what it replays and what ends it."""
        with self._lock:
            self.seen.append((method, path))
            for one in self._faults:
                if one.method != method or not one.pattern.search(path) or one.times_left == 0:
                    continue
                if one.times_left is not None:
                    one.times_left -= 1
                return one.act, one.old.get(urlsplit(path).path, b""), self._released
            return None, b"", self._released

    def upstream(self) -> http.client.HTTPSConnection:
        """A new connection to the server."""
        return http.client.HTTPSConnection(
            self._address, timeout=_UPSTREAM_TIMEOUT_S, context=self._trust
        )

    def remember(self, path: str, body: bytes) -> None:
        """What the server answered last to a read."""
        with self._lock:
            self._last[urlsplit(path).path] = body

    def watches(self, *sides: socket.socket | None) -> None:
        """A watch runs over these connections."""
        with self._lock:
            self._watches.update(one for one in sides if one is not None)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, proxy: ApiProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Listener
    _upstream: http.client.HTTPSConnection

    def do_GET(self) -> None:
        """One request of a client."""
        self._serve()

    do_PATCH = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names are given

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is given
        """Nothing: `seen` has it."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        asked = self.rfile.read(length) if length else None
        act, old, released = self.server.proxy.taken(self.command, self.path)
        with suppress(*_BROKEN), closing(self.server.proxy.upstream()) as self._upstream:
            match act:
                case None:
                    self._pass_on(asked)
                case Respond(status, headers, body):
                    self._reply(status, headers, body)
                case Replay():
                    self._reply(200, {}, old)
                case BlackHole():
                    released.wait()
                case LoseAnswer():
                    self._ask(asked)[1].read()
                    released.wait()
                case HangBody():
                    status, answer = self._ask(asked)
                    body = answer.read()
                    self._begin(status, {"Content-Length": str(len(body))})
                    self.wfile.write(body[: len(body) // 2])
                    released.wait()
        self.close_connection = True

    def _pass_on(self, asked: bytes | None) -> None:
        status, answer = self._ask(asked)
        if "watch=true" not in self.path:
            body = answer.read()
            if self.command == "GET":
                self.server.proxy.remember(self.path, body)
            self._reply(status, dict(answer.getheaders()), body)
            return
        self._begin(status, {"Content-Type": "application/json"})
        while piece := answer.read1(_PIECE_BYTES):
            self.wfile.write(piece)
            self.wfile.flush()

    def _ask(self, asked: bytes | None) -> tuple[int, http.client.HTTPResponse]:
        kept = ("Authorization", "Accept", "Content-Type", "User-Agent")
        headers = {name: self.headers[name] for name in kept if self.headers.get(name)}
        connection = self._upstream
        connection.request(self.command, self.path, body=asked, headers=headers)
        if "watch=true" in self.path:
            self.server.proxy.watches(self.connection, connection.sock)
        answer = connection.getresponse()
        return answer.status, answer

    def _reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        kept = {name: headers[name] for name in ("Content-Type", "Retry-After") if name in headers}
        self._begin(status, {**kept, "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
