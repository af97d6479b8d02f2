"""Passwords and certificates as files that are read again for every connection.

`streams/topics.py` gives them to the Kafka clients. aiokafka and Faust take a password and an SSL
context once and keep them as long as the client lives, while a mounted Secret changes under them.
So what they keep looks into the files when a connection is made: a rotated secret is used by the
next one, and open connections stay. Must never put a secret into a log line or an error.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Self

from aiokafka import conn
from aiokafka.helpers import create_ssl_context

_LINE_BREAKS = b"\r\n"


class PasswordFile(str):
    """The password as text, and as bytes whatever the file holds when somebody asks.

    Each connection's authenticator encodes it once, SCRAM of its own accord (RFC 5802 wants bytes),
    PLAIN by way of `_Plain`; `tests/streams/test_secured_broker.py` holds both against aiokafka.
    """

    __slots__ = ("_path",)
    _path: Path

    def __new__(cls, path: Path) -> Self:
        """Raises `OSError` if the file cannot be read."""
        password = super().__new__(cls, _password(path).decode())
        password._path = path
        conn.SaslPlainAuthenticator = _Plain
        return password

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """What the file holds now, without its last line break; `OSError` if it is gone."""
        return _password(self._path)

    def __repr__(self) -> str:
        return f"PasswordFile({str(self._path)!r})"


class _Plain(conn.SaslPlainAuthenticator):  # type: ignore[misc]
    """aiokafka's authenticator, which joins the text of a password without encoding it first."""

    def __init__(self, *, sasl_plain_password: str, **options: Any) -> None:
        super().__init__(sasl_plain_password=sasl_plain_password.encode().decode(), **options)


class TrustFiles(ssl.SSLContext):
    """A client's TLS settings; each new connection gets what the files hold then.

    Without a CA file the system's authorities count. The broker's certificate and host name are
    always verified. A pair of which only one half has been replaced raises `ssl.SSLError`, an
    `OSError`, until the other half is there.
    """

    _files: tuple[Path | None, Path | None, Path | None]
    _read_at: tuple[tuple[int, int, int] | None, ...]
    _now: ssl.SSLContext

    def __new__(cls, ca: Path | None, certificate: Path | None, key: Path | None) -> Self:
        """Raises `OSError` if a file cannot be read or does not hold what it should."""
        context = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        context._files = (ca, certificate, key)
        context._read()
        return context

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """What asyncio calls for each connection."""
        return self._current().wrap_bio(*args, **options)

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """What everything without asyncio calls."""
        return self._current().wrap_socket(*args, **options)

    def _current(self) -> ssl.SSLContext:
        # A context keeps one certificate for each kind of key, so a new one is made, not refilled.
        if self._read_at != self._stamps():
            self._read()
        return self._now

    def _read(self) -> None:
        stamps = self._stamps()  # before reading: what changes meanwhile is read again
        ca, certificate, key = self._files
        self._now = create_ssl_context(cafile=ca, certfile=certificate, keyfile=key)
        self._read_at = stamps

    def _stamps(self) -> tuple[tuple[int, int, int] | None, ...]:
        """What a file's content cannot change without; a Secret swaps the link to its folder."""
        return tuple(None if one is None else _stamp(one) for one in self._files)


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size


def _password(path: Path) -> bytes:
    """UTF-8 for certain: anything but an `OSError` would end aiokafka's own tasks."""
    password = path.read_bytes().rstrip(_LINE_BREAKS)
    try:
        password.decode()
    except UnicodeDecodeError:
        raise OSError(f"{path} does not hold a password in UTF-8") from None
    return password
