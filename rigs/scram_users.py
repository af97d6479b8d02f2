"""Sets the password of a SCRAM user on a running broker, in Kafka's own protocol.

Called by `rigs.secured_kafka`. Kafka's tool for it starts a Java machine, which takes seconds, and
aiokafka's admin client has no such request. Must never send a password itself: the request carries
the salted one (RFC 5802, KIP-554).
"""

from __future__ import annotations

import hashlib
import os
import socket
import struct

from rigs.process import ServerError

ITERATIONS = 4096
"""The least that Kafka accepts."""

_ALTER_USER_SCRAM_CREDENTIALS = 51
_SCRAM_SHA_512 = 2
_TIMEOUT_S = 15.0


def set_password(address: tuple[str, int], user: str, password: str) -> None:
    """Make the user, or change their password; returns when the broker has it in its metadata."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    wish = (
        _compact(user.encode())
        + struct.pack(">bi", _SCRAM_SHA_512, ITERATIONS)
        + _compact(salt)
        + _compact(salted)
        + _NO_TAGS
    )
    answer = _ask(address, _NO_ITEMS + _ONE_ITEM + wish + _NO_TAGS)
    # throttle time, one result: user, error code
    (error_code,) = struct.unpack_from(">h", answer, 4 + 1 + len(_compact(user.encode())))
    if error_code:
        raise ServerError(f"the broker refused a password for {user}: error {error_code}")


def _ask(address: tuple[str, int], body: bytes) -> bytes:
    client = b"rigs"
    head = struct.pack(">hhih", _ALTER_USER_SCRAM_CREDENTIALS, 0, 1, len(client)) + client
    request = head + _NO_TAGS + body
    with socket.create_connection(address, _TIMEOUT_S) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))
        answer = connection.recv(size, socket.MSG_WAITALL)
    return answer[5:]  # after the correlation id and no tags


def _compact(value: bytes) -> bytes:
    """A length one too high, then the bytes; ours are all shorter than 127."""
    return bytes([len(value) + 1]) + value


_NO_TAGS = b"\0"
_NO_ITEMS = b"\1"
_ONE_ITEM = b"\2"
