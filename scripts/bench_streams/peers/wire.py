"""The fields that the Python peers decode; they pass over the others, as our decoder does.

Every environment of the peers has msgspec, and this file imports nothing else.
"""

from __future__ import annotations

import msgspec


class WireEvent(msgspec.Struct, gc=False):
    """A request event; the time stays text, unchecked."""

    id: str
    time: str
    module: str
    region: str
    routing: str
    status: int
    duration_ms: float
