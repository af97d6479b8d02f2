"""The history that the demand topic holds, for training.

`predictor/training.py` uses it. The records go through the same history as live. It must never take
anything from the live workers.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from predictor.core.history import History
from predictor.settings import Settings
from predictor.wiring import kafka_connection
from streams.demand import DemandPart, decode_demand
from streams.whole_topic import whole_topic

AFTER_EVERYTHING_S = 4e9
"""Beyond every event (the year 2096): all that is whole is taken."""


async def read_history(settings: Settings) -> tuple[History, Counter[str]]:
    """All demand there is; raises `OSError` when the broker or the topic is not there."""
    history, counts = settings.new_history(), Counter[str]()
    async for values in whole_topic(kafka_connection(settings), settings.kafka.demand_topic):
        for body in values:
            _take(body, history, counts)
        # Folding whole steps as they come keeps the open buckets few.
        history.series(AFTER_EVERYTHING_S)
    return history, counts


def _take(body: bytes | None, history: History, counts: Counter[str]) -> None:
    try:
        record = decode_demand(body or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        counts["malformed"] += 1
        return
    counts["records"] += 1
    if isinstance(record, DemandPart):
        history.add(record)
    else:
        history.advance(record)
