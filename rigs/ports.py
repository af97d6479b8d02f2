"""Finds loopback ports for servers that must know theirs before they start.

Called by the rigs. Must never hand out a port that the kernel may give to somebody's
outgoing connection: a server that restarts has to find its own port free again.
"""

from __future__ import annotations

import random
import socket

# Linux takes outgoing ports from 32768 upwards; below 20000 live the well-known servers.
_FIRST = 20_000
_LAST = 32_000
_ATTEMPTS = 200
# Its own generator: a test run that seeds `random` must not make two runs pick one port.
_RANDOM = random.SystemRandom()


def free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1, all different, that nothing listens on now."""
    found: set[int] = set()
    for _ in range(_ATTEMPTS):
        if len(found) == count:
            break
        port = _RANDOM.randint(_FIRST, _LAST)
        if _is_free(port):
            found.add(port)
    if len(found) < count:
        raise RuntimeError(f"no {count} free ports between {_FIRST} and {_LAST} on 127.0.0.1")
    return list(found)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As a server would: a port in TIME_WAIT counts as free, one that is served does not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
