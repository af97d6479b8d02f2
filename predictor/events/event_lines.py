"""Writes tables of synthetic events as lines of text, in one of the formats that `run` reads.

`predictor/events/generate.py` calls it. Lines are put together from prepared pieces, because a
general encoder costs more than drawing the events. Pure; the same table gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from predictor.events.call_graph import CORE
from predictor.events.load_plan import LoadPlan
from predictor.events.synthetic_load import (
    COUNT,
    HEARTBEAT,
    MODULE,
    NUMBER,
    PINNED,
    REGION,
    STATUS,
    TIME_MS,
    TOO_MANY,
    Ints,
)

LineFormat = Literal["json", "cloudevents", "shape-h"]

SOURCE = "/mplp/synthetic"
_HOLE = "\x00"
"""Where the id, the time and the count go; JSON escapes it, so no name can hold it."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """A line cut at its three holes: id, time, and a count where the format has one."""

    head: str
    middle: str
    tail: str
    end: str


def line_writer(plan: LoadPlan, form: LineFormat) -> Callable[[Ints], bytes]:
    """What turns a table (8, events) into lines, each with its line break."""
    if form == "shape-h" and plan.aggregate_s:
        raise ValueError("shape-h has no count: it cannot hold summaries")
    counted = bool(plan.aggregate_s)

    @lru_cache(maxsize=4096)
    def pieces(module: int, region: int, pinned: int, status: int) -> Pieces:
        body = _body(plan, form, module, region, pinned=bool(pinned), status=status)
        return _cut(body)

    prefix = f"s{plan.seed}-"

    def write(table: Ints) -> bytes:
        if form == "shape-h":
            table = table[:, table[MODULE] != HEARTBEAT]
        rows = table[[NUMBER, TIME_MS, MODULE, REGION, PINNED, COUNT, STATUS]].T.tolist()
        lines = []
        for number, time_ms, module, region, pinned, count, status in rows:
            cut = pieces(module, region, pinned, status)
            second, rest_ms = divmod(time_ms, 1000)
            shown = f"{prefix}{number:x}{cut.middle}{_second(second)}.{rest_ms:03d}Z{cut.tail}"
            if counted and module != HEARTBEAT:
                shown = f"{shown}{count}"
            lines.append(f"{cut.head}{shown}{cut.end}")
        return ("\n".join(lines) + "\n").encode() if lines else b""

    return write


@lru_cache(maxsize=8192)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _body(
    plan: LoadPlan, form: LineFormat, module: int, region: int, *, pinned: bool, status: int
) -> dict[str, Any]:
    """The line as an object, with holes, id before time before count."""
    is_heartbeat = module == HEARTBEAT
    fields: dict[str, Any] = {}
    if not is_heartbeat:
        fields["module"] = plan.modules[module]
        fields["region"] = plan.regions[region].name
        fields["routing"] = "pinned" if pinned else "weighted"
        if plan.modules[module] != CORE:
            fields["caller"] = CORE
        if plan.sample_rate < 1:
            fields["sample_rate"] = plan.sample_rate
        if status == TOO_MANY:
            fields["status"] = status
        if plan.aggregate_s:
            fields["count"] = _HOLE
    if form == "shape-h":
        return _module_call(fields, status)
    kind = "heartbeat" if is_heartbeat else "request"
    if form == "cloudevents":
        start = {"specversion": "1.0", "type": f"io.mplp.{kind}.v1", "source": SOURCE}
        return {**start, "id": _HOLE, "time": _HOLE, "data": fields}
    return {"kind": kind, "version": 1, "id": _HOLE, "time": _HOLE, **fields}


def _module_call(fields: dict[str, Any], status: int) -> dict[str, Any]:
    """MPLP's record of a call to a module; it names no region and no routing."""
    module = fields["module"]
    return {
        "requestId": _HOLE,
        "timestamp": _HOLE,
        "moduleId": module,
        "serviceId": f"mplp-{module}-service",
        "status": "error" if status == TOO_MANY else "success",
        "duration": 120,
    }


def _cut(body: dict[str, Any]) -> Pieces:
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    hole = json.dumps(_HOLE)
    # The quotes of id and time stay; a count is a number, so its quotes go with the hole.
    head, middle, rest = text.split(hole, 2)
    tail, count, end = rest.partition(hole)
    if not count:
        return Pieces(f'{head}"', f'"{middle}"', '"', tail)
    return Pieces(f'{head}"', f'"{middle}"', f'"{tail}', end)
